// Package app holds the operations of service rbac, one file each.
package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/directory"
	"github.com/buildify/core/pkg/kit/outbox"
	"github.com/buildify/core/services/rbac/internal/engine"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// App serves the operations: decisions from Engine, changes into DB.
type App struct {
	DB        *database.DB
	Directory *directory.Directory
	Engine    *engine.Engine
	// Committed is told that events wait in the outbox.
	Committed func()
}

// change runs work in a transaction of one tenant, at the tenant's next
// revision, and answers when this replica decides by it.
func (a *App) change(ctx context.Context, tenant string, work func(*db.Queries) error) (*contract.RevisionResponse, error) {
	var revision int64
	err := a.DB.In(ctx, tenant, func(tx pgx.Tx) (err error) {
		q := db.New(tx)
		if revision, err = q.NextRevision(ctx, tenant); err != nil {
			return err
		}
		if err := work(q); err != nil {
			return err
		}
		event, err := events.New(events.BindingsChanged, tenant, revision,
			events.PolicyChanged{TenantID: tenant, Revision: revision})
		return errors.Join(err, outbox.Add(ctx, tx, event))
	})
	if err != nil {
		return nil, err
	}
	a.Committed()
	if err := a.Load(ctx, tenant); err != nil {
		return nil, err
	}
	return &contract.RevisionResponse{Revision: revision}, nil
}

// Load reads a tenant's policy from the database, or with
// database.Everything that of all tenants, and decides by it from now on.
func (a *App) Load(ctx context.Context, tenant string) error {
	err := a.DB.Read(ctx, tenant, func(tx pgx.Tx) error { return a.load(ctx, db.New(tx), tenant) })
	if err != nil {
		return fmt.Errorf("policy of %s: %w", tenant, err)
	}
	return nil
}

func (a *App) load(ctx context.Context, q *db.Queries, tenant string) error {
	revisions, err := q.Revisions(ctx, tenant)
	if err != nil {
		return err
	}
	roles, err := q.Roles(ctx, tenant)
	if err != nil {
		return err
	}
	bindings, err := q.Bindings(ctx, tenant)
	if err != nil {
		return err
	}
	rolesOf, bindingsOf := map[string][]engine.Role{}, map[string][]engine.Binding{}
	for _, r := range roles {
		rolesOf[r.TenantID] = append(rolesOf[r.TenantID], engine.Role{Name: r.Name, Permissions: r.Permissions})
	}
	for _, b := range bindings {
		bindingsOf[b.TenantID] = append(bindingsOf[b.TenantID], engine.Binding{User: b.UserID, Role: b.Role})
	}
	for _, r := range revisions {
		a.Engine.Put(r.TenantID, engine.Compile(r.Revision, rolesOf[r.TenantID], bindingsOf[r.TenantID]))
	}
	return nil
}
