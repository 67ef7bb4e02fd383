package sdk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/buildify/core/pkg/contract"
)

// maxToken is the longest access token worth asking the core about.
const maxToken = 8192

type sessionKey struct{}

// session is what RequireUser knows about a request.
type session struct {
	client *Client
	token  *Token
}

// UserFrom returns the user that [RequireUser] verified. Without that
// middleware there is none.
func UserFrom(ctx context.Context) (User, bool) {
	token, ok := TokenFrom(ctx)
	return token.User, ok
}

// TokenFrom returns what [RequireUser] verified, [UserFrom] and more.
func TokenFrom(ctx context.Context) (Token, bool) {
	s, ok := ctx.Value(sessionKey{}).(session)
	if !ok {
		return Token{}, false
	}
	return *s.token, true
}

// RequireUser lets only requests through that carry a valid access token
// ("Authorization: Bearer …"), and puts its user into the context; see
// [UserFrom]. It answers 401 for want of one, and 503 whenever the core cannot
// be asked: it never opens.
func RequireUser(client *Client) func(http.Handler) http.Handler {
	if client == nil {
		panic("sdk: RequireUser needs a client")
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			token, ok := bearer(r)
			if !ok {
				WriteProblem(w, unauthenticated("a bearer token is required"))
				return
			}
			verified, err := client.Verify(r.Context(), token)
			if err != nil {
				client.refuse(w, r, err, tokenRefused)
				return
			}
			ctx := context.WithValue(r.Context(), sessionKey{}, session{client, verified})
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
}

// RequirePermission lets only users through who hold the permission in the
// tenant that their token acts in. It stands inside [RequireUser], without which
// everybody gets 401:
//
//	mux.Handle("GET /accounts", sdk.RequireUser(client)(sdk.RequirePermission("financial:accounts:read")(list)))
//
// It answers 403 for want of the permission and 503 whenever the core cannot
// be asked, and decides locally when the client does ([WithLocalDecisions]). It
// panics when permission is no concrete permission code: 2 to 5 segments of a-z,
// 0-9, "_" and "-", separated by colons.
func RequirePermission(permission string) func(http.Handler) http.Handler {
	if !contract.ValidPermission(permission) {
		panic(fmt.Sprintf("sdk: %q is not a permission code such as financial:accounts:read", permission))
	}
	denied := Errorf(ErrPermissionDenied, "the permission %s is required", permission)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s, ok := r.Context().Value(sessionKey{}).(session)
			if !ok {
				WriteProblem(w, unauthenticated("a verified user is required"))
				return
			}
			allowed, err := s.client.Check(r.Context(), s.token.User.ID, permission, InTenant(s.token.User.TenantID))
			switch {
			case err != nil:
				s.client.refuse(w, r, err, func(err error) *Error {
					if errors.Is(err, ErrNotFound) { // gone since the token was verified
						return denied
					}
					return nil
				})
			case !allowed:
				WriteProblem(w, denied)
			default:
				next.ServeHTTP(w, r)
			}
		})
	}
}

// tokenRefused tells what the core said about the token from what it said
// about us or could not say at all, which is nil.
func tokenRefused(err error) *Error {
	var e *Error
	if !errors.As(err, &e) || strings.EqualFold(e.Field, contract.HeaderAPIKey) {
		return nil
	}
	switch e.Code {
	case contract.Unauthenticated:
		if e.Field == "token" { // said of the token, to who showed it
			return unauthenticated("the token " + e.Message)
		}
		return unauthenticated("the token is invalid or expired")
	case contract.InvalidArgument, contract.NotFound:
		return unauthenticated("the token is invalid or expired, or not for this module's tenants")
	}
	return nil
}

// refuse answers with what verdict makes of err; 503 when it makes nothing of
// it, for then the core gave no verdict.
func (c *Client) refuse(w http.ResponseWriter, r *http.Request, err error, verdict func(error) *Error) {
	if e := verdict(err); e != nil {
		WriteProblem(w, e)
		return
	}
	if r.Context().Err() == nil {
		c.log.ErrorContext(r.Context(), "request refused: no verdict of the core", "path", r.URL.Path, "error", err)
	}
	WriteProblem(w, Errorf(ErrUnavailable, "the platform cannot be asked right now; try again"))
}

func unauthenticated(message string) *Error {
	return &Error{Code: contract.Unauthenticated, Field: "Authorization", Message: message}
}

func bearer(r *http.Request) (string, bool) {
	values := r.Header["Authorization"]
	if len(values) != 1 {
		return "", false
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > maxToken || strings.ContainsAny(token, " \t,") {
		return "", false
	}
	return token, true
}
