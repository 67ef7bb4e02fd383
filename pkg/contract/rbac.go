package contract

import (
	"regexp"
	"slices"
	"strings"
)

// Questions about what people may do. All are answered from memory, at one
// revision of the tenant's policy, which the answer tells. What they share:
//
//   - tenant_id is the tenant it is about; default is the user's home tenant.
//   - company_id, branch_id, department_id and resource_type with resource_id
//     narrow the question; of the units the lowest that is named counts.
//     Bindings to the tenant hold everywhere in it, those to a unit for it and
//     all below it.
//   - at_least is a revision that a change answered: the answer is made at it
//     or later; conflict when it is not reached in time.

// CheckPermission decides whether a user holds a permission.
var CheckPermission = Register[CheckRequest, CheckResponse](AuditDecision, Spec{
	Name: "rbac.check", Method: "POST", Path: "/api/v1/core/rbac/check",
	Access:  Module | Internal,
	Errors:  []Code{NotFound, Conflict},
	Summary: "Checks whether a user holds a permission.",
})

// CheckRequest asks about one user and one concrete permission.
type CheckRequest struct {
	UserID       ID     `json:"user_id" format:"uuid" doc:"The user asked about."`
	TenantID     ID     `json:"tenant_id,omitempty" format:"uuid" doc:"The tenant it is about, one that the user belongs to; default is the user's home tenant."`
	Permission   string `json:"permission" minLength:"3" maxLength:"200" pattern:"^[a-z0-9_-]+(:[a-z0-9_-]+){1,4}$" patternDescription:"a permission code such as financial:accounts:read" example:"financial:accounts:read" doc:"The permission code, 2 to 5 segments."`
	CompanyID    ID     `json:"company_id,omitempty" format:"uuid" doc:"The company it is about."`
	BranchID     ID     `json:"branch_id,omitempty" format:"uuid" doc:"The branch it is about."`
	DepartmentID ID     `json:"department_id,omitempty" format:"uuid" doc:"The department it is about."`
	ResourceType string `json:"resource_type,omitempty" maxLength:"100" doc:"The type of the resource it is about, such as invoice."`
	ResourceID   ID     `json:"resource_id,omitempty" maxLength:"200" doc:"The resource it is about; a JSON number is read as its decimal string. Without resource_type no binding to a resource applies."`
	AtLeast      int64  `json:"at_least,omitempty" minimum:"0" doc:"Decide at this revision of the tenant's policy or a later one; conflict when that is not reached in time."`
}

// CheckResponse is the decision and the tenant revision it was made at.
type CheckResponse struct {
	Allowed  bool  `json:"allowed"`
	Revision int64 `json:"revision" doc:"The revision of the tenant's policy that decided."`
}

// CheckPermissions decides up to 1,000 questions at one revision.
var CheckPermissions = Register[CheckBatchRequest, CheckBatchResponse](AuditDecision, Spec{
	Name: "rbac.check_batch", Method: "POST", Path: "/api/v1/core/rbac/check-batch",
	Access:  Module | Internal,
	Errors:  []Code{NotFound, Conflict},
	Summary: "Decides up to 1,000 checks of one tenant at one revision.",
})

// CheckBatchRequest asks many questions about one tenant: that of tenant_id, or
// the home tenant of the first user. What stands beside checks is the default
// for each of them.
type CheckBatchRequest struct {
	TenantID     ID          `json:"tenant_id,omitempty" format:"uuid" doc:"The tenant it is about; default is the home tenant of the first user."`
	UserID       ID          `json:"user_id,omitempty" format:"uuid" doc:"The user of checks that name none."`
	Permission   string      `json:"permission,omitempty" maxLength:"200" pattern:"^[a-z0-9_-]+(:[a-z0-9_-]+){1,4}$" patternDescription:"a permission code such as financial:accounts:read" doc:"The permission of checks that name none."`
	CompanyID    ID          `json:"company_id,omitempty" format:"uuid" doc:"With branch_id and department_id the unit of checks that name none."`
	BranchID     ID          `json:"branch_id,omitempty" format:"uuid"`
	DepartmentID ID          `json:"department_id,omitempty" format:"uuid"`
	ResourceType string      `json:"resource_type,omitempty" maxLength:"100" doc:"The resource type of checks that name none."`
	Checks       []BatchItem `json:"checks" minItems:"1" maxItems:"1000"`
	AtLeast      int64       `json:"at_least,omitempty" minimum:"0" doc:"As for rbac.check."`
}

// BatchItem is one question of a batch.
type BatchItem struct {
	UserID       string `json:"user_id,omitempty" format:"uuid"`
	Permission   string `json:"permission,omitempty" maxLength:"200" pattern:"^[a-z0-9_-]+(:[a-z0-9_-]+){1,4}$" patternDescription:"a permission code such as financial:accounts:read"`
	UnitID       string `json:"unit_id,omitempty" format:"uuid" doc:"The company, branch or department it is about."`
	ResourceType string `json:"resource_type,omitempty" maxLength:"100"`
	ResourceID   string `json:"resource_id,omitempty" maxLength:"200"`
}

// CheckBatchResponse holds a decision for each check, in their order. About a
// user whom the caller does not see it is false.
type CheckBatchResponse struct {
	Allowed  []bool `json:"allowed"`
	Revision int64  `json:"revision" doc:"The revision of the tenant's policy that decided all of them."`
}

// ListPermissions returns what a user holds.
var ListPermissions = Register[PermissionsRequest, PermissionsResponse](AuditDecision, Spec{
	Name: "rbac.permissions", Method: "GET", Path: "/api/v1/core/rbac/users/{user_id}/permissions",
	Access:  Module | Internal,
	Errors:  []Code{NotFound, Conflict},
	Summary: "Lists the permissions that a user holds.",
})

// PermissionsRequest names a user.
type PermissionsRequest struct {
	UserID       ID     `json:"user_id" path:"user_id" format:"uuid" doc:"The user asked about."`
	TenantID     ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant it is about, one that the user belongs to; default is the user's home tenant."`
	CompanyID    ID     `json:"company_id,omitempty" query:"company_id" format:"uuid" doc:"The company it is about."`
	BranchID     ID     `json:"branch_id,omitempty" query:"branch_id" format:"uuid" doc:"The branch it is about."`
	DepartmentID ID     `json:"department_id,omitempty" query:"department_id" format:"uuid" doc:"The department it is about."`
	ResourceType string `json:"resource_type,omitempty" query:"resource_type" maxLength:"100" doc:"The type of the resource it is about."`
	ResourceID   ID     `json:"resource_id,omitempty" query:"resource_id" maxLength:"200" doc:"The resource it is about."`
	AtLeast      int64  `json:"at_least,omitempty" query:"at_least" minimum:"0" doc:"As for rbac.check."`
}

// PermissionsResponse lists granted codes, sorted; a granted code may end in
// "**" or hold "*" for one segment. Whatever one of them matches is allowed:
// where a deny takes a part of a wildcard away, the declared permissions that
// are left stand in its place.
type PermissionsResponse struct {
	Permissions []string `json:"permissions"`
	Revision    int64    `json:"revision" doc:"The revision of the tenant's policy that decided."`
}

// WhoCan lists who holds a permission.
var WhoCan = Register[WhoCanRequest, WhoCanResponse](AuditDecision, Spec{
	Name: "rbac.who_can", Method: "GET", Path: "/api/v1/core/rbac/who-can",
	Access: Module | User | Internal, Permission: "bindings:read:tenant",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Lists the users who hold a permission, a module those of its own permissions only.",
})

// WhoCanRequest names a permission, and where.
type WhoCanRequest struct {
	TenantID     ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant; modules and services must name it, people act in their own."`
	Permission   string `json:"permission" query:"permission" minLength:"3" maxLength:"200" pattern:"^[a-z0-9_-]+(:[a-z0-9_-]+){1,4}$" patternDescription:"a permission code such as financial:accounts:read"`
	CompanyID    ID     `json:"company_id,omitempty" query:"company_id" format:"uuid" doc:"The company it is about."`
	BranchID     ID     `json:"branch_id,omitempty" query:"branch_id" format:"uuid" doc:"The branch it is about."`
	DepartmentID ID     `json:"department_id,omitempty" query:"department_id" format:"uuid" doc:"The department it is about."`
	ResourceType string `json:"resource_type,omitempty" query:"resource_type" maxLength:"100" doc:"The type of the resource it is about."`
	ResourceID   ID     `json:"resource_id,omitempty" query:"resource_id" maxLength:"200" doc:"The resource it is about."`
	AtLeast      int64  `json:"at_least,omitempty" query:"at_least" minimum:"0" doc:"As for rbac.check."`
	Cursor       string `json:"cursor,omitempty" query:"cursor" maxLength:"200" doc:"next_cursor of the page before."`
	Limit        int    `json:"limit,omitempty" query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Users a page."`
}

// WhoCanResponse is one page of users, in no order that means anything.
// Platform administrators, who hold everything, are not listed.
type WhoCanResponse struct {
	UserIDs    []string `json:"user_ids"`
	Revision   int64    `json:"revision"`
	NextCursor string   `json:"next_cursor,omitempty"`
}

// Explain says why a user may or may not.
var Explain = Register[ExplainRequest, Explanation](AuditDecision, Spec{
	Name: "rbac.explain", Method: "POST", Path: "/api/v1/rbac/explain",
	Access: User | Internal, Permission: "bindings:read:tenant",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Explains a decision: the ordered trace, the binding that decided, and what would change it.",
})

// ExplainRequest asks as rbac.check does.
type ExplainRequest CheckRequest

// Explanation is a decision with its reasons.
type Explanation struct {
	Allowed  bool  `json:"allowed"`
	Revision int64 `json:"revision"`
	// Reason is the decision in one word: allowed, denied (by a deny binding),
	// not_granted, user_suspended, tenant_suspended, module_disabled,
	// platform_administrator.
	Reason string `json:"reason" enum:"allowed,denied,not_granted,user_suspended,tenant_suspended,module_disabled,platform_administrator"`
	// Deciding is the binding that allowed or denied.
	Deciding *TraceStep `json:"deciding,omitempty"`
	// Trace are the bindings looked at, in the order that decides: denies first.
	Trace []TraceStep `json:"trace"`
	// Misses are the ways to a yes that were missed.
	Misses []NearMiss `json:"near_misses"`
	// Declared says whether a module, or the platform, declares the permission.
	Declared bool `json:"declared" doc:"Whether the permission is in the catalogue; a misspelt one is not."`
}

// TraceStep is one binding and what it did to the question.
type TraceStep struct {
	BindingID string `json:"binding_id"`
	RoleID    string `json:"role_id"`
	Role      string `json:"role"`
	GroupID   string `json:"group_id,omitempty" doc:"The group that the user has it by."`
	Group     string `json:"group,omitempty"`
	Effect    string `json:"effect" enum:"allow,deny"`
	Scope     string `json:"scope" doc:"tenant, unit:<id> or resource:<type>:<id>."`
	Code      string `json:"code,omitempty" doc:"The role's code that matches the permission."`
	// Outcome is applies, or why it does not: no_match, other_scope, expired.
	Outcome string `json:"outcome" enum:"applies,no_match,other_scope,expired"`
}

// NearMiss is one thing that would make a no a yes.
type NearMiss struct {
	// Kind is role (bind the user to it), scope (a binding holds elsewhere),
	// expired (a binding that ended), module (enable it), deny (remove it),
	// user (enable them).
	Kind      string `json:"kind" enum:"role,scope,expired,module,deny,user"`
	RoleID    string `json:"role_id,omitempty"`
	Role      string `json:"role,omitempty"`
	BindingID string `json:"binding_id,omitempty"`
	Scope     string `json:"scope,omitempty" doc:"Where the binding holds."`
	Module    string `json:"module,omitempty"`
	Hint      string `json:"hint" doc:"One sentence for a person."`
}

// Simulate answers a question under changes that are not made.
var Simulate = Register[SimulateRequest, SimulateResponse](AuditDecision, Spec{
	Name: "rbac.simulate", Method: "POST", Path: "/api/v1/rbac/simulate",
	Access: User | Internal, Permission: "bindings:read:tenant",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Answers a check as it would be under proposed changes, without making them.",
})

// SimulateRequest is a question and what is supposed.
type SimulateRequest struct {
	UserID       ID     `json:"user_id" format:"uuid" doc:"The user asked about."`
	TenantID     ID     `json:"tenant_id,omitempty" format:"uuid" doc:"The tenant; default is the caller's, for services the user's home tenant."`
	Permission   string `json:"permission" minLength:"3" maxLength:"200" pattern:"^[a-z0-9_-]+(:[a-z0-9_-]+){1,4}$" patternDescription:"a permission code such as financial:accounts:read"`
	CompanyID    ID     `json:"company_id,omitempty" format:"uuid"`
	BranchID     ID     `json:"branch_id,omitempty" format:"uuid"`
	DepartmentID ID     `json:"department_id,omitempty" format:"uuid"`
	ResourceType string `json:"resource_type,omitempty" maxLength:"100"`
	ResourceID   ID     `json:"resource_id,omitempty" maxLength:"200"`
	AtLeast      int64  `json:"at_least,omitempty" minimum:"0" doc:"As for rbac.check."`
	// What is supposed, in this order.
	Roles        []SupposedRole  `json:"roles,omitempty" maxItems:"100" doc:"Roles with these permissions instead."`
	Revoke       []string        `json:"revoke,omitempty" maxItems:"1000" doc:"Bindings, by id, that are gone."`
	Grant        []BindingFields `json:"grant,omitempty" maxItems:"1000" doc:"Bindings that are added."`
	JoinGroups   []string        `json:"join_groups,omitempty" maxItems:"100" doc:"Groups, by id, that the user joins."`
	LeaveGroups  []string        `json:"leave_groups,omitempty" maxItems:"100" doc:"Groups, by id, that the user leaves."`
	ModuleStates []PolicyModule  `json:"modules,omitempty" maxItems:"100" doc:"Modules enabled or disabled."`
}

// SupposedRole is a role as it would be.
type SupposedRole struct {
	RoleID      string   `json:"role_id" format:"uuid"`
	Permissions []string `json:"permissions" maxItems:"1000"`
}

// SimulateResponse holds both answers.
type SimulateResponse struct {
	Before Explanation `json:"before"`
	After  Explanation `json:"after"`
}

// EffectivePermissions lists what a user holds and where from.
var EffectivePermissions = Register[EffectiveRequest, EffectiveResponse](AuditRead, Spec{
	Name: "rbac.effective", Method: "GET", Path: "/api/v1/rbac/users/{user_id}/permissions",
	Access: User | Internal, Permission: "bindings:read:tenant",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Lists the permissions that a user holds anywhere in the tenant, each with where it comes from.",
})

// EffectiveRequest names a user.
type EffectiveRequest struct {
	UserID   ID    `json:"user_id" path:"user_id" format:"uuid"`
	TenantID ID    `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	AtLeast  int64 `json:"at_least,omitempty" query:"at_least" minimum:"0" doc:"As for rbac.check."`
}

// EffectiveResponse lists codes as granted, sorted.
type EffectiveResponse struct {
	Items    []EffectivePermission `json:"items"`
	Revision int64                 `json:"revision"`
}

// EffectivePermission is a granted or denied code and the bindings it comes from.
type EffectivePermission struct {
	Permission string      `json:"permission" doc:"The code as it stands in the role."`
	Sources    []TraceStep `json:"sources"`
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

// PlatformNamespaces are the first segments of the platform's own permissions,
// sorted.
func PlatformNamespaces() []string { return slices.Clone(platformNamespaces) }

var platformNamespaces = []string{
	"audit", "bindings", "events", "groups", "keys", "menu", "modules", "org", "permissions", "policies", "roles",
	"settings", "signing-keys", "tenants", "users", "webhooks",
}

// PlatformNamespace reports whether permissions whose code begins with this
// segment are the platform's own. They are always in effect, and no module may
// have the name.
func PlatformNamespace(segment string) bool {
	_, found := slices.BinarySearch(platformNamespaces, segment)
	return found
}

// PermissionNamespace is the first segment of a code: the module that declares
// it, or a namespace of the platform.
func PermissionNamespace(code string) string {
	namespace, _, _ := strings.Cut(code, ":")
	return namespace
}
