package contract

import "time"

// Menu is the menu of a person: the items that they may see, in their order and
// language.
type Menu struct {
	Sections []MenuSection `json:"sections" doc:"All of them, in the order main, reports, admin."`
	ETag     string        `json:"etag" etag:"true" doc:"Changes when anything else of the answer does. Over HTTP the header ETag says the same, and If-None-Match takes it."`
}

// MenuSection is a part of the menu.
type MenuSection struct {
	ID    string     `json:"id" enum:"main,reports,admin"`
	Items []MenuItem `json:"items"`
}

// MenuItem is an entry of the menu. It leads somewhere, or groups others, or
// both.
type MenuItem struct {
	ID       string     `json:"id" example:"financial:accounts" doc:"platform:<item>, or <module>:<id of the item in the manifest>."`
	Title    string     `json:"title"`
	Icon     string     `json:"icon,omitempty" doc:"The name of an icon of the platform, or a file of the module's bundle."`
	Route    string     `json:"route,omitempty" example:"/m/financial/accounts" doc:"The path of the page, from the platform's root; none for what only groups others."`
	Order    int        `json:"order" doc:"Items of one parent stand by it, then by title."`
	Module   string     `json:"module,omitempty" doc:"Whose item it is; none for the platform's."`
	Version  string     `json:"version,omitempty" doc:"The version of the module."`
	Children []MenuItem `json:"children,omitempty"`
}

// GetMenu returns the caller's menu in the tenant that their token acts in.
var GetMenu = Register[GetMenuRequest, Menu](AuditRead, Spec{
	Name: "tenant.menu", Method: "GET", Path: "/api/v1/menu",
	Access:  Self,
	Summary: "Returns the caller's menu: the platform's items and those of the tenant's modules that the caller may see.",
})

// GetMenuRequest names a language.
type GetMenuRequest struct {
	Language string `json:"language,omitempty" query:"language" maxLength:"35" pattern:"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$" patternDescription:"a language tag (BCP 47) such as de-CH" example:"de-CH" doc:"The language of titles; default is the caller's. Where a title lacks it, the nearest one that there is."`
}

// MenuOverride is what a tenant changes of one item of the menu.
type MenuOverride struct {
	ItemID string `json:"item_id" maxLength:"130" pattern:"^[a-z][a-z0-9-]{1,62}:[a-z][a-z0-9_-]{0,62}$" patternDescription:"the id of a menu item such as platform:users or financial:accounts"`
	Hidden bool   `json:"hidden,omitempty" doc:"Nobody sees it, nor what is below it. That takes no permission away."`
	// Title replaces the item's own in every language: of one that it lacks, the
	// nearest that it has is shown.
	Title    map[string]string `json:"title,omitempty" maxProperties:"50" doc:"What it is called instead, by language (BCP 47), each at most 200 characters. In a language that is not among them, English is shown, or else the first."`
	Order    *int              `json:"order,omitempty" minimum:"-10000" maximum:"10000" doc:"Where it stands among its neighbours instead; lower ones come first."`
	ParentID string            `json:"parent_id,omitempty" maxLength:"130" pattern:"^(main|reports|admin|[a-z][a-z0-9-]{1,62}:[a-z][a-z0-9_-]{0,62})$" patternDescription:"the id of a menu item, or main, reports or admin" doc:"What it is below instead: another item, or a section."`
}

// MenuOverrides is all that a tenant changes of the menu. Without any, the
// revision is 1.
type MenuOverrides struct {
	TenantID  string         `json:"tenant_id" format:"uuid"`
	Items     []MenuOverride `json:"items"`
	Unknown   []string       `json:"unknown" doc:"Items that are named, and that neither the platform nor an enabled module has now: what is said of them takes effect when they are there."`
	UpdatedAt *time.Time     `json:"updated_at,omitempty"`
	Revision  int64          `json:"revision" doc:"Grows with each change; If-Match takes it."`
}

// GetMenuOverrides returns what a tenant changes of the menu.
var GetMenuOverrides = Register[MenuOverridesRequest, MenuOverrides](AuditRead, Spec{
	Name: "tenant.get_menu_overrides", Method: "GET", Path: "/api/v1/menu/overrides",
	Access: User | Internal, Permission: "menu:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Returns what a tenant changes of the menu.",
})

// MenuOverridesRequest names the tenant.
type MenuOverridesRequest struct {
	TenantID ID `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
}

// PutMenuOverrides replaces what a tenant changes of the menu.
var PutMenuOverrides = Register[PutMenuOverridesRequest, MenuOverrides](AuditMutation, Spec{
	Name: "tenant.put_menu_overrides", Method: "PUT", Path: "/api/v1/menu/overrides",
	Access: User | Internal, Permission: "menu:update:tenant",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Hides, renames, reorders and moves items of a tenant's menu; an empty list takes all of that back.",
})

// PutMenuOverridesRequest holds all overrides from now on.
type PutMenuOverridesRequest struct {
	TenantID ID             `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	Items    []MenuOverride `json:"items" maxItems:"500" doc:"All of them from now on, at most one for an item."`
	Revision int64          `json:"revision,omitempty" match:"true" minimum:"0" doc:"When given, they must still be at it; conflict otherwise. If-Match says the same."`
}
