package tenant

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
)

func (s *Service) handleOrg(client *kit.Client) error {
	s.app.Rights = rights{client}
	return errors.Join(
		kit.Handle(s.server, contract.GetOrgTree, s.app.OrgTree),
		kit.Handle(s.server, contract.SearchUnits, s.app.SearchUnits),
		kit.Handle(s.server, contract.MyUnits, s.app.MyUnits),
		kit.Handle(s.server, contract.GetUnit, s.app.GetUnit),
		kit.Handle(s.server, contract.CreateUnit, s.app.CreateUnit),
		kit.Handle(s.server, contract.UpdateUnit, s.app.UpdateUnit),
		kit.Handle(s.server, contract.MoveUnit, s.app.MoveUnit),
		kit.Handle(s.server, contract.DeleteUnit, s.app.DeleteUnit),
		kit.Handle(s.server, contract.RestoreUnit, s.app.RestoreUnit),
	)
}

// startOrg takes in who leaves a tenant.
func (s *Service) startOrg(ctx context.Context, js jetstream.JetStream) (err error) {
	s.heads, err = kit.Consume(ctx, js, s.deps.Telemetry, events.ConsumeConfig{
		Stream: events.EventsStream, Durable: Name + "_heads", Subjects: []string{events.UserChanged.Subject("*")},
	}, s.app.MemberChanged)
	return err
}

// rights asks service rbac.
type rights struct{ client *kit.Client }

func (r rights) CheckBatch(ctx context.Context, request *contract.CheckBatchRequest) (*contract.CheckBatchResponse, error) {
	return kit.Call(ctx, r.client, contract.CheckPermissions, request)
}

func (r rights) Effective(ctx context.Context, request *contract.EffectiveRequest) (*contract.EffectiveResponse, error) {
	return kit.Call(ctx, r.client, contract.EffectivePermissions, request)
}

func (r rights) MayMoveUnit(ctx context.Context, request *contract.MayMoveUnitRequest) (*contract.Empty, error) {
	return kit.Call(ctx, r.client, contract.MayMoveUnit, request)
}
