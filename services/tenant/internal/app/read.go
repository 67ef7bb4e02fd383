package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// Read answers tenant.read. Platform administrators and services read tombstones
// too.
func (a *App) Read(ctx context.Context, r *contract.TenantRequest) (*contract.TenantDetail, error) {
	id, err := ownTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	var detail *contract.TenantDetail
	err = a.Store.Read(ctx, id, func(q *db.Queries) error {
		row, err := q.Tenant(ctx, id)
		if err != nil {
			return err
		}
		detail = detailOf(row)
		use, err := q.TenantUse(ctx, id)
		if err != nil {
			return err
		}
		detail.Usage.Companies, detail.Usage.Modules = int(use.Companies), int(use.Modules)
		detail.Progress, err = progress(ctx, q, row)
		return err
	})
	if database.Missing(err) {
		return nil, contract.Missing("tenant")
	}
	if err != nil {
		return nil, err
	}
	detail.Usage.Users, _ = a.Directory.People(id)
	return detail, nil
}

// ownTenant is the tenant that a request names, if the caller may act in it:
// people in their own, platform administrators and services in any.
func ownTenant(ctx context.Context, named contract.ID) (string, error) {
	id := kit.UUID(named)
	if user := kit.UserFrom(ctx); user.ID != "" && !user.Platform && user.TenantID != id {
		return "", contract.Missing("tenant")
	}
	return id, nil
}

func detailOf(row db.TenantTenant) *contract.TenantDetail {
	return &contract.TenantDetail{
		ID: row.ID, Code: row.Code, Name: row.Name, State: row.State, IsActive: row.State == contract.TenantActive,
		Branding: stored[contract.Branding](row.Branding), Limits: stored[contract.Limits](row.Limits),
		DeleteAt: row.DeleteAt, CreatedAt: row.CreatedAt, Revision: row.Revision, Reason: row.Reason,
	}
}

// progress is what a tenant on its way waits for, nil when it has arrived.
func progress(ctx context.Context, q *db.Queries, row db.TenantTenant) (*contract.TenantProgress, error) {
	on := &contract.TenantProgress{Since: row.StateSince}
	switch {
	case row.State == contract.TenantProvisioning:
		on.Step = row.Step
		on.Waiting = []string{map[string]string{stepAdministrator: "auth", stepBinding: "rbac"}[row.Step]}
	case row.State == contract.TenantDeleting:
		on.Step = stepGrace
	case row.State == contract.TenantErased && row.AskedAt != nil:
		confirmed, err := q.Erasures(ctx, row.ID)
		if err != nil {
			return nil, err
		}
		on.Step, on.Waiting = stepErasing, missing(confirmed)
	default:
		return nil, nil
	}
	return on, nil
}
