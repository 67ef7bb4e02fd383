package audit

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/pflag"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/audit/internal/app"
	"github.com/buildify/core/services/audit/internal/webhooks"
)

// WebhooksConfig says how webhooks are sent.
type WebhooksConfig struct {
	// AllowPrivate lets webhooks go to http addresses and to those of private
	// networks and this machine: for development.
	AllowPrivate bool
	// Retries are the pauses after each failed attempt; none are the usual ones.
	Retries []time.Duration
	// DisableAfter is for how long all attempts must have failed for a webhook to
	// be disabled; 0 is five days.
	DisableAfter time.Duration
}

// Flags declares the flags.
func (c *WebhooksConfig) Flags(fs *pflag.FlagSet) {
	fs.BoolVar(&c.AllowPrivate, "webhooks-allow-private", false, "let webhooks go to http addresses and private networks; for development")
	fs.DurationSliceVar(&c.Retries, "webhooks-retries", nil, "pauses after each failed attempt of a webhook (default 5s,5m,30m,2h,5h,10h,14h)")
	fs.DurationVar(&c.DisableAfter, "webhooks-disable-after", 0, "for how long all attempts must have failed for a webhook to be disabled (default 120h)")
}

// sending is what sends to webhooks.
type sending struct {
	intake *webhooks.Intake
	sender *webhooks.Sender
}

func (s sending) end(ctx context.Context) {
	s.intake.Stop()
	s.sender.Stop(ctx)
}

// startWebhooks serves webhooks and sends to them.
func (s *Service) startWebhooks(ctx context.Context, js jetstream.JetStream, a *app.App) error {
	w, err := webhooks.New(ctx, webhooks.Config{
		DB: s.deps.DB, Directory: s.directory, Grants: webhooks.Consents{Activations: s.directory}, Secret: s.cfg.Secret, Version: s.deps.Version,
		Committed: s.relay.Notify, Log: s.deps.Telemetry.Log, Metrics: s.deps.Telemetry.Metrics,
		AllowPrivate: s.cfg.Webhooks.AllowPrivate, Retries: s.cfg.Webhooks.Retries, DisableAfter: s.cfg.Webhooks.DisableAfter,
	})
	if err != nil {
		return err
	}
	a.EraseWebhooks = w.Erase
	if err := events.Ensure(ctx, js, events.EventsStream, s.deps.Replicas); err != nil {
		return err
	}
	if s.sending.intake, err = w.StartIntake(ctx, js); err != nil {
		return err
	}
	s.sending.sender = w.StartSender()
	return errors.Join(
		kit.Handle(s.server, contract.CreateWebhook, w.Create),
		kit.Handle(s.server, contract.ListWebhooks, w.List),
		kit.Handle(s.server, contract.GetWebhook, w.Get),
		kit.Handle(s.server, contract.UpdateWebhook, w.Update),
		kit.Handle(s.server, contract.DeleteWebhook, w.Delete),
		kit.Handle(s.server, contract.RotateWebhookSecret, w.RotateSecret),
		kit.Handle(s.server, contract.TestWebhook, w.Test),
		kit.Handle(s.server, contract.ListDeliveries, w.Deliveries),
		kit.Handle(s.server, contract.GetDelivery, w.Delivery),
		kit.Handle(s.server, contract.RetryDelivery, w.Retry),
		kit.Handle(s.server, contract.ReplayWebhook, w.Replay),
	)
}
