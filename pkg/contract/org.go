package contract

import "time"

// Kinds of units. A company stands at the top, a branch in a company, a
// department in a company, a branch or another department.
const (
	Company    = "company"
	Branch     = "branch"
	Department = "department"
)

// OrgDepth is how many levels an org tree has at most, companies being the
// first.
const OrgDepth = 32

// OrgUnit is a company, branch or department. It is also the state that unit
// events carry.
type OrgUnit struct {
	TenantID   string    `json:"tenant_id" format:"uuid"`
	ID         string    `json:"id" format:"uuid"`
	Kind       string    `json:"kind" enum:"company,branch,department"`
	ParentID   string    `json:"parent_id,omitempty" doc:"The unit it is in; a company is in none."`
	Code       string    `json:"code" doc:"Unique among what is in the same unit, in any case; that of a company in the tenant."`
	Name       string    `json:"name"`
	HeadUserID string    `json:"head_user_id,omitempty" doc:"The person who heads it; nothing follows from that for what they may do."`
	Removed    bool      `json:"removed,omitempty" doc:"Deleted; it may be restored."`
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
	Revision   int64     `json:"revision" doc:"Grows with each change of the unit; If-Match takes it."`
}

// Newer reports whether u is a later state than old.
func (u OrgUnit) Newer(old OrgUnit) bool { return u.Revision > old.Revision }

// UnitRequest names a unit.
type UnitRequest struct {
	TenantID ID `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	UnitID   ID `json:"unit_id" path:"unit_id" format:"uuid"`
}

// GetOrgTree returns a tenant's org tree.
var GetOrgTree = Register[OrgTreeRequest, OrgTree](AuditRead, Spec{
	Name: "tenant.org_tree", Method: "GET", Path: "/api/v1/org",
	Access: User | Internal, Permission: "org:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Returns the tree of companies, branches and departments, or what is below one unit.",
})

// OrgTreeRequest says which part of the tree.
type OrgTreeRequest struct {
	TenantID ID  `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	UnitID   ID  `json:"unit_id,omitempty" query:"unit_id" format:"uuid" doc:"Only this unit with what is below it."`
	Depth    int `json:"depth,omitempty" query:"depth" minimum:"1" maximum:"32" doc:"How many levels; default all."`
}

// OrgTree holds companies, or the unit that was asked for. An answer has room
// for some thousand units; those nearest to the top come first, and a unit whose
// children are left out has more of them than it shows.
type OrgTree struct {
	Items    []OrgNode `json:"items" doc:"By name."`
	Units    int       `json:"units" doc:"How many units the tenant has."`
	Complete bool      `json:"complete" doc:"Whether all that was asked for is in the answer; ask for less by unit_id, or tenant.search_units for a list in pages."`
}

// OrgNode is a unit with what is in it.
type OrgNode struct {
	ID         string    `json:"id" format:"uuid"`
	Kind       string    `json:"kind" enum:"company,branch,department"`
	Code       string    `json:"code"`
	Name       string    `json:"name"`
	HeadUserID string    `json:"head_user_id,omitempty"`
	Revision   int64     `json:"revision"`
	Children   int       `json:"children" doc:"How many units are directly in it, shown or not."`
	Items      []OrgNode `json:"items,omitempty" doc:"Those units, by name."`
}

// SearchUnits lists units.
var SearchUnits = Register[SearchUnitsRequest, ListUnitsResponse](AuditRead, Spec{
	Name: "tenant.search_units", Method: "GET", Path: "/api/v1/org/units",
	Access: User | Internal, Permission: "org:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Lists and searches companies, branches and departments.",
})

// SearchUnitsRequest filters and pages.
type SearchUnitsRequest struct {
	TenantID ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	Kind     string `json:"kind,omitempty" query:"kind" enum:"company,branch,department" doc:"Only units of this kind."`
	ParentID ID     `json:"parent_id,omitempty" query:"parent_id" format:"uuid" doc:"Only those directly in this unit."`
	Search   string `json:"search,omitempty" query:"search" maxLength:"100" doc:"Part of a name or code, in any case."`
	Removed  bool   `json:"removed,omitempty" query:"removed" doc:"Those that were deleted, in place of those that are there."`
	Cursor   string `json:"cursor,omitempty" query:"cursor" maxLength:"1200" doc:"next_cursor of the page before."`
	Limit    int    `json:"limit,omitempty" query:"limit" minimum:"1" maximum:"500" default:"100" doc:"Units a page."`
}

// ListUnitsResponse is one page of units; of tenant.search_units by name.
type ListUnitsResponse struct {
	Items      []OrgUnit `json:"items"`
	NextCursor string    `json:"next_cursor,omitempty"`
}

// MyUnits tells people where they have something to do.
var MyUnits = Register[MyUnitsRequest, ListUnitsResponse](AuditRead, Spec{
	Name: "tenant.my_units", Method: "GET", Path: "/api/v1/org/mine",
	Access:  Self,
	Errors:  []Code{NotFound, Conflict},
	Summary: "Lists the companies, branches and departments in which the caller holds a permission, or anything at all.",
})

// MyUnitsRequest names the permission. Without one it is every unit in which a
// role binding gives the caller something that is in effect, whatever others
// deny there.
type MyUnitsRequest struct {
	TenantID   ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	Permission string `json:"permission,omitempty" query:"permission" maxLength:"200" pattern:"^[a-z0-9_-]+(:[a-z0-9_-]+){1,4}$" patternDescription:"a permission code such as financial:accounts:read" doc:"Only units in which the caller holds it."`
	Kind       string `json:"kind,omitempty" query:"kind" enum:"company,branch,department" doc:"Only units of this kind."`
	Cursor     string `json:"cursor,omitempty" query:"cursor" maxLength:"200" doc:"next_cursor of the page before."`
	Limit      int    `json:"limit,omitempty" query:"limit" minimum:"1" maximum:"500" default:"100" doc:"Units a page."`
}

// GetUnit returns a unit.
var GetUnit = Register[UnitRequest, UnitDetail](AuditRead, Spec{
	Name: "tenant.get_unit", Method: "GET", Path: "/api/v1/org/units/{unit_id}",
	Access: User | Internal, Permission: "org:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Returns a company, branch or department, a deleted one too, with its place in the tree.",
})

// UnitDetail is a unit and its place in the tree.
type UnitDetail struct {
	Unit     OrgUnit    `json:"unit"`
	Path     []UnitName `json:"path" doc:"The units it is in, from its company on, itself last."`
	Children int        `json:"children" doc:"How many units are directly in it."`
	Below    int        `json:"below" doc:"How many units are below it, at any depth."`
}

// UnitName is what a unit is called.
type UnitName struct {
	ID   string `json:"id" format:"uuid"`
	Kind string `json:"kind" enum:"company,branch,department"`
	Code string `json:"code"`
	Name string `json:"name"`
}

// CreateUnit adds a unit.
var CreateUnit = Register[CreateUnitRequest, OrgUnit](AuditMutation, Spec{
	Name: "tenant.create_unit", Method: "POST", Path: "/api/v1/org/units",
	Access: User | Internal, Permission: "org:create:tenant",
	Errors:  []Code{NotFound, AlreadyExists, Conflict},
	Summary: "Creates a company, a branch in a company, or a department in any unit.",
})

// CreateUnitRequest describes a unit.
type CreateUnitRequest struct {
	TenantID   ID     `json:"tenant_id,omitempty" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	Kind       string `json:"kind" enum:"company,branch,department" doc:"It stays."`
	ParentID   ID     `json:"parent_id,omitempty" format:"uuid" doc:"The unit it is in; required but for a company. That of a branch is a company."`
	Code       string `json:"code" pattern:"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$" patternDescription:"1 to 32 letters, digits, dots, dashes and underscores" example:"IST-01" doc:"Unique among what is in the same unit, in any case; that of a company in the tenant."`
	Name       string `json:"name" minLength:"1" maxLength:"200"`
	HeadUserID ID     `json:"head_user_id,omitempty" format:"uuid" doc:"The person who heads it, somebody who belongs to the tenant."`
}

// UpdateUnit changes a unit.
var UpdateUnit = Register[UpdateUnitRequest, OrgUnit](AuditMutation, Spec{
	Name: "tenant.update_unit", Method: "PATCH", Path: "/api/v1/org/units/{unit_id}",
	Access: User | Internal, Permission: "org:update:tenant",
	Errors:  []Code{NotFound, AlreadyExists, Conflict},
	Summary: "Changes a unit's name, code or head; what is absent stays.",
})

// UpdateUnitRequest holds what is to change; what is absent stays.
type UpdateUnitRequest struct {
	TenantID   ID       `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	UnitID     ID       `json:"unit_id" path:"unit_id" format:"uuid"`
	Name       *string  `json:"name,omitempty" minLength:"1" maxLength:"200"`
	Code       *string  `json:"code,omitempty" pattern:"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$" patternDescription:"1 to 32 letters, digits, dots, dashes and underscores"`
	HeadUserID IDOrNull `json:"head_user_id,omitempty" format:"uuid" nullable:"true" doc:"Somebody who belongs to the tenant; null for nobody."`
	Revision   int64    `json:"revision,omitempty" match:"true" minimum:"0" doc:"When given, the unit must still be at it; conflict otherwise. If-Match says the same."`
}

// MoveUnit puts a unit, with what is below it, elsewhere in the tree.
var MoveUnit = Register[MoveUnitRequest, OrgUnit](AuditMutation, Spec{
	Name: "tenant.move_unit", Method: "POST", Path: "/api/v1/org/units/{unit_id}/move",
	Access: User | Internal, Permission: "org:update:tenant",
	Errors:  []Code{NotFound, AlreadyExists, Conflict},
	Summary: "Moves a branch to another company, or a department to any unit that is not below it, with all below.",
})

// MoveUnitRequest names a unit and where it goes.
type MoveUnitRequest struct {
	TenantID ID    `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	UnitID   ID    `json:"unit_id" path:"unit_id" format:"uuid"`
	ParentID ID    `json:"parent_id" format:"uuid" doc:"The unit it will be in."`
	Revision int64 `json:"revision,omitempty" match:"true" minimum:"0" doc:"When given, the unit must still be at it; conflict otherwise. If-Match says the same."`
}

// DeleteUnit removes a unit; it may be restored.
var DeleteUnit = Register[DeleteUnitRequest, UnitRemoval](AuditMutation, Spec{
	Name: "tenant.delete_unit", Method: "DELETE", Path: "/api/v1/org/units/{unit_id}",
	Access: User | Internal, Permission: "org:delete:tenant", Timeout: 15 * time.Second,
	Errors:  []Code{NotFound, Conflict},
	Summary: "Deletes a unit, with with_below all below it too, or with dry_run names what would go; role bindings to it are without effect until it is restored.",
})

// DeleteUnitRequest names a unit.
type DeleteUnitRequest struct {
	TenantID  ID    `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	UnitID    ID    `json:"unit_id" path:"unit_id" format:"uuid"`
	WithBelow bool  `json:"with_below,omitempty" query:"with_below" doc:"Delete the units below it too; else it must have none."`
	DryRun    bool  `json:"dry_run,omitempty" query:"dry_run" doc:"Only say what would go."`
	Revision  int64 `json:"revision,omitempty" query:"revision" match:"true" minimum:"0" doc:"When given, the unit must still be at it; conflict otherwise. If-Match says the same."`
}

// UnitRemoval says what goes with a unit, or would.
type UnitRemoval struct {
	DryRun   bool       `json:"dry_run,omitempty"`
	Units    int        `json:"units" doc:"How many units go, itself among them."`
	Items    []UnitName `json:"items" doc:"The first 100 of them, from above."`
	Revision int64      `json:"revision" doc:"The unit's revision, from which on it is gone; with dry_run the one looked at."`
}

// RestoreUnit takes a deletion back.
var RestoreUnit = Register[RestoreUnitRequest, OrgUnit](AuditMutation, Spec{
	Name: "tenant.restore_unit", Method: "POST", Path: "/api/v1/org/units/{unit_id}/restore",
	Access: User | Internal, Permission: "org:delete:tenant", Timeout: 15 * time.Second,
	Errors:  []Code{NotFound, AlreadyExists, Conflict},
	Summary: "Restores a deleted unit, with with_below what was deleted with it too; the unit it is in must be there.",
})

// RestoreUnitRequest names a unit that was deleted.
type RestoreUnitRequest struct {
	TenantID  ID    `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	UnitID    ID    `json:"unit_id" path:"unit_id" format:"uuid"`
	WithBelow bool  `json:"with_below,omitempty" doc:"Restore the units below it that were deleted with it."`
	Revision  int64 `json:"revision,omitempty" match:"true" minimum:"0" doc:"When given, the unit must still be at it; conflict otherwise. If-Match says the same."`
}

// ListUnits pages through the org trees of all tenants, for projections.
var ListUnits = Register[SnapshotRequest, ListUnitsResponse](AuditRead, Spec{
	Name: "tenant.list_units", Access: Internal,
	Summary: "Lists the units of every tenant's org tree, removed ones too.",
})

// MayMoveUnit tells service tenant whether a person may put a unit elsewhere:
// with the place goes what role bindings give there, and nobody gives what they
// do not hold.
var MayMoveUnit = Register[MayMoveUnitRequest, Empty](AuditDecision, Spec{
	Name: "rbac.may_move_unit", Access: Internal,
	Errors:  []Code{PermissionDenied},
	Summary: "Answers permission_denied when a move would give people something in the unit that the mover does not hold there.",
})

// MayMoveUnitRequest names the unit, who moves it, and what its way up gains and
// loses.
type MayMoveUnitRequest struct {
	TenantID ID       `json:"tenant_id" format:"uuid"`
	UnitID   ID       `json:"unit_id" format:"uuid" doc:"The unit that is moved."`
	ByUserID ID       `json:"by_user_id" format:"uuid" doc:"Who moves it."`
	Enters   []string `json:"enters,omitempty" maxItems:"100" doc:"Units, by id, that it is not in yet."`
	Leaves   []string `json:"leaves,omitempty" maxItems:"100" doc:"Units, by id, that it will be in no more."`
}
