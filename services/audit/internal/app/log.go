package app

import (
	"context"
	"fmt"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/audit/internal/record"
)

const maxDetails = 64 << 10

// Log answers audit.log once the stream has the event on disk. Tenant and
// source of the event are verified facts: the tenant is the user's, the source
// is the calling module.
func (a *App) Log(ctx context.Context, r *contract.LogAuditRequest) (*contract.LogAuditResponse, error) {
	if len(r.Details) > maxDetails {
		return nil, contract.Invalid("details", "exceeds %d bytes", maxDetails)
	}
	principal, user := kit.PrincipalFrom(ctx), kit.UUID(r.UserID)
	tenant, err := a.Directory.VisibleUser(ctx, user, kit.UUID(r.TenantID))
	if err != nil {
		return nil, err
	}
	source := "core"
	if principal.Kind == kit.KindModule {
		source = principal.Module
	}
	e, err := events.Make(record.Type, "/modules/"+source, events.AuditSubject(tenant.ID, source, r.Action), map[string]string{
		events.TenantID: tenant.ID, events.ActorID: user, events.Outcome: "success",
	}, record.Data{
		UserID: user, Source: source, Action: r.Action, ResourceType: r.ResourceType,
		ResourceID: string(r.ResourceID), Details: r.Details, RequestID: kit.RequestID(ctx),
	})
	if err != nil {
		return nil, err
	}
	id := events.MessageID(tenant.ID, source, e.ID(), e.Data())
	if err := events.Publish(ctx, a.JetStream, e, id); err != nil {
		return nil, unavailable(ctx, err)
	}
	return &contract.LogAuditResponse{Status: "logged", ID: e.ID()}, nil
}

// unavailable tells that the stream did not take the event: it is away or
// full. The cause goes to the log with the wrapped error.
func unavailable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	return fmt.Errorf("%w (%w)", contract.Errorf(contract.Unavailable, "the audit trail takes no events right now; try again"), err)
}
