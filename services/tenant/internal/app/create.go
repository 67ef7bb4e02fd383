package app

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// settling is how long the answer of tenant.create waits for the administrator.
const settling = 3 * time.Second

// Create answers tenant.create. With an administrator it begins what
// provision.go and other services continue.
func (a *App) Create(ctx context.Context, r *contract.CreateTenantRequest) (*contract.Tenant, error) {
	row := db.CreateTenantParams{
		ID: kit.NewID(), Code: r.Code, Name: strings.TrimSpace(r.Name), State: contract.TenantActive,
		Branding: asJSON(r.Branding), Limits: asJSON(r.Limits),
	}
	if row.Name == "" {
		return nil, contract.Invalid("name", "is required")
	}
	var provision events.TenantProvision
	if r.Administrator != nil {
		provision = events.TenantProvision{TenantID: row.ID, UserID: kit.NewID(), Administrator: r.Administrator}
		row.State, row.Step = contract.TenantProvisioning, stepAdministrator
		row.Provision, _ = json.Marshal(provision) // plain data
	}
	var tenant contract.Tenant
	err := a.Store.Change(ctx, row.ID, func(q *db.Queries) ([]events.Event, error) {
		made, err := q.CreateTenant(ctx, row)
		if err != nil {
			return nil, err
		}
		tenant = tenantOf(made)
		done := changed{change: "created"}
		if r.Administrator != nil {
			e, err := kit.NewEvent(ctx, events.TenantProvisioning, row.ID, made.Revision, provision)
			if err != nil {
				return nil, err
			}
			done.also = []events.Event{e}
		}
		return told(ctx, made, done)
	})
	if _, duplicate := database.Duplicate(err); duplicate {
		return nil, &contract.Error{Code: contract.AlreadyExists, Field: "code", Message: "a tenant of this code exists"}
	}
	if err != nil {
		return nil, err
	}
	a.Directory.PutTenant(tenant)
	if r.Administrator == nil {
		return &tenant, nil
	}
	return a.settled(ctx, tenant)
}

// settled waits a while for a tenant that is being made, and returns it as it is
// then, or why it could not be made.
func (a *App) settled(ctx context.Context, made contract.Tenant) (*contract.Tenant, error) {
	waiting, cancel := context.WithTimeout(ctx, settling)
	defer cancel()
	state := a.Directory.AwaitState(waiting, made.ID, func(t contract.Tenant) bool { return t.State != contract.TenantProvisioning })
	if state.State == contract.TenantErased {
		return nil, a.refusal(ctx, made.ID)
	}
	return &state, nil
}

// refusal is why a tenant could not be made.
func (a *App) refusal(ctx context.Context, tenant string) error {
	return a.Store.Read(ctx, tenant, func(q *db.Queries) error {
		row, err := q.Tenant(ctx, tenant)
		if err != nil {
			return err
		}
		refused := stored[events.AdministratorRefusal](row.Refusal)
		if refused == nil {
			return contract.Errorf(contract.Conflict, "the tenant was deleted while it was made")
		}
		return &contract.Error{Code: refused.Code, Field: refused.Field, Message: refused.Reason}
	})
}
