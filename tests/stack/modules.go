package stack

import (
	"encoding/json"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
)

// Publish takes a version of a module, owned by the tenant, through the
// registry. More are members of its manifest.
func (c *Company) Publish(t testing.TB, module, version string, more map[string]any) {
	t.Helper()
	manifest := map[string]any{
		"manifest_version": 2, "id": module, "name": "Module " + module, "version": version,
		"publisher": map[string]any{"name": "Example"}, "compat": map[string]any{"core": "*"},
	}
	maps.Copy(manifest, more)
	text, err := json.Marshal(manifest)
	require.NoError(t, err)
	tenant := contract.ID(c.Tenant.ID)
	Do(t, c.stack, contract.PutVersion, &contract.PutVersionRequest{
		TenantID: tenant, ModuleName: module, Version: version, Manifest: string(text),
	})
	which := &contract.ChangeVersionRequest{TenantID: tenant, ModuleName: module, Version: version}
	submitted := Do(t, c.stack, contract.SubmitVersion, which)
	if submitted.State != "approved" {
		require.Equal(t, "submitted", submitted.State, "%v", submitted.Findings)
		Do(t, c.stack, contract.ReviewVersion, &contract.ReviewVersionRequest{ModuleName: module, Version: version, Decision: "approve"})
	}
	Do(t, c.stack, contract.PublishVersion, &contract.PublishVersionRequest{TenantID: tenant, ModuleName: module, Version: version})
}

// Install installs a module in the tenant.
func (c *Company) Install(t testing.TB, module, version string, consent ...string) *contract.InstalledModule {
	t.Helper()
	return Do(t, c.stack, contract.InstallModule, &contract.InstallModuleRequest{
		TenantID: contract.ID(c.Tenant.ID), ModuleName: module, Version: version, Consent: append([]string{}, consent...),
	})
}

// Scopes are members of a manifest that ask for operations.
func Scopes(names ...string) map[string]any {
	all := make([]map[string]any, len(names))
	for i, name := range names {
		all[i] = map[string]any{"name": name, "reason": "The tests use it."}
	}
	return map[string]any{"scopes": all}
}
