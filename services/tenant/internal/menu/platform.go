package menu

import (
	"strings"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/manifest"
)

// platform is whose the platform's own items are, as a module's name would say.
const platform = "platform"

// platformItems are the platform's own. Each asks for the permission of the
// operation that its page begins with. Their orders are below zero, so that
// modules come after them without saying so.
var platformItems = []*item{
	everywhere(&item{id: "platform:home", parent: sectionMain, order: -1000, icon: "home", route: "/", say: text("Home", "Start")}),

	{id: "platform:people", parent: sectionAdmin, order: -900, icon: "people", say: text("People and access", "Personen und Zugriff")},
	page("platform:users", "platform:people", -900, contract.ListUsers.Spec, text("Users", "Benutzer")),
	page("platform:groups", "platform:people", -800, contract.ListGroups.Spec, text("Groups", "Gruppen")),
	page("platform:roles", "platform:people", -700, contract.ListRoles.Spec, text("Roles", "Rollen")),
	page("platform:permissions", "platform:people", -600, contract.RoleMatrix.Spec, text("Permissions", "Berechtigungen")),
	page("platform:sign-in", "platform:people", -500, contract.SetSignInPolicy.Spec, text("Sign-in rules", "Anmelderegeln")),

	page("platform:org", sectionAdmin, -800, contract.GetOrgTree.Spec, text("Organisation", "Organisation")),
	page("platform:modules", sectionAdmin, -700, contract.ListInstalled.Spec, text("Modules", "Module")),
	page("platform:publishing", sectionAdmin, -600, contract.PutVersion.Spec, text("Publish modules", "Module veröffentlichen")),
	page("platform:keys", sectionAdmin, -500, contract.ListKeys.Spec, text("API keys", "API-Schlüssel")),
	page("platform:menu", sectionAdmin, -400, contract.GetMenuOverrides.Spec, text("Menu", "Menü")),
	page("platform:tenant", sectionAdmin, -300, contract.ReadTenant.Spec, text("Company profile", "Firmenprofil")),
	page("platform:settings", sectionAdmin, -250, contract.ListSettings.Spec, text("Settings", "Einstellungen")),
	everywhere(page("platform:audit", sectionAdmin, -200, contract.ListAudit.Spec, text("Audit trail", "Protokoll"))),

	everywhere(&item{id: "platform:operation", parent: sectionAdmin, order: -100, icon: "operation", say: text("Platform", "Plattform")}),
	everywhere(page("platform:tenants", "platform:operation", -900, contract.ListAllTenants.Spec, text("Tenants", "Mandanten"))),
	everywhere(page("platform:reviews", "platform:operation", -800, contract.ListReviews.Spec, text("Module reviews", "Modulprüfungen"))),
}

// page is an item whose page begins with an operation.
func page(id, parent string, order int, begins *contract.Spec, say func([]string) string) *item {
	name := strings.TrimPrefix(id, platform+":")
	return &item{id: id, parent: parent, order: order, icon: name, route: "/admin/" + name, permission: begins.Permission, say: say}
}

// everywhere shows an item to who acts in no tenant, too.
func everywhere(it *item) *item {
	it.anywhere = true
	return it
}

func text(english, german string) func([]string) string {
	t := manifest.Text{"en": english, "de": german}
	return func(languages []string) string { return t.In(languages...) }
}
