package app

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// keyUse is when and from where a key was used; address is empty for a client
// inside the process.
type keyUse struct {
	at      time.Time
	address string
}

// keyUses is the last use of each key since it was last written down.
type keyUses struct {
	mu   sync.Mutex
	last map[string]keyUse
}

func (u *keyUses) record(id string, use keyUse) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last == nil {
		u.last = map[string]keyUse{}
	}
	if use.at.After(u.last[id].at) {
		u.last[id] = use
	}
}

func (u *keyUses) take() map[string]keyUse {
	u.mu.Lock()
	defer u.mu.Unlock()
	taken := u.last
	u.last = nil
	return taken
}

// writeKeyUses writes the uses down, all in one statement. What could not be
// written waits for the next time.
func (a *App) writeKeyUses(ctx context.Context) error {
	uses := a.keyUses.take()
	if len(uses) == 0 {
		return nil
	}
	var rows db.RecordKeyUsesParams
	for id, use := range uses {
		rows.Ids = append(rows.Ids, id)
		rows.Ats = append(rows.Ats, moment(use.at))
		rows.Addresses = append(rows.Addresses, use.address)
	}
	err := a.DB.In(ctx, database.Everything, func(tx pgx.Tx) error { return db.New(tx).RecordKeyUses(ctx, rows) })
	if err != nil {
		for id, use := range uses {
			a.keyUses.record(id, use)
		}
	}
	return err
}
