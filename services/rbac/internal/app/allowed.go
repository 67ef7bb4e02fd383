package app

import (
	"context"

	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/kit"
)

// Allowed implements kit.PermissionChecker for this service's own operations.
func (a *App) Allowed(ctx context.Context, user kit.User, permission string) (bool, error) {
	if user.TenantID == "" {
		return false, nil
	}
	p, err := a.policy(ctx, user.TenantID, 0)
	if err != nil {
		return false, err
	}
	return p.Check(decision.Question{User: user.ID, Permission: permission}, decision.Now), nil
}
