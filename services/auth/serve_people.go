package auth

import (
	"errors"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// handlePeople serves what is done with accounts and passwords.
func (s *Service) handlePeople() error {
	return errors.Join(
		kit.Handle(s.server, contract.CreateUser, s.app.CreateUser),
		kit.Handle(s.server, contract.GetUser, s.app.GetUser),
		kit.Handle(s.server, contract.ListUsers, s.app.ListUsers),
		kit.Handle(s.server, contract.UpdateUser, s.app.UpdateUser),
		kit.Handle(s.server, contract.DisableUser, s.app.DisableUser),
		kit.Handle(s.server, contract.EnableUser, s.app.EnableUser),
		kit.Handle(s.server, contract.UnlockUser, s.app.UnlockUser),
		kit.Handle(s.server, contract.EndUserSessions, s.app.EndUserSessions),
		kit.Handle(s.server, contract.ResetUserFactors, s.app.ResetUserFactors),
		kit.Handle(s.server, contract.DeleteUser, s.app.DeleteUser),
		kit.Handle(s.server, contract.InviteUser, s.app.InviteUser),
		kit.Handle(s.server, contract.ResetUserPassword, s.app.ResetUserPassword),
		kit.Handle(s.server, contract.RequestPasswordReset, s.app.RequestPasswordReset),
		kit.Handle(s.server, contract.ConfirmPasswordReset, s.app.ConfirmPasswordReset),
		kit.Handle(s.server, contract.ChangePassword, s.app.ChangePassword),
		kit.Handle(s.server, contract.GetPasswordPolicy, s.app.GetPasswordPolicy),
		kit.Handle(s.server, contract.SetPasswordPolicy, s.app.SetPasswordPolicy),
		kit.Handle(s.server, contract.AddMembership, s.app.AddMembership),
		kit.Handle(s.server, contract.RemoveMembership, s.app.RemoveMembership),
	)
}
