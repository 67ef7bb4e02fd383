package registry

import (
	"context"
	"fmt"
	"slices"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/tenant/internal/resolve"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// Enable answers tenant.enable_module. What the module needs must be there.
func (r *Registry) Enable(ctx context.Context, req *contract.ChangeModule) (*contract.InstalledModule, error) {
	return r.changeInstalled(ctx, req, func(t *turn, row db.TenantActivation) (db.TenantActivation, error) {
		if row.Enabled {
			return row, nil
		}
		want, err := readWanted(row.Version)
		if err != nil {
			return row, err
		}
		s, err := r.solve(ctx, t.q, t.tenant, row.Module, want)
		if err != nil {
			return row, err
		}
		if err := s.alone(); err != nil {
			return row, err
		}
		return t.take(ctx, s, s.wantedStep(), aim{follows: row.Range})
	})
}

// alone refuses what would change other modules too.
func (s *solution) alone() error {
	for _, step := range s.steps[:len(s.steps)-1] {
		if step.Action != resolve.None {
			return contract.Errorf(contract.Conflict, "it needs %s %s; %s that first", step.Module, step.Range, step.Action)
		}
	}
	return nil
}

// Disable answers tenant.disable_module.
func (r *Registry) Disable(ctx context.Context, req *contract.ChangeModule) (*contract.InstalledModule, error) {
	return r.changeInstalled(ctx, req, func(t *turn, row db.TenantActivation) (db.TenantActivation, error) {
		if !row.Enabled {
			return row, nil
		}
		if err := t.mayGo(ctx, row.Module); err != nil {
			return row, err
		}
		row, err := t.put(ctx, db.PutActivationParams{
			Module: row.Module, Installed: true, Version: row.Version, Range: row.Range, Scopes: row.Scopes,
		})
		if err != nil {
			return row, err
		}
		return row, t.hooksOf(ctx, row, "disabled")
	})
}

// ChangeVersion answers tenant.change_version. Scopes that are new and not
// consented to stay dormant.
func (r *Registry) ChangeVersion(ctx context.Context, req *contract.ChangeModuleVersionRequest) (*contract.InstalledModule, error) {
	want, err := readWanted(req.Version)
	if err != nil {
		return nil, err
	}
	which := &contract.ChangeModule{TenantID: req.TenantID, ModuleName: req.ModuleName, Revision: req.Revision}
	return r.changeInstalled(ctx, which, func(t *turn, row db.TenantActivation) (db.TenantActivation, error) {
		s, err := r.solve(ctx, t.q, t.tenant, row.Module, want)
		if err != nil {
			return row, err
		}
		if err := s.alone(); err != nil {
			return row, err
		}
		step := s.wantedStep()
		if err := s.asksFor(step, "consent", req.Consent); err != nil {
			return row, err
		}
		return t.take(ctx, s, step, aim{
			disabled: !row.Enabled, follows: want.follows(step.Version.Version.Original()), consent: req.Consent,
		})
	})
}

// asksFor refuses scopes that the step's version does not ask for.
func (s *solution) asksFor(step resolve.Step, field string, scopes []string) error {
	all := asked(s.manifest(step), anyScope)
	for i, scope := range scopes {
		if !slices.ContainsFunc(all, func(a contract.Asked) bool { return a.Scope == scope }) {
			return contract.Invalid(fmt.Sprintf("%s[%d]", field, i), "%s is nothing that %s %s asks for", scope, step.Module, step.Version.Version)
		}
	}
	return nil
}

// Consent answers tenant.consent.
func (r *Registry) Consent(ctx context.Context, req *contract.ConsentModuleRequest) (*contract.InstalledModule, error) {
	which := &contract.ChangeModule{TenantID: req.TenantID, ModuleName: req.ModuleName, Revision: req.Revision}
	return r.changeInstalled(ctx, which, func(t *turn, row db.TenantActivation) (db.TenantActivation, error) {
		m, err := r.manifestOf(ctx, t.q, row.Module, row.Version)
		if err != nil {
			return row, err
		}
		all := asked(m, anyScope)
		for i, scope := range req.Scopes {
			if !slices.ContainsFunc(all, func(a contract.Asked) bool { return a.Scope == scope }) {
				return row, contract.Invalid(fmt.Sprintf("scopes[%d]", i), "%s is nothing that %s %s asks for", scope, row.Module, row.Version)
			}
		}
		scopes := slices.Compact(slices.Sorted(slices.Values(req.Scopes)))
		if slices.Equal(scopes, slices.Sorted(slices.Values(row.Scopes))) {
			return row, nil
		}
		return t.put(ctx, db.PutActivationParams{
			Module: row.Module, Enabled: row.Enabled, Installed: true, Version: row.Version, Range: row.Range,
			Scopes: append([]string{}, scopes...),
		})
	})
}

// changeInstalled runs work on an installed module in its tenant's turn.
func (r *Registry) changeInstalled(ctx context.Context, req *contract.ChangeModule,
	work func(*turn, db.TenantActivation) (db.TenantActivation, error),
) (*contract.InstalledModule, error) {
	tenant, err := r.Directory.ActingTenant(ctx, req.TenantID)
	if err != nil {
		return nil, err
	}
	var row db.TenantActivation
	err = r.change(ctx, tenant, func(t *turn) error {
		if row, err = t.present(ctx, req.ModuleName, req.Revision); err != nil {
			return err
		}
		row, err = work(t, row)
		return err
	})
	if err != nil {
		return nil, err
	}
	return r.describe(ctx, tenant, row)
}
