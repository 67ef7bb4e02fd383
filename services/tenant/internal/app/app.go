// Package app holds the operations of service tenant, one file each.
package app

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/directory"
	"github.com/buildify/core/pkg/kit/outbox"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// App serves the operations. Reads are answered from Directory, which follows
// the events of the writes.
type App struct {
	DB        *database.DB
	Directory *directory.Directory
	// Committed is told that events wait in the outbox.
	Committed func()
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

func tenantOf(row db.TenantTenant) contract.Tenant {
	return contract.Tenant{ID: row.ID, Code: row.Code, Name: row.Name, IsActive: row.IsActive, Revision: row.Revision}
}

func activationOf(row db.TenantActivation) contract.Activation {
	return contract.Activation{TenantID: row.TenantID, Module: row.Module, Enabled: row.Enabled, Revision: row.Revision}
}
