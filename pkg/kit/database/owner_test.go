package database

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/migrations"
	"github.com/buildify/core/pkg/kit/pgserver"
)

// Managed databases give no superuser. The server is the test's own, so that
// the roles do not exist yet: on PostgreSQL 16 and later only who made a role,
// or administers it, may give it to itself.
func TestAnOwnerWithCreateRoleCanMigrateAndServe(t *testing.T) {
	t.Parallel()
	server, err := pgserver.Start(bounded(t), pgserver.Config{Dir: t.TempDir(), Volatile: true})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, server.Stop(bounded(t)))
		require.NoError(t, pgserver.Remove(bounded(t), server.Dir()))
	})
	admin := superuser(t, server.URL("", ""))
	for _, statement := range []string{
		"CREATE ROLE owner LOGIN CREATEROLE NOSUPERUSER NOCREATEDB",
		"CREATE DATABASE core OWNER owner",
		"CREATE ROLE web LOGIN NOSUPERUSER NOINHERIT",
	} {
		_, err := admin.Exec(bounded(t), statement)
		require.NoError(t, err, statement)
	}
	url := server.URL("core", "owner")
	require.NoError(t, Migrate(bounded(t), url, nil))
	require.NoError(t, Migrate(bounded(t), url, nil), "again")

	for _, service := range migrations.Services {
		// In development the owner's own connections take the service's role.
		checkScoped(t, open(t, url, service), service)
	}

	// In production a service logs in as a user who is a member of its role
	// only, and finds no way out of it.
	_, err = admin.Exec(bounded(t), "GRANT buildify_auth TO web")
	require.NoError(t, err)
	db := open(t, server.URL("core", "web"), "auth")
	checkScoped(t, db, "auth")
	for _, statement := range []string{
		"SET ROLE buildify_rbac", "SET ROLE owner", "SET ROLE postgres", "SET SESSION AUTHORIZATION owner",
		"RESET ROLE; SELECT * FROM auth.users", "SELECT * FROM rbac.roles", "GRANT buildify_rbac TO web",
	} {
		_, err := db.Exec(bounded(t), statement)
		require.Error(t, err, statement)
	}
	_, err = Open(bounded(t), server.URL("core", "web"), "rbac", 1)
	require.Error(t, err, "not a member of that role")
}

func checkScoped(t testing.TB, db *DB, service string) {
	t.Helper()
	for _, c := range inserts {
		if c.service != service {
			continue
		}
		n := -1
		require.NoError(t, db.In(bounded(t), tenantA, func(tx pgx.Tx) error {
			return tx.QueryRow(bounded(t), fmt.Sprintf("SELECT count(*) FROM %s WHERE %s = '%s'", c.table, c.column, tenantA)).Scan(&n)
		}), "%s.%s", service, c.table)
		require.Zero(t, n)
	}
}
