package parity

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

// testModules tells the stories of modules in tenants.
func testModules(t *testing.T, s *stack.Stack) {
	t.Parallel()
	t.Run("consent decides what a module may", func(t *testing.T) { testConsent(t, s) })
	t.Run("whoever installs grants what they hold", func(t *testing.T) { testInstallGrants(t, s) })
	t.Run("followers get what is published", func(t *testing.T) { testFollowers(t, s) })
	t.Run("a suspended module is off everywhere at once", func(t *testing.T) { testKillSwitch(t, s) })
	t.Run("a suspended version is off where it runs", func(t *testing.T) { testSuspendedVersion(t, s) })
}

// callers are those of a module's fresh key.
func callers(t *testing.T, s *stack.Stack, module string, options ...nats.Option) (key string, all map[string]stack.Caller) {
	t.Helper()
	made := stack.Do(t, s, contract.CreateKey, &contract.CreateKeyRequest{Module: module, Environment: "dev", RateClass: "bulk"})
	nc, err := s.ModuleBus(t, made.APIKey, options...)
	require.NoError(t, err)
	return made.APIKey, map[string]stack.Caller{
		"http": stack.HTTPCaller{URL: s.HTTPURL, APIKey: made.APIKey}, "nats": stack.BusCaller{Conn: nc, KeyID: made.ID},
	}
}

// settles waits until a call answers as it should: changes travel by event. Code
// is empty for a call that is answered.
func settles(t *testing.T, what string, code contract.Code, call func() *contract.Error) {
	t.Helper()
	require.Eventually(t, func() bool {
		refused := call()
		return code == "" && refused == nil || refused != nil && refused.Code == code
	}, stack.Timeout, 2*time.Millisecond, what)
}

func testConsent(t *testing.T, s *stack.Stack) {
	t.Parallel()
	c, module := s.Company(t), "p"+fresh()
	tenant := contract.ID(c.Tenant.ID)
	c.Publish(t, module, "1.0.0", stack.Scopes("rbac.check"))
	installed := c.Install(t, module, "", "rbac.check")
	_, all := callers(t, s, module)
	check := func(caller stack.Caller) func() *contract.Error {
		return func() *contract.Error {
			_, refused := caller.Call(t, contract.CheckPermission.Spec, fields{"user_id": c.Reader.ID, "permission": module + ":a:read"}.body())
			return refused
		}
	}
	get := func(caller stack.Caller) func() *contract.Error {
		return func() *contract.Error {
			_, refused := caller.Call(t, contract.GetTenant.Spec, fields{"tenant_id": c.Tenant.ID}.body())
			return refused
		}
	}
	log := func(caller stack.Caller) func() *contract.Error {
		return func() *contract.Error {
			_, refused := caller.Call(t, contract.LogAudit.Spec, fields{"user_id": c.Reader.ID, "action": "x.y", "resource_type": "z"}.body())
			return refused
		}
	}
	for name, caller := range all {
		settles(t, name, "", check(caller))
		settles(t, name, "", get(caller))
		settles(t, name+": not asked for", contract.NotFound, log(caller))
	}
	stack.Do(t, s, contract.ConsentModule, &contract.ConsentModuleRequest{TenantID: tenant, ModuleName: module, Scopes: []string{}, Revision: installed.Revision})
	for name, caller := range all {
		settles(t, name+": withdrawn", contract.NotFound, check(caller))
		settles(t, name+": its own place", "", get(caller))
	}
}

func testInstallGrants(t *testing.T, s *stack.Stack) {
	t.Parallel()
	c, module := s.Company(t), "p"+fresh()
	more := stack.Scopes()
	more["permissions"] = []map[string]any{{"code": module + ":notes:read"}, {"code": module + ":notes:write"}}
	c.Publish(t, module, "1.0.0", more)
	role := c.PutRole(t, "editor", module+":extra:read")
	c.PutRole(t, "installer", "modules:**", "roles:**")
	holder, master := c.AddUser(t, "installer"), c.AddUser(t, stack.TenantAdministrator)
	body := fields{"module_name": module, "consent": []string{}, "roles": []fields{{"role_id": role.ID, "permissions": []string{module + ":notes:read"}}}}.body()
	install := func(u stack.User) (got contract.InstalledModule, refused *contract.Error) {
		token := c.Token(t, u)
		out, refused := stack.HTTPCaller{URL: s.HTTPURL, Bearer: token}.Call(t, contract.InstallModule.Spec, body)
		if refused == nil {
			require.NoError(t, json.Unmarshal(out, &got))
		}
		return got, refused
	}
	settles(t, "who holds nothing of the module", contract.PermissionDenied, func() *contract.Error {
		_, refused := install(holder)
		if refused != nil && refused.Field != "roles[0].role_id" {
			return nil // not yet known as an installer
		}
		return refused
	})
	require.Empty(t, stack.Do(t, s, contract.ListInstalled, &contract.ListInstalledRequest{TenantID: contract.ID(c.Tenant.ID)}).Items)
	settles(t, "who holds everything", "", func() *contract.Error {
		_, refused := install(master)
		return refused
	})
	require.ElementsMatch(t, []string{module + ":extra:read", module + ":notes:read"}, c.Role(t, "editor").Permissions)
	var catalogue contract.ListCatalogueResponse
	require.Eventually(t, func() bool {
		catalogue = *stack.Do(t, s, contract.ListCatalogue, &contract.ListCatalogueRequest{TenantID: contract.ID(c.Tenant.ID), Module: module})
		return len(catalogue.Items) == 2
	}, stack.Timeout, 5*time.Millisecond, "its permissions are in the catalogue")
}

func testFollowers(t *testing.T, s *stack.Stack) {
	t.Parallel()
	c, module := s.Company(t), "p"+fresh()
	other := s.Company(t)
	c.Publish(t, module, "1.0.0", nil)
	c.Install(t, module, "^1")
	other.Install(t, module, "1.0.0")
	c.Publish(t, module, "1.1.0", nil)
	version := func(c *stack.Company) string {
		return stack.Do(t, s, contract.GetInstalled, &contract.ModuleRequest{TenantID: contract.ID(c.Tenant.ID), ModuleName: module}).Version
	}
	require.Eventually(t, func() bool { return version(c) == "1.1.0" }, stack.Timeout, 5*time.Millisecond)
	require.Equal(t, "1.0.0", version(other), "pinned")
}

func testKillSwitch(t *testing.T, s *stack.Stack) {
	t.Parallel()
	c, module := s.Company(t), "p"+fresh()
	c.Publish(t, module, "1.0.0", stack.Scopes("rbac.check"))
	c.Install(t, module, "", "rbac.check")
	c.PutRole(t, "reader", module+":a:read")
	closed := make(chan struct{})
	key, all := callers(t, s, module, nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	question := &contract.CheckRequest{UserID: contract.ID(c.Reader.ID), Permission: module + ":a:read"}
	allowed := func() bool { return stack.Do(t, s, contract.CheckPermission, question).Allowed }
	enabled := func() *contract.Error {
		_, refused := all["http"].Call(t, contract.GetTenantModule.Spec, fields{"tenant_id": c.Tenant.ID, "module_name": module}.body())
		return refused
	}
	settles(t, "before", "", enabled)
	require.Eventually(t, allowed, stack.Timeout, 2*time.Millisecond)

	stack.Do(t, s, contract.SuspendModule, &contract.SuspendModuleRequest{ModuleName: module, Reason: "it misbehaves"})
	select {
	case <-closed:
	case <-time.After(stack.Timeout):
		require.Fail(t, "the module's connection was not closed")
	}
	_, err := s.ModuleBus(t, key)
	require.ErrorIs(t, err, nats.ErrAuthorization)
	settles(t, "its key", contract.Unauthenticated, enabled)
	require.Eventually(t, func() bool { return !allowed() }, stack.Timeout, 2*time.Millisecond, "its permissions are without effect")
	one := stack.Do(t, s, contract.GetInstalled, &contract.ModuleRequest{TenantID: contract.ID(c.Tenant.ID), ModuleName: module})
	require.Equal(t, "suspended", one.State)

	stack.Do(t, s, contract.SuspendModule, &contract.SuspendModuleRequest{ModuleName: module})
	settles(t, "afterwards", "", enabled)
	require.Eventually(t, allowed, stack.Timeout, 2*time.Millisecond, "everything is as before")
	require.Eventually(t, func() bool {
		_, err := s.ModuleBus(t, key)
		return err == nil
	}, stack.Timeout, 20*time.Millisecond)
}

func testSuspendedVersion(t *testing.T, s *stack.Stack) {
	t.Parallel()
	bad, good, module := s.Company(t), s.Company(t), "p"+fresh()
	bad.Publish(t, module, "1.0.0", nil)
	good.Install(t, module, "1.0.0")
	bad.Publish(t, module, "1.1.0", nil)
	bad.Install(t, module, "1.1.0")
	_, all := callers(t, s, module)
	sees := func(caller stack.Caller, c *stack.Company) func() *contract.Error {
		return func() *contract.Error {
			_, refused := caller.Call(t, contract.GetTenant.Spec, fields{"tenant_id": c.Tenant.ID}.body())
			return refused
		}
	}
	for name, caller := range all {
		settles(t, name, "", sees(caller, bad))
	}
	stack.Do(t, s, contract.SuspendVersion, &contract.SuspendVersionRequest{ModuleName: module, Version: "1.1.0", Reason: "it misbehaves"})
	for name, caller := range all {
		settles(t, name, contract.NotFound, sees(caller, bad))
		settles(t, name, "", sees(caller, good))
	}
}
