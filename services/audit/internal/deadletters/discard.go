package deadletters

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
)

// Discard answers audit.discard_dead_letter.
func (d *DeadLetters) Discard(ctx context.Context, r *contract.DiscardDeadLetterRequest) (*contract.Empty, error) {
	err := d.DB.In(ctx, database.Everything, func(tx pgx.Tx) error {
		row, err := lock(ctx, tx, r.DeadLetterID)
		if err != nil {
			return err
		}
		return gone(ctx, tx, events.DeadLetterDiscarded, row, events.DeadLetterChange{Reason: r.Reason})
	})
	if err != nil {
		return nil, err
	}
	d.Committed()
	return &contract.Empty{}, nil
}
