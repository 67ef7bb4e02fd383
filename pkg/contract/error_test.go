package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// declaredCodes reads the constants of type Code from the source.
func declaredCodes(t *testing.T) []Code {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "error.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var codes []Code
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			if kind, ok := v.Type.(*ast.Ident); ok && kind.Name == "Code" {
				if literal, ok := v.Values[0].(*ast.BasicLit); ok {
					codes = append(codes, Code(strings.Trim(literal.Value, `"`)))
				}
			}
		}
		return true
	})
	return codes
}

func TestEveryCodeHasAStatus(t *testing.T) {
	t.Parallel()
	codes := declaredCodes(t)
	if len(codes) < 10 || len(codes) != len(Codes()) {
		t.Fatalf("%d codes are declared, %d have a status", len(codes), len(Codes()))
	}
	for _, code := range codes {
		status, ok := Codes()[code]
		if !ok || status != code.Status() || status < 400 || status > 599 || http.StatusText(status) == "" {
			t.Errorf("%s has status %d", code, status)
		}
	}
	if Code("of_tomorrow").Status() != http.StatusInternalServerError {
		t.Error("an unknown code is not 500")
	}
	Codes()[NotFound] = 200
	if NotFound.Status() != http.StatusNotFound {
		t.Error("a caller can change a status")
	}
}

func TestErrorsAreComparedByTheirCode(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("verify: %w", &Error{Code: NotFound, Message: "no such user", RequestID: "r"})
	for _, c := range []struct {
		target error
		is     bool
	}{
		{&Error{Code: NotFound}, true},
		{Missing("tenant"), true},
		{fmt.Errorf("wrapped: %w", &Error{Code: NotFound}), true},
		{&Error{Code: Unauthenticated}, false},
		{&Error{}, false},
		{errors.New("not_found"), false},
	} {
		if errors.Is(err, c.target) != c.is {
			t.Errorf("Is(%v) must be %v", c.target, c.is)
		}
	}
	var known *Error
	if !errors.As(err, &known) || known.RequestID != "r" {
		t.Error("As")
	}
	if errors.Is(nil, &Error{Code: NotFound}) {
		t.Error("nil is an error")
	}
}

func TestErrorsRenderCodeFieldAndMessage(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"invalid_argument: email: is no address": Invalid("email", "is no %s", "address"),
		"not_found: no such user":                Missing("user"),
		"internal: 1 of 2":                       Errorf(InternalError, "%d of %d", 1, 2),
	} {
		if err.Error() != want {
			t.Errorf("%q, want %q", err, want)
		}
	}
}

func TestAnErrorSurvivesBothWires(t *testing.T) {
	t.Parallel()
	for code := range Codes() {
		sent := &Error{Code: code, Message: "mend “it”\n", Field: "a.b[0]", RequestID: "0123456789"}
		bus, err := json.Marshal(sent)
		if err != nil {
			t.Fatal(err)
		}
		fromBus := new(Error)
		if err := json.Unmarshal(bus, fromBus); err != nil || *fromBus != *sent {
			t.Errorf("over the bus: %v %v", fromBus, err)
		}
		w := httptest.NewRecorder()
		WriteProblem(w, sent)
		var p Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || *p.Err() != *sent {
			t.Errorf("over HTTP: %v %v", p, err)
		}
		if w.Code != code.Status() || p.Status != w.Code || w.Header().Get("Content-Type") != ProblemType || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", code, w.Code, w.Header())
		}
		patience := code == Unavailable || code == RateLimited
		if (w.Header().Get("Retry-After") == "1") != patience {
			t.Errorf("%s: Retry-After %q", code, w.Header().Get("Retry-After"))
		}
	}
}

func TestAnUnauthenticatedCallerIsToldTheScheme(t *testing.T) {
	t.Parallel()
	for field, scheme := range map[string]string{HeaderAPIKey: "ApiKey", "x-api-key": "ApiKey", "Authorization": "Bearer", "": "Bearer"} {
		w := httptest.NewRecorder()
		WriteProblem(w, &Error{Code: Unauthenticated, Field: field})
		if got := w.Header().Get("WWW-Authenticate"); got != scheme {
			t.Errorf("%q: %s, want %s", field, got, scheme)
		}
	}
}
