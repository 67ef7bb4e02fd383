package app

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/token"
	"github.com/buildify/core/services/auth/internal/store/db"
)

const (
	// signingLead is how long a new key is known before it signs.
	signingLead = 5 * time.Second
	// signingOverlap is how long a retired key verifies: until its last token
	// expired, with room for clocks that differ and for a replica that learns
	// of it late.
	signingOverlap = token.Lifetime + 5*time.Minute
	// signingCheck is how often a replica looks whether the key is due.
	signingCheck = time.Minute
)

// RotateSigningKey answers auth.rotate_signing_key.
func (a *App) RotateSigningKey(ctx context.Context, r *contract.RotateSigningKeyRequest) (*contract.RotateSigningKeyResponse, error) {
	kid, err := a.rotateSigningKey(ctx, r.Compromised, 0)
	if err != nil {
		return nil, err
	}
	return &contract.RotateSigningKeyResponse{KeyID: kid}, nil
}

// rotateSigningKey makes a new key, unless one is younger than age; then kid is
// empty. One replica at a time decides.
func (a *App) rotateSigningKey(ctx context.Context, compromised bool, age time.Duration) (kid string, err error) {
	var trusted events.SigningKeys
	err = a.change(ctx, database.Everything, func(q *db.Queries) (happened []events.Event, err error) {
		if err := q.LockSigningKeys(ctx); err != nil {
			return nil, err
		}
		rows, err := q.TrustedSigningKeys(ctx)
		if err != nil || len(rows) > 0 && time.Since(rows[0].CreatedAt) < age {
			return nil, err
		}
		if kid, err = createSigningKey(ctx, q, a.Box); err != nil {
			return nil, err
		}
		if compromised {
			err = q.DropSigningKeys(ctx, kid)
		} else {
			err = q.RetireSigningKeys(ctx, db.RetireSigningKeysParams{
				Successor: kid, Lead: signingLead.Seconds(), Trusted: (signingLead + signingOverlap).Seconds(),
			})
		}
		if err != nil {
			return nil, err
		}
		if rows, err = q.TrustedSigningKeys(ctx); err != nil {
			return nil, err
		}
		trusted = events.SigningKeys{Compromised: compromised}
		for _, row := range rows {
			trusted.KeyIDs = append(trusted.KeyIDs, row.Kid)
		}
		e, err := kit.NewEvent(ctx, events.SigningKeysChanged, "", 0, trusted)
		return []events.Event{e}, err
	})
	if err != nil || kid == "" {
		return "", err
	}
	a.Keys.Retain(trusted.KeyIDs)
	if err := a.Keys.Refresh(ctx); err != nil { // the event comes, too, and has it tried again
		a.Log.Warn("signing keys not reloaded", "error", err)
	}
	return kid, nil
}

// KeepSigningKeys makes a new signing key whenever the newest is older than
// lifetime, and forgets those that nobody needs, until ctx ends.
func (a *App) KeepSigningKeys(ctx context.Context, lifetime time.Duration) {
	ticker := time.NewTicker(min(signingCheck, max(lifetime/10, time.Second)))
	defer ticker.Stop()
	for {
		if err := a.tendSigningKeys(ctx, lifetime); err != nil && ctx.Err() == nil {
			a.Log.Warn("signing keys not tended; will try again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (a *App) tendSigningKeys(ctx context.Context, lifetime time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, signingCheck)
	defer cancel()
	kid, err := a.rotateSigningKey(ctx, false, lifetime)
	if err != nil {
		return err
	}
	if kid != "" {
		a.Log.Info("a new signing key", "kid", kid)
	}
	err = a.DB.In(ctx, database.Everything, func(tx pgx.Tx) error { return db.New(tx).ForgetSigningKeys(ctx) })
	return errors.Join(err, a.Keys.Refresh(ctx)) // should an event have been missed
}
