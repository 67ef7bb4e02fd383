package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/services/audit/internal/record"
)

// domainType is the CloudEvents type of a domain event: service, entity, verb.
var domainType = regexp.MustCompile(`^dev\.buildify\.([a-z0-9_-]+)\.([a-z0-9_-]+)\.([a-z0-9_-]+)\.v[0-9]+$`)

// resourceMembers of an event's data name what it is about, the first one
// present before the others.
var resourceMembers = []string{"id", "session_id", "user_id", "module", "tenant_id"}

// readDomain takes a domain event out of a message of EVENTS. The bus lets a
// service publish only under subjects of its name, so what the type says is
// believed where the subject says the same.
func readDomain(msg jetstream.Msg) (row, error) {
	e, err := events.Decode(msg.Headers(), msg.Data())
	if err != nil {
		return row{}, err
	}
	parts := domainType.FindStringSubmatch(e.Type())
	if parts == nil {
		return row{}, fmt.Errorf("type %s is not a domain event's", e.Type())
	}
	kind := events.Kind{Service: parts[1], Entity: parts[2], Verb: parts[3]}
	tenant := events.Extension(e, events.TenantID)
	if tenant == "" {
		tenant = events.Platform
	}
	if msg.Subject() != kind.Subject(tenant) {
		return row{}, fmt.Errorf("an event of type %s and tenant %s does not belong on its subject", e.Type(), tenant)
	}
	if tenant == events.Platform {
		tenant = record.PlatformTenant
	}
	if tenant, err = canonical(tenant); err != nil {
		return row{}, fmt.Errorf("%s: %w", events.TenantID, err)
	}
	id, err := canonical(e.ID())
	if err != nil {
		return row{}, fmt.Errorf("id: %w", err)
	}
	members, err := membersOf(e.Data())
	if err != nil {
		return row{}, err
	}
	r := newRow(events.EventsStream, tenant, id, e)
	r.MessageID = events.MessageID(tenant, kind.Service, id, e.Data())
	r.Source, r.Action = kind.Service, kind.Service+"."+kind.Entity+"."+kind.Verb
	r.RequestID = storable(events.Extension(e, events.RequestID))
	r.ResourceType, r.Reason = kind.Entity, storable(text(members["reason"]))
	r.Address, r.Agent = storable(text(members["address"])), storable(text(members["agent"]))
	for _, member := range resourceMembers {
		if r.ResourceID = storable(text(members[member])); r.ResourceID != "" {
			break
		}
	}
	for _, id := range []string{events.Extension(e, events.ActorID), text(members["user_id"])} {
		if user, err := canonical(id); err == nil {
			r.UserID = &user
			break
		}
	}
	return r, nil
}

// membersOf are the members of an event's data, none when it is no object. The
// data becomes the record's details and must be JSON, or nothing.
func membersOf(data []byte) (members map[string]json.RawMessage, err error) {
	if len(data) == 0 {
		return nil, nil
	}
	err = json.Unmarshal(data, &members)
	var other *json.UnmarshalTypeError
	if errors.As(err, &other) {
		return nil, nil
	}
	return members, err
}

// text is a JSON string's or number's text, empty for anything else.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var n json.Number
	if json.Unmarshal(raw, &n) == nil {
		return n.String()
	}
	return ""
}
