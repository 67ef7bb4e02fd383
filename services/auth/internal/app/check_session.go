package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/revocation"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// CheckSession answers auth.check_session. It implements revocation.Source for
// this service itself. Whoever asks has lost touch, so their directory may be
// old as well: the person and the tenant must be active, too.
func (a *App) CheckSession(ctx context.Context, r *contract.CheckSessionRequest) (*contract.Empty, error) {
	var session db.SessionStateRow
	err := a.read(ctx, func(q *db.Queries) (err error) {
		session, err = q.SessionState(ctx, kit.UUID(r.SessionID))
		return err
	})
	if err != nil && !database.Missing(err) {
		return nil, err
	}
	if err != nil || !session.Open || !a.Directory.MayAct(session.UserID, kit.UUID(r.TenantID)) {
		return nil, revocation.ErrEnded
	}
	return &contract.Empty{}, nil
}

// oldestLook bounds how far into the outbox OldestRevocation looks.
const oldestLook = 1000

// OldestRevocation is the outbox's number of the oldest event of the kinds that
// waits there, 0 when there is none. Behind very many events there may always
// be one.
func (a *App) OldestRevocation(ctx context.Context) (int64, error) {
	kinds := revocation.Kinds()
	types := make([]string, len(kinds))
	for i, kind := range kinds {
		types[i] = kind.Type()
	}
	waiting, err := db.New(a.DB.Pool).OldestWaiting(ctx, db.OldestWaitingParams{Types: types, Most: oldestLook})
	if waiting.Oldest == 0 && waiting.LookedAt == oldestLook {
		return waiting.Newest, err
	}
	return waiting.Oldest, err
}
