package reading

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/database"
)

// Get answers audit.get.
func (r *Reading) Get(ctx context.Context, q *contract.GetAuditRequest) (*contract.AuditEvent, error) {
	tenant, err := r.TrailOf(ctx, q.TenantID)
	if err != nil {
		return nil, err
	}
	condition, which := "tenant_seq = $2", any(nil)
	if n, ok := sequence(string(q.EventID)); ok {
		which = n
	} else {
		id, err := uuid.Parse(string(q.EventID))
		if err != nil {
			return nil, contract.Invalid("event_id", "is neither an event's id nor a sequence")
		}
		condition, which = "id = $2", id.String()
	}
	var event contract.AuditEvent
	err = r.read(ctx, tenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, fmt.Sprintf("SELECT %s FROM audit.events WHERE tenant_id = $1 AND %s LIMIT 1", columns, condition), tenant, which)
		if err != nil {
			return err
		}
		row, err := pgx.CollectExactlyOneRow(rows, scan)
		if err != nil {
			return err
		}
		event, err = r.event(ctx, tx, &row)
		return err
	})
	if database.Missing(err) {
		return nil, contract.Missing("event")
	}
	return &event, err
}
