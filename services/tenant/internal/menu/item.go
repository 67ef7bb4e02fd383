package menu

import (
	"maps"

	"github.com/buildify/core/pkg/manifest"
)

// The sections of the menu; no item's id looks like these.
const (
	sectionMain    = "main"
	sectionReports = "reports"
	sectionAdmin   = "admin"
)

// sections in their order.
var sections = []string{sectionMain, sectionReports, sectionAdmin}

// item is an entry as the platform, or a module, declares it. Tenants share it:
// it never changes.
type item struct {
	id, module, version string
	parent              string // an item, or a section
	order               int
	icon, route         string
	permission          string
	when                []manifest.Condition
	// never is an item whose conditions are not understood.
	never bool
	// anywhere is an item for who acts in no tenant, too.
	anywhere bool
	say      func(languages []string) string
}

// compile reads the items of a manifest.
func compile(m *manifest.Manifest) []*item {
	routes := map[string]manifest.Route{}
	for _, r := range m.Routes {
		routes[r.Path] = r
	}
	items := make([]*item, len(m.Menu))
	for i := range m.Menu {
		items[i] = compileItem(m, &m.Menu[i], routes)
	}
	return items
}

func compileItem(m *manifest.Manifest, own *manifest.MenuItem, routes map[string]manifest.Route) *item {
	it := &item{
		id: m.ID + ":" + own.ID, module: m.ID, version: m.Version, parent: parentOf(m, own.Parent),
		order: own.Order, icon: own.Icon, permission: own.Permission, say: saying(m, own.Title),
	}
	conditions := []string{own.When}
	if own.Route != "" {
		route, known := routes[own.Route]
		it.route, it.never = pathOf(m.ID, own.Route), !known
		if it.permission == "" {
			it.permission = route.Permission
		}
		conditions = append(conditions, route.When)
	}
	for _, text := range conditions {
		when, err := manifest.ParseWhen(text)
		it.never = it.never || err != nil
		it.when = append(it.when, when...)
	}
	return it
}

func parentOf(m *manifest.Manifest, parent string) string {
	switch parent {
	case "":
		return sectionMain
	case sectionMain, sectionReports, sectionAdmin:
		return parent
	}
	return m.ID + ":" + parent
}

// pathOf is the path of a module's route from the platform's root.
func pathOf(module, route string) string {
	if route == "/" {
		route = ""
	}
	return "/m/" + module + route
}

// saying returns what says a manifest's text. A plain text is in the manifest's
// default language, before those that are tried after it.
func saying(m *manifest.Manifest, text manifest.Text) func([]string) string {
	spoken := m.DefaultLanguage
	if spoken == "" {
		spoken = "en"
	}
	if plain, ok := text[""]; ok && text[spoken] == "" {
		text = maps.Clone(text)
		text[spoken] = plain
	}
	return func(languages []string) string { return m.Say(text, languages...) }
}
