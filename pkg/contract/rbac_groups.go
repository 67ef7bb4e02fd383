package contract

import "time"

// Group is a set of users who share roles.
type Group struct {
	ID          string    `json:"id" format:"uuid"`
	Name        string    `json:"name" doc:"Unique in the tenant."`
	Title       string    `json:"title,omitempty" doc:"For people."`
	Description string    `json:"description,omitempty"`
	Members     int       `json:"members" doc:"How many users belong to it."`
	Roles       []string  `json:"roles" doc:"The ids of the roles that it is bound to, in any scope."`
	UpdatedAt   time.Time `json:"updated_at"`
	Revision    int64     `json:"revision" doc:"The revision of the tenant's policy at which the group, its members or its roles last changed; If-Match takes it."`
}

// GroupRequest names a group.
type GroupRequest struct {
	TenantID ID `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	GroupID  ID `json:"group_id" path:"group_id" format:"uuid"`
}

// GetGroup returns a group.
var GetGroup = Register[GroupRequest, Group](AuditRead, Spec{
	Name: "rbac.get_group", Method: "GET", Path: "/api/v1/rbac/groups/{group_id}",
	Access: User | Internal, Permission: "groups:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Returns a group.",
})

// ListGroups searches the groups of a tenant.
var ListGroups = Register[ListGroupsRequest, ListGroupsResponse](AuditRead, Spec{
	Name: "rbac.list_groups", Method: "GET", Path: "/api/v1/rbac/groups",
	Access: User | Internal, Permission: "groups:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Lists and searches the groups of a tenant.",
})

// ListGroupsRequest filters and pages.
type ListGroupsRequest struct {
	TenantID ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	Search   string `json:"search,omitempty" query:"search" maxLength:"100" doc:"Part of a name or title, in any case."`
	UserID   ID     `json:"user_id,omitempty" query:"user_id" format:"uuid" doc:"Only groups that this user belongs to."`
	Cursor   string `json:"cursor,omitempty" query:"cursor" maxLength:"200" doc:"next_cursor of the page before."`
	Limit    int    `json:"limit,omitempty" query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Groups a page."`
}

// ListGroupsResponse is one page of groups, by name.
type ListGroupsResponse struct {
	Items      []Group `json:"items"`
	NextCursor string  `json:"next_cursor,omitempty"`
}

// CreateGroup adds a group.
var CreateGroup = Register[CreateGroupRequest, Group](AuditMutation, Spec{
	Name: "rbac.create_group", Method: "POST", Path: "/api/v1/rbac/groups",
	Access: User | Internal, Permission: "groups:create:tenant",
	Errors:  []Code{AlreadyExists, NotFound},
	Summary: "Creates a group.",
})

// CreateGroupRequest describes a group.
type CreateGroupRequest struct {
	TenantID    ID     `json:"tenant_id,omitempty" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	Name        string `json:"name" pattern:"^[a-z][a-z0-9_-]{1,62}$"`
	Title       string `json:"title,omitempty" maxLength:"200"`
	Description string `json:"description,omitempty" maxLength:"2000"`
}

// UpdateGroup changes what a group is called.
var UpdateGroup = Register[UpdateGroupRequest, Group](AuditMutation, Spec{
	Name: "rbac.update_group", Method: "PATCH", Path: "/api/v1/rbac/groups/{group_id}",
	Access: User | Internal, Permission: "groups:update:tenant",
	Errors:  []Code{NotFound, AlreadyExists, Conflict},
	Summary: "Changes a group's name, title or description; what is absent stays.",
})

// UpdateGroupRequest holds what is to change; what is absent stays.
type UpdateGroupRequest struct {
	TenantID    ID      `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	GroupID     ID      `json:"group_id" path:"group_id" format:"uuid"`
	Name        *string `json:"name,omitempty" pattern:"^[a-z][a-z0-9_-]{1,62}$"`
	Title       *string `json:"title,omitempty" maxLength:"200"`
	Description *string `json:"description,omitempty" maxLength:"2000"`
	Revision    int64   `json:"revision,omitempty" match:"true" minimum:"0" doc:"When given, the group must still be at it; conflict otherwise. If-Match says the same."`
}

// DeleteGroup removes a group with its bindings.
var DeleteGroup = Register[DeleteGroupRequest, Removal](AuditMutation, Spec{
	Name: "rbac.delete_group", Method: "DELETE", Path: "/api/v1/rbac/groups/{group_id}",
	Access: User | Internal, Permission: "groups:delete:tenant",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Deletes a group with its bindings, or with dry_run names what that would take away.",
})

// DeleteGroupRequest names a group.
type DeleteGroupRequest struct {
	TenantID ID    `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	GroupID  ID    `json:"group_id" path:"group_id" format:"uuid"`
	DryRun   bool  `json:"dry_run,omitempty" query:"dry_run" doc:"Only say what would be taken away."`
	Revision int64 `json:"revision,omitempty" query:"revision" match:"true" minimum:"0" doc:"When given, the group must still be at it; conflict otherwise. If-Match says the same."`
}

// ListGroupMembers pages through a group's users.
var ListGroupMembers = Register[ListGroupMembersRequest, ListGroupMembersResponse](AuditRead, Spec{
	Name: "rbac.list_group_members", Method: "GET", Path: "/api/v1/rbac/groups/{group_id}/members",
	Access: User | Internal, Permission: "groups:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Lists the users of a group.",
})

// ListGroupMembersRequest pages.
type ListGroupMembersRequest struct {
	TenantID ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	GroupID  ID     `json:"group_id" path:"group_id" format:"uuid"`
	Cursor   string `json:"cursor,omitempty" query:"cursor" maxLength:"200" doc:"next_cursor of the page before."`
	Limit    int    `json:"limit,omitempty" query:"limit" minimum:"1" maximum:"500" default:"100" doc:"Users a page."`
}

// ListGroupMembersResponse is one page of users, by id.
type ListGroupMembersResponse struct {
	UserIDs    []string `json:"user_ids"`
	NextCursor string   `json:"next_cursor,omitempty"`
}

// ChangeGroupMembers adds users to a group and takes others out.
var ChangeGroupMembers = Register[ChangeGroupMembersRequest, Group](AuditMutation, Spec{
	Name: "rbac.change_group_members", Method: "POST", Path: "/api/v1/rbac/groups/{group_id}/members",
	Access: User | Internal, Permission: "groups:update:tenant",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Adds users to a group and takes others out, all or nothing.",
})

// ChangeGroupMembersRequest names users of the tenant. Who is in already, or
// out already, is no error.
type ChangeGroupMembersRequest struct {
	TenantID ID       `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	GroupID  ID       `json:"group_id" path:"group_id" format:"uuid"`
	Add      []string `json:"add,omitempty" maxItems:"1000" doc:"The ids of users to add."`
	Remove   []string `json:"remove,omitempty" maxItems:"1000" doc:"The ids of users to take out."`
	Revision int64    `json:"revision,omitempty" match:"true" minimum:"0" doc:"When given, the group must still be at it; conflict otherwise. If-Match says the same."`
}
