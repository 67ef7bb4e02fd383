package audit

import (
	"errors"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/audit/internal/deadletters"
)

// handleDeadLetters serves what could not be stored.
func (s *Service) handleDeadLetters() error {
	d := &deadletters.DeadLetters{DB: s.deps.DB, Again: s.ingester.Again, Grown: s.grown, Committed: s.relay.Notify}
	if err := s.deps.Telemetry.Metrics.Register(d.Metrics()); err != nil {
		return err
	}
	return errors.Join(
		kit.Handle(s.server, contract.ListDeadLetters, d.List),
		kit.Handle(s.server, contract.GetDeadLetter, d.Get),
		kit.Handle(s.server, contract.RetryDeadLetter, d.Retry),
		kit.Handle(s.server, contract.DiscardDeadLetter, d.Discard),
	)
}
