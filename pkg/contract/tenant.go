package contract

// GetTenant returns a tenant that has enabled the calling module.
var GetTenant = Register[GetTenantRequest, Tenant](Spec{
	Name: "tenant.get", Method: "GET", Path: "/api/v1/core/tenants/{tenant_id}",
	Access: Module | Internal, Audit: AuditRead,
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
	IsActive bool   `json:"is_active"`
	Revision int64  `json:"revision" doc:"Grows with each change of this tenant."`
}

// GetTenantModule tells whether a tenant enabled a module. A module learns
// this about itself only.
var GetTenantModule = Register[TenantModuleRequest, TenantModuleResponse](Spec{
	Name: "tenant.module", Method: "GET", Path: "/api/v1/core/tenants/{tenant_id}/modules/{module_name}",
	Access: Module | Internal, Audit: AuditRead,
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

// CreateTenant adds a tenant.
var CreateTenant = Register[CreateTenantRequest, Tenant](Spec{
	Name: "tenant.create", Access: Internal, Audit: AuditMutation,
	Errors:  []Code{AlreadyExists},
	Summary: "Creates a tenant.",
})

// CreateTenantRequest describes a tenant; its code is unique.
type CreateTenantRequest struct {
	Code string `json:"code" pattern:"^[A-Z][A-Z0-9]{2,31}$"`
	Name string `json:"name" minLength:"1" maxLength:"200"`
}

// SetTenantActive suspends or resumes a tenant.
var SetTenantActive = Register[SetTenantActiveRequest, Tenant](Spec{
	Name: "tenant.set_active", Access: Internal, Audit: AuditMutation,
	Errors:  []Code{NotFound},
	Summary: "Suspends or resumes a tenant.",
})

// SetTenantActiveRequest names a tenant and its new state.
type SetTenantActiveRequest struct {
	TenantID ID   `json:"tenant_id" format:"uuid"`
	Active   bool `json:"active"`
}

// SetTenantModule enables or disables a module for a tenant.
var SetTenantModule = Register[SetTenantModuleRequest, Activation](Spec{
	Name: "tenant.set_module", Access: Internal, Audit: AuditMutation,
	Errors:  []Code{NotFound},
	Summary: "Enables or disables a module for a tenant.",
})

// SetTenantModuleRequest names a tenant, a module and the wanted state.
type SetTenantModuleRequest struct {
	TenantID   ID     `json:"tenant_id" format:"uuid"`
	ModuleName string `json:"module_name" pattern:"^[a-z][a-z0-9-]{1,62}$"`
	Enabled    bool   `json:"enabled"`
}

// Activation says whether a tenant has a module enabled. It is also the state
// that activation events carry.
type Activation struct {
	TenantID string `json:"tenant_id"`
	Module   string `json:"module"`
	Enabled  bool   `json:"enabled"`
	Revision int64  `json:"revision"`
}

// PutUnit adds or moves a company, branch or department.
var PutUnit = Register[PutUnitRequest, OrgUnit](Spec{
	Name: "tenant.put_unit", Access: Internal, Audit: AuditMutation,
	Errors:  []Code{NotFound, Conflict},
	Summary: "Creates, moves or removes a unit of a tenant's org tree.",
})

// PutUnitRequest describes a unit. A company has no parent; a branch is in a
// company; a department in a company, a branch or another department.
type PutUnitRequest struct {
	TenantID ID     `json:"tenant_id" format:"uuid"`
	UnitID   ID     `json:"unit_id,omitempty" format:"uuid" doc:"The unit to change; without it a new one is made."`
	Kind     string `json:"kind" enum:"company,branch,department"`
	ParentID ID     `json:"parent_id,omitempty" format:"uuid"`
	Name     string `json:"name" minLength:"1" maxLength:"200"`
	Removed  bool   `json:"removed,omitempty" doc:"Removes the unit, which must be without others below it."`
}

// OrgUnit is a company, branch or department. It is also the state that unit
// events carry.
type OrgUnit struct {
	TenantID string `json:"tenant_id"`
	ID       string `json:"id"`
	Kind     string `json:"kind" enum:"company,branch,department"`
	ParentID string `json:"parent_id,omitempty"`
	Name     string `json:"name"`
	Removed  bool   `json:"removed,omitempty"`
	Revision int64  `json:"revision"`
}

// Newer reports whether u is a later state than old.
func (u OrgUnit) Newer(old OrgUnit) bool { return u.Revision > old.Revision }

// ListUnits pages through the org trees of all tenants, for projections.
var ListUnits = Register[SnapshotRequest, ListUnitsResponse](Spec{
	Name: "tenant.list_units", Access: Internal, Audit: AuditRead,
	Summary: "Lists the units of every tenant's org tree, removed ones too.",
})

// ListUnitsResponse is one page of units.
type ListUnitsResponse struct {
	Items      []OrgUnit `json:"items"`
	NextCursor string    `json:"next_cursor,omitempty"`
}

// Newer reports whether a is a later state than old.
func (a Activation) Newer(old Activation) bool { return a.Revision > old.Revision }

// ListTenants pages through all tenants with their activations, for
// projections.
var ListTenants = Register[SnapshotRequest, ListTenantsResponse](Spec{
	Name: "tenant.list_all", Access: Internal, Audit: AuditRead,
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
