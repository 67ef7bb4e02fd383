package menu

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// RemotePermissions asks service rbac, all at once.
type RemotePermissions struct{ Client *kit.Client }

const (
	// batch is how much rbac answers at once.
	batch = 1000
	// patience leaves the time to say that rbac does not answer.
	patience = 3 * time.Second
)

// Held implements Permissions.
func (r RemotePermissions) Held(ctx context.Context, user kit.User, permissions []string) ([]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var held []bool
	for asked := range slices.Chunk(permissions, batch) {
		request := &contract.CheckBatchRequest{UserID: contract.ID(user.ID), TenantID: contract.ID(user.TenantID)}
		for _, permission := range asked {
			request.Checks = append(request.Checks, contract.BatchItem{Permission: permission})
		}
		answer, err := kit.Call(ctx, r.Client, contract.CheckPermissions, request)
		if errors.Is(err, context.Canceled) {
			return nil, err
		}
		if err != nil || len(answer.Allowed) != len(asked) {
			return nil, unavailable()
		}
		held = append(held, answer.Allowed...)
	}
	return held, nil
}
