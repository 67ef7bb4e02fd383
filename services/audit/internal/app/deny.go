package app

import (
	"context"
	"encoding/json"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/audit/internal/record"
)

// TrailOf is the tenant whose trail the caller of an operation reads: a service,
// and the operator, read any.
func TrailOf(ctx context.Context, named contract.ID) (string, error) {
	user, tenant := kit.UserFrom(ctx), kit.UUID(named)
	if user.ID == "" && kit.PrincipalFrom(ctx).Kind == kit.KindService {
		user.Platform = true
	}
	return trailOf(user, tenant)
}

// Deny puts a refused call into the trail of the tenant that it concerned. The
// same id is the same record, however often it is told.
func (a *App) Deny(ctx context.Context, tenant, id string, d events.Denial) error {
	source := "core"
	if d.Module != "" {
		source = d.Module
	}
	details, err := json.Marshal(map[string]any{"count": d.Count, "asked": d.Asked})
	if err != nil {
		return err
	}
	e, err := events.Make(record.Type, "/modules/"+source, events.AuditSubject(tenant, source, d.Operation), map[string]string{
		events.TenantID: tenant, events.ActorID: d.UserID, events.Outcome: "denied",
	}, record.Data{
		Actor:  record.Actor{UserID: d.UserID, Module: d.Module, KeyID: d.KeyID},
		Source: source, Action: d.Operation, Target: record.Target{Type: "user", ID: d.SubjectID}, Reason: d.Code,
		Request: record.Request{ID: d.RequestID, Operation: d.Operation, Address: d.Address}, Details: details,
	})
	if err != nil {
		return err
	}
	e.SetID(id)
	e.SetTime(d.Time.Truncate(time.Microsecond))
	return a.Publish(ctx, e, events.MessageID(tenant, source, id, e.Data()))
}
