package resilience

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/revocation"
	"github.com/buildify/core/tests/stack"
)

// read is a person's request that service audit verifies.
func read(t testing.TB, s *stack.Stack, token string) error {
	t.Helper()
	_, err := s.Core.Do(stack.Context(t), contract.ListAudit.Spec, kit.Outgoing{Authorization: "Bearer " + token, Body: []byte(`{"limit":1}`)})
	return err
}

// verify is a module's question to service auth.
func verify(t testing.TB, s *stack.Stack, c *stack.Company, token string) error {
	t.Helper()
	_, e := stack.HTTPCaller{URL: s.HTTPURL, APIKey: c.APIKey}.Call(t, contract.VerifyToken.Spec, `{"token":"`+token+`"}`)
	if e != nil {
		return e
	}
	return nil
}

func logout(t testing.TB, s *stack.Stack, token string) {
	t.Helper()
	_, err := s.Core.Do(stack.Context(t), contract.Logout.Spec, kit.Outgoing{Authorization: "Bearer " + token})
	require.NoError(t, err)
}

var (
	errUnauthenticated = &contract.Error{Code: contract.Unauthenticated}
	errUnavailable     = &contract.Error{Code: contract.Unavailable}
)

// From the answer to the logout on, verifiers refuse within milliseconds.
func TestAnEndedSessionIsRefusedByEveryVerifier(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	c := s.Company(t)
	var took []time.Duration
	for range 20 {
		token := c.Token(t, c.Admin)
		require.NoError(t, read(t, s, token))
		require.NoError(t, verify(t, s, c, token))
		logout(t, s, token)
		ended := time.Now()
		for name, ask := range map[string]func() error{
			"audit": func() error { return read(t, s, token) },
			"auth":  func() error { return verify(t, s, c, token) },
		} {
			require.Eventually(t, func() bool { return ask() != nil }, stack.Timeout, 100*time.Microsecond, name)
			require.ErrorIs(t, ask(), errUnauthenticated, name)
		}
		took = append(took, time.Since(ended))
	}
	slices.Sort(took)
	t.Logf("from the logout's answer to both verifiers' refusals: p50 %v, max %v", took[len(took)/2], took[len(took)-1])
	require.Less(t, took[len(took)/2], 50*time.Millisecond)
	require.Less(t, took[len(took)-1], revocation.Bound)
}

func TestAnEndedSessionStaysEndedAcrossRestarts(t *testing.T) {
	t.Parallel()
	s := stack.Processes(t)
	c := s.Company(t)
	ended, open := c.Token(t, c.Admin), c.Token(t, c.Admin)
	logout(t, s, ended)
	require.Eventually(t, func() bool { return read(t, s, ended) != nil }, stack.Timeout, time.Millisecond)

	s.Processes["audit"].Kill()
	s.Processes["audit"].Start()
	require.ErrorIs(t, read(t, s, ended), errUnauthenticated, "the verifier starts anew")
	require.NoError(t, read(t, s, open))

	// With nobody there who would tell of an end, nobody is taken at their word.
	s.Processes["auth"].Kill()
	gone := time.Now()
	require.Eventually(t, func() bool { return read(t, s, open) != nil }, stack.Timeout, time.Millisecond)
	require.Less(t, time.Since(gone), revocation.Bound)
	require.ErrorIs(t, read(t, s, open), errUnavailable)
	require.ErrorIs(t, read(t, s, ended), errUnauthenticated)
	s.Processes["auth"].Start()
	require.Eventually(t, func() bool { return read(t, s, open) == nil }, stack.Timeout, time.Millisecond, "without anybody's hands")
	require.ErrorIs(t, read(t, s, ended), errUnauthenticated)
	require.ErrorIs(t, verify(t, s, c, ended), errUnauthenticated)
}

// Tokens of before and after are good at every verifier while the key is
// exchanged; a compromised key's are not.
func TestSigningKeysAreExchangedWithoutLoggingAnybodyOut(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	c := s.Company(t)
	before := c.Token(t, c.Admin)
	made := stack.Do(t, s, contract.RotateSigningKey, &contract.RotateSigningKeyRequest{})
	require.NotEmpty(t, made.KeyID)
	after := c.Token(t, c.Admin)
	for _, token := range []string{before, after} {
		require.NoError(t, read(t, s, token))
		require.NoError(t, verify(t, s, c, token))
	}
	stack.Do(t, s, contract.RotateSigningKey, &contract.RotateSigningKeyRequest{Compromised: true})
	for _, token := range []string{before, after} {
		require.Eventually(t, func() bool { return read(t, s, token) != nil && verify(t, s, c, token) != nil }, stack.Timeout, time.Millisecond)
		require.ErrorIs(t, read(t, s, token), errUnauthenticated)
		require.ErrorIs(t, verify(t, s, c, token), errUnauthenticated)
	}
	require.NoError(t, read(t, s, c.Token(t, c.Admin)))
	require.Len(t, stack.Do(t, s, contract.JWKS, &contract.JWKSRequest{}).Keys, 1)
}

func TestAModuleTokenIsGoodAtItsModuleAlone(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	c, other := s.Company(t), s.Company(t)
	c.EnableModule(t, other.Module, true)
	session := c.Token(t, c.Reader)
	exchange := func(module string) (*contract.AccessTokenResponse, error) {
		bearer := stack.HTTPCaller{URL: s.HTTPURL, Bearer: session}
		raw, e := bearer.Call(t, contract.ModuleToken.Spec, `{"module":"`+module+`"}`)
		if e != nil {
			return nil, e
		}
		return decode[contract.AccessTokenResponse](t, raw), nil
	}
	made, err := exchange(c.Module)
	require.NoError(t, err)
	require.Equal(t, c.Module+":accounts:read", made.Scope)
	require.Equal(t, 300, made.ExpiresIn)
	raw, e := stack.HTTPCaller{URL: s.HTTPURL, APIKey: c.APIKey}.Call(t, contract.VerifyToken.Spec, `{"token":"`+made.AccessToken+`"}`)
	require.Nil(t, e)
	verified := decode[contract.VerifyResponse](t, raw)
	require.Equal(t, []string{c.Reader.ID, c.Tenant.ID, made.Scope}, []string{verified.User.ID, verified.User.TenantID, verified.Scope})
	require.ErrorIs(t, verify(t, s, other, made.AccessToken), errUnauthenticated, "another module's")
	require.ErrorIs(t, read(t, s, made.AccessToken), errUnauthenticated, "no access token")
	_, err = exchange("unheard-of")
	require.ErrorIs(t, err, &contract.Error{Code: contract.NotFound})
	logout(t, s, session)
	require.Eventually(t, func() bool { return verify(t, s, c, made.AccessToken) != nil }, stack.Timeout, time.Millisecond, "it ends with its session")
}

func decode[T any](t testing.TB, raw []byte) *T {
	t.Helper()
	value := new(T)
	require.NoError(t, json.Unmarshal(raw, value))
	return value
}
