package contract

import "time"

// GetTenant returns a tenant that has enabled the calling module.
var GetTenant = Register[GetTenantRequest, Tenant](AuditRead, Spec{
	Name: "tenant.get", Method: "GET", Path: "/api/v1/core/tenants/{tenant_id}",
	Access:  Module | Internal,
	Errors:  []Code{NotFound},
	Summary: "Returns a tenant.",
})

// GetTenantRequest names a tenant.
type GetTenantRequest struct {
	TenantID ID `json:"tenant_id" path:"tenant_id" format:"uuid" doc:"The tenant's id."`
}

// Tenant is a company on the platform. It is also the state that tenant
// events carry.
type Tenant struct {
	ID       string `json:"id" format:"uuid"`
	Code     string `json:"code" example:"ACME001"`
	Name     string `json:"name"`
	IsActive bool   `json:"is_active" doc:"Whether its state is active."`
	Revision int64  `json:"revision" doc:"Grows with each change of this tenant."`

	State    string     `json:"state,omitempty" enum:"provisioning,active,suspended,deleting,erased"`
	Branding *Branding  `json:"branding,omitempty"`
	Limits   *Limits    `json:"limits,omitempty"`
	DeleteAt *time.Time `json:"delete_at,omitempty" doc:"When a deleted tenant is erased; until then it may be restored."`
}

// GetTenantModule tells whether a tenant enabled a module. A module learns
// this about itself only.
var GetTenantModule = Register[TenantModuleRequest, TenantModuleResponse](AuditRead, Spec{
	Name: "tenant.module", Method: "GET", Path: "/api/v1/core/tenants/{tenant_id}/modules/{module_name}",
	Access:  Module | Internal,
	Errors:  []Code{NotFound},
	Summary: "Tells that a tenant enabled a module; not_found otherwise.",
})

// TenantModuleRequest names a tenant and a module.
type TenantModuleRequest struct {
	TenantID   ID     `json:"tenant_id" path:"tenant_id" format:"uuid" doc:"The tenant's id."`
	ModuleName string `json:"module_name" path:"module_name" pattern:"^[a-z][a-z0-9-]{1,62}$" doc:"The module's name."`
}

// TenantModuleResponse always says true; not enabled is not_found.
type TenantModuleResponse struct {
	Enabled bool `json:"enabled"`
}

// SetTenantModule enables or disables a module for a tenant.
var SetTenantModule = Register[SetTenantModuleRequest, Activation](AuditMutation, Spec{
	Name: "tenant.set_module", Access: Internal,
	Errors:  []Code{NotFound},
	Summary: "Enables or disables a module for a tenant.",
})

// SetTenantModuleRequest names a tenant, a module and the wanted state.
type SetTenantModuleRequest struct {
	TenantID   ID     `json:"tenant_id" format:"uuid"`
	ModuleName string `json:"module_name" pattern:"^[a-z][a-z0-9-]{1,62}$"`
	Enabled    bool   `json:"enabled"`
}

// ListTenants pages through all tenants with their activations, for
// projections.
var ListTenants = Register[SnapshotRequest, ListTenantsResponse](AuditRead, Spec{
	Name: "tenant.list_all", Access: Internal,
	Summary: "Lists every tenant with its module activations.",
})

// ListTenantsResponse is one page of tenants.
type ListTenantsResponse struct {
	Items      []TenantSnapshot `json:"items"`
	NextCursor string           `json:"next_cursor,omitempty"`
}

// TenantSnapshot is a tenant with the modules it ever enabled.
type TenantSnapshot struct {
	Tenant      Tenant       `json:"tenant"`
	Activations []Activation `json:"activations"`
}

// ListEnabledModules lists what a tenant has enabled.
var ListEnabledModules = Register[GetTenantRequest, EnabledModules](AuditRead, Spec{
	Name: "tenant.modules", Method: "GET", Path: "/api/v1/core/tenants/{tenant_id}/modules",
	Access:  Module | Internal,
	Errors:  []Code{NotFound},
	Summary: "Lists the modules that a tenant has enabled.",
})

// EnabledModules lists modules by id.
type EnabledModules struct {
	Items []EnabledModule `json:"items"`
}

// EnabledModule is a module that is enabled, with its version where it has one.
type EnabledModule struct {
	Module  string `json:"module"`
	Version string `json:"version,omitempty"`
}
