package contract

import (
	"encoding/json"
	"time"
)

// CompleteLogin meets a login's challenge.
var CompleteLogin = Register[CompleteLoginRequest, LoginResponse](AuditLogin, Spec{
	Name: "auth.complete_login", Method: "POST", Path: "/api/v1/auth/login/complete",
	Access: Anonymous, Timeout: 10 * time.Second,
	Errors:  []Code{Unauthenticated, RateLimited},
	Summary: "Meets a login's challenge by a code, a passkey or a new password: answers tokens, or the next challenge.",
})

// CompleteLoginRequest names a challenge and one way to meet it.
type CompleteLoginRequest struct {
	Challenge   string `json:"challenge" minLength:"1" maxLength:"200" doc:"The challenge's token."`
	Method      string `json:"method" enum:"totp,recovery_code,passkey,enrol_totp,new_password"`
	Code        string `json:"code,omitempty" maxLength:"64" doc:"For totp and recovery_code; for enrol_totp once the app is set up, absent before."`
	NewPassword string `json:"new_password,omitempty" maxLength:"512" doc:"For new_password."`
	// Passkey is the browser's answer, as WebAuthn's toJSON gives it.
	Passkey json.RawMessage `json:"passkey,omitempty" doc:"For passkey: the PublicKeyCredential's toJSON (AuthenticationResponseJSON)."`
}

// BeginPasskeyLogin starts a login by passkey alone.
var BeginPasskeyLogin = Register[BeginPasskeyLoginRequest, LoginResponse](AuditRead, Spec{
	Name: "auth.begin_passkey_login", Method: "POST", Path: "/api/v1/auth/login/passkey",
	Access:  Anonymous,
	Errors:  []Code{RateLimited},
	Summary: "Starts a login by passkey alone: answers a challenge for auth.complete_login.",
})

// BeginPasskeyLoginRequest has no parameters: the passkey says who it is.
type BeginPasskeyLoginRequest struct{}

// TOTPSecret is what an authenticator app is set up with.
type TOTPSecret struct {
	Secret string `json:"secret" doc:"Base32, to be typed in."`
	URI    string `json:"uri" doc:"otpauth:// URI, to be shown as a QR code."`
}

// BeginTOTP starts enrolling an authenticator app.
var BeginTOTP = Register[FactorProofRequest, TOTPSecret](AuditMutation, Spec{
	Name: "auth.begin_totp", Method: "POST", Path: "/api/v1/auth/totp/begin",
	Access: Self, Timeout: 10 * time.Second,
	Errors:  []Code{PermissionDenied, Conflict, RateLimited},
	Summary: "Starts enrolling an authenticator app; auth.confirm_totp completes it.",
})

// ConfirmTOTP completes enrolling an authenticator app.
var ConfirmTOTP = Register[TOTPCodeRequest, RecoveryCodes](AuditMutation, Spec{
	Name: "auth.confirm_totp", Method: "POST", Path: "/api/v1/auth/totp/confirm",
	Access:  Self,
	Errors:  []Code{Conflict, RateLimited},
	Summary: "Completes enrolling an authenticator app by its first code, and answers recovery codes, shown this once.",
})

// TOTPCodeRequest holds a code of the app.
type TOTPCodeRequest struct {
	Code string `json:"code" minLength:"6" maxLength:"16"`
}

// RecoveryCodes are each good for one login without the second factor.
type RecoveryCodes struct {
	RecoveryCodes []string `json:"recovery_codes"`
}

// DisableTOTP removes the authenticator app.
var DisableTOTP = Register[FactorProofRequest, Empty](AuditMutation, Spec{
	Name: "auth.disable_totp", Method: "POST", Path: "/api/v1/auth/totp/disable",
	Access: Self, Timeout: 10 * time.Second,
	Errors:  []Code{PermissionDenied, NotFound, Conflict, RateLimited},
	Summary: "Removes the caller's authenticator app and recovery codes, unless the tenant requires a second factor and there is no other.",
})

// FactorProofRequest proves that it is the person who changes their factors,
// where their last login is more than ten minutes ago.
type FactorProofRequest struct {
	Password string `json:"password,omitempty" maxLength:"512" doc:"The caller's password; needed when the login is more than ten minutes ago."`
}

// NewRecoveryCodes replaces the recovery codes.
var NewRecoveryCodes = Register[FactorProofRequest, RecoveryCodes](AuditMutation, Spec{
	Name: "auth.new_recovery_codes", Method: "POST", Path: "/api/v1/auth/recovery-codes",
	Access: Self, Timeout: 10 * time.Second,
	Errors:  []Code{PermissionDenied, NotFound, RateLimited},
	Summary: "Replaces the caller's recovery codes; the old ones end.",
})

// Factors lists how the caller may prove who they are.
var Factors = Register[FactorsRequest, FactorsResponse](AuditRead, Spec{
	Name: "auth.factors", Method: "GET", Path: "/api/v1/auth/factors",
	Access:  Self,
	Summary: "Tells which second factors the caller has, and whether the tenant requires one.",
})

// FactorsRequest has no parameters.
type FactorsRequest struct{}

// FactorsResponse is what the caller has enrolled.
type FactorsResponse struct {
	TOTP              bool      `json:"totp"`
	RecoveryCodesLeft int       `json:"recovery_codes_left"`
	Passkeys          []Passkey `json:"passkeys"`
	Required          bool      `json:"required" doc:"Whether the tenant requires a second factor."`
}

// Passkey is a WebAuthn credential of a person.
type Passkey struct {
	ID         string     `json:"id" doc:"The credential's id, base64url."`
	Name       string     `json:"name"`
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
}

// BeginPasskey starts registering a passkey.
var BeginPasskey = Register[FactorProofRequest, BeginPasskeyResponse](AuditMutation, Spec{
	Name: "auth.begin_passkey", Method: "POST", Path: "/api/v1/auth/passkeys/begin",
	Access: Self, Timeout: 10 * time.Second,
	Errors:  []Code{PermissionDenied, Conflict, RateLimited},
	Summary: "Starts registering a passkey; auth.finish_passkey completes it.",
})

// BeginPasskeyResponse is what the browser needs.
type BeginPasskeyResponse struct {
	Challenge string          `json:"challenge" doc:"To be given to auth.finish_passkey."`
	Options   json.RawMessage `json:"options" doc:"PublicKeyCredentialCreationOptions (WebAuthn) for navigator.credentials.create."`
}

// FinishPasskey completes registering a passkey.
var FinishPasskey = Register[FinishPasskeyRequest, Passkey](AuditMutation, Spec{
	Name: "auth.finish_passkey", Method: "POST", Path: "/api/v1/auth/passkeys",
	Access:  Self,
	Errors:  []Code{Conflict},
	Summary: "Completes registering a passkey by the browser's answer.",
})

// FinishPasskeyRequest holds the browser's answer.
type FinishPasskeyRequest struct {
	Challenge string          `json:"challenge" minLength:"1" maxLength:"200"`
	Name      string          `json:"name,omitempty" maxLength:"100" doc:"What the person calls it."`
	Passkey   json.RawMessage `json:"passkey" doc:"The PublicKeyCredential's toJSON (RegistrationResponseJSON)."`
}

// ListPasskeys lists the caller's passkeys.
var ListPasskeys = Register[ListPasskeysRequest, ListPasskeysResponse](AuditRead, Spec{
	Name: "auth.list_passkeys", Method: "GET", Path: "/api/v1/auth/passkeys",
	Access:  Self,
	Summary: "Lists the caller's passkeys.",
})

// ListPasskeysRequest has no parameters: there are at most 20.
type ListPasskeysRequest struct{}

// ListPasskeysResponse holds the passkeys.
type ListPasskeysResponse struct {
	Items []Passkey `json:"items"`
}

// DeletePasskey removes one of the caller's passkeys.
var DeletePasskey = Register[DeletePasskeyRequest, Empty](AuditMutation, Spec{
	Name: "auth.delete_passkey", Method: "DELETE", Path: "/api/v1/auth/passkeys/{passkey_id}",
	Access:  Self,
	Errors:  []Code{NotFound, Conflict},
	Summary: "Removes one of the caller's passkeys, unless the tenant requires a second factor and there is no other.",
})

// DeletePasskeyRequest names a passkey.
type DeletePasskeyRequest struct {
	PasskeyID string `json:"passkey_id" path:"passkey_id" minLength:"1" maxLength:"1400" pattern:"^[A-Za-z0-9_-]+$"`
}

// SignInPolicy is what a tenant asks of logins and of tokens.
type SignInPolicy struct {
	SecondFactor       string `json:"second_factor" enum:"optional,required" doc:"Whether people need a second factor (or a passkey) to log in."`
	AcceptAccessTokens bool   `json:"accept_access_tokens" doc:"Whether modules may verify people's ordinary access tokens; else only module tokens made for them."`
}

// GetSignInPolicy returns the policy of the caller's tenant.
var GetSignInPolicy = Register[GetSignInPolicyRequest, SignInPolicy](AuditRead, Spec{
	Name: "auth.sign_in_policy", Method: "GET", Path: "/api/v1/auth/sign-in-policy",
	Access:  Self,
	Summary: "Returns the sign-in policy of the tenant that the caller acts in.",
})

// GetSignInPolicyRequest has no parameters.
type GetSignInPolicyRequest struct{}

// SetSignInPolicy changes a tenant's sign-in policy.
var SetSignInPolicy = Register[SetSignInPolicyRequest, SignInPolicy](AuditMutation, Spec{
	Name: "auth.set_sign_in_policy", Method: "PUT", Path: "/api/v1/auth/sign-in-policy",
	Access: User | Internal, Permission: "policies:update:tenant",
	Errors:  []Code{NotFound},
	Summary: "Sets a tenant's sign-in policy; it holds for logins and verifications from now on.",
})

// SetSignInPolicyRequest is the whole new policy.
type SetSignInPolicyRequest struct {
	TenantID           ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant; default is the caller's. Only platform administrators name another."`
	SecondFactor       string `json:"second_factor" enum:"optional,required" doc:"Whether people need a second factor (or a passkey) to log in."`
	AcceptAccessTokens bool   `json:"accept_access_tokens" doc:"Whether modules may verify people's ordinary access tokens; else only module tokens made for them."`
}
