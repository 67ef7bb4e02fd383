package contract

import "time"

// CreateKey issues an API key to a module.
var CreateKey = Register[CreateKeyRequest, CreateKeyResponse](AuditMutation, Spec{
	Name: "auth.create_key", Method: "POST", Path: "/api/v1/auth/keys",
	Access: User | Internal, Permission: "keys:create:tenant",
	Errors:  []Code{NotFound, PermissionDenied},
	Summary: "Issues an API key to a module and returns it; it is shown this once.",
})

// CreateKeyRequest describes a key. Operations empty means every operation
// that modules may call.
type CreateKeyRequest struct {
	Module      string     `json:"module" pattern:"^[a-z][a-z0-9-]{1,62}$" doc:"The module's name."`
	Environment string     `json:"environment" enum:"dev,staging,prod"`
	Name        string     `json:"name,omitempty" maxLength:"100" doc:"What people call the key."`
	Operations  []string   `json:"operations,omitempty" maxItems:"100" doc:"The operations granted, as <service>.<operation>; empty grants all that modules may call."`
	Tenants     []string   `json:"tenants,omitempty" maxItems:"100" doc:"The only tenants the key may ask about; empty is every tenant that enabled the module. A tenant's administrator may name their own only."`
	CIDRs       []string   `json:"cidrs,omitempty" maxItems:"100" doc:"The only addresses the key may be used from, such as 192.0.2.0/24; empty is anywhere."`
	RateClass   string     `json:"rate_class,omitempty" enum:"standard,high,bulk" doc:"How many requests a minute; default standard."`
	ExpiresAt   *time.Time `json:"expires_at,omitempty"`
}

// CreateKeyResponse carries the secret, once.
type CreateKeyResponse struct {
	ID     string `json:"id" doc:"The key's public id."`
	APIKey string `json:"api_key" doc:"The whole key, to be kept secret."`
}

// Key is an API key without its secret.
type Key struct {
	ID              string     `json:"id"`
	Module          string     `json:"module"`
	Environment     string     `json:"environment"`
	Name            string     `json:"name,omitempty"`
	Status          string     `json:"status" enum:"active,expired,revoked"`
	Operations      []string   `json:"operations" doc:"Empty grants all that modules may call."`
	Tenants         []string   `json:"tenants,omitempty"`
	CIDRs           []string   `json:"cidrs,omitempty"`
	RateClass       string     `json:"rate_class"`
	RotatedFrom     string     `json:"rotated_from,omitempty" doc:"The key that this one replaces."`
	CreatedAt       time.Time  `json:"created_at"`
	ExpiresAt       *time.Time `json:"expires_at,omitempty"`
	RevokedAt       *time.Time `json:"revoked_at,omitempty"`
	LastUsedAt      *time.Time `json:"last_used_at,omitempty" doc:"Within a minute or so."`
	LastUsedAddress string     `json:"last_used_address,omitempty"`
}

// KeyRequest names a key by its public id.
type KeyRequest struct {
	ID string `json:"id" path:"key_id" minLength:"1" maxLength:"100"`
}

// GetKey returns a key without its secret.
var GetKey = Register[KeyRequest, Key](AuditRead, Spec{
	Name: "auth.get_key", Method: "GET", Path: "/api/v1/auth/keys/{key_id}",
	Access: User | Internal, Permission: "keys:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Returns an API key without its secret.",
})

// ListKeys lists keys without their secrets.
var ListKeys = Register[ListKeysRequest, ListKeysResponse](AuditRead, Spec{
	Name: "auth.list_keys", Method: "GET", Path: "/api/v1/auth/keys",
	Access: User | Internal, Permission: "keys:read:tenant",
	Summary: "Lists API keys without their secrets, newest first.",
})

// ListKeysRequest filters and pages.
type ListKeysRequest struct {
	Module string `json:"module,omitempty" query:"module" maxLength:"63" doc:"Only keys of this module."`
	Status string `json:"status,omitempty" query:"status" enum:"active,expired,revoked" doc:"Only keys of this status."`
	Cursor string `json:"cursor,omitempty" query:"cursor" maxLength:"200" doc:"next_cursor of the page before."`
	Limit  int    `json:"limit,omitempty" query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Keys a page."`
}

// ListKeysResponse is one page of keys.
type ListKeysResponse struct {
	Items      []Key  `json:"items"`
	NextCursor string `json:"next_cursor,omitempty"`
}

// RotateKey replaces a key by a new one with the same rights.
var RotateKey = Register[RotateKeyRequest, CreateKeyResponse](AuditMutation, Spec{
	Name: "auth.rotate_key", Method: "POST", Path: "/api/v1/auth/keys/{key_id}/rotate",
	Access: User | Internal, Permission: "keys:update:tenant",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Issues a new API key in place of another, which stays valid for the chosen overlap.",
})

// RotateKeyRequest names the key and the overlap.
type RotateKeyRequest struct {
	ID             string     `json:"id" path:"key_id" minLength:"1" maxLength:"100"`
	OverlapSeconds *int       `json:"overlap_seconds,omitempty" minimum:"0" maximum:"2592000" doc:"How long the old key stays valid; default a day."`
	ExpiresAt      *time.Time `json:"expires_at,omitempty" doc:"When the new key ends; default is as long from now as the old one had at its making."`
}

// RevokeKey ends an API key at once.
var RevokeKey = Register[KeyRequest, Empty](AuditMutation, Spec{
	Name: "auth.revoke_key", Method: "DELETE", Path: "/api/v1/auth/keys/{key_id}",
	Access: User | Internal, Permission: "keys:delete:tenant",
	Errors:  []Code{NotFound},
	Summary: "Revokes an API key; its open connections are closed.",
})

// ReportLeak revokes a key that the caller proves to hold.
var ReportLeak = Register[ReportLeakRequest, Empty](AuditMutation, Spec{
	Name: "auth.report_leak", Method: "POST", Path: "/api/v1/auth/keys/report-leak",
	Access:  Anonymous,
	Errors:  []Code{RateLimited},
	Summary: "Revokes a leaked API key that the caller shows; the answer does not tell whether it was valid.",
})

// ReportLeakRequest holds the key that was found.
type ReportLeakRequest struct {
	APIKey string `json:"api_key" minLength:"1" maxLength:"512"`
	Where  string `json:"where,omitempty" maxLength:"500" doc:"Where it was found, for the audit trail."`
}

// VerifyKey tells the bridge which module an API key belongs to.
var VerifyKey = Register[VerifyKeyRequest, VerifyKeyResponse](AuditRead, Spec{
	Name: "auth.verify_key", Access: Internal,
	Errors:  []Code{Unauthenticated},
	Summary: "Verifies an API key and returns the module and its grants.",
})

// VerifyKeyRequest holds a key as received, and from where.
type VerifyKeyRequest struct {
	APIKey  string `json:"api_key" minLength:"1" maxLength:"512"`
	Address string `json:"address,omitempty" maxLength:"64" doc:"The client's IP address; the key's CIDRs must hold it."`
}

// VerifyKeyResponse is whom a valid key speaks for.
type VerifyKeyResponse struct {
	ID         string     `json:"id"`
	Module     string     `json:"module"`
	Operations []string   `json:"operations"`
	Tenants    []string   `json:"tenants,omitempty"`
	CIDRs      []string   `json:"cidrs,omitempty"`
	RateClass  string     `json:"rate_class"`
	ExpiresAt  *time.Time `json:"expires_at,omitempty"`
}

// KeyInfo tells what of a key never changes.
var KeyInfo = Register[KeyInfoRequest, KeyInfoResponse](AuditRead, Spec{
	Name: "auth.key_info", Access: Internal,
	Errors:  []Code{NotFound},
	Summary: "Returns what of an API key never changes: its module and the tenants it is restricted to.",
})

// KeyInfoRequest names a key by its public id.
type KeyInfoRequest struct {
	ID string `json:"id" minLength:"1" maxLength:"100"`
}

// KeyInfoResponse is what services decide by for a key's requests.
type KeyInfoResponse struct {
	ID      string   `json:"id"`
	Module  string   `json:"module"`
	Tenants []string `json:"tenants,omitempty" doc:"Empty is every tenant that enabled the module."`
}
