package granted

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/audit/internal/store/db"
)

func (a *App) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := a.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		a.Log.Warn("events not given to modules; will try again", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(tryAgain):
		}
	}
}

// follow gives what is behind the place, in order, until something fails. All
// replicas follow; the one that holds the row gives, and the others find it done.
func (a *App) follow(ctx context.Context) error {
	place, err := a.place(ctx)
	if err != nil {
		return err
	}
	if err := a.review(ctx); err != nil {
		return err
	}
	consumer, err := a.JetStream.OrderedConsumer(ctx, events.EventsStream, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: place + 1,
	})
	if err != nil {
		return err
	}
	reading, err := consumer.Messages(jetstream.PullMaxMessages(atOnce))
	if err != nil {
		return err
	}
	defer reading.Stop()
	for {
		messages, err := gather(ctx, reading)
		if err != nil {
			return err
		}
		if err := a.give(context.WithoutCancel(ctx), messages); err != nil {
			return err
		}
	}
}

// gather waits for a first message and takes what is there behind it.
func gather(ctx context.Context, reading jetstream.MessagesContext) ([]jetstream.Msg, error) {
	first, err := reading.Next(jetstream.NextContext(ctx))
	if err != nil {
		return nil, err
	}
	messages := []jetstream.Msg{first}
	for len(messages) < atOnce {
		msg, err := reading.Next(jetstream.NextMaxWait(linger))
		if errors.Is(err, nats.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) {
			break
		}
		if err != nil {
			return nil, err
		}
		messages = append(messages, msg)
	}
	return messages, nil
}

// review takes back what ended while nobody looked. Nothing is given meanwhile.
func (a *App) review(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := a.awaitChanges(ctx); err != nil { // holding up nobody
		return err
	}
	return a.DB.In(ctx, database.Everything, func(tx pgx.Tx) error {
		if _, err := db.New(tx).Granted(ctx); err != nil {
			return err
		}
		if err := a.awaitChanges(ctx); err != nil { // those that another replica gave by
			return err
		}
		return a.takeBack(ctx, "*", "*")
	})
}

// awaitChanges waits until the directory knows all that changes what modules may
// hear.
func (a *App) awaitChanges(ctx context.Context) error {
	for _, kind := range changing {
		last, err := a.lastOf(ctx, kind)
		if err != nil {
			return err
		}
		if err := a.await(ctx, last); err != nil {
			return err
		}
	}
	return nil
}

// lastOf is the place of the kind's last event, 0 without any: where a consumer
// begins that wants it.
func (a *App) lastOf(ctx context.Context, kind events.Kind) (uint64, error) {
	consumer, err := a.JetStream.CreateConsumer(ctx, events.EventsStream, jetstream.ConsumerConfig{
		FilterSubject: kind.Subject("*"), DeliverPolicy: jetstream.DeliverLastPolicy, AckPolicy: jetstream.AckNonePolicy,
		MemoryStorage: true, InactiveThreshold: patience,
	})
	if err != nil {
		return 0, err
	}
	info := consumer.CachedInfo()
	_ = a.JetStream.DeleteConsumer(ctx, events.EventsStream, info.Name) // else it goes by itself
	if info.NumPending == 0 {
		return 0, nil
	}
	return info.Delivered.Stream + 1, nil
}

// give publishes the copies of events, and then says so in the database. Between
// the two they may be published again, under the same ids.
//
// What follows a change is given by what it changed, whichever replica gave it: so
// each waits until it knows of it.
func (a *App) give(ctx context.Context, messages []jetstream.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, msg := range messages {
		if _, ok := a.changes(msg); !ok {
			continue
		}
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		if err := a.await(ctx, meta.Sequence.Stream); err != nil {
			return err
		}
	}
	return a.DB.In(ctx, database.Everything, func(tx pgx.Tx) error {
		q := db.New(tx)
		kept, err := q.Granted(ctx)
		if err != nil {
			return err
		}
		place := uint64(kept)
		var copies []*nats.Msg
		var ended []scope
		for _, msg := range messages {
			meta, err := msg.Metadata()
			if err != nil {
				return err
			}
			if meta.Sequence.Stream <= place {
				continue
			}
			place = meta.Sequence.Stream
			if s, ok := a.changes(msg); ok {
				ended = append(ended, s)
			}
			copies = append(copies, a.copiesOf(msg, place)...)
		}
		if err := events.PublishCopies(ctx, a.JetStream, copies); err != nil {
			return err
		}
		for _, s := range ended {
			if err := a.takeBack(ctx, s.module, s.tenant); err != nil {
				return err
			}
		}
		a.copies.Add(float64(len(copies)))
		return q.SetGranted(ctx, int64(place))
	})
}

// copiesOf are those for the modules that may hear the event.
func (a *App) copiesOf(msg jetstream.Msg, sequence uint64) (all []*nats.Msg) {
	tenant, name, ok := events.SplitSubject(msg.Subject())
	if !ok {
		return nil
	}
	for _, activation := range a.Directory.Activations(tenant) {
		if a.Grants.Hears(activation.Module, tenant, name) {
			all = append(all, events.Copy(activation.Module, msg.Subject(), sequence, msg.Headers(), msg.Data()))
		}
	}
	return all
}

// scope is whose grants may have changed; "*" is all.
type scope struct{ module, tenant string }

// changing are the kinds of events that change what modules may hear.
var changing = []events.Kind{events.TenantChanged, events.ModuleChanged, events.ModuleStateChanged}

// changes reports whether an event changes what modules may hear.
func (a *App) changes(msg jetstream.Msg) (scope, bool) {
	e, err := events.Decode(msg.Headers(), msg.Data())
	switch {
	case err != nil:
	case events.TenantChanged.Is(e), events.ModuleChanged.Is(e):
		return scope{"*", events.Extension(e, events.TenantID)}, true
	case events.ModuleStateChanged.Is(e):
		if state, err := events.Data[contract.ModuleState](e); err == nil {
			return scope{state.Module, "*"}, true
		}
	}
	return scope{}, false
}

// await waits until the directory knows what the event at sequence changed.
func (a *App) await(ctx context.Context, sequence uint64) error {
	for a.Directory.Seen() < sequence {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the directory is behind event %d: %w", sequence, ctx.Err())
		case <-time.After(catchUp):
		}
	}
	return nil
}

// takeBack removes from the stream what modules may not hear any more, and says so
// in it.
func (a *App) takeBack(ctx context.Context, module, tenant string) error {
	stream, err := a.JetStream.Stream(ctx, events.GrantedStream)
	if err != nil {
		return err
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(events.GrantedSubjects(module, tenant)[0]))
	if err != nil {
		return err
	}
	gone := map[scope]bool{}
	for subject := range info.State.Subjects {
		module, tenant, name, ok := events.SplitGranted(subject)
		if !ok || a.Grants.Hears(module, tenant, name) {
			continue
		}
		if err := stream.Purge(ctx, jetstream.WithPurgeSubject(subject)); err != nil {
			return err
		}
		a.taken.Inc()
		gone[scope{module, tenant}] = true
	}
	for s := range gone {
		a.Log.Info("events taken back that a module may not hear any more", "module", s.module, "tenant", s.tenant)
		if _, err := a.JetStream.Publish(ctx, events.GoneSubject(s.module, s.tenant), nil); err != nil {
			return err
		}
	}
	return nil
}
