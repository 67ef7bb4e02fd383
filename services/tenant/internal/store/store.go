// Package store reads and writes the schema of service tenant: queries in
// .sql files, sqlc's code for them in db.
package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/outbox"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// Store is the one way to the database. It is safe for concurrent use.
type Store struct {
	DB *database.DB
	// Committed is told that events wait in the outbox.
	Committed func()
}

// Change runs work in a transaction that sees the rows of one tenant, or
// database.Everything; the events that it returns are committed with it.
func (s *Store) Change(ctx context.Context, tenant string, work func(*db.Queries) ([]events.Event, error)) error {
	told := false
	err := s.DB.In(ctx, tenant, func(tx pgx.Tx) error {
		happened, err := work(db.New(tx))
		if err != nil {
			return err
		}
		told = len(happened) > 0
		for _, e := range happened {
			if err := outbox.Add(ctx, tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && told {
		s.Committed()
	}
	return err
}

// Read runs work in a transaction that reads the rows of one tenant, or
// database.Everything.
func (s *Store) Read(ctx context.Context, tenant string, work func(*db.Queries) error) error {
	return s.DB.Read(ctx, tenant, func(tx pgx.Tx) error { return work(db.New(tx)) })
}
