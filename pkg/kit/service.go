package kit

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/database"
)

// Service is a part of the platform that a process runs.
type Service interface {
	// Start returns once the service answers, or the reason why it cannot.
	// What it began before failing it has undone.
	Start(ctx context.Context) error
	// Stop takes no more work, finishes what is begun and returns; it is
	// idempotent and bounded by ctx.
	Stop(ctx context.Context) error
}

// Deps is what a service is given. Connections are the caller's to close,
// after Stop.
type Deps struct {
	NATS      *nats.Conn
	DB        *database.DB
	Telemetry *Telemetry
	Version   string
	// Replicas of the streams, 1 or 3.
	Replicas int
}

// JetStream returns the connection's JetStream context.
func (d Deps) JetStream() (jetstream.JetStream, error) {
	js, err := jetstream.New(d.NATS)
	if err != nil {
		return nil, fmt.Errorf("jetstream: %w", err)
	}
	return js, nil
}

// UUID is the canonical spelling of an id that validation found to be a UUID;
// anything else stays as it is and matches nothing.
func UUID(id contract.ID) string {
	if canonicalUUID(string(id)) {
		return string(id)
	}
	parsed, err := uuid.Parse(string(id))
	if err != nil {
		return string(id)
	}
	return parsed.String()
}

// NewID returns a fresh time-ordered id (UUIDv7, RFC 9562).
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// SnapshotPage reads where a page of a snapshot begins, after an id, and how
// long it may be. The cursor is the last id of the page before.
func SnapshotPage(r *contract.SnapshotRequest) (after string, limit int, err error) {
	if limit = r.Limit; limit == 0 {
		limit = 200
	}
	if r.Cursor == "" {
		return uuid.Nil.String(), limit, nil
	}
	id, err := uuid.Parse(r.Cursor)
	if err != nil {
		return "", 0, contract.Invalid("cursor", "is not a cursor that this operation gave out")
	}
	return id.String(), limit, nil
}
