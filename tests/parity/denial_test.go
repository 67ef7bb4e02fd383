package parity

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
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

func testDenials(t *testing.T, s *stack.Stack) {
	t.Parallel()
	c, other := s.Company(t), s.Company(t)
	all := examples(t)
	for _, spec := range contract.Operations() {
		if !spec.Access.Has(contract.Module) {
			continue
		}
		body := all[spec.Name][0].body(c)
		t.Run(spec.Name, func(t *testing.T) {
			t.Run("no key", func(t *testing.T) {
				_, refused := stack.HTTPCaller{URL: s.HTTPURL}.Call(t, spec, body)
				requireCode(t, contract.Unauthenticated, contract.HeaderAPIKey, refused)
			})
			t.Run("a person's token is no key", func(t *testing.T) {
				_, refused := stack.HTTPCaller{URL: s.HTTPURL, Bearer: c.Token(t, c.Admin)}.Call(t, spec, body)
				requireCode(t, contract.Unauthenticated, contract.HeaderAPIKey, refused)
			})
			t.Run("wrong key", func(t *testing.T) {
				for _, key := range wrongKeys(c.APIKey) {
					_, refused := stack.HTTPCaller{URL: s.HTTPURL, APIKey: key}.Call(t, spec, body)
					requireCode(t, contract.Unauthenticated, contract.HeaderAPIKey, refused)
				}
			})
			t.Run("other tenant looks like none", func(t *testing.T) {
				for transport, caller := range s.Callers(t, other) {
					_, refused := caller.Call(t, spec, body)
					requireCode(t, contract.NotFound, "", refused)
					_, absent := caller.Call(t, spec, absentIDs(body, c))
					if spec.Name != "auth.verify" { // its token names the user
						require.Equal(t, absent.Message, refused.Message, transport)
					}
				}
			})
			t.Run("module disabled", func(t *testing.T) { testDisabled(t, s, spec) })
			t.Run("key without the grant", func(t *testing.T) { testGrant(t, s, c, spec, body) })
		})
	}
	t.Run("wrong key on the bus", func(t *testing.T) {
		for _, key := range append(wrongKeys(c.APIKey), "") {
			_, err := s.ModuleBus(t, key)
			require.ErrorIs(t, err, nats.ErrAuthorization)
		}
	})
	t.Run("revoked key", func(t *testing.T) { testRevokedKey(t, s) })
	t.Run("expired key", func(t *testing.T) { testExpiredKey(t, s) })
	t.Run("tokens", func(t *testing.T) { testTokens(t, s) })
	t.Run("audit.list", func(t *testing.T) { testUserDenials(t, s) })
	t.Run("internal operations", func(t *testing.T) { testInternal(t, s, c) })
}

func requireCode(t *testing.T, code contract.Code, field string, got *contract.Error) {
	t.Helper()
	require.NotNil(t, got)
	require.Equal(t, code, got.Code, got.Error())
	require.Equal(t, field, got.Field, got.Error())
}

// wrongKeys are near misses of a valid key.
func wrongKeys(key string) []string {
	parsed, err := contract.ParseAPIKey(key)
	if err != nil {
		panic(err)
	}
	forged := contract.NewAPIKey(parsed.Environment, parsed.ID, strings.Repeat("0", 64))
	unknown := contract.NewAPIKey(parsed.Environment, "nobody-aaaaaaaaaaaaaaaa", strings.Repeat("0", 64))
	environment := contract.NewAPIKey("prod", parsed.ID, parsed.Secret[:64])
	return []string{
		"x", key + "0", key[:len(key)-1], forged.Reveal(), unknown.Reveal(), environment.Reveal(),
		"bfy_dev_" + parsed.ID + "_", strings.Repeat("a", 600),
	}
}

// absentIDs puts ids that do not exist in place of the company's.
func absentIDs(body string, c *stack.Company) string {
	return strings.NewReplacer(c.Tenant.ID, uuid.NewString(), c.Reader.ID, uuid.NewString()).Replace(body)
}

func testDisabled(t *testing.T, s *stack.Stack, spec *contract.Spec) {
	c := s.Company(t)
	body := examples(t)[spec.Name][0].body(c)
	callers := s.Callers(t, c)
	for _, caller := range callers {
		_, refused := caller.Call(t, spec, body)
		require.Nil(t, refused)
	}
	c.EnableModule(t, c.Module, false)
	for transport, caller := range callers {
		eventually(t, contract.NotFound, transport, func() *contract.Error {
			_, refused := caller.Call(t, spec, body)
			return refused
		})
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

func testGrant(t *testing.T, s *stack.Stack, c *stack.Company, spec *contract.Spec, body string) {
	granted := contract.ModuleOperations()[0]
	if granted == spec.Name {
		granted = contract.ModuleOperations()[1]
	}
	key := stack.Do(t, s, contract.CreateKey, &contract.CreateKeyRequest{
		Module: c.Module, Environment: "dev", Operations: []string{granted},
	})
	_, refused := stack.HTTPCaller{URL: s.HTTPURL, APIKey: key.APIKey}.Call(t, spec, body)
	requireCode(t, contract.PermissionDenied, "", refused)

	violations := make(chan error, 1)
	nc, err := s.ModuleBus(t, key.APIKey, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		violations <- err
	}))
	require.NoError(t, err)
	require.NoError(t, nc.PublishRequest(spec.ModuleSubject(key.ID), nc.NewInbox(), []byte(body)))
	select {
	case err := <-violations:
		require.ErrorIs(t, err, nats.ErrPermissionViolation)
	case <-time.After(stack.Timeout):
		require.Fail(t, "the server did not refuse the publish")
	}
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

func testExpiredKey(t *testing.T, s *stack.Stack) {
	t.Parallel()
	c := s.Company(t)
	soon := time.Now().Add(1500 * time.Millisecond)
	key := stack.Do(t, s, contract.CreateKey, &contract.CreateKeyRequest{Module: c.Module, Environment: "dev", ExpiresAt: &soon})
	over := stack.HTTPCaller{URL: s.HTTPURL, APIKey: key.APIKey}
	body := `{"tenant_id":"` + c.Tenant.ID + `"}`
	_, refused := over.Call(t, contract.GetTenant.Spec, body)
	require.Nil(t, refused)
	eventually(t, contract.Unauthenticated, "http", func() *contract.Error {
		_, refused := over.Call(t, contract.GetTenant.Spec, body)
		return refused
	})
	require.False(t, time.Now().Before(soon))
	_, err := s.ModuleBus(t, key.APIKey)
	require.ErrorIs(t, err, nats.ErrAuthorization)
}

func testTokens(t *testing.T, s *stack.Stack) {
	t.Parallel()
	c := s.Company(t)
	valid := c.Token(t, c.Reader)
	_, foreign, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	kid := header(t, valid)["kid"]
	claims := func(change func(jwt.MapClaims)) jwt.MapClaims {
		m := jwt.MapClaims{}
		_, _, err := jwt.NewParser().ParseUnverified(valid, m)
		require.NoError(t, err)
		change(m)
		return m
	}
	sign := func(method jwt.SigningMethod, key any, kid any, m jwt.MapClaims) string {
		token := jwt.NewWithClaims(method, m)
		token.Header["kid"] = kid
		signed, err := token.SignedString(key)
		require.NoError(t, err)
		return signed
	}
	same := claims(func(jwt.MapClaims) {})
	for name, token := range map[string]string{
		"garbled":       "abc",
		"cut":           valid[:len(valid)-4],
		"altered":       strings.Replace(valid, ".", ".A", 1),
		"alg none":      sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, kid, same),
		"alg confusion": sign(jwt.SigningMethodHS256, []byte("x"), kid, same),
		"wrong key":     sign(jwt.SigningMethodEdDSA, foreign, kid, same),
		"unknown kid":   sign(jwt.SigningMethodEdDSA, foreign, "nobody", same),
		"no kid":        sign(jwt.SigningMethodEdDSA, foreign, nil, same),
		// Of the right key: package token's tests, which can turn the clock.
		"expired, of a wrong key": sign(jwt.SigningMethodEdDSA, foreign, kid, claims(func(m jwt.MapClaims) { m["exp"] = 1 })),
	} {
		t.Run(name, func(t *testing.T) {
			for _, caller := range s.Callers(t, c) {
				_, refused := caller.Call(t, contract.VerifyToken.Spec, `{"token":"`+token+`"}`)
				requireCode(t, contract.Unauthenticated, "token", refused)
			}
			_, refused := stack.HTTPCaller{URL: s.HTTPURL, Bearer: token}.Call(t, contract.ListAudit.Spec, "{}")
			requireCode(t, contract.Unauthenticated, "Authorization", refused)
		})
	}
	t.Run("of a deleted user", func(t *testing.T) {
		gone := c.AddUser(t, "administrator")
		token := c.Token(t, gone)
		reader := stack.HTTPCaller{URL: s.HTTPURL, Bearer: token}
		require.Eventually(t, func() bool { // its role has reached rbac
			_, refused := reader.Call(t, contract.ListAudit.Spec, "{}")
			return refused == nil
		}, stack.Timeout, 5*time.Millisecond)
		stack.Do(t, s, contract.DeleteUser, &contract.UserRequest{
			TenantID: contract.ID(c.Tenant.ID), UserID: contract.ID(gone.ID),
		})
		for transport, caller := range s.Callers(t, c) {
			eventually(t, contract.NotFound, transport, func() *contract.Error {
				_, refused := caller.Call(t, contract.VerifyToken.Spec, `{"token":"`+token+`"}`)
				return refused
			})
		}
		eventually(t, contract.Unauthenticated, "bearer", func() *contract.Error {
			_, refused := reader.Call(t, contract.ListAudit.Spec, "{}")
			return refused
		})
		_, refused := stack.HTTPCaller{URL: s.HTTPURL}.Call(t, contract.Login.Spec,
			`{"email":"`+gone.Email+`","password":"`+gone.Password+`"}`)
		requireCode(t, contract.Unauthenticated, "", refused)
	})
	t.Run("login tells nothing of the account", func(t *testing.T) {
		anyone := stack.HTTPCaller{URL: s.HTTPURL}
		_, wrong := anyone.Call(t, contract.Login.Spec, `{"email":"`+c.Reader.Email+`","password":"wrong"}`)
		_, absent := anyone.Call(t, contract.Login.Spec, `{"email":"nobody@example.com","password":"wrong"}`)
		requireCode(t, contract.Unauthenticated, "", wrong)
		wrong.RequestID, absent.RequestID = "", ""
		require.Equal(t, wrong, absent)
	})
}

func header(t *testing.T, token string) map[string]any {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	require.NoError(t, err)
	var h map[string]any
	require.NoError(t, json.Unmarshal(raw, &h))
	return h
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
	_, refused := list(stack.HTTPCaller{URL: s.HTTPURL})
	requireCode(t, contract.Unauthenticated, "Authorization", refused)
	_, refused = list(stack.HTTPCaller{URL: s.HTTPURL, APIKey: c.APIKey})
	requireCode(t, contract.Unauthenticated, "Authorization", refused)
	for _, person := range []stack.User{c.Reader, c.Nobody} {
		_, refused = list(stack.HTTPCaller{URL: s.HTTPURL, Bearer: c.Token(t, person)})
		requireCode(t, contract.PermissionDenied, "", refused)
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
	stack.Do(t, s, contract.UnbindRole, &contract.BindRequest{
		TenantID: contract.ID(c.Tenant.ID), UserID: contract.ID(c.Admin.ID), Role: "administrator",
	})
	_, refused = list(admin)
	requireCode(t, contract.PermissionDenied, "", refused)
	// A suspended tenant's people are strangers.
	stack.Do(t, s, contract.SetTenantActive, &contract.SetTenantActiveRequest{TenantID: contract.ID(other.Tenant.ID)})
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

// testInternal holds that what is internal has no way in from outside.
func testInternal(t *testing.T, s *stack.Stack, c *stack.Company) {
	violations := make(chan error, 100)
	nc, err := s.ModuleBus(t, c.APIKey, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		violations <- err
	}))
	require.NoError(t, err)
	for _, spec := range contract.Operations() {
		if spec.Access.Has(contract.Module) {
			continue
		}
		for _, subject := range []string{spec.Subject(), spec.ModuleSubject(c.KeyID), spec.ModuleSubject("financial-0123456789ab")} {
			msg := nats.NewMsg(subject)
			msg.Reply = nc.NewInbox()
			msg.Header.Set("Buildify-Principal", "service;")
			require.NoError(t, nc.PublishMsg(msg))
			select {
			case err := <-violations:
				require.ErrorIs(t, err, nats.ErrPermissionViolation)
			case <-time.After(stack.Timeout):
				require.Fail(t, "not refused", subject)
			}
		}
	}
	require.Empty(t, violations)
}
