package contract

// Permission is an entry of the catalogue: what can be granted.
type Permission struct {
	Code     string `json:"code" example:"financial:accounts:read"`
	Module   string `json:"module" doc:"Who declares it: a module, or platform."`
	Category string `json:"category"`
	Title    string `json:"title"`
	Risk     string `json:"risk" enum:"low,medium,high,critical"`
	// Effective says whether it can be held in the tenant at present.
	Effective bool `json:"effective" doc:"Whether the tenant has the module enabled."`
}

// ListCatalogue searches the permissions that can be granted.
var ListCatalogue = Register[ListCatalogueRequest, ListCatalogueResponse](AuditRead, Spec{
	Name: "rbac.list_permissions", Method: "GET", Path: "/api/v1/rbac/permissions",
	Access: User | Internal, Permission: "roles:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Lists and searches the permissions that the platform and its modules declare.",
})

// ListCatalogueRequest filters and pages.
type ListCatalogueRequest struct {
	TenantID ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	Module   string `json:"module,omitempty" query:"module" maxLength:"63" doc:"Only this module's; platform for the platform's own."`
	Search   string `json:"search,omitempty" query:"search" maxLength:"100" doc:"Part of a code or title, in any case."`
	Cursor   string `json:"cursor,omitempty" query:"cursor" maxLength:"300" doc:"next_cursor of the page before."`
	Limit    int    `json:"limit,omitempty" query:"limit" minimum:"1" maximum:"500" default:"100" doc:"Permissions a page."`
}

// ListCatalogueResponse is one page of permissions, by code.
type ListCatalogueResponse struct {
	Items      []Permission `json:"items"`
	NextCursor string       `json:"next_cursor,omitempty"`
}

// GroupedCatalogue is the catalogue for people who pick from it.
var GroupedCatalogue = Register[GroupedCatalogueRequest, GroupedCatalogueResponse](AuditRead, Spec{
	Name: "rbac.grouped_permissions", Method: "GET", Path: "/api/v1/rbac/permissions/grouped",
	Access: User | Internal, Permission: "roles:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Lists the declared permissions by module and category.",
})

// GroupedCatalogueRequest names nothing but the tenant acted in.
type GroupedCatalogueRequest struct {
	TenantID ID `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
}

// GroupedCatalogueResponse lists modules, the platform first.
type GroupedCatalogueResponse struct {
	Modules []CatalogueModule `json:"modules"`
}

// CatalogueModule is a module's part of the catalogue.
type CatalogueModule struct {
	Module     string              `json:"module"`
	Effective  bool                `json:"effective" doc:"Whether the tenant has the module enabled."`
	Categories []CatalogueCategory `json:"categories"`
}

// CatalogueCategory is a category of a module's permissions.
type CatalogueCategory struct {
	Category    string       `json:"category"`
	Permissions []Permission `json:"permissions"`
}

// DeclarePermissions replaces what a module declares, as its manifest says.
var DeclarePermissions = Register[DeclarePermissionsRequest, DeclarePermissionsResponse](AuditMutation, Spec{
	Name: "rbac.declare_permissions", Method: "PUT", Path: "/api/v1/rbac/modules/{module_name}/permissions",
	Access: User | Internal, Permission: "permissions:declare:platform",
	Summary: "Declares the permissions of a module, in place of those it declared before.",
})

// DeclarePermissionsRequest holds the whole declaration.
type DeclarePermissionsRequest struct {
	ModuleName  string               `json:"module_name" path:"module_name" pattern:"^[a-z][a-z0-9-]{1,62}$"`
	Permissions []DeclaredPermission `json:"permissions" maxItems:"1000"`
}

// DeclaredPermission is one permission of a module's manifest. Its code begins
// with the module's name.
type DeclaredPermission struct {
	Code     string `json:"code" maxLength:"200" pattern:"^[a-z0-9_-]+(:[a-z0-9_-]+){1,4}$" patternDescription:"a permission code such as financial:accounts:read"`
	Category string `json:"category,omitempty" maxLength:"100" doc:"Default is the code's second segment."`
	Title    string `json:"title,omitempty" maxLength:"200" doc:"Default is the code."`
	Risk     string `json:"risk,omitempty" enum:"low,medium,high,critical" doc:"Default low."`
}

// DeclarePermissionsResponse tells what the declaration changed.
type DeclarePermissionsResponse struct {
	Added   []string `json:"added"`
	Changed []string `json:"changed"`
	Removed []string `json:"removed"`
}
