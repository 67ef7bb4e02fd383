package app

import (
	"cmp"
	"context"

	"github.com/google/uuid"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/kit"
)

// WhoCan answers rbac.who_can.
func (a *App) WhoCan(ctx context.Context, r *contract.WhoCanRequest) (*contract.WhoCanResponse, error) {
	if r.Cursor != "" && uuid.Validate(r.Cursor) != nil {
		return nil, contract.Invalid("cursor", "must be the next_cursor of a page")
	}
	tenant, err := a.whoseTenant(ctx, r)
	if err != nil {
		return nil, err
	}
	p, err := a.policy(ctx, tenant, r.AtLeast)
	if err != nil {
		return nil, err
	}
	users, next := p.WhoCan(decision.Question{
		Permission: r.Permission, Unit: lowest(r.CompanyID, r.BranchID, r.DepartmentID),
		ResourceType: r.ResourceType, ResourceID: string(r.ResourceID),
	}, decision.Now, r.Cursor, cmp.Or(r.Limit, 50))
	return &contract.WhoCanResponse{UserIDs: append([]string{}, users...), Revision: p.Revision(), NextCursor: next}, nil
}

// whoseTenant is the tenant that a caller may ask about. A module asks about its
// own permissions.
func (a *App) whoseTenant(ctx context.Context, r *contract.WhoCanRequest) (string, error) {
	principal := kit.PrincipalFrom(ctx)
	if principal.Kind != kit.KindModule {
		return a.Directory.ActingTenant(ctx, r.TenantID)
	}
	tenant := kit.UUID(r.TenantID)
	switch {
	case tenant == "":
		return "", contract.Invalid("tenant_id", "is required")
	case !a.Directory.VisibleTenant(ctx, tenant):
		return "", contract.Missing("tenant")
	case contract.PermissionNamespace(r.Permission) != principal.Module:
		return "", contract.Invalid("permission", "must be one of your own, %s:…", principal.Module)
	}
	return tenant, nil
}
