package sdk_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/sdk"
)

const verified = `{"user":{"id":"u","tenant_id":"t"}}`

var keyRefused = &sdk.Error{Code: contract.Unauthenticated, Field: contract.HeaderAPIKey, Message: "revoked"}

// core answers auth.verify and rbac.check.
func core(verify, check string, verifyErr, checkErr error) *fake {
	return &fake{answer: func(_ context.Context, spec *contract.Spec, _ string) (string, error) {
		if spec.Name == contract.VerifyToken.Name {
			return verify, verifyErr
		}
		return check, checkErr
	}}
}

func ask(handler http.Handler, authorization ...string) (*httptest.ResponseRecorder, contract.Problem) {
	r := httptest.NewRequest(http.MethodGet, "/accounts", nil)
	r.Header["Authorization"] = authorization
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	var p contract.Problem
	if w.Header().Get("Content-Type") == contract.ProblemType {
		_ = json.Unmarshal(w.Body.Bytes(), &p)
	}
	return w, p
}

func unreachable(t *testing.T) http.Handler {
	return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("let through") })
}

func TestUserWithPermissionIsLetThrough(t *testing.T) {
	t.Parallel()
	c := client(core(verified, `{"allowed":true}`, nil, nil))
	handler := sdk.RequireUser(c)(sdk.RequirePermission("financial:accounts:read")(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			user, ok := sdk.UserFrom(r.Context())
			assert.True(t, ok)
			assert.Equal(t, sdk.User{ID: "u", TenantID: "t"}, user)
			w.WriteHeader(http.StatusTeapot)
		})))
	for _, authorization := range []string{"Bearer token", "bearer token", "BEARER token"} {
		w, _ := ask(handler, authorization)
		assert.Equal(t, http.StatusTeapot, w.Code)
	}
	_, ok := sdk.UserFrom(t.Context())
	assert.False(t, ok)
}

func TestDenials(t *testing.T) {
	t.Parallel()
	allow, deny := `{"allowed":true}`, `{"allowed":false}`
	for name, c := range map[string]struct {
		authorization []string
		core          *fake
		status        int
		code          contract.Code
	}{
		"no header":       {nil, core(verified, allow, nil, nil), 401, contract.Unauthenticated},
		"two headers":     {[]string{"Bearer a", "Bearer b"}, core(verified, allow, nil, nil), 401, contract.Unauthenticated},
		"basic":           {[]string{"Basic dTpw"}, core(verified, allow, nil, nil), 401, contract.Unauthenticated},
		"no token":        {[]string{"Bearer "}, core(verified, allow, nil, nil), 401, contract.Unauthenticated},
		"two tokens":      {[]string{"Bearer a b"}, core(verified, allow, nil, nil), 401, contract.Unauthenticated},
		"joined headers":  {[]string{"Bearer a,Bearer b"}, core(verified, allow, nil, nil), 401, contract.Unauthenticated},
		"endless token":   {[]string{"Bearer " + strings.Repeat("x", 9000)}, core(verified, allow, nil, nil), 401, contract.Unauthenticated},
		"expired":         {[]string{"Bearer a"}, core("", allow, sdk.ErrUnauthenticated, nil), 401, contract.Unauthenticated},
		"user gone":       {[]string{"Bearer a"}, core("", allow, sdk.ErrNotFound, nil), 401, contract.Unauthenticated},
		"malformed":       {[]string{"Bearer a"}, core("", allow, sdk.ErrInvalidArgument, nil), 401, contract.Unauthenticated},
		"our key refused": {[]string{"Bearer a"}, core("", allow, keyRefused, nil), 503, contract.Unavailable},
		"not granted":     {[]string{"Bearer a"}, core("", allow, sdk.ErrPermissionDenied, nil), 503, contract.Unavailable},
		"core away":       {[]string{"Bearer a"}, core("", allow, sdk.ErrUnavailable, nil), 503, contract.Unavailable},
		"core slow":       {[]string{"Bearer a"}, core("", allow, sdk.ErrDeadlineExceeded, nil), 503, contract.Unavailable},
		"core limits":     {[]string{"Bearer a"}, core("", allow, sdk.ErrRateLimited, nil), 503, contract.Unavailable},
		"core broken":     {[]string{"Bearer a"}, core("", allow, sdk.ErrInternal, nil), 503, contract.Unavailable},
		"unknown error":   {[]string{"Bearer a"}, core("", allow, errors.New("boom"), nil), 503, contract.Unavailable},
		"empty user":      {[]string{"Bearer a"}, core(`{"user":{}}`, allow, nil, nil), 503, contract.Unavailable},
		"no user":         {[]string{"Bearer a"}, core(`{}`, allow, nil, nil), 503, contract.Unavailable},
		"user of nowhere": {[]string{"Bearer a"}, core(`{"user":{"id":"u"}}`, allow, nil, nil), 503, contract.Unavailable},

		"not permitted":           {[]string{"Bearer a"}, core(verified, deny, nil, nil), 403, contract.PermissionDenied},
		"check says nothing":      {[]string{"Bearer a"}, core(verified, `{}`, nil, nil), 403, contract.PermissionDenied},
		"gone since":              {[]string{"Bearer a"}, core(verified, allow, nil, sdk.ErrNotFound), 403, contract.PermissionDenied},
		"check: core away":        {[]string{"Bearer a"}, core(verified, allow, nil, sdk.ErrUnavailable), 503, contract.Unavailable},
		"check: core slow":        {[]string{"Bearer a"}, core(verified, allow, nil, sdk.ErrDeadlineExceeded), 503, contract.Unavailable},
		"check: our key refused":  {[]string{"Bearer a"}, core(verified, allow, nil, keyRefused), 503, contract.Unavailable},
		"check: garbage":          {[]string{"Bearer a"}, core(verified, `{"allowed":1}`, nil, nil), 503, contract.Unavailable},
		"check: not granted":      {[]string{"Bearer a"}, core(verified, allow, nil, sdk.ErrPermissionDenied), 503, contract.Unavailable},
		"check: invalid argument": {[]string{"Bearer a"}, core(verified, allow, nil, sdk.ErrInvalidArgument), 503, contract.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cl := client(c.core, sdk.WithoutRetries())
			handler := sdk.RequireUser(cl)(sdk.RequirePermission("financial:accounts:read")(unreachable(t)))
			w, problem := ask(handler, c.authorization...)
			assert.Equal(t, c.status, w.Code)
			assert.Equal(t, c.code, problem.Code)
			assert.Equal(t, c.status, problem.Status)
			assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			switch c.status {
			case 401:
				assert.Equal(t, "Bearer", w.Header().Get("WWW-Authenticate"))
			case 403:
				assert.Contains(t, problem.Detail, "financial:accounts:read")
			case 503:
				assert.NotEmpty(t, w.Header().Get("Retry-After"))
				assert.NotContains(t, w.Body.String(), "boom")
			}
		})
	}
}

func TestPermissionWithoutUserIsUnauthenticated(t *testing.T) {
	t.Parallel()
	w, problem := ask(sdk.RequirePermission("financial:accounts:read")(unreachable(t)), "Bearer a")
	assert.Equal(t, 401, w.Code)
	assert.Equal(t, contract.Unauthenticated, problem.Code)
}

func TestMistakesOfConstructionPanic(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"", "accounts", "a:*", "a:**", "A:b", "a:b:c:d:e:f", "a::b", "a:b "} {
		assert.Panics(t, func() { sdk.RequirePermission(code) }, code)
	}
	assert.Panics(t, func() { sdk.RequireUser(nil) })
}

func TestWhatWasDeniedForWantOfAVerdictIsLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	c := client(core("", "", keyRefused, nil), sdk.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	ask(sdk.RequireUser(c)(unreachable(t)), "Bearer secret-token")
	assert.Contains(t, log.String(), "X-API-Key")
	assert.NotContains(t, log.String(), "secret-token")
}

func TestWriteProblemKeepsForeignErrorsToItself(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	sdk.WriteProblem(w, errors.New("password is hunter2"))
	assert.Equal(t, 500, w.Code)
	assert.NotContains(t, w.Body.String(), "hunter2")

	w = httptest.NewRecorder()
	sdk.WriteProblem(w, sdk.Invalid("lines[0].amount", "must be positive"))
	var p contract.Problem
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
	assert.Equal(t, "lines[0].amount", p.Field)
	assert.Equal(t, 400, w.Code)
}
