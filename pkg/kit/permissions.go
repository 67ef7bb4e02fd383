package kit

import (
	"context"

	"github.com/buildify/core/pkg/contract"
)

// RemotePermissions asks service rbac.
type RemotePermissions struct{ Client *Client }

// Allowed implements PermissionChecker.
func (r RemotePermissions) Allowed(ctx context.Context, user User, permission string) (bool, error) {
	response, err := Call(ctx, r.Client, contract.CheckPermission, &contract.CheckRequest{
		UserID: contract.ID(user.ID), TenantID: contract.ID(user.TenantID), Permission: permission,
	})
	if err != nil {
		return false, err
	}
	return response.Allowed, nil
}
