package menu

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/manifest"
)

func TestATenantHidesRenamesReordersAndMoves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.use(&manifest.Manifest{ID: "crm", Version: "1.0.0", Routes: []manifest.Route{{Path: "/x"}}, Menu: []manifest.MenuItem{
		{ID: "a", Title: manifest.Plain("A"), Route: "/x", Order: 1},
		{ID: "b", Title: manifest.Plain("B"), Route: "/x", Order: 2},
		{ID: "below", Title: manifest.Plain("Below"), Route: "/x", Parent: "b"},
	}})
	require.Equal(t, "platform:home crm:a crm:b(crm:below)", outline(w.menu(""), "main"))

	w.put(contract.MenuOverride{ItemID: "crm:b", Hidden: true})
	require.Equal(t, "platform:home crm:a", outline(w.menu(""), "main"), "with what is below it")
	w.put(contract.MenuOverride{ItemID: "crm:b", Order: at(-2000)})
	require.Equal(t, "crm:b(crm:below) platform:home crm:a", outline(w.menu(""), "main"))
	require.Equal(t, -2000, find(w.menu(""), "crm:b").Order)
	w.put(contract.MenuOverride{ItemID: "crm:a", Order: at(0)}, contract.MenuOverride{ItemID: "crm:b", Order: at(0)})
	require.Equal(t, "platform:home crm:a crm:b(crm:below)", outline(w.menu(""), "main"), "0 is an order too")
	w.put(contract.MenuOverride{ItemID: "crm:b", ParentID: "crm:a"}, contract.MenuOverride{ItemID: "crm:below", ParentID: "reports"})
	require.Equal(t, "platform:home crm:a(crm:b)", outline(w.menu(""), "main"))
	require.Equal(t, "crm:below", outline(w.menu(""), "reports"))
	w.put(contract.MenuOverride{ItemID: "platform:users", ParentID: "crm:b", Title: map[string]string{"en": " Staff "}})
	require.Equal(t, "platform:home crm:a crm:b(platform:users crm:below)", outline(w.menu(""), "main"))
	require.Equal(t, "Staff", find(w.menu(""), "platform:users").Title)
	w.disable("crm")
	require.Equal(t, ordinary, outline(w.menu(""), "admin"), "where it was, as its new place is gone")
	w.put()
	require.Equal(t, "Users", find(w.menu(""), "platform:users").Title)
}

func TestOverridesAreReadAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	read := func() *contract.MenuOverrides {
		answer, err := w.GetOverrides(w.as(false), &contract.MenuOverridesRequest{})
		require.NoError(t, err)
		return answer
	}
	require.Equal(t, &contract.MenuOverrides{TenantID: w.tenant, Items: []contract.MenuOverride{}, Unknown: []string{}, Revision: 1}, read())

	w.enable("crm", "1.0.0", manifest.MenuItem{ID: "x", Title: manifest.Plain("X")})
	items := []contract.MenuOverride{
		{ItemID: "platform:users", Hidden: true, ParentID: "crm:x"},
		{ItemID: "crm:x", Title: map[string]string{"en": "Y", "de-CH": "Ypsilon", "zh-Hant": "歪", "es-419": "Y"}, Order: at(0), ParentID: "admin"},
		{ItemID: "crm:gone", ParentID: "old:tools"},
		{ItemID: "old:tools", Order: at(-10000)},
	}
	written := w.put(items...)
	require.EqualValues(t, 2, written.Revision)
	require.NotNil(t, written.UpdatedAt)
	require.Equal(t, []contract.MenuOverride{items[2], items[1], items[3], items[0]}, written.Items, "by item")
	require.Equal(t, []string{"crm:gone", "old:tools"}, written.Unknown)
	require.Equal(t, written, read())
	require.Equal(t, written, w.put(items[3], items[2], items[1], items[0]), "the same is no change")

	w.disable("crm")
	require.Equal(t, []string{"crm:gone", "crm:x", "old:tools"}, read().Unknown)
	require.EqualValues(t, 2, read().Revision)
	w.enable("old", "1.0.0", manifest.MenuItem{ID: "tools", Title: manifest.Plain("Tools")})
	require.Equal(t, []string{"crm:gone", "crm:x"}, read().Unknown)

	w.put(items[0], contract.MenuOverride{ItemID: "crm:x"}, items[2])
	reset := w.put()
	require.EqualValues(t, 4, reset.Revision)
	require.Empty(t, reset.Items)
	require.Empty(t, reset.Unknown)
	require.Equal(t, reset, w.put())
	require.Equal(t, []events.MenuChange{
		{TenantID: w.tenant, Revision: 2, Items: []string{"crm:gone", "crm:x", "old:tools", "platform:users"}},
		{TenantID: w.tenant, Revision: 3, Items: []string{"crm:x", "old:tools"}},
		{TenantID: w.tenant, Revision: 4, Items: []string{"crm:gone", "crm:x", "platform:users"}},
	}, w.told(), "what was changed, and nothing for what was not")
}

func TestOverridesThatCannotBeAreRefusedByField(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enable("crm", "1.0.0", manifest.MenuItem{ID: "a"}, manifest.MenuItem{ID: "b", Parent: "a"}, manifest.MenuItem{ID: "c", Parent: "b"})
	title := func(language, text string) contract.MenuOverride {
		return contract.MenuOverride{ItemID: "crm:a", Title: map[string]string{language: text}}
	}
	move := func(id, parent string) contract.MenuOverride {
		return contract.MenuOverride{ItemID: id, ParentID: parent}
	}
	deep := []contract.MenuOverride{move("x:i0", "crm:c")}
	for i := 1; i < maxDepth-3; i++ {
		deep = append(deep, move(fmt.Sprintf("x:i%d", i), fmt.Sprintf("x:i%d", i-1)))
	}
	for name, c := range map[string]struct {
		items []contract.MenuOverride
		field string
	}{
		"twice":                         {[]contract.MenuOverride{{ItemID: "crm:a"}, {ItemID: "crm:b"}, {ItemID: "crm:a"}}, "items[2].item_id"},
		"a title without words":         {[]contract.MenuOverride{title("en", "  ")}, "items[0].title.en"},
		"a title too long":              {[]contract.MenuOverride{title("en", strings.Repeat("ä", 201))}, "items[0].title.en"},
		"a title of two lines":          {[]contract.MenuOverride{title("de-CH", "a\nb")}, "items[0].title.de-CH"},
		"a title in no language":        {[]contract.MenuOverride{title("english", "a")}, "items[0].title"},
		"a title in a language unknown": {[]contract.MenuOverride{title("", "a")}, "items[0].title"},
		"a language in capitals":        {[]contract.MenuOverride{title("DE", "a")}, "items[0].title"},
		"below itself":                  {[]contract.MenuOverride{{ItemID: "crm:b"}, move("crm:a", "crm:a")}, "items[1].parent_id"},
		"below its child":               {[]contract.MenuOverride{move("crm:a", "crm:b")}, "items[0].parent_id"},
		"below its grandchild":          {[]contract.MenuOverride{move("crm:a", "crm:c")}, "items[0].parent_id"},
		"below each other":              {[]contract.MenuOverride{{ItemID: "crm:b"}, move("platform:users", "platform:org"), move("platform:org", "platform:users")}, "items[1].parent_id"},
		"below each other, though gone": {[]contract.MenuOverride{move("x:a", "x:b"), move("x:b", "x:c"), move("x:c", "x:a")}, "items[0].parent_id"},
		"too deep":                      {append([]contract.MenuOverride{move("x:last", fmt.Sprintf("x:i%d", maxDepth-4))}, deep...), "items[0].parent_id"},
	} {
		_, err := w.PutOverrides(w.as(false), &contract.PutMenuOverridesRequest{Items: c.items})
		var refused *contract.Error
		require.ErrorAs(t, err, &refused, name)
		require.Equal(t, contract.InvalidArgument, refused.Code, name)
		require.Equal(t, c.field, refused.Field, name)
	}
	require.Empty(t, w.told())
	w.put(title("en", strings.Repeat("ä", 200)))
	w.put(deep...)
	w.put(move("crm:c", "admin"), move("crm:a", "crm:c"), move("crm:b", "main"))
	require.Len(t, w.told(), 3)
}

func TestAnOlderRevisionOverwritesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	put := func(revision int64, order int) error {
		_, err := w.PutOverrides(w.as(false), &contract.PutMenuOverridesRequest{
			Items: []contract.MenuOverride{{ItemID: "platform:users", Order: at(order)}}, Revision: revision,
		})
		return err
	}
	conflict := &contract.Error{Code: contract.Conflict}
	require.ErrorIs(t, put(2, 1), conflict, "there is none yet")
	require.NoError(t, put(1, 1))
	require.ErrorIs(t, put(1, 2), conflict)
	require.NoError(t, put(2, 2))
	require.NoError(t, put(0, 3), "who does not ask")
	require.ErrorIs(t, put(3, 3), conflict, "even if it would change nothing")

	// Of many at once who saw the same, one wins; the first row is no exception.
	for _, tenant := range []string{w.newTenant(), w.tenant} {
		own, err := load(bounded(t), w.Store, tenant)
		require.NoError(t, err)
		results := make([]error, 8)
		var all sync.WaitGroup
		for i := range results {
			all.Go(func() {
				_, results[i] = w.PutOverrides(kit.WithCaller(bounded(t), kit.Caller{User: kit.User{ID: w.user, TenantID: tenant}}),
					&contract.PutMenuOverridesRequest{Revision: own.revision, Items: []contract.MenuOverride{{ItemID: "platform:org", Order: at(100 + i)}}})
			})
		}
		all.Wait()
		won := 0
		for _, err := range results {
			if err == nil {
				won++
				continue
			}
			require.ErrorIs(t, err, conflict)
		}
		require.Equal(t, 1, won)
	}
}

func TestOverridesAreTheTenantsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.newTenant()
	w.put(contract.MenuOverride{ItemID: "platform:home", Hidden: true})
	elsewhere := kit.WithCaller(bounded(t), kit.Caller{User: kit.User{ID: w.user, TenantID: other}})
	menu, err := w.Get(elsewhere, &contract.GetMenuRequest{})
	require.NoError(t, err)
	require.NotNil(t, find(menu, "platform:home"))
	answer, err := w.GetOverrides(elsewhere, &contract.MenuOverridesRequest{})
	require.NoError(t, err)
	require.Empty(t, answer.Items)

	missing := &contract.Error{Code: contract.NotFound}
	_, err = w.GetOverrides(elsewhere, &contract.MenuOverridesRequest{TenantID: contract.ID(w.tenant)})
	require.ErrorIs(t, err, missing)
	_, err = w.PutOverrides(elsewhere, &contract.PutMenuOverridesRequest{TenantID: contract.ID(w.tenant)})
	require.ErrorIs(t, err, missing)
	require.Nil(t, find(w.menu(""), "platform:home"))

	platform := kit.WithCaller(bounded(t), kit.Caller{User: kit.User{ID: w.user, Platform: true}})
	answer, err = w.GetOverrides(platform, &contract.MenuOverridesRequest{TenantID: contract.ID(w.tenant)})
	require.NoError(t, err)
	require.Len(t, answer.Items, 1)
	_, err = w.PutOverrides(platform, &contract.PutMenuOverridesRequest{TenantID: contract.ID(w.tenant)})
	require.NoError(t, err)
	require.NotNil(t, find(w.menu(""), "platform:home"))
	_, err = w.GetOverrides(platform, &contract.MenuOverridesRequest{})
	require.ErrorIs(t, err, &contract.Error{Code: contract.InvalidArgument, Field: "tenant_id"})
}

func TestEveryReplicaHearsOfAChangeAndAsksTheDatabaseOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	replica := w.replica()
	hidden := func(a *App) bool {
		menu, err := a.Get(w.as(false), &contract.GetMenuRequest{})
		require.NoError(t, err)
		return find(menu, "platform:home") == nil
	}
	require.False(t, hidden(replica))
	w.put(contract.MenuOverride{ItemID: "platform:home", Hidden: true})
	require.True(t, hidden(w.App), "who changed it sees it at once")
	require.False(t, hidden(replica), "it was not asked again")
	for _, change := range w.told() {
		replica.Changed(change)
	}
	require.True(t, hidden(replica))
	replica.Changed(events.MenuChange{TenantID: w.tenant, Revision: 2})
	replica.Changed(events.MenuChange{TenantID: w.tenant, Revision: 1})
	replica.Changed(events.MenuChange{TenantID: kit.NewID(), Revision: 7})
	w.db.Close()
	require.True(t, hidden(replica), "from memory, also after old news")
	require.True(t, hidden(w.App))
	replica.Changed(events.MenuChange{TenantID: w.tenant, Revision: 3})
	_, err := replica.Get(w.as(false), &contract.GetMenuRequest{})
	require.Error(t, err, "what is old is not shown")
}

// What was read before a change was heard of must not stay.
func TestWhatWasReadBeforeAChangeIsNotKeptAfterIt(t *testing.T) {
	t.Parallel()
	var c overridesCache
	entry, known := c.entry("t")
	require.Zero(t, known.revision)
	c.changed("t", 2) // while the first is being read
	c.keep(entry, overrides{revision: 1})
	_, known = c.entry("t")
	require.Zero(t, known.revision)
	c.keep(entry, overrides{revision: 3})
	c.keep(entry, overrides{revision: 2}) // by a slower reader
	_, known = c.entry("t")
	require.EqualValues(t, 3, known.revision)
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	t.Parallel()
	var m memo[int]
	var c overridesCache
	for i := range 2 * remembered {
		key := fmt.Sprint(i)
		m.put(key, i)
		m.put(key, i)
		value, ok := m.get(key)
		require.True(t, ok)
		require.Equal(t, i, value)
		c.entry(key)
	}
	require.Len(t, m.of, remembered)
	require.Len(t, c.of, remembered)
}

func TestTroubleWithContributionsIsNoEmptyMenu(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	broken := w.replica()
	broken.Contributions = brokenContributions{}
	_, err := broken.Get(w.as(false), &contract.GetMenuRequest{})
	require.ErrorIs(t, err, errBroken)
	_, err = broken.GetOverrides(w.as(false), &contract.MenuOverridesRequest{})
	require.ErrorIs(t, err, errBroken)
	_, err = broken.PutOverrides(w.as(false), &contract.PutMenuOverridesRequest{})
	require.ErrorIs(t, err, errBroken)
}

var errBroken = errors.New("broken")
