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
		kit.Handle(s.server, contract.Refresh, s.app.Refresh),
		kit.Handle(s.server, contract.Logout, s.app.Logout),
		kit.Handle(s.server, contract.Me, s.app.Me),
		kit.Handle(s.server, contract.UpdateMe, s.app.UpdateMe),
		kit.Handle(s.server, contract.ListSessions, s.app.ListSessions),
		kit.Handle(s.server, contract.EndSession, s.app.EndSession),
		kit.Handle(s.server, contract.EndOtherSessions, s.app.EndOtherSessions),
		kit.Handle(s.server, contract.SwitchTenant, s.app.SwitchTenant),
		kit.Handle(s.server, contract.MyTenants, s.app.MyTenants),
	)
}
