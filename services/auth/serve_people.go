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
		kit.Handle(s.server, contract.DeleteUser, s.app.DeleteUser),
	)
}
