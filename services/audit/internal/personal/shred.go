package personal

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/outbox"
	"github.com/buildify/core/services/audit/internal/holds"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// Shred answers audit.shred_person for a tenant that the caller reads; committed is
// told that an event waits in the outbox.
func (p *Personal) Shred(ctx context.Context, tenant string, r *contract.ShredPersonRequest, committed func()) (*contract.ShredPersonResponse, error) {
	person := kit.UUID(r.PersonID)
	done := false
	err := p.db.In(ctx, tenant, func(tx pgx.Tx) error {
		q := db.New(tx)
		if err := holds.Refuse(ctx, q, tenant, person); err != nil {
			return err
		}
		n, err := q.ShredPerson(ctx, db.ShredPersonParams{TenantID: tenant, PersonID: person})
		if done = n > 0; err != nil || !done {
			return err
		}
		told, err := kit.NewEvent(ctx, events.PersonShredded, tenant, 0, events.PersonShred{UserID: person, Reason: r.Reason})
		if err != nil {
			return err
		}
		return outbox.Add(ctx, tx, told)
	})
	if err == nil {
		p.forget(tenant, person)
		committed()
	}
	return &contract.ShredPersonResponse{Shredded: done}, err
}
