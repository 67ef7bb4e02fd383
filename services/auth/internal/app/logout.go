package app

import (
	"context"
	"errors"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// Logout answers auth.logout.
func (a *App) Logout(ctx context.Context, _ *contract.LogoutRequest) (*contract.Empty, error) {
	err := a.endOwnSession(ctx, kit.UserFrom(ctx).SessionID, "logout")
	if err != nil && !errors.Is(err, &contract.Error{Code: contract.NotFound}) { // ended meanwhile: as good
		return nil, err
	}
	return &contract.Empty{}, nil
}
