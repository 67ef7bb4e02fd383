package registry

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/manifest"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// keeping is how often Keep looks by itself: for hooks that are due, and for
// what a replica left undone.
const keeping = 5 * time.Second

// sweeping is how often files that no version names any more are removed.
const sweeping = time.Hour

// Keep does what follows from changes, until ctx ends: rbac learns of the
// permissions that published versions define, tenants that follow a range get
// its latest version, and modules are told of hooks until they acknowledge
// them. Files of bundles that nobody names go. It may run in every replica. What
// fails is tried again.
func (r *Registry) Keep(ctx context.Context, wake <-chan struct{}) {
	tick := time.NewTicker(keeping)
	defer tick.Stop()
	var swept time.Time
	for {
		err := errors.Join(r.declareAll(ctx), r.callHooks(ctx))
		if time.Since(swept) > sweeping {
			swept, err = time.Now(), errors.Join(err, r.SweepAssets(ctx))
		}
		if err != nil && ctx.Err() == nil {
			r.Log.Warn("registry: left for later", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-wake:
		case <-tick.C:
		}
	}
}

// declareAll tells rbac of the permissions of what was published, and then has
// tenants follow.
func (r *Registry) declareAll(ctx context.Context) error {
	var modules []db.UndeclaredModulesRow
	err := r.Store.Read(ctx, database.Everything, func(q *db.Queries) (err error) {
		modules, err = q.UndeclaredModules(ctx)
		return err
	})
	for _, m := range modules {
		err = errors.Join(err, r.declare(ctx, m))
	}
	return err
}

// declare is done when the module has not changed since it was looked at.
func (r *Registry) declare(ctx context.Context, module db.UndeclaredModulesRow) error {
	var permissions []contract.DeclaredPermission
	err := r.Store.Read(ctx, database.Everything, func(q *db.Queries) (err error) {
		permissions, err = r.livePermissions(ctx, q, module.ID)
		return err
	})
	if err != nil {
		return err
	}
	_, err = kit.Call(ctx, r.Client, contract.DeclarePermissions, &contract.DeclarePermissionsRequest{
		ModuleName: module.ID, Permissions: permissions,
	})
	if err != nil {
		return err
	}
	if err := r.followAll(ctx, module.ID); err != nil {
		return err
	}
	return r.Store.Change(ctx, database.Everything, func(q *db.Queries) ([]events.Event, error) {
		return nil, q.Declared(ctx, db.DeclaredParams(module))
	})
}

// livePermissions are those of all versions that tenants may run, as the latest
// describes them.
func (r *Registry) livePermissions(ctx context.Context, q *db.Queries, module string) ([]contract.DeclaredPermission, error) {
	manifests, err := q.LivePermissions(ctx, module)
	if err != nil {
		return nil, err
	}
	place, all := map[string]int{}, []contract.DeclaredPermission{}
	for _, raw := range manifests {
		m := new(manifest.Manifest)
		err := json.Unmarshal(raw, m)
		if err != nil {
			return nil, err
		}
		for _, p := range m.Declared() {
			at, known := place[p.Code]
			if !known {
				at = len(all)
				place[p.Code], all = at, append(all, p)
			}
			all[at] = p
		}
	}
	return all, nil
}

// followAll takes tenants that follow a range of the module's versions to the
// latest in it. A tenant where that does not go stays where it is.
func (r *Registry) followAll(ctx context.Context, module string) error {
	after := platform
	for {
		var followers []db.FollowersOfRow
		err := r.Store.Read(ctx, database.Everything, func(q *db.Queries) (err error) {
			followers, err = q.FollowersOf(ctx, db.FollowersOfParams{Module: module, After: after, Page: 500})
			return err
		})
		if err != nil || len(followers) == 0 {
			return err
		}
		for _, f := range followers {
			err := r.follow(ctx, f.TenantID, module)
			var refused *contract.Error
			if errors.As(err, &refused) {
				r.Log.Info("registry: a tenant stays at its version", "tenant_id", f.TenantID, "module", module, "version", f.Version, "reason", refused.Message)
				err = nil
			}
			if err != nil {
				return err
			}
		}
		after = followers[len(followers)-1].TenantID
	}
}

// platform is before every tenant.
const platform = "00000000-0000-0000-0000-000000000000"

// follow takes a tenant to the latest version of the range that it follows.
func (r *Registry) follow(ctx context.Context, tenant, module string) error {
	return r.change(ctx, tenant, func(t *turn) error {
		row, err := t.present(ctx, module, 0)
		if err != nil || row.Range == "" {
			return err
		}
		want, err := readWanted(row.Range)
		if err != nil {
			return err
		}
		s, err := r.solve(ctx, t.q, tenant, module, want)
		if err != nil {
			return err
		}
		step := s.wantedStep()
		if !laterThan(step.Version.Version, row.Version) {
			return nil
		}
		if err := s.alone(); err != nil {
			return err
		}
		_, err = t.take(ctx, s, step, aim{disabled: !row.Enabled, follows: row.Range})
		return err
	})
}

// callHooks tells modules of the hooks that are due, and when to be told again
// doubles each time, up to an hour.
func (r *Registry) callHooks(ctx context.Context) error {
	return r.Store.Change(ctx, database.Everything, func(q *db.Queries) (told []events.Event, err error) {
		due, err := q.DueHooks(ctx)
		if err != nil {
			return nil, err
		}
		for _, row := range due {
			e, err := kit.NewEvent(ctx, events.HookCalled, row.TenantID, 0, events.HookCall{Module: row.Module, Hook: hookOf(row)})
			if err != nil {
				return nil, err
			}
			told = append(told, e)
		}
		return told, nil
	})
}
