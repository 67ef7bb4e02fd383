package registry

import (
	"encoding/json"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

func TestAnInstalledModuleIsEnabledInTheVersionThatFits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, version := range []string{"1.0.0", "1.9.0", "1.10.0", "2.0.0-rc.1"} {
		w.publish("crm", version, nil)
	}
	got, err := w.install("crm", "")
	require.NoError(t, err)
	require.Equal(t, []string{"1.10.0", "^1.10.0", "enabled"}, []string{got.Version, got.Range, got.State})
	require.True(t, w.Directory.Enabled(string(w.tenant), "crm"))

	other := &world{Registry: w.Registry, t: t, tenant: w.newTenant()}
	pinned, err := other.install("crm", "1.0.0")
	require.NoError(t, err)
	require.Equal(t, []string{"1.0.0", "", "1.10.0"}, []string{pinned.Version, pinned.Range, pinned.Update})
	_, err = other.install("crm", "")
	requireRefused(t, contract.AlreadyExists, "", err)

	third := &world{Registry: w.Registry, t: t, tenant: w.newTenant()}
	ranged, err := third.install("crm", ">=1.0 <1.10")
	require.NoError(t, err)
	require.Equal(t, []string{"1.9.0", ">=1.0 <1.10"}, []string{ranged.Version, ranged.Range})
	_, err = third.install("crm", "latest")
	requireRefused(t, contract.InvalidArgument, "version", err)
}

func TestWhatAModuleNeedsIsInstalledOrNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish("billing", "1.0.0", requires("ledger", "^1"))
	w.publish("ledger", "1.2.0", requires("currency", "^3"))
	_, err := w.install("billing", "")
	refused := refusal(t, contract.Conflict, "", err)
	require.Contains(t, refused.Message, "currency ^3 (needed by ledger)")

	w.publish("currency", "3.1.0", nil)
	_, err = w.Install(bounded(t), &contract.InstallModuleRequest{TenantID: w.tenant, ModuleName: "billing"})
	refused = refusal(t, contract.Conflict, "dependencies", err)
	require.Contains(t, refused.Message, "currency")
	require.Contains(t, refused.Message, "ledger")
	list, err := w.ListInstalled(bounded(t), &contract.ListInstalledRequest{TenantID: w.tenant})
	require.NoError(t, err)
	require.Empty(t, list.Items, "all or nothing")

	_, err = w.install("billing", "")
	require.NoError(t, err)
	list, err = w.ListInstalled(bounded(t), &contract.ListInstalledRequest{TenantID: w.tenant})
	require.NoError(t, err)
	require.Len(t, list.Items, 3)
	require.Equal(t, "^1.2.0", w.installed("ledger").Range)

	t.Run("and stays as long as it is needed", func(t *testing.T) {
		_, err := w.Disable(bounded(t), w.change("ledger"))
		require.Contains(t, refusal(t, contract.Conflict, "", err).Message, "billing")
		_, err = w.Uninstall(bounded(t), &contract.UninstallModuleRequest{TenantID: w.tenant, ModuleName: "currency"})
		requireRefused(t, contract.Conflict, "", err)
		w.publish("ledger", "2.0.0", nil)
		_, err = w.ChangeVersion(bounded(t), &contract.ChangeModuleVersionRequest{TenantID: w.tenant, ModuleName: "ledger", Version: "2.0.0"})
		require.Contains(t, refusal(t, contract.Conflict, "version", err).Message, "billing needs it in ^1")
		for _, module := range []string{"billing", "ledger", "currency"} {
			_, err := w.Disable(bounded(t), w.change(module))
			require.NoError(t, err)
		}
		_, err = w.Enable(bounded(t), w.change("billing"))
		require.Contains(t, refusal(t, contract.Conflict, "", err).Message, "enable that first")
	})
}

func TestConsentIsAskedForAndRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish("crm", "1.0.0", scopes([]string{"rbac.check", "auth.verify"}, "audit.log"))
	plan, err := w.Plan(bounded(t), &contract.PlanInstallRequest{TenantID: w.tenant, ModuleName: "crm"})
	require.NoError(t, err)
	require.Len(t, plan.Scopes, 3)
	require.Equal(t, contract.Asked{Scope: "rbac.check", Reason: "Needed for rbac.check"}, plan.New[0])

	_, err = w.install("crm", "", "rbac.check")
	require.Contains(t, refusal(t, contract.InvalidArgument, "consent", err).Message, "auth.verify")
	_, err = w.install("crm", "", "rbac.check", "auth.verify", "rbac.who_can")
	requireRefused(t, contract.InvalidArgument, "consent[2]", err)
	got, err := w.install("crm", "", "rbac.check", "auth.verify")
	require.NoError(t, err)
	require.Equal(t, []string{"rbac.check", "auth.verify"}, got.Scopes)
	require.Equal(t, []contract.Asked{{Scope: "audit.log", Reason: "Nice to have", Optional: true}}, got.Dormant)

	sees := func(operation string) bool {
		return w.Directory.Sees(kit.Principal{Kind: kit.KindModule, Module: "crm", Operation: operation}, string(w.tenant))
	}
	require.True(t, sees("rbac.check"))
	require.True(t, sees("tenant.get"), "its own place needs no consent")
	require.False(t, sees("audit.log"), "dormant")

	t.Run("new scopes of an upgrade stay dormant until consented to", func(t *testing.T) {
		w.publish("crm", "1.1.0", scopes([]string{"rbac.check", "auth.verify", "rbac.who_can"}))
		require.NoError(t, w.followAll(bounded(t), "crm"))
		now := w.installed("crm")
		require.Equal(t, "1.1.0", now.Version)
		require.Equal(t, []contract.Asked{{Scope: "rbac.who_can", Reason: "Needed for rbac.who_can"}}, now.Dormant)
		require.False(t, sees("rbac.who_can"))
		_, err := w.Consent(bounded(t), &contract.ConsentModuleRequest{TenantID: w.tenant, ModuleName: "crm", Scopes: []string{"rbac.check", "audit.log"}})
		requireRefused(t, contract.InvalidArgument, "scopes[1]", err)
		_, err = w.Consent(bounded(t), &contract.ConsentModuleRequest{
			TenantID: w.tenant, ModuleName: "crm", Scopes: []string{"rbac.check", "rbac.who_can"}, Revision: now.Revision,
		})
		require.NoError(t, err)
		require.True(t, sees("rbac.who_can"))
		require.False(t, sees("auth.verify"), "consent was withdrawn")
		_, err = w.Consent(bounded(t), &contract.ConsentModuleRequest{
			TenantID: w.tenant, ModuleName: "crm", Scopes: []string{}, Revision: now.Revision,
		})
		requireRefused(t, contract.Conflict, "revision", err)
	})
}

func TestVersionsGoUpAndDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hooks := map[string]any{"hooks": []map[string]any{{"event": "installed"}, {"event": "upgraded"}, {"event": "downgraded"}, {"event": "uninstalled"}}}
	w.publish("crm", "1.0.0", hooks)
	w.publish("crm", "1.1.0", hooks)
	_, err := w.install("crm", "1.0.0")
	require.NoError(t, err)
	up, err := w.ChangeVersion(bounded(t), &contract.ChangeModuleVersionRequest{TenantID: w.tenant, ModuleName: "crm", Version: "^1"})
	require.NoError(t, err)
	require.Equal(t, []string{"1.1.0", "^1"}, []string{up.Version, up.Range})
	_, err = w.Disable(bounded(t), w.change("crm"))
	require.NoError(t, err)
	down, err := w.ChangeVersion(bounded(t), &contract.ChangeModuleVersionRequest{TenantID: w.tenant, ModuleName: "crm", Version: "1.0.0"})
	require.NoError(t, err)
	require.Equal(t, []string{"1.0.0", "", "disabled"}, []string{down.Version, down.Range, down.State})
	_, err = w.ChangeVersion(bounded(t), &contract.ChangeModuleVersionRequest{TenantID: w.tenant, ModuleName: "crm", Version: "9.0.0"})
	requireRefused(t, contract.Conflict, "version", err)
	_, err = w.Uninstall(bounded(t), &contract.UninstallModuleRequest{TenantID: w.tenant, ModuleName: "crm", EraseData: true})
	require.NoError(t, err)
	_, err = w.GetInstalled(bounded(t), &contract.ModuleRequest{TenantID: w.tenant, ModuleName: "crm"})
	requireRefused(t, contract.NotFound, "", err)

	t.Run("and the module is told until it acknowledges", func(t *testing.T) {
		ctx := kit.WithCaller(bounded(t), kit.Caller{Principal: kit.Principal{Kind: kit.KindModule, Module: "crm"}})
		stranger := kit.WithCaller(bounded(t), kit.Caller{Principal: kit.Principal{Kind: kit.KindModule, Module: "other"}})
		pending := func() (events []string, ids []string) {
			list, err := w.ListHooks(ctx, &contract.ListHooksRequest{})
			require.NoError(t, err)
			for _, hook := range list.Items {
				events, ids = append(events, hook.Event), append(ids, hook.ID)
			}
			return events, ids
		}
		told, ids := pending()
		require.Equal(t, []string{"installed", "upgraded", "downgraded", "uninstalled"}, told)
		_, err := w.AcknowledgeHook(stranger, &contract.AcknowledgeHookRequest{HookID: contract.ID(ids[0])})
		requireRefused(t, contract.NotFound, "", err)
		_, err = w.AcknowledgeHook(ctx, &contract.AcknowledgeHookRequest{HookID: contract.ID(ids[0]), Failed: "no disk"})
		require.NoError(t, err)
		for _, id := range ids {
			_, err = w.AcknowledgeHook(ctx, &contract.AcknowledgeHookRequest{HookID: contract.ID(id)})
			require.NoError(t, err)
		}
		told, _ = pending()
		require.Empty(t, told)
		_, err = w.AcknowledgeHook(ctx, &contract.AcknowledgeHookRequest{HookID: contract.ID(ids[0])})
		requireRefused(t, contract.NotFound, "", err)
	})
}

// A module that changes its settings often is told once, until it acknowledges;
// one that never does is told so often as it wants.
func TestAModuleIsToldThatItWasConfigured(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish("crm", "1.0.0", map[string]any{"hooks": []map[string]any{{"event": "configured", "retries": 2}}})
	w.publish("deaf", "1.0.0", nil)
	for _, module := range []string{"crm", "deaf"} {
		_, err := w.install(module, "")
		require.NoError(t, err)
	}
	configured := func(module string) {
		require.NoError(t, w.Store.Change(bounded(t), string(w.tenant), func(q *db.Queries) ([]events.Event, error) {
			return nil, w.Configured(bounded(t), q, string(w.tenant), module)
		}))
	}
	told := func() (n int) {
		w.exec("UPDATE tenant.hooks SET next_at = now()")
		w.exec("DELETE FROM tenant.outbox")
		require.NoError(t, w.callHooks(bounded(t)))
		require.NoError(t, w.Store.DB.QueryRow(bounded(t), "SELECT count(*) FROM tenant.outbox").Scan(&n))
		return n
	}
	configured("crm")
	configured("crm")
	configured("deaf")
	require.Equal(t, []int{1, 1, 0}, []int{told(), told(), told()})
	ctx := kit.WithCaller(bounded(t), kit.Caller{Principal: kit.Principal{Kind: kit.KindModule, Module: "crm"}})
	list, err := w.ListHooks(ctx, &contract.ListHooksRequest{})
	require.NoError(t, err)
	require.Len(t, list.Items, 1, "it stays listed")
	configured("crm")
	require.Equal(t, 1, told(), "anew")
}

func TestSettingsGoWithTheInstallation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	fake, _ := w.Settings.(*fakeSettings)
	w.publish("crm", "1.0.0", map[string]any{"settings": map[string]any{"type": "object", "properties": map[string]any{"color": map[string]any{"type": "string"}}}})
	w.publish("plain", "1.0.0", nil)
	_, err := w.Install(bounded(t), &contract.InstallModuleRequest{TenantID: w.tenant, ModuleName: "plain", Settings: json.RawMessage(`{}`)})
	requireRefused(t, contract.InvalidArgument, "settings", err)
	_, err = w.Install(bounded(t), &contract.InstallModuleRequest{TenantID: w.tenant, ModuleName: "crm", Settings: json.RawMessage(`{"color":"red"}`)})
	require.NoError(t, err)
	require.Equal(t, []string{`crm {"color":"red"}`}, fake.written)
	_, err = w.Uninstall(bounded(t), &contract.UninstallModuleRequest{TenantID: w.tenant, ModuleName: "crm"})
	require.NoError(t, err)
	require.Empty(t, fake.erased, "kept unless asked")
}

func TestWhoMayInstallWhat(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish("crm", "1.0.0", nil)
	canary := maps.Clone(scopes(nil))
	w.publish("crm", "2.0.0", canary)
	w.exec("UPDATE tenant.module_versions SET rollout_percent = 0, rollout_tenants = ARRAY[$1::uuid] WHERE version = '2.0.0'", string(w.tenant))
	chosen, err := w.install("crm", "")
	require.NoError(t, err)
	require.Equal(t, "2.0.0", chosen.Version)
	other := &world{Registry: w.Registry, t: t, tenant: w.newTenant()}
	rest, err := other.install("crm", "")
	require.NoError(t, err)
	require.Equal(t, "1.0.0", rest.Version)
	require.Empty(t, rest.Update)

	w.publish("secret", "1.0.0", nil)
	w.exec("UPDATE tenant.modules SET visibility = 'hidden' WHERE id = 'secret'")
	_, err = w.install("secret", "")
	hidden := refusal(t, contract.NotFound, "", err)
	_, err = w.install("nothing", "")
	require.Equal(t, refusal(t, contract.NotFound, "", err), hidden)
	w.exec("UPDATE tenant.modules SET visibility = 'allow_list', allowed = ARRAY[$1::uuid] WHERE id = 'secret'", string(w.tenant))
	_, err = w.install("secret", "")
	require.NoError(t, err)
	_, err = other.install("secret", "")
	requireRefused(t, contract.NotFound, "", err)
}

func TestASuspendedVersionIsOffAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish("crm", "1.0.0", nil)
	_, err := w.install("crm", "")
	require.NoError(t, err)
	state := contract.ModuleState{Module: "crm", Versions: []string{"1.0.0"}, Revision: 1 << 40}
	w.Directory.PutModule(state)
	require.False(t, w.Directory.Enabled(string(w.tenant), "crm"))
	require.Equal(t, "suspended", w.installed("crm").State)
	state.Versions, state.Revision = nil, state.Revision+1
	w.Directory.PutModule(state)
	require.Equal(t, "enabled", w.installed("crm").State)
}

// A growing percentage takes nobody out, and 0 and 100 mean what they say.
func TestARolloutGrows(t *testing.T) {
	t.Parallel()
	for range 500 {
		tenant, was := kit.NewID(), false
		for percent := int32(0); percent <= 100; percent++ {
			in := inRollout(tenant, "crm", percent, nil)
			require.False(t, was && !in)
			was = in
		}
		require.True(t, was)
		require.False(t, inRollout(tenant, "crm", 0, nil))
		require.True(t, inRollout(tenant, "crm", 0, []string{tenant}))
	}
}

func TestATenantHasAsManyModulesAsItMay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, module := range []string{"crm", "billing"} {
		w.publish(module, "1.0.0", nil)
	}
	w.exec(`UPDATE tenant.tenants SET limits = '{"modules": 1}' WHERE id = $1`, string(w.tenant))
	_, err := w.install("crm", "")
	require.NoError(t, err)
	_, err = w.install("billing", "")
	requireRefused(t, contract.Conflict, "limits.modules", err)
	_, err = w.Disable(bounded(t), w.change("crm"))
	require.NoError(t, err)
	_, err = w.install("billing", "")
	require.NoError(t, err)
	_, err = w.Enable(bounded(t), w.change("crm"))
	requireRefused(t, contract.Conflict, "limits.modules", err)
}
