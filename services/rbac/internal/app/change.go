package app

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/outbox"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// TenantAdministrator is the system role of which each tenant that ever had a
// holder keeps one.
const TenantAdministrator = "00000000-0000-7000-8000-000000000001"

// Platform is the tenant that the roles of all tenants belong to.
const Platform = "00000000-0000-0000-0000-000000000000"

// turn is one change of one tenant's policy being made: nobody else changes it
// meanwhile.
type turn struct {
	Q      *db.Queries
	Tenant string
	// Revision is the one that the change leads to.
	Revision int64
	// Policy is how it was before.
	Policy *decision.Policy
}

// errLastAdministrator refuses what would leave a tenant to nobody.
var errLastAdministrator = contract.Errorf(contract.Conflict,
	"this would take the last administrator from the tenant; make somebody else tenant-administrator first")

// change is the one way to change a tenant's policy. It runs work in a
// transaction that holds the tenant's lock, and turns the changes that work
// returns into the tenant's next revision: written, told in an event, and
// decided by in this replica when change returns. Without changes nothing has
// happened, and the revision is the present one. what says in a word what is
// done, such as "role.created".
func (a *App) change(ctx context.Context, tenant, what string,
	work func(*turn) ([]contract.PolicyChange, error),
) (int64, error) {
	return a.changeIn(ctx, tenant, tenant, what, work)
}

// changeIn is change for a transaction that sees more than the tenant's rows.
func (a *App) changeIn(ctx context.Context, scope, tenant, what string,
	work func(*turn) ([]contract.PolicyChange, error),
) (int64, error) {
	var step *events.PolicyStep
	var revision int64
	err := a.DB.In(ctx, scope, func(tx pgx.Tx) (err error) {
		step, revision, err = a.step(ctx, tx, tenant, what, work)
		return err
	})
	if err != nil {
		return 0, err
	}
	if step != nil {
		a.committed(*step)
	}
	return revision, nil
}

// step makes one tenant's change in a transaction; it is nil when there was
// nothing to change.
func (a *App) step(ctx context.Context, tx pgx.Tx, tenant, what string,
	work func(*turn) ([]contract.PolicyChange, error),
) (*events.PolicyStep, int64, error) {
	q := db.New(tx)
	before, err := q.LockRevision(ctx, tenant)
	if database.Missing(err) { // erased
		return nil, 0, contract.Missing("tenant")
	}
	if err != nil {
		return nil, 0, err
	}
	policy, err := a.policyAt(ctx, q, tenant, before)
	if err != nil {
		return nil, 0, err
	}
	t := &turn{Q: q, Tenant: tenant, Revision: before + 1, Policy: policy}
	changes, err := work(t)
	if err != nil || len(changes) == 0 {
		return nil, before, err
	}
	if leftToNobody(policy, policy.Apply(t.Revision, changes)) {
		return nil, 0, errLastAdministrator
	}
	step, err := t.record(ctx, tx, what, changes)
	return step, t.Revision, err
}

// record writes the step that the changes make, and its event.
func (t *turn) record(ctx context.Context, tx pgx.Tx, what string, changes []contract.PolicyChange) (*events.PolicyStep, error) {
	step := &events.PolicyStep{TenantID: t.Tenant, Revision: t.Revision, Change: what, Changes: changes}
	event, err := kit.NewEvent(ctx, events.PolicyChanged, t.Tenant, t.Revision, step)
	if err == nil {
		err = errors.Join(t.Q.SetRevision(ctx, db.SetRevisionParams{TenantID: t.Tenant, Revision: t.Revision}), outbox.Add(ctx, tx, event))
	}
	return step, err
}

// leftToNobody reports whether a change takes the last administrator.
func leftToNobody(before, after *decision.Policy) bool {
	return !after.Administered(TenantAdministrator, decision.Now) && before.Administered(TenantAdministrator, decision.Now)
}

// committed lets this replica decide by a step, and tells the others.
func (a *App) committed(step events.PolicyStep) {
	a.Engine.Step(step.TenantID, step.Revision, step.Changes)
	if a.Announce != nil {
		a.Announce(step)
	}
	a.Committed()
}

// policyAt is a tenant's policy at the revision whose lock the transaction
// holds: the engine's, or else read anew.
func (a *App) policyAt(ctx context.Context, q *db.Queries, tenant string, revision int64) (*decision.Policy, error) {
	if p := a.Engine.Policy(tenant); p != nil && p.Revision() == revision {
		return p, nil
	}
	read, err := load(ctx, q, []string{tenant})
	return read[tenant], err
}
