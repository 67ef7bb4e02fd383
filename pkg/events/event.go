// Package events is the event backbone: the CloudEvents that services publish,
// the JetStream streams that hold them, and the ways to read them.
package events

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/uuid"
)

// Event is a CloudEvent 1.0 in the type that consumers of the ecosystem use.
type Event = cloudevents.Event

// Extension attributes of the platform's events.
const (
	TenantID    = "tenantid"
	ActorID     = "actorid"
	Outcome     = "outcome"
	Traceparent = "traceparent"
	Revision    = "revision"
	RequestID   = "requestid"
)

// Platform stands in subjects where an event belongs to no tenant.
const Platform = "platform"

// Kind names what happened to what: the part of type and subject that an
// event's definition fixes.
type Kind struct{ Service, Entity, Verb string }

// Type is the CloudEvents type.
func (k Kind) Type() string {
	return fmt.Sprintf("dev.buildify.%s.%s.%s.v1", k.Service, k.Entity, k.Verb)
}

// Subject is the stream subject of the event for a tenant (or Platform).
func (k Kind) Subject(tenant string) string {
	return fmt.Sprintf("core.events.%s.%s.%s.%s", tenant, k.Service, k.Entity, k.Verb)
}

// New makes an event with a fresh time-ordered id. An empty tenant means
// Platform. data must marshal to JSON.
func New(kind Kind, tenant string, revision int64, data any) (Event, error) {
	if tenant == "" {
		tenant = Platform
	}
	return Make(kind.Type(), "/core/"+kind.Service, kind.Subject(tenant), map[string]string{
		TenantID: tenant, Revision: fmt.Sprint(revision), Outcome: "success",
	}, data)
}

// Make builds an event from its parts. streamSubject is kept in the
// CloudEvents subject attribute and is where Publish sends the event.
func Make(eventType, source, streamSubject string, extensions map[string]string, data any) (Event, error) {
	e := cloudevents.New()
	id, err := uuid.NewV7()
	if err != nil {
		return e, fmt.Errorf("event id: %w", err)
	}
	e.SetID(id.String())
	e.SetType(eventType)
	e.SetSource(source)
	e.SetSubject(streamSubject)
	e.SetTime(time.Now().UTC())
	for name, value := range extensions {
		e.SetExtension(name, value)
	}
	var raw bytes.Buffer
	enc := json.NewEncoder(&raw)
	enc.SetEscapeHTML(false) // else "<" takes six bytes for one
	if err := enc.Encode(data); err != nil {
		return e, fmt.Errorf("event data: %w", err)
	}
	if err := e.SetData(cloudevents.ApplicationJSON, bytes.TrimSuffix(raw.Bytes(), []byte("\n"))); err != nil {
		return e, fmt.Errorf("event data: %w", err)
	}
	if err := e.Validate(); err != nil {
		return e, fmt.Errorf("event %s: %w", eventType, err)
	}
	return e, nil
}

// Extension returns an extension attribute as a string, empty if absent.
func Extension(e Event, name string) string {
	value, ok := e.Extensions()[name]
	if !ok {
		return ""
	}
	return fmt.Sprint(value)
}

// Is reports whether the event is of the kind.
func (k Kind) Is(e Event) bool { return strings.EqualFold(e.Type(), k.Type()) }

// Data reads an event's data; what it cannot read is ErrMalformed.
func Data[T any](e Event) (T, error) {
	var data T
	if err := json.Unmarshal(e.Data(), &data); err != nil {
		return data, fmt.Errorf("%w: data of %s %s: %w", ErrMalformed, e.Type(), e.ID(), err)
	}
	return data, nil
}
