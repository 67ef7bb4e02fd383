package menu

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/manifest"
)

const ordinary = "platform:people(platform:users platform:groups platform:roles platform:permissions platform:sign-in) " +
	"platform:org platform:modules platform:publishing platform:keys platform:menu platform:tenant platform:settings platform:audit"

func TestAMenuIsThePlatformsItemsAndThoseOfModules(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	menu := w.menu("")
	require.Equal(t, "platform:home", outline(menu, "main"))
	require.Empty(t, outline(menu, "reports"))
	require.NotNil(t, menu.Sections[1].Items, "an empty list is one")
	require.Equal(t, ordinary, outline(menu, "admin"))

	w.use(&manifest.Manifest{
		ID: "crm", Version: "1.2.0", Routes: []manifest.Route{{Path: "/"}, {Path: "/deals"}},
		Menu: []manifest.MenuItem{
			{ID: "tools", Title: manifest.Plain("Sales"), Icon: "handshake"},
			{ID: "deals", Title: manifest.Plain("Deals"), Parent: "tools", Route: "/deals", Order: 2},
			{ID: "start", Title: manifest.Plain("Start"), Parent: "tools", Route: "/", Order: 1},
			{ID: "setup", Title: manifest.Plain("Setup"), Parent: "admin", Route: "/"},
			{ID: "charts", Title: manifest.Plain("Charts"), Parent: "reports", Route: "/"},
			{ID: "hollow", Title: manifest.Plain("Groups nothing")},
			{ID: "astray", Title: manifest.Plain("Leads to no route"), Route: "/unheard-of"},
		},
	})
	menu = w.menu("")
	require.Equal(t, "platform:home crm:tools(crm:start crm:deals)", outline(menu, "main"))
	require.Equal(t, "crm:charts", outline(menu, "reports"))
	require.Equal(t, ordinary+" crm:setup", outline(menu, "admin"), "modules come after the platform")
	require.Equal(t, &contract.MenuItem{
		ID: "crm:deals", Title: "Deals", Route: "/m/crm/deals", Order: 2, Module: "crm", Version: "1.2.0",
	}, find(menu, "crm:deals"))
	require.Equal(t, "/m/crm", find(menu, "crm:start").Route)
	require.Empty(t, find(menu, "crm:tools").Route)

	w.disable("crm")
	require.Equal(t, "platform:home", outline(w.menu(""), "main"))
}

func TestEveryItemOfThePlatformAsksForAPermissionThatExists(t *testing.T) {
	t.Parallel()
	permissions := map[string]bool{}
	for _, spec := range contract.Operations() {
		permissions[spec.Permission] = true
	}
	ids := map[string]bool{}
	for _, it := range platformItems {
		require.True(t, permissions[it.permission], it.id)
		require.False(t, ids[it.id], it.id)
		require.Regexp(t, "^platform:[a-z][a-z0-9-]*$", it.id)
		require.Negative(t, it.order, it.id)
		require.NotEmpty(t, it.say(nil), it.id)
		ids[it.id] = true
		require.True(t, ids[it.parent] || there(nil, it.parent), "%s: its parent comes before it", it.id)
	}
}

func TestOnlyWhatAPersonMaySeeIsShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.use(&manifest.Manifest{
		ID: "crm", Version: "1.0.0", Routes: []manifest.Route{{Path: "/deals", Permission: "crm:deals:read"}},
		Menu: []manifest.MenuItem{
			{ID: "open", Title: manifest.Plain("Open"), Route: "/deals", Permission: "crm:open:read"},
			{ID: "deals", Title: manifest.Plain("Deals"), Route: "/deals"},
			{ID: "deep", Title: manifest.Plain("Deep"), Permission: "crm:deep:read"},
			{ID: "below", Title: manifest.Plain("Below"), Parent: "deep", Route: "/deals"},
			{ID: "mine", Title: manifest.Plain("Mine"), Route: "/deals", Permission: "crm:all:platform"},
		},
	})
	for name, c := range map[string]struct {
		held        []string
		main, admin string
	}{
		"nothing":               {nil, "platform:home", ""},
		"an item's permission":  {[]string{"crm:open:read"}, "platform:home crm:open", ""},
		"its route's":           {[]string{"crm:deals:read"}, "platform:home crm:deals", ""},
		"its group's, too":      {[]string{"crm:deals:read", "crm:deep:read"}, "platform:home crm:deals crm:deep(crm:below)", ""},
		"its group's only":      {[]string{"crm:deep:read"}, "platform:home", ""},
		"users":                 {[]string{"users:read:tenant"}, "platform:home", "platform:people(platform:users)"},
		"a tenant's everything": {[]string{"*"}, "platform:home crm:deals crm:deep(crm:below) crm:open", ordinary},
		"the platform's by name": {
			[]string{"tenants:read:platform", "modules:review:platform", "crm:all:platform"}, "platform:home", "",
		},
	} {
		w.held = c.held
		menu := w.menu("")
		require.Equal(t, c.main, outline(menu, "main"), name)
		require.Equal(t, c.admin, outline(menu, "admin"), name)
	}
	for _, asked := range w.asked {
		require.NotContains(t, strings.Join(asked, " "), ":platform", "no role of a tenant gives these")
	}
}

func TestAPlatformAdministratorSeesEverythingAndNobodyIsAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.held, w.refuse = nil, unavailable()
	w.enable("crm", "1.0.0", manifest.MenuItem{ID: "x", Title: manifest.Plain("X"), Permission: "crm:x:read"},
		manifest.MenuItem{ID: "y", Title: manifest.Plain("Y"), Parent: "x", Route: "/none"})
	get := func(tenant string) *contract.Menu {
		menu, err := w.Get(kit.WithCaller(bounded(t), kit.Caller{User: kit.User{ID: w.user, TenantID: tenant, Platform: true}}), &contract.GetMenuRequest{})
		require.NoError(t, err)
		return menu
	}
	require.Equal(t, ordinary+" platform:operation(platform:tenants platform:reviews)", outline(get(w.tenant), "admin"))
	nowhere := get("")
	require.Equal(t, "platform:home", outline(nowhere, "main"))
	require.Equal(t, "platform:audit platform:operation(platform:tenants platform:reviews)", outline(nowhere, "admin"), "what needs no tenant")
	require.Empty(t, w.asked)
}

func TestWhoMayDoWhatIsAskedOnceAndWithoutAnAnswerThereIsNoMenu(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.menu("")
	require.Len(t, w.asked, 1)
	seen := map[string]bool{}
	for _, permission := range w.asked[0] {
		require.False(t, seen[permission], permission)
		seen[permission] = true
	}
	w.refuse = unavailable()
	menu, err := w.Get(w.as(false), &contract.GetMenuRequest{})
	require.ErrorIs(t, err, &contract.Error{Code: contract.Unavailable})
	require.Nil(t, menu)
}

func TestConditionsDecideWhatIsShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.activate("stock", true)
	w.activate("hr", false)
	w.settings = map[string]string{"crm/mode": "expert", "crm/limit": "17", "stock/mode": "other"}
	for when, want := range map[string]bool{
		"":                                  true,
		"module:stock":                      true,
		"module:hr":                         false,
		"module:unheard-of":                 false,
		"!module:stock":                     false,
		"!module:hr":                        true,
		"!module:unheard-of":                true,
		"setting:mode=expert":               true,
		"setting:mode=other":                false,
		"setting:mode=":                     false,
		"setting:limit=17":                  true,
		"setting:nothing=":                  false,
		"platform":                          false,
		"module:stock, setting:mode=expert": true,
		"module:stock,module:hr":            false,
		"weather:fine":                      false,
		"module:stock,weather:fine":         false,
		"MODULE:stock":                      false,
		"platform:x":                        false,
	} {
		for _, where := range []string{"item", "route"} {
			m := &manifest.Manifest{
				ID: "crm", Version: "1.0.0+" + kit.NewID(), Routes: []manifest.Route{{Path: "/x"}},
				Menu: []manifest.MenuItem{{ID: "x", Title: manifest.Plain("X"), Route: "/x"}},
			}
			if where == "item" {
				m.Menu[0].When = when
			} else {
				m.Routes[0].When = when
			}
			w.use(m)
			require.Equal(t, want, find(w.menu(""), "crm:x") != nil, "%q of the %s", when, where)
		}
	}
	w.use(&manifest.Manifest{
		ID: "crm", Version: "3.0.0", Routes: []manifest.Route{{Path: "/x"}},
		Menu: []manifest.MenuItem{{ID: "x", Title: manifest.Plain("X"), Route: "/x", When: "platform"}},
	})
	menu, err := w.Get(w.as(true), &contract.GetMenuRequest{})
	require.NoError(t, err)
	require.NotNil(t, find(menu, "crm:x"))
	require.Nil(t, find(w.menu(""), "crm:x"))

	// What changes outside is seen at once.
	w.use(&manifest.Manifest{
		ID: "crm", Version: "5.0.0", Routes: []manifest.Route{{Path: "/x"}},
		Menu: []manifest.MenuItem{{ID: "x", Title: manifest.Plain("X"), Route: "/x", When: "module:stock,setting:mode=expert"}},
	})
	require.NotNil(t, find(w.menu(""), "crm:x"))
	w.settings["crm/mode"] = "simple"
	require.Nil(t, find(w.menu(""), "crm:x"))
	w.settings["crm/mode"] = "expert"
	require.NotNil(t, find(w.menu(""), "crm:x"))
	w.activate("stock", false)
	require.Nil(t, find(w.menu(""), "crm:x"))
	w.App.Settings = nil
	w.activate("stock", true)
	require.Nil(t, find(w.menu(""), "crm:x"), "nobody knows the setting")
}

func TestNoModuleSpeaksAsThePlatform(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.menu("")
	w.use(&manifest.Manifest{
		ID: "platform", Version: "1.0.0", Routes: []manifest.Route{{Path: "/x"}},
		Menu: []manifest.MenuItem{{ID: "users", Title: manifest.Plain("X"), Route: "/x"}},
	})
	require.Equal(t, before, w.menu(""))
}

func TestTheTagChangesExactlyWithTheMenu(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	module := func(version, title string) {
		w.use(&manifest.Manifest{
			ID: "crm", Version: version, Routes: []manifest.Route{{Path: "/x"}},
			Menu: []manifest.MenuItem{{ID: "x", Title: manifest.Text{"en": title, "fr": "Autre"}, Route: "/x", Permission: "crm:x:read"}},
		})
	}
	seen := map[string]string{} // by what the menu says
	now := func(language string) string {
		menu := w.menu(language)
		require.NotEmpty(t, menu.ETag)
		again, err := w.replica().Get(w.as(false), &contract.GetMenuRequest{Language: language})
		require.NoError(t, err)
		require.Equal(t, menu, again, "another replica says the same")
		says, tag := *menu, menu.ETag
		says.ETag = ""
		text, err := kit.ContentTag(says)
		require.NoError(t, err)
		require.Equal(t, text, tag)
		seen[tag] = outlineOf(menu.Sections[0].Items)
		return tag
	}
	first := now("")
	require.Equal(t, first, now("en"), "the same words")
	require.NotEqual(t, first, now("de"))
	module("1.0.0", "X")
	with := now("")
	require.NotEqual(t, first, with)
	require.NotEqual(t, with, now("fr"))
	w.held = []string{"users:read:tenant"}
	fewer := now("")
	require.NotEqual(t, with, fewer)
	module("1.0.1", "Y")
	require.Equal(t, fewer, now(""), "who does not see it learns nothing of it")
	w.held = []string{"*"}
	require.NotEqual(t, with, now(""))
	module("1.0.0", "X")
	require.Equal(t, with, now(""))

	renamed := contract.MenuOverride{ItemID: "crm:x", Title: map[string]string{"en": "Z"}}
	w.put(renamed)
	require.NotEqual(t, with, now(""))
	w.put(renamed, contract.MenuOverride{ItemID: "gone:x", Hidden: true})
	renamedTag := now("")
	w.put(renamed)
	require.Equal(t, renamedTag, now(""), "a revision alone changes nothing")
	w.put()
	require.Equal(t, with, now(""))
	w.disable("crm")
	require.Equal(t, first, now(""))
}

func TestATitleIsInTheBestLanguageThatItHas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	many := manifest.Text{"en": "English", "de": "Deutsch", "de-AT": "Österreich", "zh-Hant": "繁體", "pt-BR": "Brasil"}
	n := 0
	for _, c := range []struct {
		requested string
		settings  []string
		text      manifest.Text
		spoken    string // default language of the manifest
		i18n      map[string]map[string]string
		want      string
	}{
		{requested: "de", text: many, want: "Deutsch"},
		{requested: "de-CH", text: many, want: "Deutsch"},
		{requested: "DE-ch", text: many, want: "Deutsch"},
		{requested: "de-AT", text: many, want: "Österreich"},
		{requested: "DE-at", text: many, want: "Österreich"},
		{requested: "de-AT-1996", text: many, want: "Österreich"},
		{requested: "de-CH-x-private", text: many, want: "Deutsch"},
		{requested: "zh-hant-TW", text: many, want: "繁體"},
		{requested: "zh-TW", text: many, want: "English"},
		{requested: "pt", text: many, want: "English"},
		{requested: "fr", text: many, want: "English"},
		{requested: "", text: many, want: "English"},
		{requested: "", settings: []string{"de"}, text: many, want: "Deutsch"},
		{requested: "fr", settings: []string{"de-CH", "en"}, text: many, want: "Deutsch"},
		{requested: "fr", settings: []string{"it", "pt-BR"}, text: many, want: "Brasil"},
		{requested: "de", settings: []string{"en"}, text: many, want: "Deutsch"},
		{requested: "de-CH", settings: []string{"de-AT"}, text: many, want: "Deutsch"},
		{requested: "fr", text: many, spoken: "de", want: "Deutsch"},
		{requested: "fr", text: manifest.Text{"it": "Italiano", "es": "Español"}, want: "Español"},
		{requested: "fr", text: manifest.Plain("Plain"), want: "Plain"},
		{requested: "de", settings: []string{"en"}, text: manifest.Text{"": "Einfach", "en": "English"}, spoken: "de", want: "Einfach"},
		{requested: "en", text: manifest.Text{"": "Einfach", "en": "English"}, spoken: "de", want: "English"},
		{requested: "de-CH", text: manifest.Plain("%k%"), i18n: map[string]map[string]string{"de": {"k": "Schlüssel"}, "en": {"k": "Key"}}, want: "Schlüssel"},
		{requested: "fr", text: manifest.Plain("%k%"), i18n: map[string]map[string]string{"de": {"k": "Schlüssel"}, "en": {"k": "Key"}}, want: "Key"},
		{requested: "fr", text: manifest.Plain("%k%"), spoken: "de", i18n: map[string]map[string]string{"de": {"k": "Schlüssel"}, "en": {"k": "Key"}}, want: "Schlüssel"},
		{requested: "fr", text: manifest.Plain("%gone%"), want: "%gone%"},
	} {
		n++
		w.languages = c.settings
		w.use(&manifest.Manifest{
			ID: "crm", Version: "1.0.0+" + kit.NewID(), DefaultLanguage: c.spoken, I18n: c.i18n,
			Routes: []manifest.Route{{Path: "/x"}}, Menu: []manifest.MenuItem{{ID: "x", Title: c.text, Route: "/x"}},
		})
		require.Equal(t, c.want, find(w.menu(c.requested), "crm:x").Title, "case %d: %+v", n, c)
	}
	w.languages = nil
	require.Equal(t, "Benutzer", find(w.menu("de-CH"), "platform:users").Title)
	require.Equal(t, "Users", find(w.menu("tlh"), "platform:users").Title)

	w.put(contract.MenuOverride{ItemID: "platform:users", Title: map[string]string{"en": "Staff", "fr": "Équipe"}})
	for requested, want := range map[string]string{"en-GB": "Staff", "fr-CA": "Équipe", "de": "Staff", "": "Staff"} {
		require.Equal(t, want, find(w.menu(requested), "platform:users").Title, requested)
	}
}

func TestEqualOrdersAreByTitleInTheReadersLanguage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	item := func(id, english, german string) manifest.MenuItem {
		return manifest.MenuItem{ID: id, Title: manifest.Text{"en": english, "de": german}, Route: "/x", Parent: "reports"}
	}
	w.use(&manifest.Manifest{ID: "crm", Version: "1.0.0", Routes: []manifest.Route{{Path: "/x"}}, Menu: []manifest.MenuItem{
		item("a", "Outlook", "Zukunft"), item("b", "changes", "Änderungen"), item("c", "Work", "Arbeit"), item("e", "Same", "Gleich"), item("d", "Same", "Gleich"),
	}})
	require.Equal(t, "crm:b crm:a crm:d crm:e crm:c", outline(w.menu("en"), "reports"))
	require.Equal(t, "crm:b crm:c crm:d crm:e crm:a", outline(w.menu("de"), "reports"))
}

func TestLanguageTagsAreWrittenInOneWay(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"": "", "DE": "de", " de ": "de", "de-ch": "de-CH", "ZH-hant-tw": "zh-Hant-TW", "es-419": "es-419", "de-1996": "de-1996",
		"sl-rozaj": "sl-rozaj", "en-a-BB-cccc": "en-a-bb-cccc", "i-klingon": "i-klingon",
	} {
		require.Equal(t, want, canonical(given), given)
	}
}
