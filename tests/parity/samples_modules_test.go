package parity

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

// moduleSamples are of the modules that tenants have.
func moduleSamples() map[string]sample {
	return map[string]sample{
		"tenant.modules": aboutTenant(nil, hasOurModule),
		"tenant.list_installed": {
			request: func(*testing.T, *fixture) request { return fields{}.request() }, want: hasOurModule,
			varies: "update", // of whichever module comes first
		},
		"tenant.get_installed":  aboutInstalled(nil, has("state", "enabled")),
		"tenant.plan_install":   aboutPublished(fields{"version": "^1"}, has("version", "1.0.0")),
		"tenant.install_module": aboutPublished(fields{"consent": []string{"rbac.check"}}, has("state", "enabled")),
		"tenant.enable_module": aboutInstalled(func(t *testing.T, f *fixture, c *stack.Company, module string) fields {
			stack.Do(t, f.s, contract.DisableModule, &contract.ChangeModule{TenantID: contract.ID(c.Tenant.ID), ModuleName: module})
			return nil
		}, has("state", "enabled")),
		"tenant.disable_module": aboutInstalled(nil, has("state", "disabled")),
		"tenant.change_version": aboutInstalled(func(*testing.T, *fixture, *stack.Company, string) fields { return fields{"version": "1.0.0"} }, has("version", "1.0.0")),
		"tenant.consent": aboutInstalled(func(*testing.T, *fixture, *stack.Company, string) fields { return fields{"scopes": []string{}} },
			func(t *testing.T, _ *fixture, got map[string]any) { require.Len(t, got["dormant"], 1) }),
		"tenant.uninstall_module":   aboutInstalled(nil, nil),
		"tenant.list_module_states": {request: func(*testing.T, *fixture) request { return fields{}.request() }},
		"tenant.hooks": {own: true, regardless: true, request: func(t *testing.T, f *fixture) request {
			f.hook(t)
			return fields{"limit": 500}.request()
		}, want: func(t *testing.T, f *fixture, got map[string]any) {
			items, _ := got["items"].([]any)
			require.NotEmpty(t, items)
			first, _ := items[0].(map[string]any)
			require.Equal(t, f.ours.Tenant.ID, first["tenant_id"])
		}},
		"tenant.acknowledge_hook": {
			regardless: true,
			request:    func(t *testing.T, f *fixture) request { return fields{"hook_id": f.hook(t)}.request() },
			absent:     func(*testing.T, *fixture) request { return fields{"hook_id": uuid.NewString()}.request() },
		},
	}
}

// hasOurModule holds that a list has ours' module.
func hasOurModule(t *testing.T, f *fixture, got map[string]any) {
	items, _ := got["items"].([]any)
	require.True(t, slices.ContainsFunc(items, func(item any) bool {
		one, _ := item.(map[string]any)
		return one["module"] == f.ours.Module
	}))
}

// aboutInstalled samples what is done with a module that a tenant has; more
// prepares it.
func aboutInstalled(more func(*testing.T, *fixture, *stack.Company, string) fields, want func(*testing.T, *fixture, map[string]any)) sample {
	of := func(t *testing.T, f *fixture, c *stack.Company) request {
		module := "p" + fresh()
		c.Publish(t, module, "1.0.0", stack.Scopes("rbac.check"))
		c.Install(t, module, "", "rbac.check")
		r := fields{"module_name": module}
		if more != nil {
			maps.Copy(r, more(t, f, c, module))
		}
		return r.request()
	}
	return sample{
		request: func(t *testing.T, f *fixture) request { return of(t, f, f.ours) },
		foreign: func(t *testing.T, f *fixture) request { return of(t, f, f.theirs) },
		absent: func(t *testing.T, f *fixture) request {
			r := fields{"module_name": "p" + fresh()}
			if more != nil { // what it says of the module beside its name
				module := "p" + fresh()
				f.theirs.Publish(t, module, "1.0.0", stack.Scopes("rbac.check"))
				f.theirs.Install(t, module, "", "rbac.check")
				maps.Copy(r, more(t, f, f.theirs, module))
			}
			return r.request()
		},
		want: want,
	}
}

// aboutPublished samples what is done with a module that the registry has. What
// another tenant's people keep to themselves does not exist.
func aboutPublished(more fields, want func(*testing.T, *fixture, map[string]any)) sample {
	with := func(module string) request {
		r := fields{"module_name": module}
		maps.Copy(r, more)
		return r.request()
	}
	return sample{
		request: func(t *testing.T, f *fixture) request {
			module := "p" + fresh()
			f.ours.Publish(t, module, "1.0.0", stack.Scopes("rbac.check"))
			return with(module)
		},
		foreign: func(t *testing.T, f *fixture) request {
			module := "p" + fresh()
			f.theirs.Publish(t, module, "1.0.0", stack.Scopes("rbac.check"))
			stack.Do(t, f.s, contract.SetVisibility, &contract.SetVisibilityRequest{
				TenantID: contract.ID(f.theirs.Tenant.ID), ModuleName: module, Visibility: "hidden",
			})
			return with(module)
		},
		absent: func(*testing.T, *fixture) request { return with("p" + fresh()) },
		want:   want,
	}
}

// manage puts ours' module under a manifest, with consent to all there is: it
// may what it might without.
func (f *fixture) manage(t *testing.T) {
	t.Helper()
	scopes := contract.ConsentScopes()
	more := stack.Scopes(scopes...)
	more["hooks"] = []map[string]any{{"event": "upgraded"}, {"event": "downgraded"}}
	more["settings"] = map[string]any{"type": "object", "properties": map[string]any{
		"greeting": map[string]any{"type": "string", "default": "hello"},
	}}
	for _, version := range []string{"1.0.0", "1.1.0"} {
		f.ours.Publish(t, f.ours.Module, version, more)
	}
	f.ours.Install(t, f.ours.Module, "1.0.0", scopes...)
}

// testHooksAreOnesOwn holds that nobody is told of another's hooks.
func testHooksAreOnesOwn(t *testing.T, f *fixture) {
	f.hook(t)
	for name, m := range map[string]*module{"another module": f.stranger, "the module's key for another tenant": f.elsewhere} {
		for transport, caller := range map[string]stack.Caller{
			"http": stack.HTTPCaller{URL: f.s.HTTPURL, APIKey: m.key}, "nats": stack.BusCaller{Conn: m.bus, KeyID: m.id},
		} {
			out, refused := caller.Call(t, contract.ListHooks.Spec, "{}")
			require.Nil(t, refused, "%s over %s", name, transport)
			var list contract.ListHooksResponse
			require.NoError(t, json.Unmarshal(out, &list))
			require.Empty(t, list.Items, "%s over %s", name, transport)
		}
	}
}

// hook has something happen to ours' module that it is told, and returns the
// hook's id.
func (f *fixture) hook(t *testing.T) string {
	t.Helper()
	f.hooks.Lock()
	defer f.hooks.Unlock()
	next := "1.1.0"
	if f.upgraded {
		next = "1.0.0"
	}
	f.upgraded = !f.upgraded
	stack.Do(t, f.s, contract.ChangeModuleVersion, &contract.ChangeModuleVersionRequest{
		TenantID: contract.ID(f.ours.Tenant.ID), ModuleName: f.ours.Module, Version: next,
	})
	var list contract.ListHooksResponse
	out, refused := stack.HTTPCaller{URL: f.s.HTTPURL, APIKey: f.module.key}.Call(t, contract.ListHooks.Spec, `{"limit":500}`)
	require.Nil(t, refused)
	require.NoError(t, json.Unmarshal(out, &list))
	return list.Items[len(list.Items)-1].ID
}
