// Package webhooks has events sent to the addresses that tenants and modules
// name, signed as Standard Webhooks says.
//
//	EVENTS ── intake ──▶ waiting ── sender ──▶ sent
//	                      ▲  │ failed attempt  └▶ failed, after a day of them
//	                      └──┘
//	           └▶ missed: the webhook is disabled, or the event no longer granted
//
// Intake writes an event's deliveries in one transaction and acknowledges the
// event then; senders lease what is due. Whatever dies in between, another one
// does again, so an event arrives at least once, each time under its own id.
package webhooks

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/directory"
	"github.com/buildify/core/pkg/kit/outbox"
	"github.com/buildify/core/pkg/kit/sealed"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// Grants says what modules may hear: it answers no where it does not know.
// Implementations are safe for concurrent use.
type Grants interface {
	// Hears reports whether the module may hear events of the type, such as
	// auth.user.changed, in the tenant.
	Hears(module, tenant, eventType string) bool
}

// Config is what webhooks need.
type Config struct {
	DB        *database.DB
	Directory *directory.Directory
	Grants    Grants
	// Secret is the installation's: secrets of webhooks are sealed under it.
	Secret  []byte
	Version string
	// Committed is told that events wait in the outbox.
	Committed func()
	Log       *slog.Logger
	Metrics   prometheus.Registerer

	// AllowPrivate lets webhooks go to http addresses and to those of private
	// networks and this machine.
	AllowPrivate bool
	// Retries are the pauses after each failed attempt, DisableAfter is for how
	// long all attempts must have failed for a webhook to be disabled.
	Retries      []time.Duration
	DisableAfter time.Duration
	// Lease is for how long a sender that died holds up a delivery.
	Lease time.Duration
	// Timeout bounds an attempt.
	Timeout time.Duration
	// Transport is for tests: nil dials as safe as can be.
	Transport http.RoundTripper
}

// App serves the operations of webhooks and sends to them.
type App struct {
	Config
	box     *sealed.Box
	client  *http.Client
	wake    chan struct{}
	metrics *metrics
}

// New fills in what the configuration leaves open. It fails where the secrets
// of webhooks cannot be unsealed.
func New(ctx context.Context, cfg Config) (*App, error) {
	box, err := sealed.NewBox(cfg.Secret, "buildify webhooks v1")
	if err != nil {
		return nil, err
	}
	if len(cfg.Retries) == 0 {
		cfg.Retries = usualRetries
	}
	if cfg.DisableAfter == 0 {
		cfg.DisableAfter = 5 * 24 * time.Hour
	}
	if cfg.Lease == 0 {
		cfg.Lease = 30 * time.Second
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 15 * time.Second
	}
	if cfg.Transport == nil {
		cfg.Transport = newTransport(cfg.AllowPrivate)
	}
	a := &App{Config: cfg, box: box, wake: make(chan struct{}, 1), metrics: newMetrics(cfg.Metrics)}
	a.client = &http.Client{
		Transport:     cfg.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return a, a.checkSecret(ctx)
}

func (a *App) checkSecret(ctx context.Context) error {
	return a.DB.Read(ctx, database.Everything, func(tx pgx.Tx) error {
		row, err := db.New(tx).AnyWebhook(ctx)
		if database.Missing(err) {
			return nil
		}
		if err == nil {
			_, err = a.box.Unseal(row.ID, row.Secret)
		}
		if errors.Is(err, sealed.ErrSealed) {
			return fmt.Errorf("secrets of webhooks: %w", err)
		}
		return err
	})
}

// Notify says that deliveries may be due. It never blocks.
func (a *App) Notify() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// change runs work in a transaction with the webhook that the request names,
// locked, tells what work did, and returns the webhook after it.
func (a *App) change(ctx context.Context, o owner, id contract.ID, revision int64,
	work func(*db.Queries, db.AuditWebhook) (db.AuditWebhook, events.WebhookChange, error),
) (after db.AuditWebhook, err error) {
	err = a.DB.In(ctx, o.tenant, func(tx pgx.Tx) error {
		q := db.New(tx)
		before, err := q.LockWebhook(ctx, db.LockWebhookParams{ID: kit.UUID(id), TenantID: o.tenant, Module: o.module, Allowed: o.allowed})
		if database.Missing(err) {
			return contract.Missing("webhook")
		}
		if err != nil {
			return err
		}
		if revision != 0 && revision != before.Revision {
			return contract.Errorf(contract.Conflict, "the webhook was changed meanwhile, it is at revision %d; read it again", before.Revision)
		}
		var told events.WebhookChange
		if after, told, err = work(q, before); err != nil {
			return err
		}
		return tell(ctx, tx, events.WebhookChanged, after, told)
	})
	if err == nil {
		a.Committed()
	}
	return after, err
}

// read runs work in a transaction with the webhook that the request names.
func (a *App) read(ctx context.Context, o owner, id contract.ID, work func(*db.Queries, db.AuditWebhook) error) error {
	return a.DB.Read(ctx, o.tenant, func(tx pgx.Tx) error {
		q := db.New(tx)
		row, err := named(ctx, q, o, id)
		if err != nil {
			return err
		}
		return work(q, row)
	})
}

func named(ctx context.Context, q *db.Queries, o owner, id contract.ID) (db.AuditWebhook, error) {
	row, err := q.GetWebhook(ctx, db.GetWebhookParams{ID: kit.UUID(id), TenantID: o.tenant, Module: o.module, Allowed: o.allowed})
	if database.Missing(err) {
		err = contract.Missing("webhook")
	}
	return row, err
}

// tell writes the event of a change to a webhook into its transaction.
func tell(ctx context.Context, tx pgx.Tx, kind events.Kind, w db.AuditWebhook, data events.WebhookChange) error {
	data.ID, data.Module = w.ID, w.Module
	tenant := w.TenantID
	if w.Module != "" {
		tenant = "" // the platform's
	}
	e, err := kit.NewEvent(ctx, kind, tenant, w.Revision, data)
	if err != nil {
		return err
	}
	return outbox.Add(ctx, tx, e)
}

// webhookOf is a webhook as callers see it.
func webhookOf(row db.AuditWebhook) contract.Webhook {
	w := contract.Webhook{
		ID: row.ID, OwnerType: "tenant", OwnerID: row.TenantID, URL: row.Url, Types: row.Types, Tenants: row.Tenants,
		Description: row.Description, Enabled: row.Enabled, DisabledReason: row.DisabledReason,
		DisabledAt: utc(row.DisabledAt), FailingSince: utc(row.FailingSince),
		CreatedAt: row.CreatedAt.UTC(), UpdatedAt: row.UpdatedAt.UTC(), Revision: row.Revision,
	}
	if row.Module != "" {
		w.OwnerType, w.OwnerID = "module", row.Module
	}
	if row.OldUntil != nil && row.OldUntil.After(time.Now()) {
		w.OldSecretUntil = utc(row.OldUntil)
	}
	return w
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	in := t.UTC()
	return &in
}

// written is a secret as people see it.
func written(key []byte) string { return secretPrefix + base64.StdEncoding.EncodeToString(key) }
