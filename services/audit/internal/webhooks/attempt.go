package webhooks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/audit/internal/store/db"
)

const (
	// kept is how much of an answer the log has, drained how much more of it is
	// read so that the connection serves again.
	kept    = 1024
	drained = 64 << 10
)

// attempt is what came of sending once.
type attempt struct {
	at      time.Time
	took    time.Duration
	status  int // 0 without an answer
	answer  string
	err     string // empty for success
	waitFor time.Duration
}

func (t attempt) gone() bool { return t.status == http.StatusGone }

// deliver sends a leased delivery and settles it. One that is cut short is
// given back.
func (a *App) deliver(ctx context.Context, d db.ClaimDeliveriesRow) {
	// A lease outlives what is done under it, the settling included.
	settling, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.Lease)
	defer cancel()
	outcome, err := a.deliverLeased(ctx, settling, d)
	if err != nil {
		a.Log.Warn("a delivery is not settled; it is made again", "webhook", d.WebhookID, "delivery", d.ID, "error", err)
	} else if outcome != "" {
		a.metrics.attempts.WithLabelValues(outcome).Inc()
	}
}

// deliverLeased returns what became of the delivery; nothing where it was given
// back.
func (a *App) deliverLeased(ctx, settling context.Context, d db.ClaimDeliveriesRow) (outcome string, err error) {
	if !a.hears(d.TenantID, d.Module, d.Tenants, d.EventTenant, d.EventType) && d.EventType != events.WebhookTest.Name() {
		return "missed", a.in(settling, func(tx pgx.Tx) error {
			return db.New(tx).MissDelivery(settling, db.MissDeliveryParams{ID: d.ID, Lease: d.LeasedUntil})
		})
	}
	t := a.send(ctx, d)
	if ctx.Err() != nil && t.err != "" {
		return "", a.in(settling, func(tx pgx.Tx) error {
			return db.New(tx).ReleaseDelivery(settling, db.ReleaseDeliveryParams{ID: d.ID, Lease: d.LeasedUntil})
		})
	}
	return a.settle(settling, d, t)
}

func (a *App) in(ctx context.Context, work func(pgx.Tx) error) error {
	return a.DB.In(ctx, database.Everything, work)
}

// keys are those that sign for a webhook now: its own, and for the overlap of a
// rotation the one before.
func (a *App) keys(d db.ClaimDeliveriesRow) ([][]byte, error) {
	key, err := a.box.Unseal(d.WebhookID, d.Secret)
	if err != nil {
		return nil, err
	}
	keys := [][]byte{key}
	if len(d.OldSecret) > 0 && d.OldUntil != nil && time.Now().Before(*d.OldUntil) {
		if key, err = a.box.Unseal(d.WebhookID, d.OldSecret); err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// send makes one attempt.
func (a *App) send(ctx context.Context, d db.ClaimDeliveriesRow) (t attempt) {
	t.at = time.Now()
	defer func() {
		t.took = time.Since(t.at)
		a.metrics.latency.Observe(t.took.Seconds())
	}()
	ctx, cancel := context.WithTimeout(ctx, a.Timeout)
	defer cancel()
	if err := checkURL(d.Url, a.AllowPrivate); err != nil { // taken in under another configuration
		t.err = err.Error()
		return t
	}
	request, err := a.request(ctx, d, t.at)
	if err != nil {
		a.Log.Error("a delivery cannot be signed", "webhook", d.WebhookID, "error", err)
		t.err = "the delivery could not be signed"
		return t
	}
	answer, err := a.client.Do(request)
	if err != nil {
		t.err = reason(ctx, err)
		return t
	}
	defer answer.Body.Close()
	t.status, t.waitFor = answer.StatusCode, retryAfter(answer)
	head, err := io.ReadAll(io.LimitReader(answer.Body, kept))
	if err == nil {
		_, err = io.CopyN(io.Discard, answer.Body, drained)
	}
	t.answer = printable(head)
	switch {
	case answer.StatusCode/100 == 2: // whatever became of the body: the event was taken
	case answer.StatusCode/100 == 3:
		t.err = "redirects are not followed; have the webhook's url lead there"
	case ctx.Err() != nil && err != nil:
		t.err = reason(ctx, err)
	default:
		t.err = "answered " + strconv.Itoa(answer.StatusCode)
	}
	return t
}

func (a *App) request(ctx context.Context, d db.ClaimDeliveriesRow, at time.Time) (*http.Request, error) {
	keys, err := a.keys(d)
	if err != nil {
		return nil, err
	}
	signature, err := sign(keys, d.EventID, at, d.Body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.Url, bytes.NewReader(d.Body))
	if err != nil {
		return nil, err
	}
	request.Header = http.Header{
		"Content-Type":      {"application/cloudevents+json; charset=utf-8"},
		"User-Agent":        {"Buildify-Webhooks/" + a.Version},
		"Webhook-Id":        {d.EventID},
		"Webhook-Timestamp": {strconv.FormatInt(at.Unix(), 10)},
		"Webhook-Signature": {signature},
	}
	return request, nil
}

// reason is what the owner of a webhook is told of a failure: nothing of what
// stands behind addresses that none may lead to.
func reason(ctx context.Context, err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	switch {
	case errors.Is(err, errAddress):
		return errAddress.Error()
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "no answer in time"
	}
	return printable([]byte(err.Error()))
}

// printable is text that the database takes.
func printable(raw []byte) string {
	text := strings.ToValidUTF8(string(raw[:min(len(raw), kept)]), "\uFFFD")
	return strings.ReplaceAll(text, "\x00", "\uFFFD")
}

// settle notes what came of an attempt: on the delivery, in the log, on the
// webhook's record. A webhook that failed for too long or is gone is disabled,
// and that is told.
func (a *App) settle(ctx context.Context, d db.ClaimDeliveriesRow, t attempt) (outcome string, err error) {
	state := "sent"
	wait, again := pause(a.Retries, int(d.Tried), t.waitFor)
	switch {
	case t.err != "" && again:
		state = "waiting"
	case t.err != "":
		state = "failed"
	}
	disabled := ""
	err = a.in(ctx, func(tx pgx.Tx) error {
		if err := a.note(ctx, db.New(tx), d, t, state, wait); err != nil {
			return err
		}
		disabled, err = a.judge(ctx, tx, d, t, state)
		return err
	})
	if err != nil {
		return "", err
	}
	if disabled != "" {
		a.metrics.disabled.Inc()
		a.Log.Warn("webhook disabled", "webhook", d.WebhookID, "module", d.Module, "tenant", d.TenantID, "reason", disabled)
		a.Committed()
	}
	if state == "waiting" {
		return "retry", nil
	}
	return state, nil
}

// note writes an attempt down.
func (a *App) note(ctx context.Context, q *db.Queries, d db.ClaimDeliveriesRow, t attempt, state string, wait time.Duration) error {
	number, err := q.SettleDelivery(ctx, db.SettleDeliveryParams{ID: d.ID, Lease: d.LeasedUntil, State: state, DelaySeconds: wait.Seconds()})
	if database.Missing(err) {
		return errors.New("its lease was lost")
	}
	if err != nil {
		return err
	}
	return q.AddAttempt(ctx, db.AddAttemptParams{
		TenantID: d.TenantID, DeliveryID: d.ID, Number: number, At: t.at, Status: int32(t.status),
		LatencyMs: int32(t.took.Milliseconds()), Answer: t.answer, Error: t.err,
	})
}

// judge keeps the webhook's record, and disables it where that says so; it
// returns why.
func (a *App) judge(ctx context.Context, tx pgx.Tx, d db.ClaimDeliveriesRow, t attempt, state string) (reason string, err error) {
	q := db.New(tx)
	if state == "sent" {
		return "", q.WebhookWorks(ctx, d.WebhookID)
	}
	givenUp := int32(0)
	if state == "failed" {
		givenUp = 1
	}
	record, err := q.WebhookFails(ctx, db.WebhookFailsParams{ID: d.WebhookID, GivenUp: givenUp})
	if database.Missing(err) {
		return "", nil // deleted meanwhile
	}
	switch {
	case err != nil || !record.Enabled:
		return "", err
	case t.gone():
		reason = "the address answered 410 Gone"
	case record.FailingSeconds >= a.DisableAfter.Seconds():
		reason = fmt.Sprintf("every attempt has failed for %s", a.DisableAfter)
	case record.GivenUp >= givenUpAtMost:
		reason = fmt.Sprintf("%d deliveries in a row were given up", record.GivenUp)
	default:
		return "", nil
	}
	w, err := q.DisableWebhook(ctx, db.DisableWebhookParams{ID: d.WebhookID, Reason: reason})
	if err != nil {
		return "", err
	}
	return reason, tell(ctx, tx, events.WebhookDisabled, w, events.WebhookChange{Change: "disabled", Reason: reason})
}
