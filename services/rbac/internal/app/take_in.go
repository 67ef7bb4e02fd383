package app

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// TakeIn makes what others own of these tenants, and rbac decides by, part of
// their policies, as far as the directory knows better than the database: the
// tenants' states, their modules and units, and who was suspended or left. Each
// tenant that differs takes a step. It does nothing that was done before, so
// replicas may all do it. Of the users only those named are looked at, with nil
// all. One tenant's failure does not hold up the others.
func (a *App) TakeIn(ctx context.Context, tenants, users []string) (failed error) {
	for part := range slices.Chunk(tenants, chunk) {
		failed = errors.Join(failed, a.takePartIn(ctx, part, users))
	}
	return failed
}

// takePartIn goes on while there is more than goes into a step, and less each
// time.
func (a *App) takePartIn(ctx context.Context, part, users []string) error {
	for before := math.MaxInt; ; {
		known := states{}
		err := a.DB.Read(ctx, database.Everything, func(tx pgx.Tx) (err error) {
			known, err = readStates(ctx, db.New(tx), part, users)
			return err
		})
		if err != nil {
			return err
		}
		var differs []string
		left, more := 0, false
		for _, tenant := range part {
			if n := len(a.news(tenant, known[tenant])); n > 0 {
				differs, left, more = append(differs, tenant), left+n, more || n > stepSize
			}
		}
		if left == 0 || left >= before {
			return nil
		}
		if err := a.takeAllIn(ctx, differs, users); err != nil || !more {
			return err
		}
		before = left
	}
}

// takeAllIn takes in all at once, or, where that fails, one by one.
func (a *App) takeAllIn(ctx context.Context, tenants, users []string) (failed error) {
	err := a.takeIn(ctx, tenants, users)
	if err == nil || len(tenants) == 1 || ctx.Err() != nil {
		return err
	}
	for _, tenant := range tenants {
		failed = errors.Join(failed, a.takeIn(ctx, []string{tenant}, users))
	}
	return failed
}

// takeIn has each of the tenants take its step, in one transaction. It happened
// elsewhere: nothing of it can be refused.
func (a *App) takeIn(ctx context.Context, tenants, users []string) error {
	var steps []*events.PolicyStep
	err := a.DB.In(ctx, database.Everything, func(tx pgx.Tx) error {
		q := db.New(tx)
		revisions, err := q.LockRevisions(ctx, slices.Sorted(slices.Values(tenants)))
		if err != nil {
			return err
		}
		known, err := readStates(ctx, q, tenants, users)
		for _, row := range revisions {
			if err != nil {
				return err
			}
			t := &turn{Q: q, Tenant: row.TenantID, Revision: row.Revision + 1}
			n := a.news(t.Tenant, known[t.Tenant])
			var changes []contract.PolicyChange
			for _, one := range n[:min(len(n), stepSize)] {
				if err := one.write(ctx, t); err != nil {
					return err
				}
				if one.differs {
					changes = append(changes, one.change)
				}
			}
			if len(changes) > 0 {
				var step *events.PolicyStep
				step, err = t.record(ctx, tx, "state.changed", changes)
				steps = append(steps, step)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, step := range steps {
		a.committed(*step)
	}
	return nil
}

// state is what the database holds of a tenant's others' data.
type state struct {
	tenant  *db.RbacTenant
	modules map[string]db.RbacModule
	units   map[string]db.RbacUnit
	users   []db.LoadUsersRow // with bindings or memberships
}

type states map[string]*state

func readStates(ctx context.Context, q *db.Queries, tenants, users []string) (states, error) {
	all := states{}
	for _, tenant := range tenants {
		all[tenant] = &state{modules: map[string]db.RbacModule{}, units: map[string]db.RbacUnit{}}
	}
	rows, err := q.LoadTenants(ctx, tenants)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		all[row.TenantID].tenant = &row
	}
	modules, err := q.LoadModules(ctx, tenants)
	if err != nil {
		return nil, err
	}
	for _, row := range modules {
		all[row.TenantID].modules[row.Name] = row
	}
	units, err := q.LoadUnits(ctx, tenants)
	if err != nil {
		return nil, err
	}
	for _, row := range units {
		all[row.TenantID].units[row.ID] = row
	}
	people, err := q.LoadUsers(ctx, db.LoadUsersParams{Tenants: tenants, Everyone: users == nil, Users: users})
	for _, row := range people {
		s := all[row.TenantID]
		s.users = append(s.users, row)
	}
	return all, err
}

// stepSize bounds how much is taken in by one step: it is told in one event,
// and each of it is some hundred bytes there.
const stepSize = 2000

// news is what the directory knows better.
type news []piece

// piece is one thing that is written; not all of it changes what is decided.
type piece struct {
	write   func(context.Context, *turn) error
	differs bool
	change  contract.PolicyChange
}

func (n *news) add(write func(context.Context, *turn) error, differs bool, change contract.PolicyChange) {
	*n = append(*n, piece{write, differs, change})
}

func (a *App) news(tenant string, known *state) (n news) {
	if own, ok := a.Directory.Tenant(tenant); ok && (known.tenant == nil || known.tenant.SourceRevision < own.Revision) {
		n.add(func(ctx context.Context, t *turn) error {
			return t.Q.PutPolicyTenant(ctx, db.PutPolicyTenantParams{TenantID: tenant, Active: own.IsActive, SourceRevision: own.Revision})
		}, known.tenant == nil || known.tenant.Active != own.IsActive, contract.PolicyChange{Tenant: &contract.PolicyTenant{Active: own.IsActive}})
	}
	for _, m := range a.Directory.Activations(tenant) {
		row, ok := known.modules[m.Module]
		if ok && row.SourceRevision >= m.Revision {
			continue
		}
		// Whoever follows a policy learns by a step, too, that it may not any more.
		fed := m.Permits(contract.PolicyFeed.Name)
		n.add(func(ctx context.Context, t *turn) error {
			return t.Q.PutPolicyModule(ctx, db.PutPolicyModuleParams{
				TenantID: tenant, Name: m.Module, Enabled: m.Enabled, Fed: fed, SourceRevision: m.Revision,
			})
		}, row.Enabled != m.Enabled || ok && row.Fed != fed, contract.PolicyChange{Module: &contract.PolicyModule{Name: m.Module, Enabled: m.Enabled}})
	}
	for _, u := range a.Directory.Units(tenant) {
		row, ok := known.units[u.ID]
		if ok && row.SourceRevision >= u.Revision {
			continue
		}
		put := db.PutPolicyUnitParams{TenantID: tenant, ID: u.ID, Removed: u.Removed, SourceRevision: u.Revision}
		if u.ParentID != "" {
			put.ParentID = &u.ParentID
		}
		n.add(func(ctx context.Context, t *turn) error { return t.Q.PutPolicyUnit(ctx, put) },
			(ok && !row.Removed) != !u.Removed || value(row.ParentID) != u.ParentID,
			contract.PolicyChange{Unit: &contract.PolicyUnit{ID: u.ID, ParentID: u.ParentID, Removed: u.Removed}})
	}
	a.people(&n, tenant, known)
	return n
}

// people adds who was suspended, came back or left. Of somebody whom the
// directory does not know nothing is done: that may be its own gap.
func (a *App) people(n *news, tenant string, known *state) {
	for _, row := range known.users {
		m, ok := a.Directory.Member(row.UserID)
		if !ok || m.Revision <= row.SourceRevision {
			continue
		}
		here := belongs(m, tenant)
		put := db.PutPolicyUserParams{TenantID: tenant, UserID: row.UserID, Suspended: here && !m.Active, SourceRevision: m.Revision}
		switch {
		case !here:
			n.add(func(ctx context.Context, t *turn) error { return t.removeUser(ctx, put) }, true,
				contract.PolicyChange{User: &contract.PolicyUser{ID: row.UserID, Removed: true}})
		case put.Suspended != row.Suspended || row.SourceRevision > 0:
			n.add(func(ctx context.Context, t *turn) error { return t.Q.PutPolicyUser(ctx, put) }, put.Suspended != row.Suspended,
				contract.PolicyChange{User: &contract.PolicyUser{ID: row.UserID, Suspended: put.Suspended}})
		}
	}
}

func (t *turn) removeUser(ctx context.Context, put db.PutPolicyUserParams) error {
	err := t.Q.TouchGroupsOf(ctx, db.TouchGroupsOfParams{TenantID: t.Tenant, UserID: put.UserID, Revision: t.Revision})
	if err != nil {
		return err
	}
	if err := t.Q.RemoveUserMemberships(ctx, db.RemoveUserMembershipsParams{TenantID: t.Tenant, UserID: put.UserID}); err != nil {
		return err
	}
	if err := t.Q.RemoveUserBindings(ctx, db.RemoveUserBindingsParams{TenantID: t.Tenant, UserID: &put.UserID}); err != nil {
		return err
	}
	return t.Q.PutPolicyUser(ctx, put)
}
