// Package holds keeps what is under a legal hold from being removed.
package holds

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/directory"
	"github.com/buildify/core/pkg/kit/outbox"
	"github.com/buildify/core/services/audit/internal/record"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// Holds serves the operations on legal holds.
type Holds struct {
	DB        *database.DB
	Directory *directory.Directory
	// Committed is told that events wait in the outbox, Released that a hold is
	// gone, for which something may have waited.
	Committed, Released func()
}

// Lock keeps holds from being placed until the transaction ends. Whoever removes
// something of a trail asks after it whether a hold keeps it.
func Lock(ctx context.Context, q *db.Queries) error { return q.LockHolds(ctx) }

// Erasing says before a tenant's trail is erased, in the same transaction, whether
// it may be. Else the erasure waits, and is begun again when no hold is left.
func Erasing(ctx context.Context, q *db.Queries, tenant string) (may bool, err error) {
	if err := Lock(ctx, q); err != nil {
		return false, err
	}
	held, err := q.Held(ctx, db.HeldParams{TenantID: tenant})
	switch {
	case err != nil:
		return false, err
	case held:
		return false, q.AwaitHolds(ctx, tenant)
	}
	return true, nil
}

// Refuse answers conflict when a hold may keep what is personal of somebody: one
// of them, of a resource, or of the whole trail. It is asked in the transaction
// that would shred it.
func Refuse(ctx context.Context, q *db.Queries, tenant, person string) error {
	if err := Lock(ctx, q); err != nil {
		return err
	}
	held, err := q.Held(ctx, db.HeldParams{TenantID: tenant, UserID: &person})
	if err == nil && held {
		err = contract.Errorf(contract.Conflict, "a legal hold keeps it; it can be done once the hold is released")
	}
	return err
}

// change runs work and tells what became of the hold, in the platform's trail.
func (h *Holds) change(ctx context.Context, change, reason string, work func(q *db.Queries) (db.AuditHold, error)) (*contract.LegalHold, error) {
	var row db.AuditHold
	err := h.DB.In(ctx, database.Everything, func(tx pgx.Tx) (err error) {
		q := db.New(tx)
		if err := Lock(ctx, q); err != nil {
			return err
		}
		if row, err = work(q); err != nil {
			return err
		}
		hold := holdOf(row)
		e, err := kit.NewEvent(ctx, events.HoldChanged, "", 0, events.HoldChange{
			ID: hold.ID, TenantID: hold.TenantID, UserID: hold.UserID, ResourceType: hold.ResourceType, ResourceID: hold.ResourceID,
			Change: change, Reason: reason,
		})
		if err != nil {
			return err
		}
		return outbox.Add(ctx, tx, e)
	})
	if err != nil {
		return nil, err
	}
	h.Committed()
	hold := holdOf(row)
	return &hold, nil
}

// known answers not_found for a tenant that there is not.
func (h *Holds) known(ctx context.Context, tenant string) error {
	if _, there := h.Directory.Tenant(tenant); there || tenant == record.PlatformTenant {
		return nil
	}
	return h.Directory.AwaitTenant(ctx, tenant)
}

func holdOf(row db.AuditHold) contract.LegalHold {
	return contract.LegalHold{
		ID: row.ID, TenantID: row.TenantID, UserID: text(row.UserID), ResourceType: text(row.ResourceType), ResourceID: text(row.ResourceID),
		Reason: row.Reason, PlacedBy: text(row.PlacedBy), PlacedAt: row.PlacedAt.UTC(),
		ReleasedBy: text(row.ReleasedBy), ReleasedAt: row.ReleasedAt, ReleaseReason: row.ReleaseReason,
	}
}

// text is a nullable column, empty for NULL.
func text(column *string) string {
	if column == nil {
		return ""
	}
	return *column
}

// optional is the other way round.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
