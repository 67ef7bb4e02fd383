package auth

import (
	"errors"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// handleKeys serves modules' API keys.
func (s *Service) handleKeys() error {
	return errors.Join(
		kit.Handle(s.server, contract.VerifyKey, s.app.VerifyKey),
		kit.Handle(s.server, contract.CreateKey, s.app.CreateKey),
		kit.Handle(s.server, contract.GetKey, s.app.GetKey),
		kit.Handle(s.server, contract.ListKeys, s.app.ListKeys),
		kit.Handle(s.server, contract.RotateKey, s.app.RotateKey),
		kit.Handle(s.server, contract.RevokeKey, s.app.RevokeKey),
		kit.Handle(s.server, contract.ReportLeak, s.app.ReportLeak),
		kit.Handle(s.server, contract.KeyInfo, s.app.AnswerKeyInfo),
	)
}
