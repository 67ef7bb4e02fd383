package audit

import (
	"context"
	"errors"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/audit/internal/app"
	"github.com/buildify/core/services/audit/internal/reading"
)

// handleReading serves lists, timelines, statistics and exports of trails.
func (s *Service) handleReading() error {
	r := &reading.Reading{DB: s.deps.DB, TrailOf: app.TrailOf, Open: s.personal.Open}
	return errors.Join(
		kit.Handle(s.server, contract.ListAudit, r.List),
		kit.Handle(s.server, contract.GetAudit, r.Get),
		kit.Handle(s.server, contract.PersonTimeline, r.PersonTimeline),
		kit.Handle(s.server, contract.ResourceTimeline, r.ResourceTimeline),
		kit.Handle(s.server, contract.AuditStats, r.Stats),
		kit.Handle(s.server, contract.ExportAudit, r.Export),
		kit.Handle(s.server, contract.ShredPerson, func(ctx context.Context, r *contract.ShredPersonRequest) (*contract.ShredPersonResponse, error) {
			tenant, err := app.TrailOf(ctx, r.TenantID)
			if err != nil {
				return nil, err
			}
			return s.personal.Shred(ctx, tenant, r, s.relay.Notify)
		}),
	)
}
