// Package app holds the operations of service auth, one file each.
package app

import (
	"context"
	"log/slog"
	"net/url"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/directory"
	"github.com/buildify/core/pkg/kit/outbox"
	"github.com/buildify/core/pkg/kit/token"
	"github.com/buildify/core/services/auth/internal/mail"
	"github.com/buildify/core/services/auth/internal/passkey"
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
	// Keys are what Verifier and Signer work with.
	Keys     SigningKeys
	Sessions Sessions
	// Core calls other services.
	Core *kit.Client
	// Authority asks service rbac whether a person may administer another.
	Authority func(context.Context, *contract.MayAdministerRequest) error
	// Passkeys holds the ceremonies with browsers.
	Passkeys *passkey.RelyingParty
	// Mail takes what is to be sent to people.
	Mail *mail.Queue
	// PublicURL is where people and their browsers reach the platform.
	PublicURL *url.URL
	Log       *slog.Logger
	// Committed is told that events wait in the outbox.
	Committed func()
	// Announce, if set, is told of each event once it is committed.
	Announce func(events.Event)
	// KeyRevoked is told of a key that must not keep a connection.
	KeyRevoked func(ctx context.Context, id string)

	people     people
	signIn     memory[contract.SignInPolicy]
	chores     chores
	keyUses    keyUses
	refusals   refusals
	logins     gate
	turnedAway delays
}

// change runs work in a transaction that sees one tenant, or
// database.Everything, with the events it returns, and wakes the relay.
func (a *App) change(ctx context.Context, tenant string, work func(*db.Queries) ([]events.Event, error)) error {
	var happened []events.Event
	err := a.DB.In(ctx, tenant, func(tx pgx.Tx) (err error) {
		happened, err = work(db.New(tx))
		for i := 0; i < len(happened) && err == nil; i++ {
			err = outbox.Add(ctx, tx, happened[i])
		}
		return err
	})
	if err != nil {
		return err
	}
	for i := 0; i < len(happened) && a.Announce != nil; i++ {
		a.Announce(happened[i])
	}
	a.Committed()
	return nil
}

// read runs work in a transaction that only reads and sees everything.
func (a *App) read(ctx context.Context, work func(*db.Queries) error) error {
	return a.DB.Read(ctx, database.Everything, func(tx pgx.Tx) error { return work(db.New(tx)) })
}

// userChanged makes the event that tells projections of a user's new state. It
// is called in the transaction of the change, after which the user's revision
// must be a new one.
func (a *App) userChanged(ctx context.Context, q *db.Queries, user string) (contract.Member, events.Event, error) {
	row, err := q.MemberByID(ctx, user)
	if err != nil {
		return contract.Member{}, events.Event{}, err
	}
	member := memberState(db.ListMembersRow(row))
	e, err := kit.NewEvent(ctx, events.UserChanged, member.TenantID, member.Revision, member)
	return member, e, err
}

// applied lets this replica decide by a committed change at once.
func (a *App) applied(member contract.Member) {
	a.people.forget(member.UserID)
	a.Directory.PutMember(member)
}

// Changed takes in an event that tells of a changed user.
func (a *App) Changed(user string) { a.people.forget(user) }

// value is what a nullable column holds, empty for NULL.
func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// nullable is NULL for an empty string.
func nullable(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// people remembers the users that verified tokens belong to.
type people struct{ memory[contract.UserInfo] }

func (p *people) put(user contract.UserInfo, mark uint64) { p.memory.put(user.ID, user, mark) }
