package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/kit"
)

// Effective answers rbac.effective.
func (a *App) Effective(ctx context.Context, r *contract.EffectiveRequest) (*contract.EffectiveResponse, error) {
	tenant, err := a.questionTenant(ctx, r.UserID, r.TenantID)
	if err != nil {
		return nil, err
	}
	p, err := a.policy(ctx, tenant, r.AtLeast)
	if err != nil {
		return nil, err
	}
	items := append([]contract.EffectivePermission{}, p.Effective(kit.UUID(r.UserID), decision.Now)...)
	return &contract.EffectiveResponse{Items: items, Revision: p.Revision()}, nil
}
