package contract

import "time"

// BindingFields says who is bound to which role, where, and until when.
type BindingFields struct {
	UserID       string     `json:"user_id,omitempty" format:"uuid" doc:"The user who is bound; either this or group_id."`
	GroupID      string     `json:"group_id,omitempty" format:"uuid" doc:"The group that is bound."`
	RoleID       string     `json:"role_id,omitempty" format:"uuid" doc:"The role; either this or role."`
	Role         string     `json:"role,omitempty" maxLength:"63" doc:"The role's name; the tenant's own role before the platform's."`
	Effect       string     `json:"effect,omitempty" enum:"allow,deny" doc:"deny takes away what the role grants, and wins over every allow; default allow."`
	UnitID       string     `json:"unit_id,omitempty" format:"uuid" doc:"The company, branch or department it holds for, with all below it; default is the tenant."`
	ResourceType string     `json:"resource_type,omitempty" maxLength:"100" doc:"With resource_id: the one resource it holds for."`
	ResourceID   string     `json:"resource_id,omitempty" maxLength:"200"`
	ExpiresAt    *time.Time `json:"expires_at,omitempty" doc:"From when on it is without effect; default never."`
}

// Binding is a role binding.
type Binding struct {
	ID           string     `json:"id" format:"uuid"`
	UserID       string     `json:"user_id,omitempty"`
	GroupID      string     `json:"group_id,omitempty"`
	RoleID       string     `json:"role_id"`
	Role         string     `json:"role" doc:"The role's name."`
	Effect       string     `json:"effect" enum:"allow,deny"`
	UnitID       string     `json:"unit_id,omitempty" doc:"The company, branch or department it holds for; none is the whole tenant."`
	ResourceType string     `json:"resource_type,omitempty"`
	ResourceID   string     `json:"resource_id,omitempty"`
	ExpiresAt    *time.Time `json:"expires_at,omitempty"`
	Expired      bool       `json:"expired,omitempty"`
	CreatedAt    time.Time  `json:"created_at"`
	CreatedBy    string     `json:"created_by,omitempty" doc:"The user who granted it; none for the platform itself."`
	Revision     int64      `json:"revision" doc:"The revision of the tenant's policy at which the binding last changed; If-Match takes it."`
}

// BindingRequest names a binding.
type BindingRequest struct {
	TenantID  ID `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	BindingID ID `json:"binding_id" path:"binding_id" format:"uuid"`
}

// GetBinding returns a binding.
var GetBinding = Register[BindingRequest, Binding](AuditRead, Spec{
	Name: "rbac.get_binding", Method: "GET", Path: "/api/v1/rbac/bindings/{binding_id}",
	Access: User | Internal, Permission: "bindings:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Returns a role binding.",
})

// ListBindings searches the bindings of a tenant.
var ListBindings = Register[ListBindingsRequest, ListBindingsResponse](AuditRead, Spec{
	Name: "rbac.list_bindings", Method: "GET", Path: "/api/v1/rbac/bindings",
	Access: User | Internal, Permission: "bindings:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Lists the role bindings of a tenant.",
})

// ListBindingsRequest filters and pages.
type ListBindingsRequest struct {
	TenantID     ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	UserID       ID     `json:"user_id,omitempty" query:"user_id" format:"uuid" doc:"Only those of this user, not of their groups."`
	GroupID      ID     `json:"group_id,omitempty" query:"group_id" format:"uuid" doc:"Only those of this group."`
	RoleID       ID     `json:"role_id,omitempty" query:"role_id" format:"uuid" doc:"Only those to this role."`
	UnitID       ID     `json:"unit_id,omitempty" query:"unit_id" format:"uuid" doc:"Only those that name this unit."`
	ResourceType string `json:"resource_type,omitempty" query:"resource_type" maxLength:"100" doc:"Only those to resources of this type."`
	ResourceID   ID     `json:"resource_id,omitempty" query:"resource_id" maxLength:"200" doc:"Only those to this resource."`
	Search       string `json:"search,omitempty" query:"search" maxLength:"100" doc:"Part of the role's name, in any case."`
	Cursor       string `json:"cursor,omitempty" query:"cursor" maxLength:"200" doc:"next_cursor of the page before."`
	Limit        int    `json:"limit,omitempty" query:"limit" minimum:"1" maximum:"500" default:"100" doc:"Bindings a page."`
}

// ListBindingsResponse is one page of bindings, the oldest first.
type ListBindingsResponse struct {
	Items      []Binding `json:"items"`
	NextCursor string    `json:"next_cursor,omitempty"`
}

// CreateBinding grants a role. Nobody grants what they do not hold.
var CreateBinding = Register[CreateBindingRequest, Binding](AuditMutation, Spec{
	Name: "rbac.create_binding", Method: "POST", Path: "/api/v1/rbac/bindings",
	Access: User | Internal, Permission: "bindings:create:tenant",
	Errors:  []Code{NotFound, AlreadyExists},
	Summary: "Binds a user or group to a role.",
})

// CreateBindingRequest describes a binding: BindingFields and the tenant.
type CreateBindingRequest struct {
	TenantID     ID         `json:"tenant_id,omitempty" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	UserID       ID         `json:"user_id,omitempty" format:"uuid" doc:"The user who is bound; either this or group_id."`
	GroupID      ID         `json:"group_id,omitempty" format:"uuid" doc:"The group that is bound."`
	RoleID       ID         `json:"role_id,omitempty" format:"uuid" doc:"The role; either this or role."`
	Role         string     `json:"role,omitempty" maxLength:"63" doc:"The role's name; the tenant's own role before the platform's."`
	Effect       string     `json:"effect,omitempty" enum:"allow,deny" doc:"deny takes away what the role grants, and wins over every allow; default allow."`
	UnitID       ID         `json:"unit_id,omitempty" format:"uuid" doc:"The company, branch or department it holds for, with all below it; default is the tenant."`
	ResourceType string     `json:"resource_type,omitempty" maxLength:"100" doc:"With resource_id: the one resource it holds for."`
	ResourceID   ID         `json:"resource_id,omitempty" maxLength:"200"`
	ExpiresAt    *time.Time `json:"expires_at,omitempty" doc:"From when on it is without effect; default never."`
}

// UpdateBinding changes when a binding ends.
var UpdateBinding = Register[UpdateBindingRequest, Binding](AuditMutation, Spec{
	Name: "rbac.update_binding", Method: "PATCH", Path: "/api/v1/rbac/bindings/{binding_id}",
	Access: User | Internal, Permission: "bindings:create:tenant",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Changes when a role binding expires.",
})

// UpdateBindingRequest holds the new end; never when it is absent.
type UpdateBindingRequest struct {
	TenantID  ID         `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	BindingID ID         `json:"binding_id" path:"binding_id" format:"uuid"`
	ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"From when on it is without effect; absent is never."`
	Revision  int64      `json:"revision,omitempty" match:"true" minimum:"0" doc:"When given, the binding must still be at it; conflict otherwise. If-Match says the same."`
}

// DeleteBinding revokes a binding.
var DeleteBinding = Register[DeleteBindingRequest, RevisionResponse](AuditMutation, Spec{
	Name: "rbac.delete_binding", Method: "DELETE", Path: "/api/v1/rbac/bindings/{binding_id}",
	Access: User | Internal, Permission: "bindings:delete:tenant",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Revokes a role binding.",
})

// DeleteBindingRequest names a binding.
type DeleteBindingRequest struct {
	TenantID  ID    `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	BindingID ID    `json:"binding_id" path:"binding_id" format:"uuid"`
	Revision  int64 `json:"revision,omitempty" query:"revision" match:"true" minimum:"0" doc:"When given, the binding must still be at it; conflict otherwise. If-Match says the same."`
}

// ChangeBindings grants and revokes many at once.
var ChangeBindings = Register[ChangeBindingsRequest, ChangeBindingsResponse](AuditMutation, Spec{
	Name: "rbac.change_bindings", Method: "POST", Path: "/api/v1/rbac/bindings/changes",
	Access: User | Internal, Permission: "bindings:create:tenant",
	Errors:  []Code{NotFound, AlreadyExists, Conflict},
	Summary: "Revokes and grants up to 1,000 role bindings in one transaction, all or nothing.",
})

// ChangeBindingsRequest revokes first, then grants. Revoking asks for
// bindings:delete:tenant as well.
type ChangeBindingsRequest struct {
	TenantID ID              `json:"tenant_id,omitempty" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	Revoke   []string        `json:"revoke,omitempty" maxItems:"1000" doc:"Bindings, by id, to revoke."`
	Grant    []BindingFields `json:"grant,omitempty" maxItems:"1000" doc:"Bindings to add."`
}

// ChangeBindingsResponse lists what was granted, in the order asked for.
type ChangeBindingsResponse struct {
	Revision int64     `json:"revision" doc:"The revision of the tenant's policy from which on all of it holds."`
	Revoked  int       `json:"revoked"`
	Granted  []Binding `json:"granted"`
}

// RevisionResponse says at which revision of a tenant's policy a change took
// effect.
type RevisionResponse struct {
	Revision int64 `json:"revision"`
}

// MayAdminister tells service auth whether a person may change another's
// account: whoever can take over an account has what it holds.
var MayAdminister = Register[MayAdministerRequest, Empty](AuditDecision, Spec{
	Name: "rbac.may_administer", Access: Internal,
	Errors:  []Code{PermissionDenied, Conflict},
	Summary: "Answers permission_denied when the account holds what its administrator does not, and conflict when the tenant would lose its last administrator.",
})

// MayAdministerRequest names the account, and who is about to change it.
type MayAdministerRequest struct {
	TenantID ID   `json:"tenant_id" format:"uuid"`
	UserID   ID   `json:"user_id" format:"uuid" doc:"Whose account is changed."`
	ByUserID ID   `json:"by_user_id" format:"uuid" doc:"Who changes it."`
	Leaving  bool `json:"leaving,omitempty" doc:"The account is disabled or deleted."`
}
