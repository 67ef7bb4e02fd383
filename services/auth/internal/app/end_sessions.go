package app

import (
	"context"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/token"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// revokedFor is how long an ended session's tokens are to be refused: until
// the last one has expired, with a minute for clocks that differ.
const revokedFor = token.Lifetime + time.Minute

// endSessions ends the open sessions of a user but one (except may be empty)
// and returns how many there were and the event that revokes their tokens.
func (a *App) endSessions(ctx context.Context, q *db.Queries, user db.AuthUser, except, reason string) (int, []events.Event, error) {
	ended, err := q.EndSessions(ctx, db.EndSessionsParams{
		UserID: user.ID, ExceptID: nullable(except), Reason: reason, Keep: revokedFor.Seconds(),
	})
	if err != nil {
		return 0, nil, err
	}
	return a.sessionsEnded(ctx, user.ID, value(user.TenantID), reason, revoked(ended))
}

// endSession ends one session of a user; the tenant is the user's home. One
// that is not open, or another's, is not_found.
func (a *App) endSession(ctx context.Context, q *db.Queries, user, tenant, session, reason string) ([]events.Event, error) {
	ended, err := q.EndSession(ctx, db.EndSessionParams{ID: session, UserID: user, Reason: reason, Keep: revokedFor.Seconds()})
	if err != nil {
		return nil, err
	}
	n, happened, err := a.sessionsEnded(ctx, user, tenant, reason, []db.EndSessionRow{ended})
	if err == nil && n == 0 {
		return nil, contract.Missing("session")
	}
	return happened, err
}

// sessionsEnded tells how many sessions were open and makes the event that
// revokes the tokens of all, none where there is nothing to tell.
func (a *App) sessionsEnded(ctx context.Context, user, tenant, reason string, ended []db.EndSessionRow) (open int, happened []events.Event, err error) {
	if len(ended) == 0 {
		return 0, nil, nil
	}
	data := events.EndedSessions{UserID: user, Reason: reason}
	for _, s := range ended {
		data.SessionIDs = append(data.SessionIDs, s.ID)
		if s.RevokedUntil != nil && s.RevokedUntil.After(data.Until) {
			data.Until = s.RevokedUntil.UTC()
		}
		if s.Open {
			open++
		}
	}
	e, err := kit.NewEvent(ctx, events.SessionsEnded, tenant, 0, data)
	return open, []events.Event{e}, err
}

// revoked is the rows of the queries that end several sessions.
func revoked[Row db.EndSessionsRow | db.EndSurplusSessionsRow](rows []Row) (ended []db.EndSessionRow) {
	for _, row := range rows {
		ended = append(ended, db.EndSessionRow(row))
	}
	return ended
}
