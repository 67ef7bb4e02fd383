package webhooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// Durable is the consumer of EVENTS that webhooks have, shared by the replicas.
const Durable = "audit_webhooks"

const (
	linger        = 10 * time.Millisecond // how long an event may wait for company
	intakeBytes   = 2 << 20               // the bus cuts off a reader that is further behind than max_pending
	intakeUnacked = 1000
	intakeAckWait = 10 * time.Second
	intakeIdle    = 5 * time.Second
	tryAgain      = time.Second
)

// Intake makes deliveries of events.
type Intake struct {
	app      *App
	consumer jetstream.Consumer
	cancel   context.CancelFunc
	done     sync.WaitGroup
}

// StartIntake finds or makes the durable consumer and begins. The stream exists.
func (a *App) StartIntake(ctx context.Context, js jetstream.JetStream) (*Intake, error) {
	i, err := a.intake(ctx, js)
	if err != nil {
		return nil, err
	}
	working, cancel := context.WithCancel(context.Background())
	i.cancel = cancel
	i.done.Go(func() { i.run(working) })
	i.done.Go(func() { i.watch(working) })
	return i, nil
}

func (a *App) intake(ctx context.Context, js jetstream.JetStream) (*Intake, error) {
	consumer, err := js.CreateOrUpdateConsumer(ctx, events.EventsStream, jetstream.ConsumerConfig{
		Durable: Durable, AckPolicy: jetstream.AckExplicitPolicy, AckWait: intakeAckWait, MaxAckPending: intakeUnacked,
	})
	if err != nil {
		return nil, fmt.Errorf("webhooks: %w", err)
	}
	return &Intake{app: a, consumer: consumer}, nil
}

// Stop finishes the events in work and ends. It is idempotent.
func (i *Intake) Stop() {
	if i == nil {
		return
	}
	i.cancel()
	i.done.Wait()
}

// watch keeps the lag: what is still to be delivered, and what was delivered and
// is not acknowledged.
func (i *Intake) watch(ctx context.Context) {
	ticker := time.NewTicker(intakeIdle)
	defer ticker.Stop()
	for {
		if info, err := i.consumer.Info(ctx); err == nil {
			i.app.metrics.lag.Set(float64(info.NumPending) + float64(info.NumAckPending))
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (i *Intake) run(ctx context.Context) {
	for ctx.Err() == nil {
		messages, err := i.fetch(ctx)
		if err == nil && len(messages) > 0 {
			err = i.take(context.WithoutCancel(ctx), messages) // what was fetched is finished
		}
		if err != nil && ctx.Err() == nil {
			i.app.Log.Warn("events not taken in for webhooks; will try again", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(tryAgain):
			}
		}
	}
}

// fetch waits for a first message and takes what is there behind it.
func (i *Intake) fetch(ctx context.Context) ([]jetstream.Msg, error) {
	waiting, cancel := context.WithTimeout(ctx, intakeIdle)
	defer cancel()
	first, err := i.consumer.Fetch(1, jetstream.FetchContext(waiting))
	if err != nil {
		return nil, err
	}
	messages := collect(first)
	if len(messages) == 0 {
		return nil, ignoreTimeout(first.Error())
	}
	more, err := i.consumer.FetchBytes(intakeBytes, jetstream.FetchMaxWait(linger))
	if err != nil {
		return messages, nil // what there is is worth taking in
	}
	return append(messages, collect(more)...), nil
}

func collect(b jetstream.MessageBatch) []jetstream.Msg {
	var messages []jetstream.Msg
	for msg := range b.Messages() {
		messages = append(messages, msg)
	}
	return messages
}

func ignoreTimeout(err error) error {
	if errors.Is(err, nats.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// heard is an event that somebody may want.
type heard struct {
	events.Event
	name, tenant string
}

// take makes the deliveries of events, in one transaction, and acknowledges the
// events. What is no event is the trail's to keep, as a dead letter.
func (i *Intake) take(ctx context.Context, messages []jetstream.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, intakeAckWait)
	defer cancel()
	var all []heard
	for _, msg := range messages {
		if e, err := events.Decode(msg.Headers(), msg.Data()); err == nil {
			if h, ok := hear(e); ok {
				all = append(all, h)
			}
		}
	}
	made := int64(0)
	if len(all) > 0 {
		err := i.app.DB.In(ctx, database.Everything, func(tx pgx.Tx) (err error) {
			q := db.New(tx)
			if err := i.app.followKeys(ctx, tx, all); err != nil {
				return err
			}
			hearing, err := q.HearingWebhooks(ctx, tenantsOf(all))
			if err != nil {
				return err
			}
			if rows := i.app.deliveries(hearing, all); len(rows.Ids) > 0 {
				made, err = q.AddDeliveries(ctx, rows)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	if made > 0 {
		i.app.metrics.taken.Add(float64(made))
		i.app.Notify()
	}
	for _, msg := range messages {
		if err := msg.Ack(); err != nil {
			return err // delivered again, and known then
		}
	}
	return nil
}

// eventID is what goes into a header and into what is signed.
var eventID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`)

// hear reads what an event is called and whose it is.
func hear(e events.Event) (heard, bool) {
	name := events.NameOf(e)
	tenant := events.Extension(e, events.TenantID)
	if tenant == "" || tenant == events.Platform {
		tenant = noTenant
	}
	id, err := uuid.Parse(tenant)
	return heard{e, name, id.String()}, name != "" && err == nil && eventID.MatchString(e.ID())
}

func tenantsOf(all []heard) []string {
	var tenants []string
	for _, e := range all {
		tenants = append(tenants, e.tenant)
	}
	slices.Sort(tenants)
	return slices.Compact(tenants)
}

// deliveries are those of the events to the webhooks that hear them.
func (a *App) deliveries(hearing []db.HearingWebhooksRow, all []heard) (rows db.AddDeliveriesParams) {
	for _, e := range all {
		var body []byte
		for _, w := range hearing {
			if !events.Matches(w.Types, e.name) || !a.hears(w.TenantID, w.Module, w.Tenants, e.tenant, e.name) {
				continue
			}
			if body == nil {
				var err error
				if body, err = json.Marshal(e.Event); err != nil {
					a.Log.Error("an event that webhooks cannot send", "event", e.ID(), "type", e.Type(), "error", err)
					break
				}
			}
			state := "waiting"
			if !w.Enabled {
				state = "missed"
			}
			rows.Ids = append(rows.Ids, kit.NewID())
			rows.TenantIds = append(rows.TenantIds, w.TenantID)
			rows.WebhookIds = append(rows.WebhookIds, w.ID)
			rows.EventIds = append(rows.EventIds, e.ID())
			rows.EventTypes = append(rows.EventTypes, e.name)
			rows.EventTenants = append(rows.EventTenants, e.tenant)
			rows.EventTimes = append(rows.EventTimes, e.Time())
			rows.Bodies = append(rows.Bodies, body)
			rows.States = append(rows.States, state)
		}
	}
	return rows
}

// hears reports whether a webhook may be told of events of the type in a tenant
// now: what a module is granted, or the tenant's own.
func (a *App) hears(owner, module string, only []string, tenant, name string) bool {
	if module != "" {
		return (len(only) == 0 || slices.Contains(only, tenant)) && a.Grants.Hears(module, tenant, name)
	}
	t, known := a.Directory.Tenant(tenant)
	return owner == tenant && known && t.IsActive && public(name)
}

// followKeys keeps webhooks bound to the API keys that they were made with: what
// a key could hear ends with it, unless it was rotated.
func (a *App) followKeys(ctx context.Context, tx pgx.Tx, all []heard) error {
	for _, e := range all {
		created, ended := events.KeyCreated.Is(e.Event), events.KeyEnded.Is(e.Event)
		if !created && !ended {
			continue
		}
		key, err := events.Data[events.KeyChange](e.Event)
		if err != nil || key.ID == "" {
			continue
		}
		if ended {
			err = a.endWith(ctx, tx, key)
		} else if key.RotatedFrom != "" {
			err = db.New(tx).MoveWebhooksToKey(ctx, db.MoveWebhooksToKeyParams{NewKey: key.ID, OldKey: key.RotatedFrom, Module: key.Module})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// endWith disables the webhooks of a key.
func (a *App) endWith(ctx context.Context, tx pgx.Tx, key events.KeyChange) error {
	reason := "the API key " + key.ID + ", with which it was made or enabled, has ended: " + key.Reason
	ended, err := db.New(tx).DisableWebhooksOfKey(ctx, db.DisableWebhooksOfKeyParams{KeyID: key.ID, Reason: reason})
	if err != nil {
		return err
	}
	for _, w := range ended {
		a.Log.Warn("webhook disabled", "webhook", w.ID, "module", w.Module, "reason", reason)
		if err := tell(ctx, tx, events.WebhookDisabled, w, events.WebhookChange{Change: "disabled", Reason: reason}); err != nil {
			return err
		}
	}
	return nil
}
