package httptransport

import (
	"encoding/json"
	"mime"
	"net/http"
	"strings"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/sdk/internal/fault"
)

// read turns an HTTP answer into the body of a success or an error. Only what
// the Core API could have said is believed: a page of some proxy never becomes
// a not_found or a success.
func read(spec *contract.Spec, res *http.Response, body []byte) ([]byte, error) {
	if len(body) > maxAnswer {
		return nil, fault.Unreadable(spec, "the answer exceeds %d bytes", maxAnswer)
	}
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")) // none or garbage is ""
	switch {
	case res.StatusCode == http.StatusOK && kind == "application/json":
		return body, nil
	case res.StatusCode >= 400 && kind == contract.ProblemType:
		var problem contract.Problem
		if err := json.Unmarshal(body, &problem); err == nil && problem.Code != "" {
			e := problem.Err()
			e.Code = contract.Code(clip(string(e.Code), 64))
			e.Message, e.Field, e.RequestID = clip(e.Message, 1000), clip(e.Field, 200), clip(e.RequestID, 64)
			return nil, e
		}
	}
	return nil, foreign(spec, res, kind, body)
}

// foreign is the error of an answer that is none of the Core API's.
func foreign(spec *contract.Spec, res *http.Response, kind string, body []byte) error {
	code := contract.InternalError
	hint := "does the URL name the core?"
	switch status := res.StatusCode; {
	case status >= 300 && status < 400:
		hint = "redirects are not followed; use the address it leads to: " + clip(res.Header.Get("Location"), 200)
	case status == http.StatusTooManyRequests:
		code, hint = contract.RateLimited, "something before the core limits requests"
	case status == http.StatusRequestEntityTooLarge:
		code, hint = contract.PayloadTooLarge, "something before the core limits bodies"
	case status == http.StatusBadGateway, status == http.StatusServiceUnavailable:
		code, hint = contract.Unavailable, "something before the core does not reach it"
	case status == http.StatusGatewayTimeout:
		code, hint = contract.DeadlineExceeded, "something before the core gave up waiting"
	}
	return contract.Errorf(code, "%s: answer %d of type %q is not of the Core API (%s): %q",
		spec.Name, res.StatusCode, clip(kind, 100), hint, clip(string(body), 120))
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
