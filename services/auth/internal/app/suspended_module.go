package app

import (
	"context"

	"github.com/buildify/core/services/auth/internal/store/db"
)

// DisconnectModule closes the connections to the bus of a module that the
// platform suspended. Its keys are refused while it is; see VerifyKey.
func (a *App) DisconnectModule(ctx context.Context, module string) error {
	var keys []string
	err := a.read(ctx, func(q *db.Queries) (err error) {
		keys, err = q.ActiveKeysOf(ctx, module)
		return err
	})
	for _, key := range keys {
		a.KeyRevoked(ctx, key)
	}
	return err
}
