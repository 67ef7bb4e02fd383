package contract

import (
	"encoding/json"
	"slices"
	"time"
)

// Activation says whether a tenant has a module enabled. It is also the state
// that activation events carry.
type Activation struct {
	TenantID string `json:"tenant_id"`
	Module   string `json:"module"`
	Enabled  bool   `json:"enabled"`
	Version  string `json:"version,omitempty" doc:"The version in use; none for a module that is enabled without a manifest."`
	// Scopes are those consented to; nil, for a module without a manifest, is
	// every scope.
	Scopes   *[]string `json:"scopes,omitempty"`
	Revision int64     `json:"revision"`
}

// Newer reports whether a is a later state than old.
func (a Activation) Newer(old Activation) bool { return a.Revision > old.Revision }

// Permits reports whether the module may use an operation about the tenant: it
// was consented to, or needs no consent.
func (a Activation) Permits(operation string) bool {
	return a.Scopes == nil || slices.Contains(*a.Scopes, operation) || slices.Contains(withoutConsent, operation)
}

// withoutConsent is what a module learns of its own place in a tenant.
var withoutConsent = []string{
	"tenant.get", "tenant.module", "tenant.module_settings", "tenant.news", "tenant.hooks", "tenant.acknowledge_hook",
	"audit.granted", "audit.subscribe", "audit.unsubscribe", // of what is consented to as events:<types>
}

// ConsentScopes are the operations and streams that a tenant is asked to
// consent to when a module wants them.
func ConsentScopes() []string {
	return slices.DeleteFunc(ModuleOperations(), func(name string) bool { return slices.Contains(withoutConsent, name) })
}

// InstalledModule is a module in a tenant.
type InstalledModule struct {
	Module      string    `json:"module"`
	Name        string    `json:"name"`
	Version     string    `json:"version" doc:"The version in use."`
	Range       string    `json:"range,omitempty" doc:"The range of versions that is followed; none is pinned to the version."`
	State       string    `json:"state" enum:"enabled,disabled,suspended" doc:"suspended: by the platform."`
	Scopes      []string  `json:"scopes" doc:"Scopes that the tenant consented to."`
	Dormant     []Asked   `json:"dormant" doc:"Scopes that the version asks for and the tenant has not consented to: they are without effect."`
	Update      string    `json:"update,omitempty" doc:"A later version that the tenant may go to."`
	InstalledAt time.Time `json:"installed_at"`
	UpdatedAt   time.Time `json:"updated_at"`
	Revision    int64     `json:"revision" doc:"Grows with each change; If-Match takes it."`
}

// Asked is a scope that a version asks for.
type Asked struct {
	Scope    string `json:"scope" example:"rbac.check"`
	Reason   string `json:"reason,omitempty"`
	Optional bool   `json:"optional,omitempty" doc:"The module works without."`
}

// InstallPlan is what installing, or changing to, a version would mean: what a
// consent screen shows.
type InstallPlan struct {
	Module      string               `json:"module"`
	Name        string               `json:"name"`
	Version     string               `json:"version" doc:"The version that would be in use."`
	From        string               `json:"from,omitempty" doc:"The version in use now."`
	Scopes      []Asked              `json:"scopes" doc:"All that it asks for."`
	New         []Asked              `json:"new" doc:"Those that the tenant has not consented to yet."`
	Permissions []DeclaredPermission `json:"permissions" doc:"What it defines, to be granted to roles."`
	Requires    []Dependency         `json:"requires" doc:"The modules it needs, and what would be done about each."`
	Egress      []string             `json:"egress" doc:"The hosts it says it talks to."`
	Settings    json.RawMessage      `json:"settings,omitempty" doc:"JSON Schema of its settings."`
}

// Dependency is a module that another one needs.
type Dependency struct {
	Module   string  `json:"module"`
	Range    string  `json:"range"`
	NeededBy string  `json:"needed_by"`
	Action   string  `json:"action" enum:"none,install,upgrade,enable" doc:"What would be done about it; upgrade is a change of version, up or down."`
	Version  string  `json:"version" doc:"The version that it would be there in."`
	New      []Asked `json:"new" doc:"Scopes that it asks for and the tenant has not consented to yet."`
}

// ListInstalled lists a tenant's modules.
var ListInstalled = Register[ListInstalledRequest, ListInstalledResponse](AuditRead, Spec{
	Name: "tenant.list_installed", Method: "GET", Path: "/api/v1/modules",
	Access: User | Internal, Permission: "modules:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Lists the modules that a tenant has installed.",
})

// ListInstalledRequest names the tenant.
type ListInstalledRequest struct {
	TenantID ID `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
}

// ListInstalledResponse lists them all, by id.
type ListInstalledResponse struct {
	Items []InstalledModule `json:"items"`
}

// GetInstalled returns one.
var GetInstalled = Register[ModuleRequest, InstalledModule](AuditRead, Spec{
	Name: "tenant.get_installed", Method: "GET", Path: "/api/v1/modules/{module_name}",
	Access: User | Internal, Permission: "modules:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Returns a module that a tenant has installed.",
})

// PlanInstall shows what an installation or change of version would mean.
var PlanInstall = Register[PlanInstallRequest, InstallPlan](AuditRead, Spec{
	Name: "tenant.plan_install", Method: "POST", Path: "/api/v1/modules/{module_name}/plan",
	Access: User | Internal, Permission: "modules:read:tenant",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Says what installing a module, or changing its version, would mean: the consent screen.",
})

// PlanInstallRequest names what is wanted.
type PlanInstallRequest struct {
	TenantID   ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	ModuleName string `json:"module_name" path:"module_name" pattern:"^[a-z][a-z0-9-]{1,62}$" doc:"The module's id."`
	Version    string `json:"version,omitempty" maxLength:"200" doc:"A version, or a range of versions such as ^1.2; default is the latest."`
}

// InstallModule activates a module in a tenant.
var InstallModule = Register[InstallModuleRequest, InstalledModule](AuditMutation, Spec{
	Name: "tenant.install_module", Method: "POST", Path: "/api/v1/modules/{module_name}/install",
	Access: User | Internal, Permission: "modules:install:tenant", Timeout: 15 * time.Second,
	Errors:  []Code{NotFound, Conflict, AlreadyExists},
	Summary: "Installs a module with consent to what it asks for, grants its permissions to roles, and enables it.",
})

// InstallModuleRequest says which version, and what the tenant consents to.
type InstallModuleRequest struct {
	TenantID     ID              `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	ModuleName   string          `json:"module_name" path:"module_name" pattern:"^[a-z][a-z0-9-]{1,62}$" doc:"The module's id."`
	Version      string          `json:"version,omitempty" maxLength:"200" doc:"A version to be pinned to, or a range to be followed such as ^1.2; default follows the latest of its major version."`
	Consent      []string        `json:"consent" maxItems:"200" doc:"The scopes consented to; all that are not optional are needed."`
	Roles        []RoleGrant     `json:"roles,omitempty" maxItems:"50" doc:"Roles that get permissions of the module."`
	Settings     json.RawMessage `json:"settings,omitempty" doc:"An object of settings, valid by the manifest's schema."`
	Dependencies bool            `json:"dependencies,omitempty" doc:"Install, upgrade and enable what it needs too, with consent to what those need; else what is missing is a conflict."`
}

// RoleGrant gives a role permissions of a module.
type RoleGrant struct {
	RoleID      string   `json:"role_id" format:"uuid"`
	Permissions []string `json:"permissions,omitempty" maxItems:"1000" doc:"The module's own; default is all that it defines."`
}

// ChangeModule says what is to change of an installed module.
type ChangeModule struct {
	TenantID   ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	ModuleName string `json:"module_name" path:"module_name" pattern:"^[a-z][a-z0-9-]{1,62}$" doc:"The module's id."`
	Revision   int64  `json:"revision,omitempty" match:"true" minimum:"0" doc:"When given, it must still be at it; conflict otherwise. If-Match says the same."`
}

// EnableModule enables an installed module.
var EnableModule = Register[ChangeModule, InstalledModule](AuditMutation, Spec{
	Name: "tenant.enable_module", Method: "POST", Path: "/api/v1/modules/{module_name}/enable",
	Access: User | Internal, Permission: "modules:install:tenant",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Enables an installed module.",
})

// DisableModule disables one.
var DisableModule = Register[ChangeModule, InstalledModule](AuditMutation, Spec{
	Name: "tenant.disable_module", Method: "POST", Path: "/api/v1/modules/{module_name}/disable",
	Access: User | Internal, Permission: "modules:install:tenant",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Disables an installed module; its permissions are without effect until it is enabled again.",
})

// ChangeModuleVersion upgrades, downgrades, pins or follows.
var ChangeModuleVersion = Register[ChangeModuleVersionRequest, InstalledModule](AuditMutation, Spec{
	Name: "tenant.change_version", Method: "POST", Path: "/api/v1/modules/{module_name}/version",
	Access: User | Internal, Permission: "modules:install:tenant",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Changes the version of an installed module, up or down, and whether it is pinned or follows a range.",
})

// ChangeModuleVersionRequest names the version wanted.
type ChangeModuleVersionRequest struct {
	TenantID   ID       `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	ModuleName string   `json:"module_name" path:"module_name" pattern:"^[a-z][a-z0-9-]{1,62}$" doc:"The module's id."`
	Version    string   `json:"version" minLength:"1" maxLength:"200" doc:"A version to be pinned to, or a range to be followed."`
	Consent    []string `json:"consent,omitempty" maxItems:"200" doc:"Further scopes consented to; others that the version asks for stay dormant."`
	Revision   int64    `json:"revision,omitempty" match:"true" minimum:"0" doc:"When given, it must still be at it; conflict otherwise. If-Match says the same."`
}

// ConsentModule changes what a tenant consents to.
var ConsentModule = Register[ConsentModuleRequest, InstalledModule](AuditMutation, Spec{
	Name: "tenant.consent", Method: "PUT", Path: "/api/v1/modules/{module_name}/consent",
	Access: User | Internal, Permission: "modules:install:tenant",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Says which scopes of an installed module the tenant consents to; others are without effect at once.",
})

// ConsentModuleRequest lists all scopes consented to from now on.
type ConsentModuleRequest struct {
	TenantID   ID       `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	ModuleName string   `json:"module_name" path:"module_name" pattern:"^[a-z][a-z0-9-]{1,62}$" doc:"The module's id."`
	Scopes     []string `json:"scopes" maxItems:"200" doc:"All scopes consented to from now on."`
	Revision   int64    `json:"revision,omitempty" match:"true" minimum:"0" doc:"When given, it must still be at it; conflict otherwise. If-Match says the same."`
}

// UninstallModule removes a module from a tenant.
var UninstallModule = Register[UninstallModuleRequest, Empty](AuditMutation, Spec{
	Name: "tenant.uninstall_module", Method: "DELETE", Path: "/api/v1/modules/{module_name}",
	Access: User | Internal, Permission: "modules:install:tenant",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Uninstalls a module. Its settings are kept, and it is told to keep its data, unless asked otherwise.",
})

// UninstallModuleRequest says whether data goes too.
type UninstallModuleRequest struct {
	TenantID   ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	ModuleName string `json:"module_name" path:"module_name" pattern:"^[a-z][a-z0-9-]{1,62}$" doc:"The module's id."`
	EraseData  bool   `json:"erase_data,omitempty" query:"erase_data" doc:"Erase its settings, and tell it to erase its data of the tenant."`
	Revision   int64  `json:"revision,omitempty" query:"revision" match:"true" minimum:"0" doc:"When given, it must still be at it; conflict otherwise. If-Match says the same."`
}

// Hook is something that happened to a module in a tenant, which the module is
// told until it says that it has done its part.
type Hook struct {
	ID        string    `json:"id" format:"uuid"`
	TenantID  string    `json:"tenant_id" format:"uuid"`
	Event     string    `json:"event" enum:"installed,enabled,disabled,upgraded,downgraded,uninstalled,configured"`
	Version   string    `json:"version,omitempty"`
	From      string    `json:"from,omitempty" doc:"The version before."`
	EraseData bool      `json:"erase_data,omitempty" doc:"With uninstalled: erase all that is kept of the tenant."`
	At        time.Time `json:"at"`
	Attempt   int       `json:"attempt" doc:"How often it has been told."`
}

// ListHooks returns what the calling module has not acknowledged.
var ListHooks = Register[ListHooksRequest, ListHooksResponse](AuditRead, Spec{
	Name: "tenant.hooks", Method: "GET", Path: "/api/v1/core/hooks",
	Access:  Module,
	Summary: "Lists the life cycle hooks that the module has not acknowledged, in their order.",
})

// ListHooksRequest pages.
type ListHooksRequest struct {
	Limit int `json:"limit,omitempty" query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Hooks at most."`
}

// ListHooksResponse lists the oldest.
type ListHooksResponse struct {
	Items []Hook `json:"items"`
	// News is where the bus tells of later ones: the subjects that the caller's
	// key may subscribe to.
	News []string `json:"news" doc:"The bus subjects on which tenant.news is told to this key."`
}

// AcknowledgeHook says that the module did its part.
var AcknowledgeHook = Register[AcknowledgeHookRequest, Empty](AuditMutation, Spec{
	Name: "tenant.acknowledge_hook", Method: "POST", Path: "/api/v1/core/hooks/{hook_id}/acknowledge",
	Access:  Module,
	Errors:  []Code{NotFound},
	Summary: "Acknowledges a life cycle hook, or reports that it failed and is to be told again.",
})

// AcknowledgeHookRequest names a hook.
type AcknowledgeHookRequest struct {
	HookID ID     `json:"hook_id" path:"hook_id" format:"uuid"`
	Failed string `json:"failed,omitempty" maxLength:"2000" doc:"Why it failed; it is told again later, with back-off."`
}
