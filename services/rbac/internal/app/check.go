package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/kit"
)

// Check answers rbac.check.
func (a *App) Check(ctx context.Context, r *contract.CheckRequest) (*contract.CheckResponse, error) {
	tenant, err := a.Directory.VisibleUser(ctx, kit.UUID(r.UserID), kit.UUID(r.TenantID))
	if err != nil {
		return nil, err
	}
	p, err := a.policy(ctx, tenant.ID, r.AtLeast)
	if err != nil {
		return nil, err
	}
	return a.check(ctx, tenant.ID, p, r), nil
}

// CheckFast is Check from memory.
func (a *App) CheckFast(ctx context.Context, r *contract.CheckRequest) (*contract.CheckResponse, bool, error) {
	tenant, err := a.Directory.VisibleUser(ctx, kit.UUID(r.UserID), kit.UUID(r.TenantID))
	if err != nil {
		return nil, true, err
	}
	p, ok := a.held(tenant.ID, r.AtLeast)
	if !ok {
		return nil, false, nil
	}
	return a.check(ctx, tenant.ID, p, r), true, nil
}

func (a *App) check(ctx context.Context, tenant string, p *decision.Policy, r *contract.CheckRequest) *contract.CheckResponse {
	user := kit.UUID(r.UserID)
	allowed := p.Check(decision.Question{
		User: user, Permission: r.Permission, Unit: lowest(r.CompanyID, r.BranchID, r.DepartmentID),
		ResourceType: r.ResourceType, ResourceID: string(r.ResourceID),
	}, decision.Now) || a.Directory.Platform(user)
	kit.RecordDecision(ctx, tenant, user, r.Permission, allowed)
	return &contract.CheckResponse{Allowed: allowed, Revision: p.Revision()}
}
