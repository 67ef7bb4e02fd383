package contract

import "time"

// Role is a named set of granted codes. Platform roles are there in every
// tenant; system ones come with the product and cannot be changed.
type Role struct {
	ID          string    `json:"id" format:"uuid"`
	TenantID    string    `json:"tenant_id,omitempty" doc:"None for a platform role."`
	Name        string    `json:"name" doc:"Unique in the tenant and among the platform's."`
	Title       string    `json:"title,omitempty" doc:"For people."`
	Description string    `json:"description,omitempty"`
	System      bool      `json:"system,omitempty" doc:"Comes with the product and cannot be changed; clone it."`
	Permissions []string  `json:"permissions" doc:"Granted codes; * stands for one segment, a last ** for the rest."`
	UpdatedAt   time.Time `json:"updated_at"`
	Revision    int64     `json:"revision" doc:"The revision of the tenant's policy at which the role last changed; If-Match takes it."`
}

// RoleRequest names a role.
type RoleRequest struct {
	TenantID ID `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	RoleID   ID `json:"role_id" path:"role_id" format:"uuid"`
}

// GetRole returns a role.
var GetRole = Register[RoleRequest, Role](AuditRead, Spec{
	Name: "rbac.get_role", Method: "GET", Path: "/api/v1/rbac/roles/{role_id}",
	Access: User | Internal, Permission: "roles:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Returns a role.",
})

// ListRoles searches the roles of a tenant, the platform's among them.
var ListRoles = Register[ListRolesRequest, ListRolesResponse](AuditRead, Spec{
	Name: "rbac.list_roles", Method: "GET", Path: "/api/v1/rbac/roles",
	Access: User | Internal, Permission: "roles:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Lists and searches the roles of a tenant and of the platform.",
})

// ListRolesRequest filters and pages.
type ListRolesRequest struct {
	TenantID   ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	Search     string `json:"search,omitempty" query:"search" maxLength:"100" doc:"Part of a name or title, in any case."`
	Permission string `json:"permission,omitempty" query:"permission" maxLength:"200" doc:"Only roles that grant this permission."`
	Kind       string `json:"kind,omitempty" query:"kind" enum:"tenant,platform,system" doc:"Only roles of this kind."`
	Cursor     string `json:"cursor,omitempty" query:"cursor" maxLength:"200" doc:"next_cursor of the page before."`
	Limit      int    `json:"limit,omitempty" query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Roles a page."`
}

// ListRolesResponse is one page of roles, by name.
type ListRolesResponse struct {
	Items      []Role `json:"items"`
	NextCursor string `json:"next_cursor,omitempty"`
}

// CreateRole adds a role. Nobody grants what they do not hold.
var CreateRole = Register[CreateRoleRequest, Role](AuditMutation, Spec{
	Name: "rbac.create_role", Method: "POST", Path: "/api/v1/rbac/roles",
	Access: User | Internal, Permission: "roles:create:tenant",
	Errors:  []Code{AlreadyExists, NotFound},
	Summary: "Creates a role of a tenant, or, by platform administrators, of the platform.",
})

// CreateRoleRequest describes a role.
type CreateRoleRequest struct {
	TenantID    ID       `json:"tenant_id,omitempty" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	Platform    bool     `json:"platform,omitempty" doc:"Make it a role of every tenant; for platform administrators only."`
	Name        string   `json:"name" pattern:"^[a-z][a-z0-9_-]{1,62}$"`
	Title       string   `json:"title,omitempty" maxLength:"200"`
	Description string   `json:"description,omitempty" maxLength:"2000"`
	Permissions []string `json:"permissions" maxItems:"1000" doc:"Granted codes; * stands for one segment, a last ** for the rest."`
}

// UpdateRole changes a role.
var UpdateRole = Register[UpdateRoleRequest, Role](AuditMutation, Spec{
	Name: "rbac.update_role", Method: "PATCH", Path: "/api/v1/rbac/roles/{role_id}",
	Access: User | Internal, Permission: "roles:update:tenant",
	Errors:  []Code{NotFound, AlreadyExists, Conflict},
	Summary: "Changes a role; what is absent stays.",
})

// UpdateRoleRequest holds what is to change; what is absent stays.
type UpdateRoleRequest struct {
	TenantID    ID        `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	RoleID      ID        `json:"role_id" path:"role_id" format:"uuid"`
	Name        *string   `json:"name,omitempty" pattern:"^[a-z][a-z0-9_-]{1,62}$"`
	Title       *string   `json:"title,omitempty" maxLength:"200"`
	Description *string   `json:"description,omitempty" maxLength:"2000"`
	Permissions *[]string `json:"permissions,omitempty" maxItems:"1000" doc:"All codes that the role grants from now on."`
	Revision    int64     `json:"revision,omitempty" match:"true" minimum:"0" doc:"When given, the role must still be at it; conflict otherwise. If-Match says the same."`
}

// DeleteRole removes a role and its bindings.
var DeleteRole = Register[DeleteRoleRequest, Removal](AuditMutation, Spec{
	Name: "rbac.delete_role", Method: "DELETE", Path: "/api/v1/rbac/roles/{role_id}",
	Access: User | Internal, Permission: "roles:delete:tenant",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Deletes a role with its bindings, or with dry_run names what that would take away.",
})

// DeleteRoleRequest names a role.
type DeleteRoleRequest struct {
	TenantID ID    `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	RoleID   ID    `json:"role_id" path:"role_id" format:"uuid"`
	DryRun   bool  `json:"dry_run,omitempty" query:"dry_run" doc:"Only say what would be taken away."`
	Revision int64 `json:"revision,omitempty" query:"revision" match:"true" minimum:"0" doc:"When given, the role must still be at it; conflict otherwise. If-Match says the same."`
}

// Removal says what the end of a role or group takes away, or would.
type Removal struct {
	DryRun   bool  `json:"dry_run,omitempty"`
	Revision int64 `json:"revision" doc:"The revision of the tenant's policy from which on it is gone; with dry_run the one looked at."`
	Bindings int   `json:"bindings" doc:"How many bindings go with it."`
	Users    int   `json:"users" doc:"How many users lose permissions."`
	// Losses are the first 100 of those users.
	Losses []Loss `json:"losses" doc:"The first 100 users who lose permissions."`
}

// Loss is what one user loses.
type Loss struct {
	UserID      string   `json:"user_id"`
	Permissions []string `json:"permissions" doc:"Codes that no other binding gives the user, in any scope."`
}

// CloneRole copies a role into a new one of the tenant.
var CloneRole = Register[CloneRoleRequest, Role](AuditMutation, Spec{
	Name: "rbac.clone_role", Method: "POST", Path: "/api/v1/rbac/roles/{role_id}/clone",
	Access: User | Internal, Permission: "roles:create:tenant",
	Errors:  []Code{NotFound, AlreadyExists},
	Summary: "Creates a role of the tenant with the permissions of another role.",
})

// CloneRoleRequest names the role to copy, and the new one.
type CloneRoleRequest struct {
	TenantID ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	RoleID   ID     `json:"role_id" path:"role_id" format:"uuid"`
	Name     string `json:"name" pattern:"^[a-z][a-z0-9_-]{1,62}$"`
	Title    string `json:"title,omitempty" maxLength:"200"`
}

// CompareRoles shows how two roles differ.
var CompareRoles = Register[CompareRolesRequest, RoleComparison](AuditRead, Spec{
	Name: "rbac.compare_roles", Method: "GET", Path: "/api/v1/rbac/roles/{role_id}/compare/{other_id}",
	Access: User | Internal, Permission: "roles:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Compares two roles, by their codes and by the declared permissions that those stand for.",
})

// CompareRolesRequest names two roles.
type CompareRolesRequest struct {
	TenantID ID `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	RoleID   ID `json:"role_id" path:"role_id" format:"uuid"`
	OtherID  ID `json:"other_id" path:"other_id" format:"uuid"`
}

// RoleComparison sorts the codes of both roles, and the declared permissions
// that they grant.
type RoleComparison struct {
	Codes       Comparison `json:"codes" doc:"As they stand in the roles."`
	Permissions Comparison `json:"permissions" doc:"Declared permissions that the codes match."`
}

// Comparison is what only one, only the other, and both have.
type Comparison struct {
	Role  []string `json:"role"`
	Other []string `json:"other"`
	Both  []string `json:"both"`
}

// RoleMatrix shows which role grants which permission.
var RoleMatrix = Register[RoleMatrixRequest, RoleMatrixResponse](AuditRead, Spec{
	Name: "rbac.matrix", Method: "GET", Path: "/api/v1/rbac/matrix",
	Access: User | Internal, Permission: "roles:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Shows which role grants which declared permission.",
})

// RoleMatrixRequest narrows the matrix to a module's permissions.
type RoleMatrixRequest struct {
	TenantID ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	Module   string `json:"module,omitempty" query:"module" maxLength:"63" doc:"Only this module's permissions."`
}

// RoleMatrixResponse has a row for each permission and a column for each role.
type RoleMatrixResponse struct {
	Roles []MatrixRole `json:"roles" doc:"The columns, by name."`
	Rows  []MatrixRow  `json:"rows" doc:"The rows, by module, category and code."`
}

// MatrixRole heads a column.
type MatrixRole struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	System bool   `json:"system,omitempty"`
}

// MatrixRow tells of one permission which roles grant it.
type MatrixRow struct {
	Permission string `json:"permission"`
	Granted    []bool `json:"granted" doc:"For each column, whether the role grants it."`
}
