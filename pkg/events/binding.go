package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
)

// ErrMalformed says that a message is no CloudEvent.
var ErrMalformed = errors.New("malformed CloudEvent")

const (
	headerPrefix      = "ce-"
	headerContentType = "content-type"
	structuredType    = "application/cloudevents+json"
)

// Encode renders the event as a NATS message in binary mode: attributes in
// "ce-" headers, percent-encoded, data as the payload (CloudEvents NATS
// protocol binding 1.0.2, §3.1). The message goes to the event's subject.
func Encode(e Event) (*nats.Msg, error) {
	if err := e.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	msg := nats.NewMsg(e.Subject())
	set := func(name, value string) {
		if value != "" {
			msg.Header[headerPrefix+name] = []string{percentEncode(value)}
		}
	}
	set("specversion", e.SpecVersion())
	set("id", e.ID())
	set("type", e.Type())
	set("source", e.Source())
	set("subject", e.Subject())
	if !e.Time().IsZero() {
		set("time", e.Time().Format(time.RFC3339Nano))
	}
	set("dataschema", e.DataSchema())
	for name := range e.Extensions() {
		set(name, Extension(e, name))
	}
	msg.Header[headerContentType] = []string{e.DataContentType()}
	msg.Data = e.Data()
	return msg, nil
}

// EncodeStructured renders the event in structured mode: all of it is the payload,
// as JSON (§3.2). Encode is what the platform publishes; this is for those who
// pass events on as one document.
func EncodeStructured(e Event) (*nats.Msg, error) {
	if err := e.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	data, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	msg := nats.NewMsg(e.Subject())
	msg.Header[headerContentType] = []string{structuredType + "; charset=utf-8"}
	msg.Data = data
	return msg, nil
}

// Decode reads a CloudEvent from a message in binary or structured mode
// (§3.1, §3.2). Anything else is ErrMalformed.
func Decode(header nats.Header, data []byte) (Event, error) {
	read := binary
	if strings.HasPrefix(value(header, headerContentType), structuredType) {
		read = structured
	}
	e, err := read(header, data)
	if err == nil {
		err = e.Validate()
	}
	switch {
	case err == nil:
		return e, nil
	case errors.Is(err, ErrMalformed):
		return Event{}, err
	}
	return Event{}, fmt.Errorf("%w: %w", ErrMalformed, err)
}

func structured(_ nats.Header, data []byte) (e Event, err error) {
	defer func() { // the SDK's reader panics on some members of a wrong type
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrMalformed, p)
		}
	}()
	if err := json.Unmarshal(data, &e); err != nil {
		return e, err
	}
	if e.Context == nil || e.SpecVersion() != cloudevents.CloudEventsVersionV1 {
		return e, fmt.Errorf("%w: not of specversion 1.0", ErrMalformed)
	}
	return e, nil
}

func binary(header nats.Header, data []byte) (Event, error) {
	e := cloudevents.New()
	seen := map[string]bool{}
	for name, values := range header {
		attribute, ok := strings.CutPrefix(strings.ToLower(name), headerPrefix)
		if !ok || len(values) == 0 {
			continue
		}
		if seen[attribute] {
			return e, fmt.Errorf("%w: %s is given twice", ErrMalformed, attribute)
		}
		seen[attribute] = true
		if err := setAttribute(&e, attribute, percentDecode(values[0])); err != nil {
			return e, err
		}
	}
	if !seen["specversion"] {
		return e, fmt.Errorf("%w: no specversion", ErrMalformed)
	}
	return e, e.SetData(value(header, headerContentType), data)
}

func setAttribute(e *Event, name, value string) error {
	switch name {
	case "specversion":
		if value != cloudevents.CloudEventsVersionV1 {
			return fmt.Errorf("%w: specversion %q", ErrMalformed, value)
		}
	case "id":
		e.SetID(value)
	case "type":
		e.SetType(value)
	case "source":
		e.SetSource(value)
	case "subject":
		e.SetSubject(value)
	case "dataschema":
		e.SetDataSchema(value)
	case "time":
		t, err := time.Parse(time.RFC3339Nano, value)
		if err != nil {
			return fmt.Errorf("%w: time: %w", ErrMalformed, err)
		}
		e.SetTime(t)
	default:
		e.SetExtension(name, value)
	}
	return nil
}

func value(header nats.Header, name string) string {
	for _, key := range []string{name, textproto.CanonicalMIMEHeaderKey(name)} {
		if values := header[key]; len(values) > 0 {
			return values[0]
		}
	}
	return ""
}

// percentEncode escapes what the binding's §3.1.3.2 asks for: everything but
// printable ASCII, and of that space, '"' and '%'.
func percentEncode(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '"' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func percentDecode(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
