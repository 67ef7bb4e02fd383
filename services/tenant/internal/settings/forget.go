package settings

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// MemberChanged takes an event of events.UserChanged in: what people set for
// themselves goes when they are deleted.
func (a *App) MemberChanged(ctx context.Context, e events.Event) error {
	var m contract.Member
	if err := e.DataAs(&m); err != nil || !m.Deleted {
		return nil //nolint:nilerr // what is no member is never understood, and the directory has said so
	}
	return a.Store.Change(ctx, database.Everything, func(q *db.Queries) ([]events.Event, error) {
		if err := q.ErasePersonalSettings(ctx, m.UserID); err != nil {
			return nil, err
		}
		return nil, q.ErasePersonalSettingsHistory(ctx, m.UserID)
	})
}
