package registry

import (
	"context"
	"slices"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/manifest"
	"github.com/buildify/core/services/tenant/internal/limits"
	"github.com/buildify/core/services/tenant/internal/resolve"
	"github.com/buildify/core/services/tenant/internal/store"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// turn is a change of one tenant's modules; they take their turns.
type turn struct {
	r      *Registry
	q      *db.Queries
	tenant string
	told   []events.Event
}

// change runs work in the tenant's turn and commits what it told.
func (r *Registry) change(ctx context.Context, tenant string, work func(*turn) error) error {
	var states []contract.Activation
	err := r.Store.Change(ctx, tenant, func(q *db.Queries) ([]events.Event, error) {
		if _, err := q.LockContents(ctx, tenant); database.Missing(err) {
			return nil, contract.Missing("tenant")
		} else if err != nil {
			return nil, err
		}
		t := &turn{r: r, q: q, tenant: tenant}
		if err := work(t); err != nil {
			return nil, err
		}
		states = states[:0]
		for _, e := range t.told {
			var state contract.Activation
			if events.ModuleChanged.Is(e) && e.DataAs(&state) == nil {
				states = append(states, state)
			}
		}
		return t.told, nil
	})
	if err != nil {
		return err
	}
	for _, state := range states {
		r.Directory.PutActivation(state)
	}
	r.Changed()
	return nil
}

// put writes what a module is in the tenant from now on, and tells it.
func (t *turn) put(ctx context.Context, to db.PutActivationParams) (db.TenantActivation, error) {
	to.TenantID = t.tenant
	row, err := t.q.PutActivation(ctx, to)
	if err != nil {
		return row, err
	}
	return row, t.tell(ctx, events.ModuleChanged, row.Revision, store.ActivationOf(row))
}

func (t *turn) tell(ctx context.Context, kind events.Kind, revision int64, data any) error {
	e, err := kit.NewEvent(ctx, kind, t.tenant, revision, data)
	t.told = append(t.told, e)
	return err
}

// present is a module that the tenant has installed, still at the revision that
// a caller knows, if any.
func (t *turn) present(ctx context.Context, module string, revision int64) (db.TenantActivation, error) {
	row, err := t.q.GetActivation(ctx, db.GetActivationParams{TenantID: t.tenant, Module: module})
	switch {
	case database.Missing(err), err == nil && !row.Installed:
		return row, contract.Missing("module of this tenant")
	case err == nil && revision != 0 && revision != row.Revision:
		return row, &contract.Error{Code: contract.Conflict, Field: "revision", Message: "the module was changed meanwhile; read it again"}
	}
	return row, err
}

// aim is what a step is to make of a module.
type aim struct {
	disabled bool
	follows  string   // the range of versions
	consent  []string // added to what was consented to before
}

// take does what a step of a solution says. What the version does not ask for
// is not consented to any more.
func (t *turn) take(ctx context.Context, s *solution, step resolve.Step, to aim) (db.TenantActivation, error) {
	before, there := s.installed[step.Module]
	m := s.manifest(step)
	scopes := []string{}
	for _, scope := range m.Scopes {
		if slices.Contains(before.Scopes, scope.Name) || slices.Contains(to.consent, scope.Name) {
			scopes = append(scopes, scope.Name)
		}
	}
	if !to.disabled && !before.Enabled {
		if err := limits.Modules(ctx, t.q, t.tenant); err != nil {
			return before, err
		}
	}
	row, err := t.put(ctx, db.PutActivationParams{
		Module: step.Module, Enabled: !to.disabled, Installed: true, Version: m.Version, Range: to.follows, Scopes: scopes,
	})
	if err != nil {
		return row, err
	}
	switch {
	case !there:
		err = t.hooks(ctx, m, row, "", "installed", "enabled")
	case step.Action == resolve.Change && laterThan(step.Version.Version, before.Version):
		err = t.hooks(ctx, m, row, before.Version, "upgraded")
	case step.Action == resolve.Change:
		err = t.hooks(ctx, m, row, before.Version, "downgraded")
	}
	if err == nil && there && row.Enabled && !before.Enabled {
		err = t.hooks(ctx, m, row, "", "enabled")
	}
	return row, err
}

// needsConsent holds that every scope that a step cannot do without is
// consented to.
func (s *solution) needsConsent(step resolve.Step, consent []string) error {
	var lacking []string
	for _, scope := range s.newScopes(step) {
		if !scope.Optional && !slices.Contains(consent, scope.Scope) {
			lacking = append(lacking, scope.Scope)
		}
	}
	if len(lacking) > 0 {
		return contract.Invalid("consent", "%s needs consent to %q; plan shows what it asks for", step.Module, lacking)
	}
	return nil
}

// users names the enabled modules that need a module.
func (t *turn) users(ctx context.Context, module string) (names []string, err error) {
	rows, err := t.q.InstalledModules(ctx, t.tenant)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if row.Module == module || !row.Enabled {
			continue
		}
		m, err := t.r.manifestOf(ctx, t.q, row.Module, row.Version)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(m.Requires, func(need manifest.Requirement) bool { return need.Module == module && !need.Optional }) {
			names = append(names, row.Module)
		}
	}
	return names, nil
}

// mayGo refuses to take away what others need.
func (t *turn) mayGo(ctx context.Context, module string) error {
	users, err := t.users(ctx, module)
	if err == nil && len(users) > 0 {
		err = contract.Errorf(contract.Conflict, "%q need it; disable or uninstall them first", users)
	}
	return err
}
