package events

import (
	"time"

	"github.com/buildify/core/pkg/contract"
)

// The domain events of the platform. The data of what changed is the state
// after the change: contract.Tenant, contract.Activation, contract.Member.
var (
	TenantChanged = Kind{"tenant", "tenant", "changed"}
	ModuleChanged = Kind{"tenant", "module", "changed"}
	// SettingsChanged says which settings changed, never their values: data
	// SettingsChange.
	SettingsChanged = Kind{"tenant", "settings", "changed"}
	// HookCalled has a module told what happened to it in a tenant, each time
	// that it is told, and HookAcknowledged says that it did its part: data
	// HookCall.
	HookCalled       = Kind{"tenant", "hook", "called"}
	HookAcknowledged = Kind{"tenant", "hook", "acknowledged"}
	// ModuleStateChanged says what of a module is suspended: data
	// contract.ModuleState.
	ModuleStateChanged = Kind{"tenant", "module-state", "changed"}
	// VersionChanged says what became of a version of a module, in the trail of
	// the tenant that owns the module: data VersionChange.
	VersionChanged = Kind{"tenant", "module-version", "changed"}
	// UnitChanged is of a tenant's org tree: data contract.OrgUnit.
	UnitChanged = Kind{"tenant", "unit", "changed"}
	// MenuChanged says that a tenant changed what it overrides of the menu: data
	// MenuChange.
	MenuChanged = Kind{"tenant", "menu", "changed"}
	// PolicyChanged is a step of a tenant's policy: data PolicyStep.
	PolicyChanged = Kind{"rbac", "policy", "changed"}
	// PermissionsDeclared says that a module's permissions changed: data
	// PermissionsDeclaration.
	PermissionsDeclared = Kind{"rbac", "permissions", "declared"}

	UserChanged = Kind{"auth", "user", "changed"}
	// UserAdministered says what was done to an account: data UserChange.
	UserAdministered = Kind{"auth", "user", "administered"}
	// AuthPolicyChanged says that a tenant's password or sign-in policy
	// changed: data AuthPolicy.
	AuthPolicyChanged = Kind{"auth", "policy", "changed"}

	// LoginSucceeded and LoginFailed are login attempts: data Login.
	LoginSucceeded = Kind{"auth", "login", "succeeded"}
	LoginFailed    = Kind{"auth", "login", "failed"}
	// LoginChallenged says that a login proved Methods and waits for more: data
	// Login.
	LoginChallenged = Kind{"auth", "login", "challenged"}
	// RefreshReused says that a spent refresh token came again: data Login.
	RefreshReused = Kind{"auth", "refresh", "reused"}
	// SessionsEnded revokes the tokens of sessions: data EndedSessions.
	SessionsEnded = Kind{"auth", "session", "ended"}
	// TenantSwitched says that a session acts in another tenant: data Login.
	TenantSwitched = Kind{"auth", "session", "switched"}
	// FactorChanged says that a second factor was added or removed: data
	// FactorChange.
	FactorChanged = Kind{"auth", "factor", "changed"}

	// KeyCreated, KeyExpiring and KeyEnded are of module API keys: data
	// KeyChange; KeyEnded revokes.
	KeyCreated  = Kind{"auth", "key", "created"}
	KeyExpiring = Kind{"auth", "key", "expiring"}
	KeyEnded    = Kind{"auth", "key", "revoked"}
	// SigningKeysChanged says that keys which sign tokens came or went: data
	// SigningKeys.
	SigningKeysChanged = Kind{"auth", "signing-key", "changed"}
	// BusRefused says that the bus turned clients away: data BusRefusal.
	BusRefused = Kind{"auth", "bus", "refused"}
)

// UserChange is the data of UserAdministered: what was done, such as
// "created", "disabled", "password_reset", and the fields it touched.
type UserChange struct {
	UserID string   `json:"user_id"`
	Change string   `json:"change"`
	Fields []string `json:"fields,omitempty"`
}

// AuthPolicy is the data of AuthPolicyChanged; Policy names which: "password"
// or "sign_in".
type AuthPolicy struct {
	TenantID string `json:"tenant_id"`
	Policy   string `json:"policy"`
	Before   any    `json:"before,omitempty"`
	After    any    `json:"after"`
}

// Login is the data of login attempts. Reason says why one failed; the caller
// is never told it. UserID is empty where no account has the address.
type Login struct {
	UserID    string   `json:"user_id,omitempty"`
	Email     string   `json:"email,omitempty" pii:"true"`
	SessionID string   `json:"session_id,omitempty"`
	TenantID  string   `json:"tenant_id,omitempty"`
	Methods   []string `json:"methods,omitempty"`
	Reason    string   `json:"reason,omitempty"`
	Address   string   `json:"address,omitempty" pii:"true"`
	Agent     string   `json:"agent,omitempty" pii:"true"`
}

// EndedSessions is the data of SessionsEnded. Until is when the last access
// token of these sessions has expired.
type EndedSessions struct {
	UserID     string    `json:"user_id"`
	SessionIDs []string  `json:"session_ids"`
	Reason     string    `json:"reason"`
	Until      time.Time `json:"until"`
}

// FactorChange is the data of FactorChanged; Factor is totp, passkey or
// recovery_codes, Change what was done with it.
type FactorChange struct {
	UserID string `json:"user_id"`
	Factor string `json:"factor"`
	Change string `json:"change"`
}

// KeyChange is the data of events of module API keys.
type KeyChange struct {
	ID          string     `json:"id"`
	Module      string     `json:"module,omitempty"`
	RotatedFrom string     `json:"rotated_from,omitempty"`
	Reason      string     `json:"reason,omitempty"`
	ExpiresAt   *time.Time `json:"expires_at,omitempty"`
	Address     string     `json:"address,omitempty" pii:"true"`
	// Where says where a leaked key was found, in the finder's words.
	Where string `json:"where,omitempty"`
}

// SigningKeys is the data of SigningKeysChanged: the ids of the keys that are
// trusted now, the one that signs first.
type SigningKeys struct {
	KeyIDs      []string `json:"kids"`
	Compromised bool     `json:"compromised,omitempty"`
}

// BusRefusal is the data of BusRefused: how many attempts of one kind came
// from one address since the last such event.
type BusRefusal struct {
	Address string `json:"address,omitempty" pii:"true"`
	KeyID   string `json:"key_id,omitempty"`
	Reason  string `json:"reason"`
	Count   int    `json:"count"`
}

// PolicyStep is the data of PolicyChanged: the step of a tenant's policy
// from the revision before to Revision. Change says in a word what was done,
// such as "role.created" or "bindings.changed".
type PolicyStep struct {
	TenantID string                  `json:"tenant_id"`
	Revision int64                   `json:"revision"`
	Change   string                  `json:"change"`
	Changes  []contract.PolicyChange `json:"changes"`
}

// PermissionsDeclaration is the data of PermissionsDeclared.
type PermissionsDeclaration struct {
	Module  string   `json:"module"`
	Added   []string `json:"added,omitempty"`
	Changed []string `json:"changed,omitempty"`
	Removed []string `json:"removed,omitempty"`
}

// MenuChange is the data of MenuChanged: the items whose overrides came, went or
// changed, and the revision that they are at now.
type MenuChange struct {
	TenantID string   `json:"tenant_id"`
	Revision int64    `json:"revision"`
	Items    []string `json:"items"`
}

// VersionChange is the data of VersionChanged: what the version is now, by whom
// it was changed, and what they said. Without a version it is of the whole
// module, with its visibility. The state "deleted" is one that is no more.
type VersionChange struct {
	Module         string `json:"module"`
	Version        string `json:"version,omitempty"`
	State          string `json:"state,omitempty"`
	Suspended      string `json:"suspended,omitempty"`
	Visibility     string `json:"visibility,omitempty"`
	RolloutPercent int    `json:"rollout_percent,omitempty"`
	Automatic      bool   `json:"automatic,omitempty"`
	By             string `json:"by"`
	Comment        string `json:"comment,omitempty"`
}

// HookCall is the data of HookCalled and HookAcknowledged: a hook, and whose.
type HookCall struct {
	Module string `json:"module"`
	contract.Hook
}

// SettingsChange is the data of SettingsChanged. Without a TenantID it is of
// the platform's layer, which holds for all tenants.
type SettingsChange struct {
	TenantID  string   `json:"tenant_id,omitempty"`
	UserID    string   `json:"user_id,omitempty"`
	Namespace string   `json:"namespace"`
	Layer     string   `json:"layer"`
	Keys      []string `json:"keys,omitempty"`
	Erased    bool     `json:"erased,omitempty"`
	Revision  int64    `json:"revision"`
}
