package ingest

import (
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/services/audit/internal/record"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// readLogged takes what a module logged out of a message of AUDIT. Its tenant
// and its message id are what only the ingress could have put there.
func readLogged(msg jetstream.Msg) (db.AuditEvent, error) {
	e, err := events.Decode(msg.Headers(), msg.Data())
	if err != nil {
		return db.AuditEvent{}, err
	}
	var data record.Data
	if err := json.Unmarshal(e.Data(), &data); err != nil {
		return db.AuditEvent{}, err
	}
	ids := [3]string{e.ID(), events.Extension(e, events.TenantID), data.UserID}
	for i, id := range ids {
		if ids[i], err = canonical(id); err != nil {
			return db.AuditEvent{}, err
		}
	}
	id, tenant, user := ids[0], ids[1], ids[2]
	if e.Type() != record.Type {
		return db.AuditEvent{}, fmt.Errorf("type %s is not an audit event", e.Type())
	}
	return db.AuditEvent{
		TenantID: tenant, ID: id, MessageID: events.MessageID(tenant, data.Source, id, e.Data()),
		OccurredAt: e.Time(), UserID: &user, Source: data.Source, Action: data.Action,
		ResourceType: data.ResourceType, ResourceID: data.ResourceID, RequestID: data.RequestID,
		Outcome: outcome(e), Received: e.Data(),
	}, nil
}

// canonical is a UUID as the database gives it back.
func canonical(id string) (string, error) {
	parsed, err := uuid.Parse(id)
	return parsed.String(), err
}

// outcome is the event's, empty when it says none that the trail knows.
func outcome(e events.Event) string {
	switch o := events.Extension(e, events.Outcome); o {
	case "success", "failure", "denied":
		return o
	}
	return ""
}
