package menu

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/directory"
	"github.com/buildify/core/pkg/kit/kittest"
	"github.com/buildify/core/pkg/manifest"
	"github.com/buildify/core/services/tenant/internal/store"
)

func TestMain(m *testing.M) { kittest.Main(m) }

func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// world is what a menu depends on, for one tenant.
type world struct {
	*App
	t      testing.TB
	tenant string
	user   string
	db     *database.DB

	mu        sync.Mutex
	held      []string // permissions; "*" is all
	asked     [][]string
	refuse    error
	manifests []*manifest.Manifest
	settings  map[string]string // by module/key
	languages []string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	url := kittest.Database(t, func(ctx context.Context, url string) error { return database.Migrate(ctx, url, nil) })
	db, err := database.Open(bounded(t), url, "tenant", 0)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	w := &world{t: t, user: kit.NewID(), db: db, settings: map[string]string{}, held: []string{"*"}}
	w.App = &App{
		Store: &store.Store{DB: db, Committed: func() {}}, Directory: directory.New(slog.New(slog.DiscardHandler)),
		Permissions: w, Contributions: w, Settings: w,
	}
	w.tenant = w.newTenant()
	return w
}

func (w *world) newTenant() string {
	w.t.Helper()
	id := kit.NewID()
	require.NoError(w.t, w.db.In(bounded(w.t), id, func(tx pgx.Tx) error {
		_, err := tx.Exec(bounded(w.t), "INSERT INTO tenants (id, code, name) VALUES ($1, $2, 'A tenant')", id, "T"+strings.ToUpper(id[24:]))
		return err
	}))
	w.Directory.PutTenant(contract.Tenant{ID: id, IsActive: true, State: contract.TenantActive, Revision: 1})
	return id
}

// replica is another one of the service, in the same world.
func (w *world) replica() *App {
	return &App{Store: w.Store, Directory: w.Directory, Permissions: w, Contributions: w, Settings: w}
}

// Held implements Permissions.
func (w *world) Held(_ context.Context, user kit.User, permissions []string) ([]bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	require.Equal(w.t, w.user, user.ID)
	w.asked = append(w.asked, permissions)
	if w.refuse != nil {
		return nil, w.refuse
	}
	held := make([]bool, len(permissions))
	for i, permission := range permissions {
		held[i] = slices.Contains(w.held, "*") || slices.Contains(w.held, permission)
	}
	return held, nil
}

// Menus implements Contributions.
func (w *world) Menus(_ context.Context, tenant string) ([]*manifest.Manifest, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if tenant != w.tenant {
		return nil, nil
	}
	return slices.Clone(w.manifests), nil
}

// Setting implements Settings.
func (w *world) Setting(_ context.Context, tenant, module, key string) (string, bool) {
	require.Equal(w.t, w.tenant, tenant)
	w.mu.Lock()
	defer w.mu.Unlock()
	value, ok := w.settings[module+"/"+key]
	return value, ok
}

// Languages implements Settings.
func (w *world) Languages(context.Context, string, string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.languages
}

// enable has the tenant use a module with these items.
func (w *world) enable(id, version string, items ...manifest.MenuItem) *manifest.Manifest {
	m := &manifest.Manifest{ID: id, Version: version, Menu: items}
	w.use(m)
	return m
}

// use has the tenant use a module.
func (w *world) use(m *manifest.Manifest) {
	w.disable(m.ID)
	w.mu.Lock()
	w.manifests = append(w.manifests, m)
	w.mu.Unlock()
	w.activate(m.ID, true)
}

func (w *world) disable(id string) {
	w.mu.Lock()
	w.manifests = slices.DeleteFunc(slices.Clone(w.manifests), func(m *manifest.Manifest) bool { return m.ID == id })
	w.mu.Unlock()
	w.activate(id, false)
}

var revisions = struct {
	sync.Mutex
	last int64
}{}

func (w *world) activate(module string, enabled bool) {
	revisions.Lock()
	revisions.last++
	revision := revisions.last
	revisions.Unlock()
	w.Directory.PutActivation(contract.Activation{TenantID: w.tenant, Module: module, Enabled: enabled, Revision: revision})
}

// as is the context of a person in the tenant.
func (w *world) as(platform bool) context.Context {
	return kit.WithCaller(bounded(w.t), kit.Caller{User: kit.User{ID: w.user, TenantID: w.tenant, Platform: platform}})
}

// menu is the person's, in a language.
func (w *world) menu(language string) *contract.Menu {
	w.t.Helper()
	menu, err := w.Get(w.as(false), &contract.GetMenuRequest{Language: language})
	require.NoError(w.t, err)
	return menu
}

// put overrides as an administrator does.
func (w *world) put(items ...contract.MenuOverride) *contract.MenuOverrides {
	w.t.Helper()
	answer, err := w.PutOverrides(w.as(false), &contract.PutMenuOverridesRequest{Items: items})
	require.NoError(w.t, err)
	return answer
}

// outline writes a section as "id(child child) id".
func outline(menu *contract.Menu, section string) string {
	i := slices.IndexFunc(menu.Sections, func(s contract.MenuSection) bool { return s.ID == section })
	return outlineOf(menu.Sections[i].Items)
}

func outlineOf(items []contract.MenuItem) string {
	var words []string
	for _, item := range items {
		word := item.ID
		if len(item.Children) > 0 {
			word += "(" + outlineOf(item.Children) + ")"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// find returns an item, nil where it is not shown.
func find(menu *contract.Menu, id string) *contract.MenuItem {
	var in func([]contract.MenuItem) *contract.MenuItem
	in = func(items []contract.MenuItem) *contract.MenuItem {
		for i := range items {
			if items[i].ID == id {
				return &items[i]
			}
			if found := in(items[i].Children); found != nil {
				return found
			}
		}
		return nil
	}
	for _, section := range menu.Sections {
		if found := in(section.Items); found != nil {
			return found
		}
	}
	return nil
}

// told are the events in the outbox.
func (w *world) told() (changes []events.MenuChange) {
	w.t.Helper()
	rows, err := w.db.Query(bounded(w.t), "SELECT event FROM outbox ORDER BY id")
	require.NoError(w.t, err)
	defer rows.Close()
	for rows.Next() {
		var raw []byte
		require.NoError(w.t, rows.Scan(&raw))
		var e events.Event
		require.NoError(w.t, json.Unmarshal(raw, &e))
		if events.MenuChanged.Is(e) {
			var change events.MenuChange
			require.NoError(w.t, json.Unmarshal(e.Data(), &change))
			changes = append(changes, change)
		}
	}
	require.NoError(w.t, rows.Err())
	return changes
}

// everything is held by everybody.
type everything struct{}

func (everything) Held(_ context.Context, _ kit.User, permissions []string) ([]bool, error) {
	return slices.Repeat([]bool{true}, len(permissions)), nil
}

func at(order int) *int { return &order }
