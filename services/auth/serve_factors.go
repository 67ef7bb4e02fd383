package auth

import (
	"errors"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// handleFactors serves second factors and passkeys, and what tenants ask for.
func (s *Service) handleFactors() error {
	return errors.Join(
		kit.Handle(s.server, contract.CompleteLogin, s.app.CompleteLogin),
		kit.Handle(s.server, contract.BeginPasskeyLogin, s.app.BeginPasskeyLogin),
		kit.Handle(s.server, contract.BeginTOTP, s.app.BeginTOTP),
		kit.Handle(s.server, contract.ConfirmTOTP, s.app.ConfirmTOTP),
		kit.Handle(s.server, contract.DisableTOTP, s.app.DisableTOTP),
		kit.Handle(s.server, contract.NewRecoveryCodes, s.app.NewRecoveryCodes),
		kit.Handle(s.server, contract.Factors, s.app.Factors),
		kit.Handle(s.server, contract.BeginPasskey, s.app.BeginPasskey),
		kit.Handle(s.server, contract.FinishPasskey, s.app.FinishPasskey),
		kit.Handle(s.server, contract.ListPasskeys, s.app.ListPasskeys),
		kit.Handle(s.server, contract.DeletePasskey, s.app.DeletePasskey),
		kit.Handle(s.server, contract.GetSignInPolicy, s.app.GetSignInPolicy),
		kit.Handle(s.server, contract.SetSignInPolicy, s.app.SetSignInPolicy),
	)
}
