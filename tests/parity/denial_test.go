package parity

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

// verifyWithJWKS holds a token against the published keys.
func verifyWithJWKS(t *testing.T, set []byte, token string) {
	t.Helper()
	var keys contract.JWKSResponse
	require.NoError(t, json.Unmarshal(set, &keys))
	_, err := jwt.Parse(token, func(j *jwt.Token) (any, error) {
		for _, key := range keys.Keys {
			if key.KeyID == j.Header["kid"] {
				x, err := base64.RawURLEncoding.DecodeString(key.X)
				return ed25519.PublicKey(x), err
			}
		}
		return nil, jwt.ErrTokenUnverifiable
	})
	require.NoError(t, err)
}

// testDenials has what the table has not: what is refused from some moment on.
func testDenials(t *testing.T, s *stack.Stack) {
	t.Parallel()
	t.Run("module disabled", func(t *testing.T) { testDisabled(t, s) })
	t.Run("revoked key", func(t *testing.T) { testRevokedKey(t, s) })
	t.Run("expired key", func(t *testing.T) { testExpiredKey(t, s) })
	t.Run("deleted user", func(t *testing.T) { testDeletedUser(t, s) })
	t.Run("people", func(t *testing.T) { testUserDenials(t, s) })
}

func requireCode(t *testing.T, code contract.Code, field string, got *contract.Error) {
	t.Helper()
	require.NotNil(t, got)
	require.Equal(t, code, got.Code, got.Error())
	require.Equal(t, field, got.Field, got.Error())
}

func testDisabled(t *testing.T, s *stack.Stack) {
	t.Parallel()
	c := s.Company(t)
	callers, all := s.Callers(t, c), samples()
	type call struct {
		spec *contract.Spec
		body string
	}
	var calls []call
	for _, spec := range contract.Operations() {
		if spec.Access.Has(contract.Module) && !all[spec.Name].regardless {
			calls = append(calls, call{spec, all[spec.Name].request(t, &fixture{s: s, ours: c}).body})
		}
	}
	for _, call := range calls {
		for _, caller := range callers {
			_, refused := caller.Call(t, call.spec, call.body)
			require.Nil(t, refused, call.spec.Name)
		}
	}
	c.EnableModule(t, c.Module, false)
	for _, call := range calls {
		for transport, caller := range callers {
			eventually(t, contract.NotFound, call.spec.Name+" over "+transport, func() *contract.Error {
				_, refused := caller.Call(t, call.spec, call.body)
				return refused
			})
		}
	}
}

// eventually waits until a call is refused with the code: changes travel by
// event.
func eventually(t *testing.T, code contract.Code, what string, call func() *contract.Error) {
	t.Helper()
	require.Eventually(t, func() bool {
		refused := call()
		return refused != nil && refused.Code == code
	}, stack.Timeout, 5*time.Millisecond, what)
}

func testRevokedKey(t *testing.T, s *stack.Stack) {
	t.Parallel()
	c := s.Company(t)
	over := stack.HTTPCaller{URL: s.HTTPURL, APIKey: c.APIKey}
	body := `{"tenant_id":"` + c.Tenant.ID + `"}`
	_, refused := over.Call(t, contract.GetTenant.Spec, body)
	require.Nil(t, refused)
	closed := make(chan struct{})
	_, err := s.ModuleBus(t, c.APIKey, nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	require.NoError(t, err)

	stack.Do(t, s, contract.RevokeKey, &contract.KeyRequest{ID: c.KeyID})
	select {
	case <-closed:
	case <-time.After(stack.Timeout):
		require.Fail(t, "the open connection of a revoked key was not closed")
	}
	_, err = s.ModuleBus(t, c.APIKey)
	require.ErrorIs(t, err, nats.ErrAuthorization)
	eventually(t, contract.Unauthenticated, "http", func() *contract.Error {
		_, refused := over.Call(t, contract.GetTenant.Spec, body)
		return refused
	})
}

// The connection of a key that expires ends with it; a bus credential's end is
// a whole second.
func testExpiredKey(t *testing.T, s *stack.Stack) {
	t.Parallel()
	c := s.Company(t)
	soon := time.Now().Add(4 * time.Second) // for the bus two whole ones at least
	key := stack.Do(t, s, contract.CreateKey, &contract.CreateKeyRequest{Module: c.Module, Environment: "dev", ExpiresAt: &soon})
	closed := make(chan struct{})
	_, err := s.ModuleBus(t, key.APIKey, nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	require.NoError(t, err)
	over := stack.HTTPCaller{URL: s.HTTPURL, APIKey: key.APIKey}
	body := `{"tenant_id":"` + c.Tenant.ID + `"}`
	_, refused := over.Call(t, contract.GetTenant.Spec, body)
	require.Nil(t, refused)
	eventually(t, contract.Unauthenticated, "http", func() *contract.Error {
		_, refused := over.Call(t, contract.GetTenant.Spec, body)
		return refused
	})
	require.False(t, time.Now().Before(soon))
	select {
	case <-closed:
	case <-time.After(stack.Timeout):
		require.Fail(t, "the open connection of an expired key was not closed")
	}
}

func testDeletedUser(t *testing.T, s *stack.Stack) {
	t.Parallel()
	c := s.Company(t)
	gone := c.AddUser(t)
	token := c.Token(t, gone)
	stack.Do(t, s, contract.DeleteUser, &contract.UserRequest{TenantID: contract.ID(c.Tenant.ID), UserID: contract.ID(gone.ID)})
	for transport, caller := range s.Callers(t, c) {
		eventually(t, contract.NotFound, transport, func() *contract.Error {
			_, refused := caller.Call(t, contract.VerifyToken.Spec, `{"token":"`+token+`"}`)
			return refused
		})
	}
	anyone := stack.HTTPCaller{URL: s.HTTPURL}
	_, deleted := anyone.Call(t, contract.Login.Spec, fields{"email": gone.Email, "password": gone.Password}.body())
	_, wrong := anyone.Call(t, contract.Login.Spec, fields{"email": c.Reader.Email, "password": "wrong"}.body())
	_, absent := anyone.Call(t, contract.Login.Spec, fields{"email": fresh() + "@example.com", "password": "wrong"}.body())
	requireCode(t, contract.Unauthenticated, "", deleted)
	deleted.RequestID, wrong.RequestID, absent.RequestID = "", "", ""
	require.Equal(t, absent, deleted, "an answer tells of an account")
	require.Equal(t, absent, wrong, "an answer tells of an account")
}

func testUserDenials(t *testing.T, s *stack.Stack) {
	t.Parallel()
	c, other := s.Company(t), s.Company(t)
	list := func(caller stack.Caller) (*contract.ListAuditResponse, *contract.Error) {
		out, refused := caller.Call(t, contract.ListAudit.Spec, `{"limit":500}`)
		page := &contract.ListAuditResponse{}
		if refused == nil {
			require.NoError(t, json.Unmarshal(out, page))
		}
		return page, refused
	}
	page, refused := list(stack.HTTPCaller{URL: s.HTTPURL, Bearer: other.Token(t, other.Admin)})
	require.Nil(t, refused)
	for _, item := range page.Items {
		require.Equal(t, other.Tenant.ID, item.TenantID)
	}
	// A permission taken away is gone.
	admin := stack.HTTPCaller{URL: s.HTTPURL, Bearer: c.Token(t, c.Admin)}
	_, refused = list(admin)
	require.Nil(t, refused)
	c.Unbind(t, c.Admin.ID, "administrator")
	_, refused = list(admin)
	requireCode(t, contract.PermissionDenied, "", refused)
	// A suspended tenant's people are strangers.
	stack.Do(t, s, contract.SuspendTenant, &contract.TenantReasonRequest{TenantID: contract.ID(other.Tenant.ID)})
	suspended := stack.HTTPCaller{URL: s.HTTPURL, Bearer: ""}
	eventually(t, contract.Unauthenticated, "login", func() *contract.Error {
		_, refused := suspended.Call(t, contract.Login.Spec,
			`{"email":"`+other.Admin.Email+`","password":"`+other.Admin.Password+`"}`)
		return refused
	})
	for transport, caller := range s.Callers(t, other) {
		eventually(t, contract.NotFound, transport, func() *contract.Error {
			_, refused := caller.Call(t, contract.GetTenant.Spec, `{"tenant_id":"`+other.Tenant.ID+`"}`)
			return refused
		})
	}
}
