package contract

import "regexp"

// CheckPermission decides whether a user holds a permission.
var CheckPermission = Register[CheckRequest, CheckResponse](Spec{
	Name: "rbac.check", Method: "POST", Path: "/api/v1/core/rbac/check",
	Access: Module | Internal, Audit: AuditDecision,
	Errors:  []Code{NotFound},
	Summary: "Checks whether a user holds a permission.",
})

// CheckRequest asks about one user and one concrete permission.
type CheckRequest struct {
	UserID     ID     `json:"user_id" format:"uuid" doc:"The user asked about."`
	TenantID   ID     `json:"tenant_id,omitempty" format:"uuid" doc:"The tenant it is about, one that the user belongs to; default is the user's home tenant."`
	Permission string `json:"permission" minLength:"3" maxLength:"200" pattern:"^[a-z0-9_-]+(:[a-z0-9_-]+){1,4}$" patternDescription:"a permission code such as financial:accounts:read" example:"financial:accounts:read" doc:"The permission code, 2 to 5 segments."`
	ResourceID ID     `json:"resource_id,omitempty" maxLength:"200" doc:"The resource it is about, when it is about one; a JSON number is read as its decimal string."`
}

// CheckResponse is the decision and the tenant revision it was made at.
type CheckResponse struct {
	Allowed  bool  `json:"allowed"`
	Revision int64 `json:"revision" doc:"The revision of the tenant's bindings that decided."`
}

// ListPermissions returns what a user holds.
var ListPermissions = Register[PermissionsRequest, PermissionsResponse](Spec{
	Name: "rbac.permissions", Method: "GET", Path: "/api/v1/core/rbac/users/{user_id}/permissions",
	Access: Module | Internal, Audit: AuditDecision,
	Errors:  []Code{NotFound},
	Summary: "Lists the permissions that a user holds.",
})

// PermissionsRequest names a user.
type PermissionsRequest struct {
	UserID   ID `json:"user_id" path:"user_id" format:"uuid" doc:"The user asked about."`
	TenantID ID `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant it is about, one that the user belongs to; default is the user's home tenant."`
}

// PermissionsResponse lists granted codes, sorted; a granted code may end in
// "**" or hold "*" for one segment.
type PermissionsResponse struct {
	Permissions []string `json:"permissions"`
	Revision    int64    `json:"revision" doc:"The revision of the tenant's bindings that decided."`
}

// PutRole creates or replaces a tenant's role.
var PutRole = Register[PutRoleRequest, RevisionResponse](Spec{
	Name: "rbac.put_role", Access: Internal, Audit: AuditMutation,
	Errors:  []Code{NotFound},
	Summary: "Creates or replaces a role of a tenant.",
})

// PutRoleRequest describes a role by its name.
type PutRoleRequest struct {
	TenantID    ID       `json:"tenant_id" format:"uuid"`
	Role        string   `json:"role" pattern:"^[a-z][a-z0-9_-]{1,62}$"`
	Permissions []string `json:"permissions" maxItems:"1000" doc:"Granted codes; * stands for one segment, a last ** for the rest."`
}

// RevisionResponse says at which tenant revision a change took effect.
type RevisionResponse struct {
	Revision int64 `json:"revision"`
}

// BindRole gives a user a role.
var BindRole = Register[BindRequest, RevisionResponse](Spec{
	Name: "rbac.bind", Access: Internal, Audit: AuditMutation,
	Errors:  []Code{NotFound},
	Summary: "Binds a user to a role of their tenant.",
})

// UnbindRole takes a role from a user.
var UnbindRole = Register[BindRequest, RevisionResponse](Spec{
	Name: "rbac.unbind", Access: Internal, Audit: AuditMutation,
	Errors:  []Code{NotFound},
	Summary: "Removes a user's binding to a role.",
})

// BindRequest names a user and a role of the same tenant.
type BindRequest struct {
	TenantID ID     `json:"tenant_id" format:"uuid"`
	UserID   ID     `json:"user_id" format:"uuid"`
	Role     string `json:"role" pattern:"^[a-z][a-z0-9_-]{1,62}$"`
}

var (
	permissionCode  = regexp.MustCompile(`^[a-z0-9_-]+(:[a-z0-9_-]+){1,4}$`)
	permissionGrant = regexp.MustCompile(`^(\*|[a-z0-9_-]+)(:(\*|[a-z0-9_-]+)){0,3}:(\*\*?|[a-z0-9_-]+)$`)
)

// ValidPermission reports whether code is a concrete permission code: 2 to 5
// segments of lower-case letters, digits, "_" and "-", separated by colons.
func ValidPermission(code string) bool { return len(code) <= 200 && permissionCode.MatchString(code) }

// ValidGrant reports whether code may stand in a role: like a permission, but
// a segment may be "*" and the last one "**".
func ValidGrant(code string) bool { return len(code) <= 200 && permissionGrant.MatchString(code) }
