package contract

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// Headers of the bus protocol. Those of NATS's service protocol mark an error
// reply; its body is the JSON of an Error.
const (
	HeaderErrorCode = "Nats-Service-Error-Code"
	HeaderError     = "Nats-Service-Error"
	HeaderRequestID = "Request-Id"
	HeaderAPIKey    = "X-API-Key" //nolint:gosec // a header's name
)

// MaxBody is the largest request body in bytes, over HTTP and over the bus.
const MaxBody = 1 << 20

// ProblemType is the media type of a problem (RFC 9457).
const ProblemType = "application/problem+json"

// Problem is an Error over HTTP (RFC 9457).
type Problem struct {
	Type       string `json:"type" doc:"about:blank: the code says it all." example:"about:blank"`
	Title      string `json:"title" doc:"The HTTP status in words."`
	Status     int    `json:"status"`
	Detail     string `json:"detail,omitempty" doc:"What is wrong and how to mend it."`
	Code       Code   `json:"code" doc:"Stable error code, the same over the bus."`
	Field      string `json:"field,omitempty" doc:"The request field or header at fault."`
	RequestID  string `json:"request_id,omitempty" doc:"To be quoted when asking for help."`
	RetryAfter int    `json:"retry_after,omitempty" doc:"Seconds to wait before trying again; the header Retry-After says the same."`
}

// Problem renders the error for HTTP.
func (e *Error) Problem() Problem {
	status := e.Code.Status()
	return Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status,
		Detail: e.Message, Code: e.Code, Field: e.Field, RequestID: e.RequestID, RetryAfter: e.RetryAfter,
	}
}

// Err is the Error that the problem renders.
func (p Problem) Err() *Error {
	return &Error{Code: p.Code, Message: p.Detail, Field: p.Field, RequestID: p.RequestID, RetryAfter: p.RetryAfter}
}

// WriteProblem answers an HTTP request with the error. A code that asks for
// patience carries Retry-After: the error's own, or one second.
func WriteProblem(w http.ResponseWriter, e *Error) {
	h := w.Header()
	h.Set("Content-Type", ProblemType)
	h.Set("Cache-Control", "no-store")
	switch e.Code {
	case Unavailable, RateLimited:
		h.Set("Retry-After", strconv.Itoa(max(e.RetryAfter, 1)))
	case Unauthenticated:
		scheme := "Bearer"
		if strings.EqualFold(e.Field, HeaderAPIKey) {
			scheme = "ApiKey"
		}
		h.Set("WWW-Authenticate", scheme)
	}
	w.WriteHeader(e.Code.Status())
	_ = json.NewEncoder(w).Encode(e.Problem()) // the client is gone: nobody is left to tell
}
