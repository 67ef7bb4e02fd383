package app

import (
	"cmp"
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
	if err := bounded(r); err != nil {
		return nil, err
	}
	principal, user := kit.PrincipalFrom(ctx), kit.UUID(r.UserID)
	tenant, err := a.Directory.VisibleUser(ctx, user, kit.UUID(r.TenantID))
	if err != nil {
		return nil, err
	}
	behalf := kit.UUID(r.OnBehalfOf)
	if _, member := a.Directory.MemberOf(behalf, tenant.ID); behalf != "" && !member {
		return nil, &contract.Error{Code: contract.NotFound, Field: "on_behalf_of", Message: "nobody in the tenant has this id"}
	}
	source := "core"
	if principal.Kind == kit.KindModule {
		source = principal.Module
	}
	e, err := events.Make(record.Type, "/modules/"+source, events.AuditSubject(tenant.ID, source, r.Action), map[string]string{
		events.TenantID: tenant.ID, events.ActorID: user, events.Outcome: cmp.Or(r.Outcome, "success"),
	}, record.Data{
		Actor:  record.Actor{UserID: user, Module: principal.Module, KeyID: principal.KeyID, OnBehalfOf: behalf},
		Source: source, Action: r.Action, Target: record.Target{Type: r.ResourceType, ID: string(r.ResourceID)}, Reason: r.Reason,
		Request: record.Request{ID: kit.RequestID(ctx), Operation: contract.LogAudit.Name, Address: r.Address, Agent: r.Agent},
		Changes: r.Changes, Details: r.Details,
	})
	if err != nil {
		return nil, err
	}
	id := events.MessageID(tenant.ID, source, e.ID(), e.Data())
	if err := a.Publish(ctx, e, id); err != nil {
		return nil, unavailable(ctx, err)
	}
	return &contract.LogAuditResponse{Status: "logged", ID: e.ID()}, nil
}

func bounded(r *contract.LogAuditRequest) error {
	if len(r.Details) > maxDetails {
		return contract.Invalid("details", "exceeds %d bytes", maxDetails)
	}
	size := len(r.Details)
	for _, c := range r.Changes {
		size += len(c.Field) + len(c.Before) + len(c.After)
	}
	if size > maxDetails {
		return contract.Invalid("changes", "exceeds %d bytes, with the details", maxDetails)
	}
	return nil
}

// unavailable tells that the stream did not take the event: it is away or
// full. The cause goes to the log with the wrapped error.
func unavailable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	return fmt.Errorf("%w (%w)", contract.Errorf(contract.Unavailable, "the audit trail takes no events right now; try again"), err)
}
