package parity

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tokenSamples are of tokens and the keys that sign them.
func tokenSamples() map[string]sample {
	verify := func(token string) request { return fields{"token": token}.request() }
	moduleToken := func(f *fixture, module string) request {
		return request{fields{"module": module}.body(), f.tokens.master}
	}
	return map[string]sample{
		"auth.verify": {
			request: func(t *testing.T, f *fixture) request { return verify(f.ours.Token(t, f.ours.Reader)) },
			foreign: func(t *testing.T, f *fixture) request { return verify(f.theirs.Token(t, f.theirs.Reader)) },
			absent:  func(t *testing.T, f *fixture) request { return verify(f.theirs.Token(t, f.theirs.Nobody)) },
			want: func(t *testing.T, f *fixture, got map[string]any) {
				require.Equal(t, map[string]any{
					"id": f.ours.Reader.ID, "email": f.ours.Reader.Email, "username": strings.Split(f.ours.Reader.Email, "@")[0],
					"tenant_id": f.ours.Tenant.ID, "tenant_code": f.ours.Tenant.Code,
				}, got["user"])
			},
		},
		"auth.module_token": {
			request: func(_ *testing.T, f *fixture) request { return moduleToken(f, f.ours.Module) },
			foreign: func(_ *testing.T, f *fixture) request { return moduleToken(f, f.theirs.Module) },
			absent:  func(_ *testing.T, f *fixture) request { return moduleToken(f, "m"+fresh()) },
		},
		"auth.jwks": {request: nothing, want: func(t *testing.T, f *fixture, got map[string]any) {
			raw, err := json.Marshal(got)
			require.NoError(t, err)
			verifyWithJWKS(t, raw, f.tokens.master)
		}},
		"auth.discovery":          {request: nothing},
		"auth.rotate_signing_key": {request: nothing},
		"auth.list_members":       {request: nothing},
		"auth.list_revocations":   {request: nothing},
		"auth.check_session": {request: func(t *testing.T, f *fixture) request {
			return fields{"session_id": f.login(t, f.ours.Reader).SessionID, "tenant_id": f.ours.Tenant.ID}.request()
		}},
	}
}
