// Package revocation tells verifiers of access tokens which sessions have
// ended, within milliseconds, and notices when it cannot be trusted to.
//
// Service auth says so in three ways, each of which covers for the others:
//
//   - An announcement on Subject when a session ends, outside any stream: the
//     fastest, but nothing repeats it.
//   - An event in the stream EVENTS, which a List follows; a snapshot holds
//     what ended before.
//   - A beat on Subject every 250 ms, unless a session ended whose event is not
//     in the stream yet. It names the last such event.
//
// A List that heard no beat for a second, or that has not seen what the beat
// named a second ago, is not fresh: whoever asks it about a session then asks
// auth, and is told unavailable when that is out of reach. So a verifier that
// is cut off accepts no ended session later than Bound after it ended, whatever
// its connection believes about itself. (nats.go says CONNECTED for up to
// minutes over a dead link.)
package revocation

import (
	"context"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
)

// Subject carries auth's beats and announcements. Nobody else may publish on
// it.
const Subject = "core.beat.auth"

// Bound is the time after which an ended session is accepted nowhere, not even
// by a verifier that is cut off. One that is connected takes milliseconds.
const Bound = 2 * time.Second

const (
	// interval lies between two beats.
	interval = 250 * time.Millisecond
	// lease is how long a beat is good for.
	lease = time.Second
)

// kinds are the events that take trust away.
var kinds = []events.Kind{events.SessionsEnded, events.SigningKeysChanged}

// beat is what auth says on Subject.
type beat struct {
	// Sequence is the stream sequence of the last event of kinds that the
	// sender knows of, 0 when it knows of none.
	Sequence uint64 `json:"seq"`
	// Ended makes it an announcement, and no beat.
	Ended *events.EndedSessions `json:"ended,omitempty"`
}

// Source is who knows all sessions: service auth, asked from near or far.
// Implementations are safe for concurrent use.
type Source interface {
	ListRevocations(ctx context.Context, r *contract.SnapshotRequest) (*contract.ListRevocationsResponse, error)
	// CheckSession answers unauthenticated when the session is not open; any
	// other error says nothing about it.
	CheckSession(ctx context.Context, r *contract.CheckSessionRequest) (*contract.Empty, error)
}

// Remote asks service auth over the bus.
type Remote struct{ Client *kit.Client }

// ListRevocations implements Source.
func (r Remote) ListRevocations(ctx context.Context, request *contract.SnapshotRequest) (*contract.ListRevocationsResponse, error) {
	return kit.Call(ctx, r.Client, contract.ListRevocations, request)
}

// CheckSession implements Source.
func (r Remote) CheckSession(ctx context.Context, request *contract.CheckSessionRequest) (*contract.Empty, error) {
	return kit.Call(ctx, r.Client, contract.CheckSession, request)
}
