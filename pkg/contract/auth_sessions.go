package contract

import (
	"encoding/json"
	"time"
)

// Login turns a person's e-mail address and password into tokens, or into a
// challenge when more is asked of them.
var Login = Register[LoginRequest, LoginResponse](AuditLogin, Spec{
	Name: "auth.login", Method: "POST", Path: "/api/v1/auth/login",
	Access: Anonymous, Timeout: 10 * time.Second,
	Errors:  []Code{Unauthenticated, RateLimited},
	Summary: "Logs a person in: answers tokens, or a challenge that auth.complete_login meets.",
})

// LoginRequest holds a person's credentials.
type LoginRequest struct {
	Email    string `json:"email" format:"email" maxLength:"254" doc:"The person's e-mail address." example:"admin@acme001.example"`
	Password string `json:"password" minLength:"1" maxLength:"512" doc:"The person's password."`
}

// LoginResponse carries tokens, or else a challenge and no token.
type LoginResponse struct {
	AccessToken      string     `json:"access_token,omitempty" doc:"JWT (EdDSA), to be sent as a bearer token."`
	TokenType        string     `json:"token_type,omitempty" enum:"Bearer" doc:"Always Bearer."`
	ExpiresIn        int        `json:"expires_in,omitempty" doc:"Seconds until the access token expires."`
	RefreshToken     string     `json:"refresh_token,omitempty" doc:"Opaque; auth.refresh takes it once and answers its successor."`
	RefreshExpiresIn int        `json:"refresh_expires_in,omitempty" doc:"Seconds until the refresh token expires when it is not used."`
	SessionID        string     `json:"session_id,omitempty"`
	User             *UserInfo  `json:"user,omitempty" doc:"Whom the tokens are for."`
	RecoveryCodes    []string   `json:"recovery_codes,omitempty" doc:"Shown this once, when an authenticator app was enrolled in this login."`
	Challenge        *Challenge `json:"challenge,omitempty" doc:"What is still asked for, when there are no tokens yet."`
}

// Challenge is what a login still asks for; auth.complete_login meets it.
type Challenge struct {
	Token     string   `json:"token" doc:"To be given to auth.complete_login."`
	Methods   []string `json:"methods" doc:"Any one of these meets it: totp, recovery_code, passkey, enrol_totp, new_password."`
	ExpiresIn int      `json:"expires_in" doc:"Seconds until the challenge expires."`
	// Passkey holds the WebAuthn request options where passkey is a method.
	Passkey json.RawMessage `json:"passkey,omitempty" doc:"PublicKeyCredentialRequestOptions (WebAuthn) for navigator.credentials.get, where passkey is a method."`
	// TOTP is what an authenticator app is set up with while enrolling.
	TOTP *TOTPSecret `json:"totp,omitempty" doc:"What to set up an authenticator app with, while enrolling."`
}

// UserInfo is a person as modules see them.
type UserInfo struct {
	ID         string `json:"id" format:"uuid"`
	Email      string `json:"email" format:"email"`
	Username   string `json:"username"`
	TenantID   string `json:"tenant_id" doc:"The tenant that the token acts in; empty for a platform administrator who is in none."`
	TenantCode string `json:"tenant_code" example:"ACME001"`
}

// Refresh exchanges a refresh token for new tokens.
var Refresh = Register[RefreshRequest, LoginResponse](AuditLogin, Spec{
	Name: "auth.refresh", Method: "POST", Path: "/api/v1/auth/refresh",
	Access:  Anonymous,
	Errors:  []Code{Unauthenticated, RateLimited},
	Summary: "Exchanges a refresh token for a new access token and the next refresh token; a spent one used again ends the session.",
})

// RefreshRequest holds a refresh token.
type RefreshRequest struct {
	RefreshToken string `json:"refresh_token" minLength:"1" maxLength:"512"`
}

// Logout ends the caller's session.
var Logout = Register[LogoutRequest, Empty](AuditMutation, Spec{
	Name: "auth.logout", Method: "POST", Path: "/api/v1/auth/logout",
	Access:  Self,
	Summary: "Ends the caller's session: its access and refresh tokens stop working at once.",
})

// LogoutRequest has no parameters.
type LogoutRequest struct{}

// Empty is the answer of an operation that has nothing to tell.
type Empty struct{}

// Me returns the caller's own account.
var Me = Register[MeRequest, MeResponse](AuditRead, Spec{
	Name: "auth.me", Method: "GET", Path: "/api/v1/auth/me",
	Access:  Self,
	Summary: "Returns the caller's own account and the tenant the token acts in.",
})

// MeRequest has no parameters.
type MeRequest struct{}

// MeResponse is the caller's account.
type MeResponse struct {
	User       UserDetail `json:"user"`
	TenantID   string     `json:"tenant_id,omitempty" doc:"The tenant the token acts in."`
	TenantCode string     `json:"tenant_code,omitempty"`
	SessionID  string     `json:"session_id"`
}

// UpdateMe changes the caller's own profile.
var UpdateMe = Register[UpdateMeRequest, MeResponse](AuditMutation, Spec{
	Name: "auth.update_me", Method: "PUT", Path: "/api/v1/auth/me",
	Access:  Self,
	Errors:  []Code{Conflict},
	Summary: "Changes the caller's own username and name.",
})

// UpdateMeRequest holds what a person may change of themself; what is absent
// stays. The e-mail address is an administrator's to change.
type UpdateMeRequest struct {
	Username *string `json:"username,omitempty" minLength:"1" maxLength:"64"`
	Name     *string `json:"name,omitempty" maxLength:"200"`
	Revision int64   `json:"revision,omitempty" doc:"When given, the account must still be at it; conflict otherwise."`
}

// ListSessions lists the caller's sessions.
var ListSessions = Register[ListSessionsRequest, ListSessionsResponse](AuditRead, Spec{
	Name: "auth.list_sessions", Method: "GET", Path: "/api/v1/auth/sessions",
	Access:  Self,
	Summary: "Lists the caller's open sessions, last used first.",
})

// ListSessionsRequest has no parameters: there are at most 100 sessions.
type ListSessionsRequest struct{}

// ListSessionsResponse holds the open sessions.
type ListSessionsResponse struct {
	Items []Session `json:"items"`
}

// Session is where a person is logged in.
type Session struct {
	ID         string    `json:"id" format:"uuid"`
	Current    bool      `json:"current" doc:"Whether it is the one of this request."`
	Address    string    `json:"address,omitempty" doc:"The IP address it was last used from."`
	Agent      string    `json:"agent,omitempty" doc:"The user agent it was last used with."`
	Methods    []string  `json:"methods" doc:"How the person proved who they are: password, totp, recovery_code, passkey."`
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at"`
	ExpiresAt  time.Time `json:"expires_at"`
}

// EndSession ends one of the caller's sessions.
var EndSession = Register[EndSessionRequest, Empty](AuditMutation, Spec{
	Name: "auth.end_session", Method: "DELETE", Path: "/api/v1/auth/sessions/{session_id}",
	Access:  Self,
	Errors:  []Code{NotFound},
	Summary: "Ends one of the caller's sessions.",
})

// EndSessionRequest names a session.
type EndSessionRequest struct {
	SessionID ID `json:"session_id" path:"session_id" format:"uuid"`
}

// EndOtherSessions ends all sessions of the caller but this one.
var EndOtherSessions = Register[EndOtherSessionsRequest, EndedSessions](AuditMutation, Spec{
	Name: "auth.end_other_sessions", Method: "DELETE", Path: "/api/v1/auth/sessions",
	Access:  Self,
	Summary: "Ends all of the caller's sessions but the one of this request.",
})

// EndOtherSessionsRequest has no parameters.
type EndOtherSessionsRequest struct{}

// EndedSessions says how many sessions were ended.
type EndedSessions struct {
	Ended int `json:"ended"`
}

// SwitchTenant gives the caller a token for another tenant.
var SwitchTenant = Register[SwitchTenantRequest, AccessTokenResponse](AuditMutation, Spec{
	Name: "auth.switch_tenant", Method: "POST", Path: "/api/v1/auth/switch-tenant",
	Access:  Self,
	Errors:  []Code{NotFound, PermissionDenied},
	Summary: "Answers an access token for another tenant that the caller belongs to; later refreshes of the session stay in it. A tenant that requires a second factor wants a session that began with one.",
})

// SwitchTenantRequest names the tenant to act in.
type SwitchTenantRequest struct {
	TenantID ID `json:"tenant_id" format:"uuid"`
}

// AccessTokenResponse carries an access token of the caller's session.
type AccessTokenResponse struct {
	AccessToken string `json:"access_token" doc:"JWT (EdDSA), to be sent as a bearer token."`
	TokenType   string `json:"token_type" enum:"Bearer" doc:"Always Bearer."`
	ExpiresIn   int    `json:"expires_in" doc:"Seconds until the token expires."`
	TenantID    string `json:"tenant_id,omitempty" doc:"The tenant that the token acts in."`
	Scope       string `json:"scope,omitempty" doc:"For a module token: the granted permission codes, separated by spaces."`
}

// MyTenants lists the tenants that the caller may act in.
var MyTenants = Register[MyTenantsRequest, MyTenantsResponse](AuditRead, Spec{
	Name: "auth.my_tenants", Method: "GET", Path: "/api/v1/auth/tenants",
	Access:  Self,
	Summary: "Lists the active tenants that the caller belongs to.",
})

// MyTenantsRequest has no parameters.
type MyTenantsRequest struct{}

// MyTenantsResponse holds the tenants, the home tenant first.
type MyTenantsResponse struct {
	Items []MyTenant `json:"items"`
}

// MyTenant is a tenant that a person may act in.
type MyTenant struct {
	ID      string `json:"id" format:"uuid"`
	Code    string `json:"code"`
	Name    string `json:"name"`
	Home    bool   `json:"home"`
	Current bool   `json:"current" doc:"Whether the token of this request acts in it."`
}
