package registry

import (
	"context"
	"fmt"
	"slices"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/tenant/internal/resolve"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// Install answers tenant.install_module. Roles get their permissions first:
// those are without effect until the module is enabled.
func (r *Registry) Install(ctx context.Context, req *contract.InstallModuleRequest) (*contract.InstalledModule, error) {
	tenant, err := r.Directory.ActingTenant(ctx, req.TenantID)
	if err != nil {
		return nil, err
	}
	want, err := readWanted(req.Version)
	if err != nil {
		return nil, err
	}
	var s *solution
	err = r.Store.Read(ctx, tenant, func(q *db.Queries) (err error) {
		s, err = r.installable(ctx, q, tenant, want, req)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := r.grant(ctx, tenant, s.manifest(s.wantedStep()), req.Roles); err != nil {
		return nil, err
	}
	var row db.TenantActivation
	err = r.change(ctx, tenant, func(t *turn) error {
		s, err := r.installable(ctx, t.q, tenant, want, req) // it may have changed meanwhile
		if err != nil {
			return err
		}
		row, err = t.install(ctx, s, want, req)
		return err
	})
	if err != nil {
		return nil, err
	}
	return r.describe(ctx, tenant, row)
}

// installable is the solution for an installation, if nothing speaks against it.
func (r *Registry) installable(ctx context.Context, q *db.Queries, tenant string, want wanted, req *contract.InstallModuleRequest) (*solution, error) {
	s, err := r.solve(ctx, q, tenant, req.ModuleName, want)
	if err != nil {
		return nil, err
	}
	if _, there := s.installed[req.ModuleName]; there {
		return nil, contract.Errorf(contract.AlreadyExists, "the module is installed; enable it, or change its version")
	}
	var missing []string
	for _, step := range s.steps[:len(s.steps)-1] {
		if step.Action != resolve.None {
			missing = append(missing, fmt.Sprintf("%s %s (%s %s)", step.Module, step.Range, step.Action, step.Version.Version))
		}
	}
	if len(missing) > 0 && !req.Dependencies {
		return nil, &contract.Error{
			Code: contract.Conflict, Field: "dependencies",
			Message: fmt.Sprintf("the module needs %q; see to them first, or set dependencies", missing),
		}
	}
	known := map[string]bool{}
	for _, step := range s.steps {
		if err := s.needsConsent(step, req.Consent); err != nil {
			return nil, err
		}
		for _, scope := range s.manifest(step).Scopes {
			known[scope.Name] = true
		}
	}
	for i, scope := range req.Consent {
		if !known[scope] {
			return nil, contract.Invalid(fmt.Sprintf("consent[%d]", i), "%s is nothing that is asked for", scope)
		}
	}
	return s, nil
}

// install takes the steps, and stores the settings of the module.
func (t *turn) install(ctx context.Context, s *solution, want wanted, req *contract.InstallModuleRequest) (row db.TenantActivation, err error) {
	for _, step := range s.steps {
		follows := want.follows(step.Version.Version.Original())
		if step.Module != req.ModuleName {
			if step.Action == resolve.None {
				continue
			}
			follows = "^" + step.Version.Version.Original()
		}
		if row, err = t.take(ctx, s, step, aim{follows: follows, consent: req.Consent}); err != nil {
			return row, err
		}
	}
	if len(req.Settings) == 0 {
		return row, nil
	}
	schema := settingsSchema(s.manifest(s.wantedStep()))
	if schema == nil {
		return row, contract.Invalid("settings", "the module has none")
	}
	told, err := t.r.Settings.Write(ctx, t.q, t.tenant, req.ModuleName, schema, req.Settings)
	t.told = append(t.told, told...)
	return row, err
}

// readGrant is the permissions of a module that a role is to get.
func readGrant(field string, defined []contract.DeclaredPermission, wanted []string) ([]string, error) {
	all := make([]string, len(defined))
	for i, p := range defined {
		all[i] = p.Code
	}
	if len(wanted) == 0 {
		return all, nil
	}
	for i, code := range wanted {
		if !slices.Contains(all, code) {
			return nil, contract.Invalid(fmt.Sprintf("%s.permissions[%d]", field, i), "%s is no permission that the module defines", code)
		}
	}
	return wanted, nil
}
