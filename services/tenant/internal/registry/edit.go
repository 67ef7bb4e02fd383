package registry

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// target is a version that somebody wants to change.
type target struct {
	tenant          contract.ID // acted in; without it the platform acts for the owner
	module, version string
	revision        int64 // that it must be at; 0 is any
}

// edit is a change of a version, or of its module, while both are locked.
type edit struct {
	r      *Registry
	q      *db.Queries
	module db.TenantModule
	row    db.TenantModuleVersion
	// remodelled says that module is to be written, published that what tenants
	// may install has changed, and switched that what is suspended has.
	remodelled, published, switched bool
}

// changeVersion runs work on a version and writes what it left of it.
func (r *Registry) changeVersion(ctx context.Context, which target, work func(*edit) error) (*contract.ModuleVersion, error) {
	owner, err := r.publisher(ctx, which.tenant)
	if err != nil {
		return nil, err
	}
	var changed *contract.ModuleVersion
	err = r.edit(ctx, func(e *edit) (told []events.Event, err error) {
		if err := e.lock(ctx, owner, which); err != nil {
			return nil, err
		}
		before := e.row
		if err := work(e); err != nil {
			return nil, err
		}
		if unchanged(before, e.row) {
			changed, err = whole(ctx, e.q, e.row)
			return nil, err
		}
		if e.row, err = e.q.WriteVersion(ctx, writeOf(e.row)); err != nil {
			return nil, err
		}
		if told, err = e.commit(ctx, e.versionChange(ctx)); err != nil {
			return nil, err
		}
		changed, err = whole(ctx, e.q, e.row)
		return told, err
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}

// edit runs work in a transaction, and then has others know what it switched or
// published.
func (r *Registry) edit(ctx context.Context, work func(*edit) ([]events.Event, error)) error {
	var e *edit
	var state *contract.ModuleState
	err := r.Store.Change(ctx, database.Everything, func(q *db.Queries) ([]events.Event, error) {
		e = &edit{r: r, q: q}
		told, err := work(e)
		if err != nil || !e.switched {
			return told, err
		}
		row, err := q.ModuleStates(ctx, e.module.ID)
		if err != nil || len(row) == 0 {
			return nil, err
		}
		now := stateOf(row[0])
		state = &now
		switched, err := kit.NewEvent(ctx, events.ModuleStateChanged, "", now.Revision, now)
		return append(told, switched), err
	})
	if err != nil {
		return err
	}
	if state != nil {
		r.Directory.PutModule(*state)
	}
	if e.published {
		r.Changed()
	}
	return nil
}

// publisher is the tenant whose modules a request may change; empty is any, for
// the platform, where the request names none.
func (r *Registry) publisher(ctx context.Context, requested contract.ID) (string, error) {
	if requested == "" && fromPlatform(ctx) {
		return "", nil
	}
	return r.Directory.ActingTenant(ctx, requested)
}

// fromPlatform reports whether a service or a platform administrator asks.
func fromPlatform(ctx context.Context) bool {
	user := kit.UserFrom(ctx)
	return user.ID == "" || user.Platform
}

// lockModule locks a module of an owner. To others it does not exist.
func (e *edit) lockModule(ctx context.Context, owner, module string) (err error) {
	e.module, err = e.q.LockModule(ctx, module)
	if database.Missing(err) || err == nil && owner != "" && owner != e.module.OwnerID {
		return contract.Missing("module")
	}
	return err
}

func (e *edit) lock(ctx context.Context, owner string, which target) error {
	if err := e.lockModule(ctx, owner, which.module); err != nil {
		return err
	}
	row, err := e.q.LockVersion(ctx, db.LockVersionParams{Module: which.module, Version: which.version})
	switch {
	case database.Missing(err):
		return contract.Missing("version")
	case err == nil && which.revision != 0 && which.revision != row.Revision:
		return &contract.Error{Code: contract.Conflict, Field: "revision", Message: "the version was changed meanwhile; read it again"}
	}
	e.row = row
	return err
}

// in refuses unless the version is in one of the states.
func (e *edit) in(what string, states ...string) error {
	if slices.Contains(states, e.row.State) {
		return nil
	}
	return contract.Errorf(contract.Conflict, "the version is %s; only one that is %s can be %s", e.row.State, strings.Join(states, " or "), what)
}

// commit writes the module if it changed, and tells of the change.
func (e *edit) commit(ctx context.Context, change events.VersionChange) (told []events.Event, err error) {
	if e.published {
		e.module.Declared = false // rbac is to learn of it, and followers are to follow
	}
	if e.remodelled || e.published || e.switched {
		if e.module, err = e.q.WriteModule(ctx, moduleWrite(e.module)); err != nil {
			return nil, err
		}
	}
	revision := cmp.Or(e.row.Revision, e.module.Revision)
	event, err := kit.NewEvent(ctx, events.VersionChanged, e.module.OwnerID, revision, change)
	return []events.Event{event}, err
}

// versionChange tells what a version is now.
func (e *edit) versionChange(ctx context.Context) events.VersionChange {
	return events.VersionChange{
		Module: e.row.Module, Version: e.row.Version, State: e.row.State, Suspended: e.row.Suspended, Automatic: e.row.Automatic,
		By: actor(ctx), Comment: e.row.Comment, RolloutPercent: int(e.row.RolloutPercent),
	}
}

// actor is who asks: a user's id, or the operator.
func actor(ctx context.Context) string { return cmp.Or(kit.UserFrom(ctx).ID, "operator") }

func moduleWrite(m db.TenantModule) db.WriteModuleParams {
	return db.WriteModuleParams{
		ID: m.ID, Name: m.Name, Category: m.Category, Visibility: m.Visibility, Allowed: m.Allowed, Suspended: m.Suspended, Declared: m.Declared,
	}
}

func writeOf(row db.TenantModuleVersion) db.WriteVersionParams {
	return db.WriteVersionParams{
		Module: row.Module, Version: row.Version, State: row.State, Suspended: row.Suspended, Findings: row.Findings,
		Asks: append([]string{}, row.Asks...), Automatic: row.Automatic, Comment: row.Comment, RolloutPercent: row.RolloutPercent,
		RolloutTenants: append([]string{}, row.RolloutTenants...), SubmittedBy: row.SubmittedBy, DecidedBy: row.DecidedBy,
		SubmittedAt: row.SubmittedAt, DecidedAt: row.DecidedAt, PublishedAt: row.PublishedAt,
	}
}

// unchanged reports whether there is nothing to write.
func unchanged(a, b db.TenantModuleVersion) bool {
	return a.State == b.State && a.Suspended == b.Suspended && a.Comment == b.Comment && a.RolloutPercent == b.RolloutPercent &&
		slices.Equal(a.RolloutTenants, b.RolloutTenants) && string(a.Findings) == string(b.Findings)
}
