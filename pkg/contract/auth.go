package contract

import "time"

// Login turns a person's e-mail address and password into an access token.
var Login = Register[LoginRequest, LoginResponse](Spec{
	Name: "auth.login", Method: "POST", Path: "/api/v1/auth/login",
	Access: Anonymous, Audit: AuditLogin, Timeout: 10 * time.Second,
	Errors:  []Code{Unauthenticated, RateLimited},
	Summary: "Logs a person in and returns an access token.",
})

// LoginRequest holds a person's credentials.
type LoginRequest struct {
	Email    string `json:"email" format:"email" maxLength:"254" doc:"The person's e-mail address." example:"admin@acme001.example"`
	Password string `json:"password" minLength:"1" maxLength:"128" doc:"The person's password."`
}

// LoginResponse carries the token that later calls show as "Authorization: Bearer".
type LoginResponse struct {
	AccessToken string   `json:"access_token" doc:"JWT (EdDSA), to be sent as a bearer token."`
	TokenType   string   `json:"token_type" enum:"Bearer" doc:"Always Bearer."`
	ExpiresIn   int      `json:"expires_in" doc:"Seconds until the token expires."`
	User        UserInfo `json:"user"`
}

// VerifyToken checks a person's access token on behalf of a module.
var VerifyToken = Register[VerifyRequest, VerifyResponse](Spec{
	Name: "auth.verify", Method: "POST", Path: "/api/v1/core/auth/verify",
	Access: Module | Internal, Audit: AuditDecision,
	Errors:  []Code{Unauthenticated, NotFound},
	Summary: "Verifies a user's access token and returns the user.",
})

// VerifyRequest names the token to verify.
type VerifyRequest struct {
	Token string `json:"token" minLength:"1" maxLength:"8192" doc:"The access token as received from the person."`
}

// VerifyResponse is the person behind a valid token.
type VerifyResponse struct {
	User UserInfo `json:"user"`
}

// UserInfo is a person as modules see them.
type UserInfo struct {
	ID         string `json:"id" format:"uuid"`
	Email      string `json:"email" format:"email"`
	Username   string `json:"username"`
	TenantID   string `json:"tenant_id" format:"uuid"`
	TenantCode string `json:"tenant_code" example:"ACME001"`
}

// JWKS publishes the keys that verify access tokens (RFC 7517).
var JWKS = Register[JWKSRequest, JWKSResponse](Spec{
	Name: "auth.jwks", Method: "GET", Path: "/.well-known/jwks.json",
	Access: Anonymous | Internal, Audit: AuditRead,
	Summary: "Returns the public keys that verify access tokens, as a JWK set.",
})

// JWKSRequest has no parameters.
type JWKSRequest struct{}

// JWKSResponse is a JWK set of Ed25519 keys (RFC 8037).
type JWKSResponse struct {
	Keys []JWK `json:"keys"`
}

// JWK is one Ed25519 verification key.
type JWK struct {
	KeyType   string `json:"kty" example:"OKP"`
	Curve     string `json:"crv" example:"Ed25519"`
	Algorithm string `json:"alg" example:"EdDSA"`
	Use       string `json:"use" example:"sig"`
	KeyID     string `json:"kid"`
	X         string `json:"x" doc:"The public key, base64url without padding."`
}

// CreateUser adds a person to a tenant.
var CreateUser = Register[CreateUserRequest, CreateUserResponse](Spec{
	Name: "auth.create_user", Access: Internal, Audit: AuditMutation, Timeout: 10 * time.Second,
	Errors:  []Code{AlreadyExists, NotFound, RateLimited},
	Summary: "Creates a user with a password in a tenant.",
})

// CreateUserRequest describes a person. E-mail addresses are unique over the
// whole platform, compared in lower case.
type CreateUserRequest struct {
	TenantID ID     `json:"tenant_id" format:"uuid"`
	Email    string `json:"email" format:"email" maxLength:"254"`
	Username string `json:"username,omitempty" maxLength:"64"`
	Password string `json:"password" minLength:"12" maxLength:"128"`
}

// CreateUserResponse names the new person.
type CreateUserResponse struct {
	ID string `json:"id" format:"uuid"`
}

// DeleteUser removes a person; their tokens stop working at once.
var DeleteUser = Register[DeleteUserRequest, Empty](Spec{
	Name: "auth.delete_user", Access: Internal, Audit: AuditMutation,
	Errors:  []Code{NotFound},
	Summary: "Deletes a user; a tombstone keeps the audit trail readable.",
})

// DeleteUserRequest names a person.
type DeleteUserRequest struct {
	TenantID ID `json:"tenant_id" format:"uuid"`
	UserID   ID `json:"user_id" format:"uuid"`
}

// Empty is the answer of an operation that has nothing to tell.
type Empty struct{}

// CreateKey issues an API key to a module.
var CreateKey = Register[CreateKeyRequest, CreateKeyResponse](Spec{
	Name: "auth.create_key", Access: Internal, Audit: AuditMutation,
	Summary: "Issues an API key to a module and returns it; it is shown this once.",
})

// CreateKeyRequest describes a key. Operations empty means every operation
// that modules may call.
type CreateKeyRequest struct {
	Module      string     `json:"module" pattern:"^[a-z][a-z0-9-]{1,62}$" doc:"The module's name."`
	Environment string     `json:"environment" enum:"dev,staging,prod"`
	Operations  []string   `json:"operations,omitempty" maxItems:"100" doc:"The operations granted, as <service>.<operation>; empty grants all that modules may call."`
	ExpiresAt   *time.Time `json:"expires_at,omitempty"`
}

// CreateKeyResponse carries the secret, once.
type CreateKeyResponse struct {
	ID     string `json:"id" doc:"The key's public id."`
	APIKey string `json:"api_key" doc:"The whole key, to be kept secret."`
}

// RevokeKey ends an API key at once.
var RevokeKey = Register[RevokeKeyRequest, Empty](Spec{
	Name: "auth.revoke_key", Access: Internal, Audit: AuditMutation,
	Errors:  []Code{NotFound},
	Summary: "Revokes an API key; its open connections are closed.",
})

// RevokeKeyRequest names a key by its public id.
type RevokeKeyRequest struct {
	ID string `json:"id" minLength:"1" maxLength:"100"`
}

// VerifyKey tells the bridge which module an API key belongs to.
var VerifyKey = Register[VerifyKeyRequest, VerifyKeyResponse](Spec{
	Name: "auth.verify_key", Access: Internal, Audit: AuditRead,
	Errors:  []Code{Unauthenticated},
	Summary: "Verifies an API key and returns the module and its grants.",
})

// VerifyKeyRequest holds a key as received.
type VerifyKeyRequest struct {
	APIKey string `json:"api_key" minLength:"1" maxLength:"512"`
}

// VerifyKeyResponse is whom a valid key speaks for.
type VerifyKeyResponse struct {
	ID         string     `json:"id"`
	Module     string     `json:"module"`
	Operations []string   `json:"operations"`
	ExpiresAt  *time.Time `json:"expires_at,omitempty"`
}

// ListMembers pages through who belongs to which tenant, for projections.
var ListMembers = Register[SnapshotRequest, ListMembersResponse](Spec{
	Name: "auth.list_members", Access: Internal, Audit: AuditRead,
	Summary: "Lists every user's id, tenant and revision, deleted ones included.",
})

// SnapshotRequest pages through a snapshot.
type SnapshotRequest struct {
	Cursor string `json:"cursor,omitempty" maxLength:"200"`
	Limit  int    `json:"limit,omitempty" minimum:"1" maximum:"500"`
}

// ListMembersResponse is one page of members.
type ListMembersResponse struct {
	Items      []Member `json:"items"`
	NextCursor string   `json:"next_cursor,omitempty"`
}

// Member says which tenant a user belongs to. It is the state that user
// events carry: no personal data.
type Member struct {
	UserID   string `json:"user_id"`
	TenantID string `json:"tenant_id"`
	Active   bool   `json:"active"`
	Revision int64  `json:"revision"`
}
