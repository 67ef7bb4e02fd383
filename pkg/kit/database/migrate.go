package database

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // goose speaks database/sql
	"github.com/pressly/goose/v3"

	"github.com/buildify/core/migrations"
)

// lockKey guards migrations against a second process doing the same.
const lockKey = 0x6275696c64696679 // "buildify"

const versionTable = "schema_version"

// Migrate brings every service's schema to this version's state: roles,
// schemas, numbered migrations, grants. url's user must be allowed to create
// roles and schemas. It is idempotent and safe to run from several processes
// at once; progress, when not nil, hears of each migration applied.
func Migrate(ctx context.Context, url string, progress func(service, file string)) error {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	defer conn.Close() // ends the session and with it the lock
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", int64(lockKey)); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	for _, service := range migrations.Services {
		if err := migrateService(ctx, db, service, progress); err != nil {
			return fmt.Errorf("migrate %s: %w", service, err)
		}
	}
	return nil
}

func migrateService(ctx context.Context, db *sql.DB, service string, progress func(service, file string)) error {
	files, err := migrations.For(service)
	if err != nil {
		return err
	}
	schema, role := pgx.Identifier{service}.Sanitize(), pgx.Identifier{Role(service)}.Sanitize()
	if _, err := db.ExecContext(ctx, fmt.Sprintf(prepareSQL, Role(service), role, schema)); err != nil {
		return err
	}
	applied, err := up(ctx, db, service, files)
	for _, result := range applied {
		if progress != nil {
			progress(service, result.Source.Path)
		}
	}
	if err != nil {
		return err
	}
	// Each time: a migration killed before its grants left none.
	_, err = db.ExecContext(ctx, fmt.Sprintf(grantSQL, schema, role, versionTable))
	return err
}

// up applies what is missing.
func up(ctx context.Context, db *sql.DB, service string, files fs.FS) ([]*goose.MigrationResult, error) {
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithTableName(service+"."+versionTable))
	if err != nil {
		return nil, err
	}
	return provider.Up(ctx)
}

// prepareSQL makes role and schema; PostgreSQL has no CREATE ROLE IF NOT
// EXISTS. A migrating user that is no superuser must become a member of the
// role so that its connections can take it. From PostgreSQL 16 on, who creates
// a role is a member that may administer but not take it: SET asks for that.
const prepareSQL = `
DO $$ BEGIN
	IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '%[1]s') THEN
		BEGIN -- roles belong to the cluster: another database's migration may be faster
			CREATE ROLE %[2]s NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
		EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
		END;
	END IF;
	IF NOT pg_has_role(current_user, '%[1]s',
		CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END) THEN
		GRANT %[2]s TO CURRENT_USER;
	END IF;
END $$;
CREATE SCHEMA IF NOT EXISTS %[3]s;`

const grantSQL = `
GRANT USAGE ON SCHEMA %[1]s TO %[2]s;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %[1]s TO %[2]s;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA %[1]s TO %[2]s;
REVOKE ALL ON %[1]s.%[3]s FROM %[2]s;`
