package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// GetKey answers auth.get_key.
func (a *App) GetKey(ctx context.Context, r *contract.KeyRequest) (*contract.Key, error) {
	var key contract.Key
	err := a.read(ctx, func(q *db.Queries) error {
		row, err := keyringOf(ctx).find(q.KeyByID(ctx, r.ID))
		key = describe(row)
		return err
	})
	if database.Missing(err) {
		return nil, errNoKey
	}
	if err != nil {
		return nil, err
	}
	return &key, nil
}
