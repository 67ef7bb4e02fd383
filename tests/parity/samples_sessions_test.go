package parity

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// sessionSamples are of logins and what follows them.
func sessionSamples() map[string]sample {
	return map[string]sample{
		"auth.login": {
			request: func(_ *testing.T, f *fixture) request {
				return fields{"email": strings.ToUpper(f.ours.Reader.Email), "password": f.ours.Reader.Password}.request()
			},
			want: tokensOfReader,
		},
		"auth.refresh": {
			request: func(t *testing.T, f *fixture) request {
				return fields{"refresh_token": f.login(t, f.ours.Reader).RefreshToken}.request()
			},
			want: tokensOfReader,
		},
		"auth.logout": {request: func(t *testing.T, f *fixture) request {
			return request{"{}", f.login(t, f.ours.Reader).AccessToken}
		}},
		"auth.me": {request: asMaster, want: func(t *testing.T, f *fixture, got map[string]any) {
			require.Equal(t, f.ours.Tenant.ID, got["tenant_id"])
			require.Equal(t, f.ours.Tenant.Code, got["tenant_code"])
			require.Equal(t, f.master.ID, got["user"].(map[string]any)["id"]) //nolint:errcheck // valid
		}},
		"auth.update_me": {request: func(_ *testing.T, f *fixture) request {
			return request{fields{"name": "Called " + fresh()}.body(), f.tokens.nobody}
		}},
		"auth.list_sessions": {
			request: func(t *testing.T, f *fixture) request {
				_, in := f.person(t)
				return request{"{}", in.AccessToken}
			},
			want: func(t *testing.T, _ *fixture, got map[string]any) { require.Len(t, got["items"], 1) },
		},
		"auth.end_session": {
			request: func(t *testing.T, f *fixture) request { return f.session(f.login(t, f.ours.Nobody).SessionID) },
			foreign: func(t *testing.T, f *fixture) request { return f.session(f.login(t, f.ours.Reader).SessionID) },
			absent:  func(_ *testing.T, f *fixture) request { return f.session(uuid.NewString()) },
		},
		"auth.end_other_sessions": {
			request: func(t *testing.T, f *fixture) request {
				u, _ := f.person(t)
				return request{"{}", f.login(t, u).AccessToken}
			},
			want: func(t *testing.T, _ *fixture, got map[string]any) { require.EqualValues(t, 1, got["ended"]) },
		},
		"auth.switch_tenant": {
			request: func(t *testing.T, f *fixture) request {
				return request{fields{"tenant_id": f.ours.Tenant.ID}.body(), f.login(t, f.platform).AccessToken}
			},
			foreign: func(_ *testing.T, f *fixture) request { return f.into(f.theirs.Tenant.ID) },
			absent:  func(_ *testing.T, f *fixture) request { return f.into(uuid.NewString()) },
			want: func(t *testing.T, f *fixture, got map[string]any) {
				require.Equal(t, f.ours.Tenant.ID, got["tenant_id"])
			},
		},
		"auth.my_tenants": {request: asMaster, want: func(t *testing.T, _ *fixture, got map[string]any) {
			require.Len(t, got["items"], 1)
		}},
	}
}

func tokensOfReader(t *testing.T, f *fixture, got map[string]any) {
	user, _ := got["user"].(map[string]any)
	require.Equal(t, f.ours.Reader.ID, user["id"])
	require.Equal(t, f.ours.Tenant.Code, user["tenant_code"])
	require.NotEmpty(t, got["access_token"])
	require.NotEmpty(t, got["refresh_token"])
}

// session is somebody's, to be ended by Nobody.
func (f *fixture) session(id string) request {
	return request{fields{"session_id": id}.body(), f.tokens.nobody}
}

// into is a tenant that Nobody would act in.
func (f *fixture) into(tenant string) request {
	return request{fields{"tenant_id": tenant}.body(), f.tokens.nobody}
}
