// Package database connects a service to its own schema of PostgreSQL, as its
// own non-owner role, under row-level security.
package database

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Everything is the scope of a transaction that sees the rows of all tenants.
// Only work that is the platform's own asks for it: projections, key and
// login look-ups, audit ingest.
const Everything = "*"

// Role is the database role of a service: member of no other, owner of
// nothing, subject to row-level security.
func Role(service string) string { return "buildify_" + service }

// DB is a service's connection pool. It is safe for concurrent use.
type DB struct {
	*pgxpool.Pool
}

// Open connects to url for a service. Whoever url logs in as, every
// connection takes the service's role and schema before its first query; url's
// user must be that role or a member of it. maxConns of 0 means 8.
func Open(ctx context.Context, url, service string, maxConns int32) (*DB, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("DATABASE_URL is not a PostgreSQL URL (postgres://user:password@host:port/database)") // pgx's own text quotes the URL
	}
	cfg.MaxConns = 8
	if maxConns > 0 {
		cfg.MaxConns = maxConns
	}
	cfg.ConnConfig.RuntimeParams["application_name"] = "buildify-" + service
	cfg.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, fmt.Sprintf("SET ROLE %s; SET search_path = %s",
			pgx.Identifier{Role(service)}.Sanitize(), pgx.Identifier{service}.Sanitize()))
		return err
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.Code == "22023" { // what SET ROLE says of a role that is not there
			return nil, fmt.Errorf("database: %w: run `buildify migrate` first", err)
		}
		return nil, fmt.Errorf("database: %w", err)
	}
	return &DB{pool}, nil
}

// In runs work in one transaction that sees the rows of one tenant, or of
// Everything. It commits when work returns nil and rolls back otherwise. A
// transaction without a scope would see no tenant-owned row at all.
func (db *DB) In(ctx context.Context, tenant string, work func(pgx.Tx) error) error {
	return db.in(ctx, pgx.TxOptions{}, tenant, work)
}

// Read is In for work that only reads: all its queries see one snapshot.
func (db *DB) Read(ctx context.Context, tenant string, work func(pgx.Tx) error) error {
	return db.in(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, tenant, work)
}

func (db *DB) in(ctx context.Context, options pgx.TxOptions, tenant string, work func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, db.Pool, options, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT set_config('buildify.tenant', $1, true)", tenant); err != nil {
			return err
		}
		return work(tx)
	})
}

// Duplicate reports whether err is a unique violation, and of which
// constraint.
func Duplicate(err error) (constraint string, ok bool) {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "23505" {
		return pg.ConstraintName, true
	}
	return "", false
}

// Missing reports whether a query found no row.
func Missing(err error) bool { return errors.Is(err, pgx.ErrNoRows) }

// Redact removes the password from a database URL, for logs.
func Redact(url string) string {
	scheme, rest, ok := strings.Cut(url, "://")
	at := strings.LastIndexByte(rest, '@')
	if !ok || at < 0 {
		return url
	}
	user, _, _ := strings.Cut(rest[:at], ":")
	return scheme + "://" + user + rest[at:]
}
