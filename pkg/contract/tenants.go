package contract

import (
	"fmt"
	"time"
)

// States of a tenant.
//
//	provisioning ──▶ active ◀──▶ suspended
//	     │              │            │
//	     │              ▼            ▼
//	     │           deleting ── restore ──▶ the state before
//	     │              │ its grace is over
//	     └─ refused ──▶ erased
const (
	// TenantProvisioning waits for its first administrator.
	TenantProvisioning = "provisioning"
	TenantActive       = "active"
	TenantSuspended    = "suspended"
	// TenantDeleting is inactive and may be restored until Tenant.DeleteAt.
	TenantDeleting = "deleting"
	// TenantErased is gone for good; what is left of it is a tombstone.
	TenantErased = "erased"
)

// Branding is how a tenant looks.
type Branding struct {
	DisplayName  string `json:"display_name,omitempty" maxLength:"200" doc:"Shown in place of the tenant's name."`
	PrimaryColor string `json:"primary_color,omitempty" pattern:"^#[0-9a-f]{6}$" patternDescription:"a color such as #1a2b3c" example:"#1a2b3c"`
	AccentColor  string `json:"accent_color,omitempty" pattern:"^#[0-9a-f]{6}$" patternDescription:"a color such as #1a2b3c" example:"#ff8800"`
	LogoURL      string `json:"logo_url,omitempty" maxLength:"2000" pattern:"^https://[^\\s/?#@\"'<>\\\\]+([/?#][^\\s\"'<>\\\\]*)?$" patternDescription:"an https address" example:"https://acme.example/logo.svg"`
}

// Limits are what a tenant may use; 0 is unlimited.
type Limits struct {
	Users             int `json:"users,omitempty" minimum:"0" maximum:"100000000" doc:"People who belong to the tenant; 0 is unlimited."`
	Companies         int `json:"companies,omitempty" minimum:"0" maximum:"100000000" doc:"Companies of its organisation; 0 is unlimited."`
	Modules           int `json:"modules,omitempty" minimum:"0" maximum:"100000000" doc:"Modules enabled at once; 0 is unlimited."`
	StorageMB         int `json:"storage_mb,omitempty" minimum:"0" maximum:"1000000000" doc:"Megabytes that modules keep for it, together; modules hold to it. 0 is unlimited."`
	RequestsPerMinute int `json:"requests_per_minute,omitempty" minimum:"0" maximum:"100000000" doc:"Requests of its people in a minute; 0 is unlimited."`
}

// CreateTenant adds a tenant.
var CreateTenant = Register[CreateTenantRequest, Tenant](AuditMutation, Spec{
	Name: "tenant.create", Method: "POST", Path: "/api/v1/tenants",
	Access: User | Internal, Permission: "tenants:create:platform", Timeout: 10 * time.Second,
	Errors:  []Code{AlreadyExists, Conflict},
	Summary: "Creates a tenant, with its first administrator, who is invited by e-mail.",
})

// CreateTenantRequest describes a tenant; its code is unique and stays.
type CreateTenantRequest struct {
	Code     string    `json:"code" pattern:"^[A-Z][A-Z0-9]{2,31}$"`
	Name     string    `json:"name" minLength:"1" maxLength:"200"`
	Branding *Branding `json:"branding,omitempty"`
	Limits   *Limits   `json:"limits,omitempty"`
	// Administrator is made in service auth and bound in service rbac; the
	// answer waits some seconds for the tenant to become active.
	Administrator *TenantAdministrator `json:"administrator,omitempty" doc:"The first administrator. The answer waits some seconds until the tenant is active; else its state is provisioning. Without one the tenant is active at once."`
}

// TenantAdministrator is the first administrator of a new tenant. Somebody who
// has an account already becomes a member of the tenant.
type TenantAdministrator struct {
	Email    string `json:"email" format:"email" maxLength:"254"`
	Username string `json:"username,omitempty" maxLength:"64" doc:"Default is what stands before the @."`
	Name     string `json:"name,omitempty" maxLength:"200" doc:"The person's name, for display."`
}

// TenantRequest names a tenant.
type TenantRequest struct {
	TenantID ID `json:"tenant_id" path:"tenant_id" format:"uuid" doc:"The tenant's id."`
}

// ReadTenant returns a tenant to people.
var ReadTenant = Register[TenantRequest, TenantDetail](AuditRead, Spec{
	Name: "tenant.read", Method: "GET", Path: "/api/v1/tenants/{tenant_id}",
	Access: User | Internal, Permission: "tenants:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Returns the caller's tenant, or any to platform administrators: its state, what it uses of its limits.",
})

// TenantDetail is a tenant as people see it.
type TenantDetail struct {
	ID        string     `json:"id" format:"uuid"`
	Code      string     `json:"code" doc:"Empty once the tenant is erased."`
	Name      string     `json:"name" doc:"Empty once the tenant is erased."`
	State     string     `json:"state" enum:"provisioning,active,suspended,deleting,erased"`
	IsActive  bool       `json:"is_active"`
	Branding  *Branding  `json:"branding,omitempty"`
	Limits    *Limits    `json:"limits,omitempty"`
	DeleteAt  *time.Time `json:"delete_at,omitempty" doc:"When a deleted tenant is erased; until then it may be restored."`
	CreatedAt time.Time  `json:"created_at"`
	Revision  int64      `json:"revision" doc:"Grows with each change of this tenant; If-Match takes it."`
	// Reason is why the tenant is in its state.
	Reason   string          `json:"reason,omitempty" doc:"Why it is suspended, deleted, or could not be made."`
	Usage    TenantUsage     `json:"usage"`
	Progress *TenantProgress `json:"progress,omitempty" doc:"How far its making or its end is."`
}

// TenantUsage is what a tenant uses of its limits.
type TenantUsage struct {
	Users     int `json:"users"`
	Companies int `json:"companies"`
	Modules   int `json:"modules"`
}

// TenantProgress says what a tenant on its way waits for.
type TenantProgress struct {
	Step string `json:"step" enum:"administrator,binding,grace,erasing" doc:"Making: administrator (its account), binding (its role). End: grace (may be restored), erasing."`
	// Waiting are the services that have not confirmed the step.
	Waiting []string  `json:"waiting,omitempty" doc:"Services that have still to confirm."`
	Since   time.Time `json:"since"`
}

// ListAllTenants searches the platform's tenants.
var ListAllTenants = Register[ListAllTenantsRequest, ListAllTenantsResponse](AuditRead, Spec{
	Name: "tenant.list", Method: "GET", Path: "/api/v1/tenants",
	Access: User | Internal, Permission: "tenants:read:platform",
	Summary: "Lists and searches the tenants of the platform.",
})

// ListAllTenantsRequest filters and pages.
type ListAllTenantsRequest struct {
	Search string `json:"search,omitempty" query:"search" maxLength:"100" doc:"Part of a code or name, in any case."`
	State  string `json:"state,omitempty" query:"state" enum:"provisioning,active,suspended,deleting,erased" doc:"Only tenants in this state; without it all but erased ones."`
	Cursor string `json:"cursor,omitempty" query:"cursor" maxLength:"200" doc:"next_cursor of the page before."`
	Limit  int    `json:"limit,omitempty" query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Tenants a page."`
}

// ListAllTenantsResponse is one page of tenants, by code.
type ListAllTenantsResponse struct {
	Items      []Tenant `json:"items"`
	NextCursor string   `json:"next_cursor,omitempty"`
}

// UpdateTenant changes how a tenant is called and looks.
var UpdateTenant = Register[UpdateTenantRequest, Tenant](AuditMutation, Spec{
	Name: "tenant.update", Method: "PATCH", Path: "/api/v1/tenants/{tenant_id}",
	Access: User | Internal, Permission: "tenants:update:tenant",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Changes a tenant's name or branding; what is absent stays.",
})

// UpdateTenantRequest holds what is to change; what is absent stays.
type UpdateTenantRequest struct {
	TenantID ID        `json:"tenant_id" path:"tenant_id" format:"uuid" doc:"The tenant's id."`
	Name     *string   `json:"name,omitempty" minLength:"1" maxLength:"200"`
	Branding *Branding `json:"branding,omitempty" doc:"All of the branding from now on."`
	Revision int64     `json:"revision,omitempty" match:"true" minimum:"0" doc:"When given, the tenant must still be at it; conflict otherwise. If-Match says the same."`
}

// SetTenantLimits decides what a tenant may use.
var SetTenantLimits = Register[SetTenantLimitsRequest, Tenant](AuditMutation, Spec{
	Name: "tenant.set_limits", Method: "PUT", Path: "/api/v1/tenants/{tenant_id}/limits",
	Access: User | Internal, Permission: "tenants:limit:platform",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Sets all limits of a tenant; what it uses beyond them stays, and no more is added.",
})

// SetTenantLimitsRequest is all limits from now on.
type SetTenantLimitsRequest struct {
	TenantID          ID    `json:"tenant_id" path:"tenant_id" format:"uuid" doc:"The tenant's id."`
	Users             int   `json:"users,omitempty" minimum:"0" maximum:"100000000" doc:"People who belong to the tenant; 0 is unlimited."`
	Companies         int   `json:"companies,omitempty" minimum:"0" maximum:"100000000" doc:"Companies of its organisation; 0 is unlimited."`
	Modules           int   `json:"modules,omitempty" minimum:"0" maximum:"100000000" doc:"Modules enabled at once; 0 is unlimited."`
	StorageMB         int   `json:"storage_mb,omitempty" minimum:"0" maximum:"1000000000" doc:"Megabytes that modules keep for it, together; modules hold to it. 0 is unlimited."`
	RequestsPerMinute int   `json:"requests_per_minute,omitempty" minimum:"0" maximum:"100000000" doc:"Requests of its people in a minute; 0 is unlimited."`
	Revision          int64 `json:"revision,omitempty" match:"true" minimum:"0" doc:"When given, the tenant must still be at it; conflict otherwise. If-Match says the same."`
}

// SuspendTenant keeps a tenant's people and modules out.
var SuspendTenant = Register[TenantReasonRequest, Tenant](AuditMutation, Spec{
	Name: "tenant.suspend", Method: "POST", Path: "/api/v1/tenants/{tenant_id}/suspend",
	Access: User | Internal, Permission: "tenants:suspend:platform",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Suspends a tenant: nobody acts in it and no module sees it until it is resumed.",
})

// ResumeTenant lets them in again.
var ResumeTenant = Register[TenantReasonRequest, Tenant](AuditMutation, Spec{
	Name: "tenant.resume", Method: "POST", Path: "/api/v1/tenants/{tenant_id}/resume",
	Access: User | Internal, Permission: "tenants:suspend:platform",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Resumes a suspended tenant.",
})

// TenantReasonRequest names a tenant and why something is done to it.
type TenantReasonRequest struct {
	TenantID ID     `json:"tenant_id" path:"tenant_id" format:"uuid" doc:"The tenant's id."`
	Reason   string `json:"reason,omitempty" maxLength:"500" doc:"Why; kept in the audit trail."`
}

// DeleteTenant ends a tenant.
var DeleteTenant = Register[DeleteTenantRequest, TenantRemoval](AuditMutation, Spec{
	Name: "tenant.delete", Method: "DELETE", Path: "/api/v1/tenants/{tenant_id}",
	Access: User | Internal, Permission: "tenants:delete:platform",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Deletes a tenant: inactive at once, erased everywhere after the days of grace; or with dry_run names what would go.",
})

// DeleteTenantRequest names a tenant and for how long it may be restored.
type DeleteTenantRequest struct {
	TenantID  ID     `json:"tenant_id" path:"tenant_id" format:"uuid" doc:"The tenant's id."`
	GraceDays *int   `json:"grace_days,omitempty" query:"grace_days" minimum:"0" maximum:"90" doc:"Days until it is erased, in which it may be restored; default 30, with 0 it is erased at once."`
	DryRun    bool   `json:"dry_run,omitempty" query:"dry_run" doc:"Only say what would go."`
	Reason    string `json:"reason,omitempty" query:"reason" maxLength:"500" doc:"Why; kept in the audit trail."`
	Revision  int64  `json:"revision,omitempty" query:"revision" match:"true" minimum:"0" doc:"When given, the tenant must still be at it; conflict otherwise. If-Match says the same."`
}

// TenantRemoval says what the end of a tenant takes with it, or would.
type TenantRemoval struct {
	DryRun   bool      `json:"dry_run,omitempty"`
	State    string    `json:"state" enum:"provisioning,active,suspended,deleting,erased"`
	DeleteAt time.Time `json:"delete_at" doc:"When it is erased; until then it may be restored."`
	Users    int       `json:"users" doc:"Accounts of people whose home tenant it is."`
	Members  int       `json:"members" doc:"People of other tenants who belong to it; their accounts stay."`
	Units    int       `json:"units" doc:"Companies, branches and departments."`
	Modules  []string  `json:"modules" doc:"Modules that it has enabled."`
	Also     []string  `json:"also" doc:"What goes beside, in words."`
	Revision int64     `json:"revision"`
}

// RestoreTenant takes a deletion back.
var RestoreTenant = Register[TenantReasonRequest, Tenant](AuditMutation, Spec{
	Name: "tenant.restore", Method: "POST", Path: "/api/v1/tenants/{tenant_id}/restore",
	Access: User | Internal, Permission: "tenants:delete:platform",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Restores a deleted tenant to the state before, within its days of grace.",
})

// WithinLimit answers conflict, on "limits.<what>", when a tenant that uses this
// much of what has reached its limit; 0 is no limit.
func WithinLimit(what string, limit, used int) error {
	if limit == 0 || used < limit {
		return nil
	}
	return &Error{
		Code: Conflict, Field: "limits." + what,
		Message: fmt.Sprintf("the tenant may have %d %s and has %d; ask a platform administrator for more", limit, what, used),
	}
}
