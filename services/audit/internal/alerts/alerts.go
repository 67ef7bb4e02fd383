package alerts

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/directory"
	"github.com/buildify/core/pkg/kit/outbox"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// maxAlerts bounds the alerts of a tenant: each looks at every event.
const maxAlerts = 50

// Alerts serves the operations on alerts.
type Alerts struct {
	DB        *database.DB
	Directory *directory.Directory
	// Committed is told that events wait in the outbox.
	Committed func()
}

// change runs work for the tenant that a request acts in, and tells what it
// returns.
func (a *Alerts) change(ctx context.Context, named contract.ID,
	work func(q *db.Queries, tenant string) (db.AuditAlert, events.AlertChange, error),
) (*contract.AuditAlert, error) {
	tenant, err := a.Directory.ActingTenant(ctx, named)
	if err != nil {
		return nil, err
	}
	var row db.AuditAlert
	err = a.DB.In(ctx, tenant, func(tx pgx.Tx) error {
		var change events.AlertChange
		if row, change, err = work(db.New(tx), tenant); err != nil {
			return err
		}
		change.ID, change.TenantID, change.Name = row.ID, tenant, row.Name
		e, err := kit.NewEvent(ctx, events.AlertChanged, tenant, row.Revision, change)
		if err != nil {
			return err
		}
		return outbox.Add(ctx, tx, e)
	})
	if constraint, duplicate := database.Duplicate(err); duplicate && constraint == "alerts_name" {
		return nil, &contract.Error{Code: contract.AlreadyExists, Field: "name", Message: "an alert of this name is there already"}
	}
	if err != nil {
		return nil, err
	}
	a.Committed()
	return alertOf(row)
}

// lock is the alert that a request changes, at the revision if one is named.
func lock(ctx context.Context, q *db.Queries, tenant string, id contract.ID, revision int64) (db.AuditAlert, error) {
	row, err := q.LockAlert(ctx, db.LockAlertParams{TenantID: tenant, ID: kit.UUID(id)})
	switch {
	case database.Missing(err):
		err = contract.Missing("alert")
	case err == nil && revision != 0 && revision != row.Revision:
		err = contract.Errorf(contract.Conflict, "the alert was changed meanwhile, it is at revision %d; read it again", row.Revision)
	}
	return row, err
}

func alertOf(row db.AuditAlert) (*contract.AuditAlert, error) {
	alert := &contract.AuditAlert{
		TenantID: row.TenantID, ID: row.ID, Name: row.Name, Enabled: row.Enabled,
		CreatedAt: row.CreatedAt.UTC(), UpdatedAt: row.UpdatedAt.UTC(), Revision: row.Revision,
	}
	if row.CreatedBy != nil {
		alert.CreatedBy = *row.CreatedBy
	}
	if err := json.Unmarshal(row.Rule, &alert.Rule); err != nil {
		return nil, fmt.Errorf("alert %s: rule: %w", row.ID, err)
	}
	return alert, nil
}

// personOf is the person who acts, nobody when a service does.
func personOf(ctx context.Context) *string {
	if id := kit.UserFrom(ctx).ID; id != "" {
		return &id
	}
	return nil
}
