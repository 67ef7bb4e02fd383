package app

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
)

// declarations are the events of declarations, oldest first.
func (o *office) declarations() (all []events.PermissionsDeclaration) {
	o.t.Helper()
	for _, e := range o.events() {
		var d events.PermissionsDeclaration
		if events.PermissionsDeclared.Is(e) {
			require.NoError(o.t, json.Unmarshal(e.Data(), &d))
			all = append(all, d)
		}
	}
	return all
}

func TestADeclarationReplacesTheOneBefore(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	before := o.Engine.Policy(o.tenant).Revision()
	first := o.declare("crm", "crm:deals:write", "crm:deals:read")
	require.Equal(t, contract.DeclarePermissionsResponse{
		Added: []string{"crm:deals:read", "crm:deals:write"}, Changed: []string{}, Removed: []string{},
	}, *first)
	again := o.declare("crm", "crm:deals:read", "crm:deals:write")
	require.Equal(t, contract.DeclarePermissionsResponse{Added: []string{}, Changed: []string{}, Removed: []string{}}, *again)
	second, err := o.DeclarePermissions(o.platform(""), &contract.DeclarePermissionsRequest{ModuleName: "crm", Permissions: []contract.DeclaredPermission{
		{Code: "crm:deals:read", Category: " Deals ", Title: "Read deals", Risk: "high"}, {Code: "crm:notes:read"},
	}})
	require.NoError(t, err)
	require.Equal(t, contract.DeclarePermissionsResponse{
		Added: []string{"crm:notes:read"}, Changed: []string{"crm:deals:read"}, Removed: []string{"crm:deals:write"},
	}, *second)
	list, err := o.ListCatalogue(o.as(o.admin), &contract.ListCatalogueRequest{Module: "crm"})
	require.NoError(t, err)
	require.Equal(t, []contract.Permission{
		{Code: "crm:deals:read", Module: "crm", Category: "Deals", Title: "Read deals", Risk: "high", Effective: true},
		{Code: "crm:notes:read", Module: "crm", Category: "notes", Title: "crm:notes:read", Risk: "low", Effective: true},
	}, list.Items)
	require.Equal(t, []events.PermissionsDeclaration{
		{Module: "crm", Added: first.Added},
		{Module: "crm", Added: second.Added, Changed: second.Changed, Removed: second.Removed},
	}, o.declarations(), "what changes nothing is not told")
	require.Equal(t, before, o.Engine.Policy(o.tenant).Revision(), "what is declared decides nothing")
}

func TestAModuleDeclaresItsOwnPermissionsOnly(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.declare("crm", "crm:deals:read")
	for name, c := range map[string]struct {
		module string
		codes  []string
		field  string
	}{
		"another module's":  {"crm", []string{"crm:notes:read", "financial:accounts:read"}, "permissions[1].code"},
		"the platform's":    {"crm", []string{"users:read:tenant"}, "permissions[0].code"},
		"a longer name":     {"crm", []string{"crm-two:deals:read"}, "permissions[0].code"},
		"a wildcard":        {"crm", []string{"crm:*"}, "permissions[0].code"},
		"everybody's":       {"crm", []string{"*:deals:read"}, "permissions[0].code"},
		"one twice":         {"crm", []string{"crm:notes:read", "crm:notes:read"}, "permissions[1].code"},
		"in capitals":       {"crm", []string{"crm:Notes:read"}, "permissions[0].code"},
		"a platform's name": {"users", []string{"users:read:tenant"}, "module_name"},
		"the platform":      {"platform", nil, "module_name"},
		"no name":           {"Crm", nil, "module_name"},
	} {
		request := &contract.DeclarePermissionsRequest{ModuleName: c.module}
		for _, code := range c.codes {
			request.Permissions = append(request.Permissions, contract.DeclaredPermission{Code: code})
		}
		_, err := o.DeclarePermissions(o.platform(""), request)
		require.True(t, assertRefused(t, err, contract.InvalidArgument, c.field, name))
	}
	require.Equal(t, 1, o.count("SELECT count(*) FROM permissions"))
}

func TestTheCatalogueIsFoundInPages(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.declare("crm", "crm:deals:read", "crm:deals:write", "crm:notes:read")
	o.declare("financial", "financial:accounts:read")
	all, err := o.ListCatalogue(o.as(o.admin), &contract.ListCatalogueRequest{Limit: 500})
	require.NoError(t, err)
	require.Len(t, all.Items, len(platformCatalogue())+4)
	var got []contract.Permission
	ask := contract.ListCatalogueRequest{Limit: 7}
	for {
		page, err := o.ListCatalogue(o.as(o.admin), &ask)
		require.NoError(t, err)
		got = append(got, page.Items...)
		if ask.Cursor = page.NextCursor; ask.Cursor == "" {
			break
		}
		o.declare("aaa", "aaa:comes:late") // in front of what was read
	}
	require.Equal(t, all.Items, got)

	for search, want := range map[string]int{"CRM:DEALS": 2, "grant ROLES": 1, "no such": 0, "financial": 1} {
		page, err := o.ListCatalogue(o.as(o.admin), &contract.ListCatalogueRequest{Search: search})
		require.NoError(t, err)
		require.Len(t, page.Items, want, search)
	}
	for _, cursor := range []string{"nonsense", "AAAA"} {
		_, err = o.ListCatalogue(o.as(o.admin), &contract.ListCatalogueRequest{Cursor: cursor})
		refuses(t, err, contract.InvalidArgument, "cursor")
	}
}

// What is of a module that the tenant has not enabled is listed, and said to be
// without effect.
func TestTheCatalogueIsGroupedByModuleAndCategory(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.declare("crm", "crm:notes:read", "crm:deals:write", "crm:deals:read")
	o.declare("financial", "financial:accounts:read")
	got, err := o.GroupedCatalogue(o.as(o.admin), &contract.GroupedCatalogueRequest{})
	require.NoError(t, err)
	require.Len(t, got.Modules, 3)
	platform, crm, financial := got.Modules[0], got.Modules[1], got.Modules[2]
	require.Equal(t, "platform", platform.Module)
	require.True(t, platform.Effective)
	for _, category := range platform.Categories {
		for _, p := range category.Permissions {
			require.NotEqual(t, p.Code, p.Title, "it is described")
			require.Equal(t, contract.PermissionNamespace(p.Code), category.Category)
		}
	}
	require.True(t, crm.Effective)
	require.Equal(t, "deals", crm.Categories[0].Category)
	require.Equal(t, "crm:deals:read", crm.Categories[0].Permissions[0].Code)
	require.Len(t, crm.Categories[0].Permissions, 2)
	require.Equal(t, "notes", crm.Categories[1].Category)
	require.False(t, financial.Effective)
	require.False(t, financial.Categories[0].Permissions[0].Effective)
}

// Every permission that an operation asks people for is described.
func TestThePlatformsPermissionsAreDescribed(t *testing.T) {
	t.Parallel()
	listed := map[string]bool{}
	for _, p := range platformCatalogue() {
		listed[p.Code] = true
		_, described := platformPermissions[p.Code]
		require.True(t, described, p.Code)
		require.True(t, contract.PlatformNamespace(contract.PermissionNamespace(p.Code)), p.Code)
	}
	for code := range platformPermissions {
		require.True(t, listed[code], "%s is described, and nothing asks for it", code)
	}
}
