package auth

import (
	"errors"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// handleSessions serves logins and sessions.
func (s *Service) handleSessions() error {
	return errors.Join(
		kit.Handle(s.server, contract.Login, s.app.Login),
	)
}
