package app

import (
	"context"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

const (
	// overlap is how long an old key stays valid unless the caller says.
	overlap = 24 * time.Hour
	// settled is longer than a bus connection lasts before its key is looked at
	// again: one that ends sooner has its connections closed, and they come back
	// for as long as it is valid.
	settled = 6 * time.Minute
)

// RotateKey answers auth.rotate_key. A key has one successor, so that its
// heirs are a line: whoever lost the new one rotates that.
func (a *App) RotateKey(ctx context.Context, r *contract.RotateKeyRequest) (*contract.CreateKeyResponse, error) {
	expires, err := end(r.ExpiresAt)
	if err != nil {
		return nil, err
	}
	stays := overlap
	if r.OverlapSeconds != nil {
		stays = time.Duration(*r.OverlapSeconds) * time.Second
	}
	var key contract.APIKey
	err = a.change(ctx, database.Everything, func(q *db.Queries) ([]events.Event, error) {
		old, err := keyringOf(ctx).find(q.LockKey(ctx, r.ID))
		if err != nil {
			return nil, err
		}
		if err := rotatable(ctx, q, old); err != nil {
			return nil, err
		}
		key = newAPIKey(old.Environment, old.Module)
		happened, err := a.issue(ctx, q, key, successor(old, expires))
		if err != nil {
			return nil, err
		}
		ended, err := retire(ctx, q, old, stays)
		return append(happened, ended...), err
	})
	if database.Missing(err) {
		return nil, errNoKey
	}
	if err != nil {
		return nil, err
	}
	if stays < settled {
		a.KeyRevoked(ctx, r.ID)
	}
	return &contract.CreateKeyResponse{ID: key.ID, APIKey: key.Reveal()}, nil
}

func rotatable(ctx context.Context, q *db.Queries, old db.AuthApiKey) error {
	if status := keyStatus(old, time.Now()); status != "active" {
		return contract.Errorf(contract.Conflict, "the API key is %s; create a new one", status)
	}
	next, err := q.KeySuccessor(ctx, &old.ID)
	if database.Missing(err) {
		return nil
	}
	if err == nil {
		err = contract.Errorf(contract.Conflict, "the API key was replaced by %s; rotate that one, or create a new one", next)
	}
	return err
}

// successor has the old key's rights, and its lifetime if no other end is
// given.
func successor(old db.AuthApiKey, expires *time.Time) db.CreateKeyParams {
	if expires == nil && old.ExpiresAt != nil {
		at := moment(time.Now().Add(old.ExpiresAt.Sub(old.CreatedAt)))
		expires = &at
	}
	return db.CreateKeyParams{
		Module: old.Module, Name: old.Name, Operations: old.Operations, Tenants: old.Tenants, Cidrs: old.Cidrs,
		RateClass: old.RateClass, RotatedFrom: &old.ID, ExpiresAt: expires,
	}
}

// retire ends the old key after the overlap, or at its own end if that comes
// first.
func retire(ctx context.Context, q *db.Queries, old db.AuthApiKey, stays time.Duration) ([]events.Event, error) {
	if stays <= 0 {
		return endKey(ctx, q, old, events.KeyChange{Reason: "rotated"})
	}
	until := moment(time.Now().Add(stays))
	if old.ExpiresAt != nil && old.ExpiresAt.Before(until) {
		return nil, nil
	}
	return nil, q.ExpireKey(ctx, db.ExpireKeyParams{ID: old.ID, ExpiresAt: &until})
}
