// Package app holds the operations of service auth, one file each.
package app

import (
	"context"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/directory"
	"github.com/buildify/core/pkg/kit/outbox"
	"github.com/buildify/core/pkg/kit/token"
	"github.com/buildify/core/services/auth/internal/password"
	"github.com/buildify/core/services/auth/internal/secret"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// App serves the operations.
type App struct {
	DB        *database.DB
	Directory *directory.Directory
	Box       *secret.Box
	Hasher    *password.Hasher
	Signer    *Signer
	Verifier  *token.Verifier
	// Committed is told that events wait in the outbox.
	Committed func()
	// KeyRevoked is told of a key that must not keep a connection.
	KeyRevoked func(ctx context.Context, id string)

	people people
}

// change runs work in a transaction of one tenant, with the event it returns,
// and wakes the relay.
func (a *App) change(ctx context.Context, tenant string, work func(*db.Queries) (events.Event, error)) error {
	err := a.DB.In(ctx, tenant, func(tx pgx.Tx) error {
		event, err := work(db.New(tx))
		if err != nil {
			return err
		}
		return outbox.Add(ctx, tx, event)
	})
	if err == nil {
		a.Committed()
	}
	return err
}

// Changed takes in an event that tells of a changed user.
func (a *App) Changed(user string) { a.people.forget(user) }

// people remembers the users that verified tokens belong to. Events of
// changed users empty it entry by entry.
type people struct {
	mu      sync.RWMutex
	known   map[string]contract.UserInfo
	changes uint64 // grows with each forget
}

// maxPeople bounds the memory, about 30 MB.
const maxPeople = 100_000

func (p *people) get(id string) (contract.UserInfo, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	user, ok := p.known[id]
	return user, ok
}

func (p *people) mark() uint64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.changes
}

// put remembers a user that was read after mark, unless a change was told
// since: it might be older than that.
func (p *people) put(user contract.UserInfo, mark uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changes != mark {
		return
	}
	if p.known == nil || len(p.known) >= maxPeople {
		p.known = map[string]contract.UserInfo{}
	}
	p.known[user.ID] = user
}

func (p *people) forget(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changes++
	delete(p.known, id)
}
