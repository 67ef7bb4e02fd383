package revocation

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/buildify/core/pkg/events"
)

// PulseConfig is what a Pulse needs; for service auth alone.
type PulseConfig struct {
	// NATS is a connection that may publish on Subject.
	NATS *nats.Conn
	// Sequence is the highest stream sequence known here of an event of Kinds.
	Sequence func() uint64
	// Oldest tells the oldest event of Kinds that was committed and is not in
	// the stream yet, by a number that grows; 0 when there is none.
	Oldest func(ctx context.Context) (int64, error)
	Log    *slog.Logger
}

// Kinds are the types of event that a Pulse speaks for.
func Kinds() []events.Kind { return append([]events.Kind(nil), kinds...) }

// Pulse tells every List that what it knows is all there is. Each replica of
// auth has one.
type Pulse struct {
	cfg    PulseConfig
	stop   context.CancelFunc
	done   sync.WaitGroup
	oldest int64 // that waited when it was last looked
	stuck  bool  // it waited the time before, too
}

// StartPulse begins to beat, at once.
func StartPulse(cfg PulseConfig) *Pulse {
	ctx, cancel := context.WithCancel(context.Background())
	p := &Pulse{cfg: cfg, stop: cancel}
	p.done.Go(func() { p.run(ctx) })
	return p
}

// Stop ends it. It is idempotent.
func (p *Pulse) Stop() {
	if p == nil {
		return
	}
	p.stop()
	p.done.Wait()
}

// Announce tells of ended sessions ahead of their event. It does not block.
func (p *Pulse) Announce(ended events.EndedSessions) { p.say(beat{Ended: &ended}) }

func (p *Pulse) run(ctx context.Context) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if p.allTold(ctx) {
			p.say(beat{Sequence: p.cfg.Sequence()})
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// allTold reports whether every event that takes trust away is in the stream,
// or was committed a moment ago. While the outbox cannot be looked into, the
// last answer holds: nothing can be committed there either, and no outage of
// the database shall log everybody out.
func (p *Pulse) allTold(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, interval)
	defer cancel()
	oldest, err := p.cfg.Oldest(ctx)
	if err != nil {
		return !p.stuck
	}
	stuck := oldest != 0 && oldest == p.oldest
	if stuck && !p.stuck {
		p.cfg.Log.Warn("an ended session waits to be told; verifiers ask auth meanwhile")
	}
	p.oldest, p.stuck = oldest, stuck
	return !stuck
}

func (p *Pulse) say(b beat) {
	if !p.cfg.NATS.IsConnected() {
		return // buffered, it would be told late
	}
	data, err := json.Marshal(b)
	if err == nil {
		err = p.cfg.NATS.Publish(Subject, data)
	}
	if err != nil {
		p.cfg.Log.Warn("beat not sent", "error", err)
	}
}
