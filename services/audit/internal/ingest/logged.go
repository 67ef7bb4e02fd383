package ingest

import (
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/services/audit/internal/record"
)

// readLogged takes what a module logged, or a refused call, out of a message of
// AUDIT. Its tenant and its message id are what only the ingress could have put
// there.
func readLogged(msg jetstream.Msg) (row, error) {
	e, err := events.Decode(msg.Headers(), msg.Data())
	if err != nil {
		return row{}, err
	}
	if e.Type() != record.Type && e.Type() != record.FirstType {
		return row{}, fmt.Errorf("type %s is not an audit event", e.Type())
	}
	data, err := record.Read(e.Type(), e.Data())
	if err != nil {
		return row{}, err
	}
	if data.Action == "" {
		return row{}, errors.New("data without an action is not an audit event's")
	}
	ids := [2]string{e.ID(), events.Extension(e, events.TenantID)}
	for i, id := range ids {
		if ids[i], err = canonical(id); err != nil {
			return row{}, err
		}
	}
	id, tenant := ids[0], ids[1]
	r := newRow(events.AuditStream, tenant, id, e)
	if r.UserID, err = person(data.Actor.UserID); err != nil {
		return row{}, fmt.Errorf("user_id: %w", err)
	}
	if r.OnBehalfOf, err = person(data.Actor.OnBehalfOf); err != nil {
		return row{}, fmt.Errorf("on_behalf_of: %w", err)
	}
	r.MessageID = events.MessageID(tenant, data.Source, id, e.Data())
	r.Source, r.Action, r.Reason = data.Source, data.Action, data.Reason
	r.Module, r.KeyID = data.Actor.Module, data.Actor.KeyID
	r.ResourceType, r.ResourceID = data.Target.Type, data.Target.ID
	r.RequestID, r.Operation = data.Request.ID, data.Request.Operation
	r.Address, r.Agent = data.Request.Address, data.Request.Agent
	return r, nil
}

// person is a user's id, nil for nobody.
func person(id string) (*string, error) {
	if id == "" {
		return nil, nil
	}
	id, err := canonical(id)
	return &id, err
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
