package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
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
	"github.com/buildify/core/services/tenant/internal/store"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

func TestMain(m *testing.M) { kittest.Main(m) }

func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// world is a registry on a database of its own.
type world struct {
	*Registry
	t      testing.TB
	tenant contract.ID
	owner  string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	url := kittest.Database(t, func(ctx context.Context, url string) error { return database.Migrate(ctx, url, nil) })
	pool, err := database.Open(bounded(t), url, "tenant", 0)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	w := &world{t: t, owner: kit.NewID(), Registry: &Registry{
		Store: &store.Store{DB: pool, Committed: func() {}}, Directory: directory.New(slog.New(slog.DiscardHandler)),
		Log: slog.New(slog.DiscardHandler), Changed: func() {}, Settings: &fakeSettings{},
	}}
	w.tenant = w.newTenant()
	return w
}

// exec runs SQL over all tenants.
func (w *world) exec(sql string, arguments ...any) {
	w.t.Helper()
	require.NoError(w.t, w.Store.DB.In(bounded(w.t), database.Everything, func(tx pgx.Tx) error {
		_, err := tx.Exec(bounded(w.t), sql, arguments...)
		return err
	}))
}

func (w *world) newTenant() contract.ID {
	w.t.Helper()
	id := kit.NewID()
	w.exec("INSERT INTO tenant.tenants (id, code, name, state) VALUES ($1, $2, 'A tenant', 'active')", id, "T"+id[24:])
	w.Directory.PutTenant(contract.Tenant{ID: id, IsActive: true, Revision: 1})
	return contract.ID(id)
}

// publish makes a version available to everybody; more are members of its
// manifest.
func (w *world) publish(module, version string, more map[string]any) {
	w.t.Helper()
	all := map[string]any{
		"manifest_version": 2, "id": module, "name": "Module " + module, "version": version,
		"publisher": map[string]any{"name": "Example"}, "compat": map[string]any{"core": "*"},
	}
	for name, value := range more {
		all[name] = value
	}
	raw, err := json.Marshal(all)
	require.NoError(w.t, err)
	w.exec("INSERT INTO tenant.modules (id, owner_id, name) VALUES ($1, $2, $1) ON CONFLICT DO NOTHING", module, w.owner)
	w.exec(`INSERT INTO tenant.module_versions (module, version, state, source, manifest, published_at)
		VALUES ($1, $2, 'published', $3, $3::text::jsonb, now())`, module, version, string(raw))
}

func requires(needs ...string) map[string]any {
	var all []map[string]any
	for i := 0; i+1 < len(needs); i += 2 {
		all = append(all, map[string]any{"module": needs[i], "range": needs[i+1]})
	}
	return map[string]any{"requires": all}
}

func scopes(required []string, optional ...string) map[string]any {
	var all []map[string]any
	for _, name := range required {
		all = append(all, map[string]any{"name": name, "reason": "Needed for " + name})
	}
	for _, name := range optional {
		all = append(all, map[string]any{"name": name, "reason": "Nice to have", "optional": true})
	}
	return map[string]any{"scopes": all}
}

func (w *world) install(module, version string, consent ...string) (*contract.InstalledModule, error) {
	return w.Install(bounded(w.t), &contract.InstallModuleRequest{
		TenantID: w.tenant, ModuleName: module, Version: version, Consent: consent, Dependencies: true,
	})
}

func (w *world) installed(module string) *contract.InstalledModule {
	w.t.Helper()
	one, err := w.GetInstalled(bounded(w.t), &contract.ModuleRequest{TenantID: w.tenant, ModuleName: module})
	require.NoError(w.t, err)
	return one
}

func (w *world) change(module string) *contract.ChangeModule {
	return &contract.ChangeModule{TenantID: w.tenant, ModuleName: module}
}

// requireRefused holds the code and the field.
func requireRefused(t testing.TB, code contract.Code, field string, err error) {
	t.Helper()
	_ = refusal(t, code, field, err)
}

// refusal is an error of this code about this field.
func refusal(t testing.TB, code contract.Code, field string, err error) *contract.Error {
	t.Helper()
	var refused *contract.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, code, refused.Code, refused.Message)
	require.Equal(t, field, refused.Field)
	return refused
}

// fakeSettings stands for the settings: they are tested on their own.
type fakeSettings struct{ written, erased []string }

func (f *fakeSettings) Write(_ context.Context, _ *db.Queries, _, module string, _, values json.RawMessage) ([]events.Event, error) {
	if !json.Valid(values) {
		return nil, fmt.Errorf("no JSON: %s", values)
	}
	f.written = append(f.written, module+" "+string(values))
	return nil, nil
}

func (f *fakeSettings) Erase(_ context.Context, _ *db.Queries, _, module string) ([]events.Event, error) {
	f.erased = append(f.erased, module)
	return nil, nil
}
