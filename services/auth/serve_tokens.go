package auth

import (
	"errors"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// handleTokens serves tokens and the keys that sign them.
func (s *Service) handleTokens() error {
	return errors.Join(
		kit.HandleFast(s.server, contract.VerifyToken, s.app.VerifyFast, s.app.Verify),
	)
}
