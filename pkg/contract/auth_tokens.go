package contract

import "time"

// VerifyToken checks a person's token on behalf of a module.
var VerifyToken = Register[VerifyRequest, VerifyResponse](AuditDecision, Spec{
	Name: "auth.verify", Method: "POST", Path: "/api/v1/core/auth/verify",
	Access:  Module | Internal,
	Errors:  []Code{Unauthenticated, NotFound},
	Summary: "Verifies a user's access token, or a token made for the calling module, and returns the user.",
})

// VerifyRequest names the token to verify.
type VerifyRequest struct {
	Token string `json:"token" minLength:"1" maxLength:"8192" doc:"The token as received from the person."`
}

// VerifyResponse is the person behind a valid token.
type VerifyResponse struct {
	User      UserInfo   `json:"user"`
	SessionID string     `json:"session_id,omitempty"`
	Scope     string     `json:"scope,omitempty" doc:"For a module token: the permission codes it grants, separated by spaces."`
	ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"When the token ends."`
}

// ModuleToken exchanges a person's session for a token for one module.
var ModuleToken = Register[ModuleTokenRequest, AccessTokenResponse](AuditRead, Spec{
	Name: "auth.module_token", Method: "POST", Path: "/api/v1/auth/module-token",
	Access:  Self,
	Errors:  []Code{NotFound, Conflict},
	Summary: "Answers a 5-minute token that only the named module can use, with the caller's permissions in that module as its scope.",
})

// ModuleTokenRequest names a module that the caller's tenant has enabled.
type ModuleTokenRequest struct {
	Module string `json:"module" pattern:"^[a-z][a-z0-9-]{1,62}$"`
}

// JWKS publishes the keys that verify access tokens (RFC 7517).
var JWKS = Register[JWKSRequest, JWKSResponse](AuditRead, Spec{
	Name: "auth.jwks", Method: "GET", Path: "/.well-known/jwks.json",
	Access:  Anonymous | Internal,
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

// Discovery tells where tokens come from and how to verify them.
var Discovery = Register[DiscoveryRequest, DiscoveryResponse](AuditRead, Spec{
	Name: "auth.discovery", Method: "GET", Path: "/.well-known/openid-configuration",
	Access:  Anonymous | Internal,
	Summary: "Returns a discovery document in the style of OpenID Connect.",
})

// DiscoveryRequest has no parameters.
type DiscoveryRequest struct{}

// DiscoveryResponse names issuer, keys and algorithms (members of OpenID
// Connect Discovery 1.0).
type DiscoveryResponse struct {
	Issuer               string   `json:"issuer"`
	JWKSURI              string   `json:"jwks_uri"`
	TokenEndpoint        string   `json:"token_endpoint"`
	UserinfoEndpoint     string   `json:"userinfo_endpoint"`
	EndSessionEndpoint   string   `json:"end_session_endpoint"`
	SigningAlgorithms    []string `json:"id_token_signing_alg_values_supported"`
	SubjectTypes         []string `json:"subject_types_supported"`
	ResponseTypes        []string `json:"response_types_supported"`
	ClaimsSupported      []string `json:"claims_supported"`
	AccessTokenAudience  string   `json:"access_token_audience" doc:"What aud holds in an access token."`
	ModuleAudiencePrefix string   `json:"module_token_audience_prefix" doc:"What aud begins with in a module token; the module's name follows."`
	AccessTokenLifetime  int      `json:"access_token_lifetime" doc:"Seconds."`
}

// RotateSigningKey makes a new signing key at once.
var RotateSigningKey = Register[RotateSigningKeyRequest, RotateSigningKeyResponse](AuditMutation, Spec{
	Name: "auth.rotate_signing_key", Method: "POST", Path: "/api/v1/auth/signing-keys/rotate",
	Access: User | Internal, Permission: "signing-keys:rotate:platform",
	Summary: "Makes a new signing key; tokens of the old one stay valid until they expire, unless it is compromised.",
})

// RotateSigningKeyRequest says whether the old key may still be trusted.
type RotateSigningKeyRequest struct {
	Compromised bool `json:"compromised,omitempty" doc:"Refuse every token of the old keys at once; people refresh."`
}

// RotateSigningKeyResponse names the new key.
type RotateSigningKeyResponse struct {
	KeyID string `json:"kid"`
}

// ListMembers pages through who belongs to which tenants, for projections.
var ListMembers = Register[SnapshotRequest, ListMembersResponse](AuditRead, Spec{
	Name: "auth.list_members", Access: Internal,
	Summary: "Lists every user's id, tenants and revision, deleted ones included.",
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

// Member says which tenants a user belongs to. It is the state that user
// events carry: no personal data.
type Member struct {
	UserID string `json:"user_id"`
	// TenantID is the home tenant, empty for a platform administrator; Tenants
	// are the further ones.
	TenantID string   `json:"tenant_id,omitempty"`
	Tenants  []string `json:"tenants,omitempty"`
	Platform bool     `json:"platform,omitempty"`
	Active   bool     `json:"active"`
	Deleted  bool     `json:"deleted,omitempty"` // for good
	Revision int64    `json:"revision"`
}

// ListRevocations pages through the ended sessions whose access tokens have
// not all expired yet, for projections.
var ListRevocations = Register[SnapshotRequest, ListRevocationsResponse](AuditRead, Spec{
	Name: "auth.list_revocations", Access: Internal,
	Summary: "Lists ended sessions whose access tokens may not have expired yet.",
})

// ListRevocationsResponse is one page of revocations.
type ListRevocationsResponse struct {
	Items      []Revocation `json:"items"`
	NextCursor string       `json:"next_cursor,omitempty"`
}

// Revocation is an ended session.
type Revocation struct {
	SessionID string `json:"session_id"`
	// Until is when the last access token of the session has expired.
	Until time.Time `json:"until"`
}

// CheckSession tells a verifier that lost touch with the events whether a
// session is still open.
var CheckSession = Register[CheckSessionRequest, Empty](AuditRead, Spec{
	Name: "auth.check_session", Access: Internal, Timeout: 2 * time.Second,
	Errors:  []Code{Unauthenticated},
	Summary: "Tells that a session is open, and its person and the token's tenant are active; unauthenticated otherwise.",
})

// CheckSessionRequest names a session.
type CheckSessionRequest struct {
	SessionID ID `json:"session_id" format:"uuid"`
	TenantID  ID `json:"tenant_id,omitempty" doc:"The tenant that the token acts in; absent for none."`
}
