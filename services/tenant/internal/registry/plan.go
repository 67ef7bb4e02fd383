package registry

import (
	"context"
	"slices"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/tenant/internal/resolve"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// Plan answers tenant.plan_install.
func (r *Registry) Plan(ctx context.Context, req *contract.PlanInstallRequest) (*contract.InstallPlan, error) {
	tenant, err := r.Directory.ActingTenant(ctx, req.TenantID)
	if err != nil {
		return nil, err
	}
	want, err := readWanted(req.Version)
	if err != nil {
		return nil, err
	}
	var plan *contract.InstallPlan
	err = r.Store.Read(ctx, tenant, func(q *db.Queries) error {
		s, err := r.solve(ctx, q, tenant, req.ModuleName, want)
		if err != nil {
			return err
		}
		plan = s.plan()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return plan, nil
}

// plan is the solution for a person to consent to.
func (s *solution) plan() *contract.InstallPlan {
	step := s.wantedStep()
	m := s.manifest(step)
	plan := &contract.InstallPlan{
		Module: step.Module, Name: m.Say(m.Name), Version: m.Version, Scopes: asked(m, anyScope), New: s.newScopes(step),
		Permissions: m.Declared(), Requires: []contract.Dependency{}, Egress: append([]string{}, m.Egress...), Settings: settingsSchema(m),
	}
	if present, there := s.installed[step.Module]; there {
		plan.From = present.Version
	}
	for _, other := range s.steps[:len(s.steps)-1] {
		plan.Requires = append(plan.Requires, contract.Dependency{
			Module: other.Module, Range: other.Range, NeededBy: other.NeededBy, Action: string(other.Action),
			Version: other.Version.Version.Original(), New: s.newScopes(other),
		})
	}
	return plan
}

func anyScope(string) bool { return true }

// newScopes are those that a step's version asks for and the tenant has not
// consented to.
func (s *solution) newScopes(step resolve.Step) []contract.Asked {
	present := s.installed[step.Module]
	return asked(s.manifest(step), func(scope string) bool { return !slices.Contains(present.Scopes, scope) })
}
