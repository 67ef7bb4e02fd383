package revocation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
)

const (
	// watch is how often a List looks whether it is still fresh.
	watch = 100 * time.Millisecond
	// resyncTimeout bounds one attempt to become fresh again.
	resyncTimeout = 5 * time.Second
	sweepInterval = 30 * time.Second
)

// Start follows what auth says, and takes the snapshot, waiting while auth is
// not available yet. It returns when the List is complete, or ctx ends. From
// then on the List mends itself.
func (l *List) Start(ctx context.Context, js jetstream.JetStream) error {
	nc := js.Conn()
	subscription, err := nc.Subscribe(Subject, l.hear)
	if err != nil {
		return fmt.Errorf("revocations: %w", err)
	}
	l.beat = subscription
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop = stop
	reconnects := nc.Stats().Reconnects
	if err := l.resync(ctx, js); err != nil {
		l.Stop()
		return fmt.Errorf("revocations: %w", err)
	}
	l.done.Go(func() { l.run(running, js, reconnects) })
	if l.cfg.Keys != nil {
		l.done.Go(func() { l.keepKeys(running) })
	}
	return nil
}

// Stop ends the following; the List is stale from then on. It is idempotent.
func (l *List) Stop() {
	if l == nil || l.stop == nil {
		return
	}
	l.stop()
	_ = l.beat.Unsubscribe() // fails when the connection is closed: as good
	l.done.Wait()
	l.synced.Store(false)
	l.follower.Swap(nil).Stop()
}

// run keeps the List complete. Whatever was lost meanwhile — beats, events, the
// connection, the stream itself — the remedy is one: begin anew.
func (l *List) run(ctx context.Context, js jetstream.JetStream, reconnects uint64) {
	ticker := time.NewTicker(watch)
	defer ticker.Stop()
	swept, failed := time.Now(), time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			if now.Sub(swept) > sweepInterval {
				l.sweep(now)
				swept = now
			}
		}
		seen := js.Conn().Stats().Reconnects
		stale := l.heard.Load() != 0 && !l.Fresh()
		if l.synced.Load() && (stale || seen != reconnects || l.troubled.Load()) {
			l.synced.Store(false)
			l.cfg.Telemetry.Log.Warn("revocations: stale; sessions are checked with auth", "service", l.cfg.Service)
		}
		if l.synced.Load() || l.now()-l.heard.Load() >= int64(lease) || time.Since(failed) < lease {
			continue // nothing to mend, or nobody there to mend it with
		}
		reconnects = seen
		attempt, cancel := context.WithTimeout(ctx, resyncTimeout)
		err := l.resync(attempt, js)
		cancel()
		switch {
		case err == nil:
			l.metrics.resyncs.Inc()
			l.cfg.Telemetry.Log.Info("revocations: fresh again", "service", l.cfg.Service)
		case ctx.Err() == nil:
			failed = time.Now()
			l.cfg.Telemetry.Log.Warn("revocations: not fresh yet; will try again", "service", l.cfg.Service, "error", err)
		}
	}
}

// resync follows the events from now on and then takes the snapshot of what
// was before.
func (l *List) resync(ctx context.Context, js jetstream.JetStream) error {
	subjects := make([]string, len(kinds))
	for i, kind := range kinds {
		subjects[i] = kind.Subject("*")
	}
	l.troubled.Store(false)
	follower, err := events.Follow(ctx, js, events.EventsStream, subjects, l.apply, func(err error) {
		l.troubled.Store(true)
		l.cfg.Telemetry.Log.Warn("revocations: reading events", "service", l.cfg.Service, "error", err)
	})
	if err != nil {
		return err
	}
	l.owed.Store(0) // of a stream that may be another now; the next beat repeats it
	l.base.Store(follower.Sequence())
	go l.follower.Swap(follower).Stop() // may wait for a server that is away
	if err := l.snapshot(ctx); err != nil {
		return err
	}
	l.synced.Store(true)
	l.changedKeys(nil)
	return nil
}

func (l *List) snapshot(ctx context.Context) error {
	request := &contract.SnapshotRequest{}
	for {
		page, err := l.cfg.Source.ListRevocations(ctx, request)
		switch {
		case errors.Is(err, &contract.Error{Code: contract.Unavailable}):
			select { // auth is still starting
			case <-ctx.Done():
				return fmt.Errorf("waiting for auth: %w", err)
			case <-time.After(50 * time.Millisecond):
			}
			continue
		case err != nil:
			return err
		}
		for _, r := range page.Items {
			l.put(r.SessionID, r.Until)
		}
		if request.Cursor = page.NextCursor; request.Cursor == "" {
			return nil
		}
	}
}

// hear takes in a beat or an announcement.
func (l *List) hear(msg *nats.Msg) {
	var b beat
	if err := json.Unmarshal(msg.Data, &b); err != nil {
		l.cfg.Telemetry.Log.Error("revocations: beat not understood", "service", l.cfg.Service, "error", err)
		return
	}
	if b.Ended != nil {
		l.Put(*b.Ended)
		return
	}
	now := l.now()
	if seen := l.Sequence(); b.Sequence > seen {
		if l.owed.Load() <= seen {
			l.owedSince.Store(now)
		}
		l.owed.Store(max(b.Sequence, l.owed.Load()))
	}
	l.heard.Store(now)
}

// apply takes in an event.
func (l *List) apply(e events.Event) {
	var err error
	switch {
	case events.SessionsEnded.Is(e):
		var ended events.EndedSessions
		if err = json.Unmarshal(e.Data(), &ended); err == nil {
			l.Put(ended)
		}
	case events.SigningKeysChanged.Is(e):
		var changed events.SigningKeys
		if err = json.Unmarshal(e.Data(), &changed); err == nil {
			l.changedKeys(changed.KeyIDs)
		}
	}
	if err != nil {
		l.cfg.Telemetry.Log.Error("revocations: event not understood", "service", l.cfg.Service, "id", e.ID(), "error", err)
	}
}

// Sequence is the stream sequence up to which events are taken in.
func (l *List) Sequence() uint64 {
	if f := l.follower.Load(); f != nil {
		return f.Sequence()
	}
	return 0
}

// Handled is the stream sequence of the last event that was taken in, 0 when
// there was none since it began to follow.
func (l *List) Handled() uint64 {
	if sequence := l.Sequence(); sequence > l.base.Load() {
		return sequence
	}
	return 0
}
