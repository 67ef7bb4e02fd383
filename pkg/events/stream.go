package events

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Names of the streams.
const (
	EventsStream = "EVENTS"
	AuditStream  = "AUDIT"
	AccessStream = "ACCESS"
	DeadStream   = "DEAD"
	// GrantedStream holds copies of events for the modules that may hear them.
	GrantedStream = "GRANTED"
)

// AuditSubject is where the audit ingress publishes an event: tenant, source
// and action of it, each made a safe subject token.
func AuditSubject(tenant, source, action string) string {
	return fmt.Sprintf("core.audit.events.%s.%s.%s", token(tenant), token(source), token(action))
}

func token(s string) string {
	if s == "" {
		return "_"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		}
		return '_'
	}, s)
}

// streams are what the platform keeps: files, never deleted or purged by a
// client. AUDIT refuses what does not fit, so that nothing acknowledged is
// lost. EVENTS drops its oldest instead: who follows it starts from a
// snapshot, and a change that could not be told would leave what it revokes in
// force (docs/adr/0011-events-drop-their-oldest.md).
var streams = map[string]jetstream.StreamConfig{
	EventsStream: {
		Description: "Committed changes of every service.",
		Subjects:    []string{"core.events.>"},
		MaxBytes:    256 << 20,
		Discard:     jetstream.DiscardOld,
		MaxAge:      30 * 24 * time.Hour,
	},
	AuditStream: {
		Description: "Audit events on their way into PostgreSQL and to audit consumers.",
		Subjects:    []string{"core.audit.events.>"},
		MaxBytes:    1 << 30,
		Discard:     jetstream.DiscardNew,
		MaxAge:      30 * 24 * time.Hour,
	},
	AccessStream: {
		Description: "Records of calls, in batches, on their way into PostgreSQL.",
		Subjects:    []string{"core.access.>"},
		MaxBytes:    256 << 20,
		Discard:     jetstream.DiscardOld, // a record is no promise, and the newest ones count
		MaxAge:      7 * 24 * time.Hour,
	},
	GrantedStream: {
		Description: "Events for modules, a copy for each that may hear them.",
		Subjects:    []string{"core.granted.>"},
		MaxBytes:    256 << 20,
		Discard:     jetstream.DiscardOld, // one who falls behind must not hold up the others
		MaxAge:      GrantedFor,
	},
	DeadStream: {
		Description: "Messages that consumers gave up, until somebody handles or removes them.",
		Subjects:    []string{"core.dead.>"},
		MaxBytes:    128 << 20,
		Discard:     jetstream.DiscardNew, // a consumer then keeps what it cannot give up
		MaxAge:      90 * 24 * time.Hour,
	},
}

// Streams are the names of all streams, sorted.
func Streams() []string { return slices.Sorted(maps.Keys(streams)) }

// Ensure creates the named stream or brings it to its declared configuration.
// It is idempotent and safe to call from several processes at once.
func Ensure(ctx context.Context, js jetstream.JetStream, name string, replicas int) error {
	cfg, ok := streams[name]
	if !ok {
		return fmt.Errorf("stream %s is not declared", name)
	}
	cfg.Name = name
	cfg.Storage = jetstream.FileStorage
	cfg.DenyDelete, cfg.DenyPurge = name != DeadStream, name != GrantedStream
	cfg.Duplicates = 2 * time.Minute
	cfg.AllowAtomicPublish = true
	cfg.Replicas = max(replicas, 1)
	if _, err := patiently(ctx, func() (jetstream.Stream, error) { return js.CreateOrUpdateStream(ctx, cfg) }); err != nil {
		return fmt.Errorf("stream %s: %w", name, err)
	}
	return nil
}

// patiently asks again when no answer came: in a cluster that is just starting, or
// when several create at once, some are lost.
func patiently[T any](ctx context.Context, ask func() (T, error)) (answer T, err error) {
	for range 4 {
		if answer, err = ask(); err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			break
		}
	}
	return answer, err
}

// MessageID is the deduplication id of an audit event: nobody can take it in
// advance without knowing, and publishing, the very same bytes.
func MessageID(tenant, source, id string, data []byte) string {
	h := sha256.New()
	for _, part := range []string{tenant, source, id} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	h.Write(data)
	return hex.EncodeToString(h.Sum(nil))
}

// Publish stores the event in the stream that holds its subject and returns
// once the stream has it on disk. Publishing the same message id again within
// two minutes stores nothing and succeeds.
func Publish(ctx context.Context, js jetstream.JetStream, e Event, messageID string) error {
	_, err := PublishAt(ctx, js, e, messageID)
	return err
}

// PublishAt is Publish and tells the stream sequence that the event has.
func PublishAt(ctx context.Context, js jetstream.JetStream, e Event, messageID string) (uint64, error) {
	msg, err := Encode(e)
	if err != nil {
		return 0, err
	}
	msg.Header.Set(nats.MsgIdHdr, messageID)
	ack, err := js.PublishMsg(ctx, msg)
	if err != nil {
		return 0, fmt.Errorf("publish %s: %w", e.Type(), err)
	}
	return ack.Sequence, nil
}
