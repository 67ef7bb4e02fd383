package webhooks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/audit/internal/store/db"
)

var administered = events.UserAdministered

func (w *world) event(tenant string) string {
	w.t.Helper()
	return w.publish(administered, tenant, events.UserChange{UserID: "u"})
}

func TestAFailedAttemptIsMadeAgainAndEachIsInTheLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Timeout = 300 * time.Millisecond })
	tenant, r, elsewhere := w.tenant(), w.receiver(), w.receiver()
	ctx := w.person(tenant)
	webhook := w.create(ctx, r)
	w.run(w.App)
	answers := make(chan http.HandlerFunc, 5)
	long := strings.Repeat("x", kept) + "more"
	answers <- func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, long, http.StatusInternalServerError) }
	answers <- func(rw http.ResponseWriter, request *http.Request) {
		http.Redirect(rw, request, elsewhere.URL, http.StatusTemporaryRedirect)
	}
	answers <- func(_ http.ResponseWriter, request *http.Request) { <-request.Context().Done() }
	answers <- func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	answers <- func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("a\x00b\xff")) }
	r.answers(func(rw http.ResponseWriter, request *http.Request) { (<-answers)(rw, request) })

	id := w.event(tenant)
	for _, m := range r.takes(t, 5) {
		require.Equal(t, id, m.header.Get("webhook-id"), "the same in each attempt")
	}
	delivery := w.settled(ctx, webhook.ID, 1)[0]
	require.Equal(t, "sent", delivery.State)
	require.Equal(t, "auth.user.administered", delivery.EventType)
	attempts := w.detail(ctx, delivery).Attempts
	require.Len(t, attempts, 5)
	for i, want := range []struct {
		status        int
		answer, error string
	}{
		{500, strings.Repeat("x", kept), "answered 500"},
		{307, "", "redirects are not followed; have the webhook's url lead there"},
		{0, "", "no answer in time"},
		{0, "", "EOF"},
		{200, "a\uFFFDb\uFFFD", ""},
	} {
		require.Equal(t, []any{i + 1, want.status, want.answer, want.error},
			[]any{attempts[i].Number, attempts[i].Status, attempts[i].Answer, attempts[i].Error})
	}
	require.GreaterOrEqual(t, attempts[2].LatencyMS, 300)
	require.Empty(t, elsewhere.got)
	require.Nil(t, w.get(ctx, webhook.ID).FailingSince, "it works again")
	for outcome, n := range map[string]float64{"retry": 4, "sent": 1} {
		require.InDelta(t, n, testutil.ToFloat64(w.metrics.attempts.WithLabelValues(outcome)), 0)
	}
}

func TestWhatIsGivenUpCanBeSentAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant, r := w.tenant(), w.receiver()
	ctx := w.person(tenant)
	webhook := w.create(ctx, r)
	r.answers(status(http.StatusServiceUnavailable))
	w.run(w.App)
	const n = 5
	sent := make([]string, n)
	for i := range sent {
		sent[i] = w.event(tenant)
	}
	r.takes(t, n*(1+len(w.Retries)))
	failed := w.settled(ctx, webhook.ID, n)
	for _, d := range failed {
		require.Equal(t, "failed", d.State)
		require.Equal(t, 1+len(w.Retries), d.Attempts)
		require.NotNil(t, d.SettledAt)
	}
	require.NotNil(t, w.get(ctx, webhook.ID).FailingSince)
	require.Empty(t, r.got)

	r.answers(nil)
	again, err := w.Retry(ctx, &contract.DeliveryRequest{WebhookID: contract.ID(webhook.ID), DeliveryID: contract.ID(failed[0].ID)})
	require.NoError(t, err)
	require.Equal(t, "waiting", again.State)
	require.Equal(t, failed[0].EventID, r.takes(t, 1)[0].ID())
	w.deliveries(ctx, webhook.ID, 1, func(d contract.Delivery) bool { return d.State == "sent" })

	all, err := w.Replay(ctx, &contract.ReplayWebhookRequest{WebhookID: contract.ID(webhook.ID)})
	require.NoError(t, err)
	require.Equal(t, &contract.ReplayWebhookResponse{Deliveries: n - 1, Complete: true}, all)
	r.takes(t, n-1)
	w.deliveries(ctx, webhook.ID, n, func(d contract.Delivery) bool { return d.State == "sent" })

	_, err = w.Replay(ctx, &contract.ReplayWebhookRequest{WebhookID: contract.ID(webhook.ID), All: true})
	requireRefused(t, contract.InvalidArgument, "since", err)
	since := failed[n-3].CreatedAt // the newest are first
	all, err = w.Replay(ctx, &contract.ReplayWebhookRequest{WebhookID: contract.ID(webhook.ID), All: true, Since: &since})
	require.NoError(t, err)
	require.GreaterOrEqual(t, all.Deliveries, n-2)
	r.takes(t, all.Deliveries)
	w.settled(ctx, webhook.ID, n)
	require.Empty(t, r.got)
	require.Nil(t, w.get(ctx, webhook.ID).FailingSince)
}

func TestTheLogIsFilteredAndPaged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant, r := w.tenant(), w.receiver()
	ctx := w.person(tenant)
	webhook := w.create(ctx, r)
	w.run(w.App)
	for range 7 {
		w.event(tenant)
	}
	r.takes(t, 7)
	all := w.settled(ctx, webhook.ID, 7)
	list := func(r contract.ListDeliveriesRequest) *contract.ListDeliveriesResponse {
		r.WebhookID = contract.ID(webhook.ID)
		page, err := w.Deliveries(ctx, &r)
		require.NoError(t, err)
		return page
	}
	var paged []contract.Delivery
	for page := (&contract.ListDeliveriesResponse{NextCursor: ""}); ; {
		page = list(contract.ListDeliveriesRequest{Limit: 3, Cursor: page.NextCursor})
		if paged = append(paged, page.Items...); page.NextCursor == "" {
			break
		}
	}
	require.Equal(t, all, paged)
	require.Len(t, list(contract.ListDeliveriesRequest{State: "sent"}).Items, 7)
	require.Empty(t, list(contract.ListDeliveriesRequest{State: "failed"}).Items)
	require.Empty(t, list(contract.ListDeliveriesRequest{Until: &all[6].CreatedAt}).Items)
	after := all[0].CreatedAt.Add(time.Second)
	require.Empty(t, list(contract.ListDeliveriesRequest{Since: &after}).Items)
	require.Len(t, list(contract.ListDeliveriesRequest{Since: &all[6].CreatedAt}).Items, 7)
	_, err := w.Deliveries(ctx, &contract.ListDeliveriesRequest{WebhookID: contract.ID(webhook.ID), Cursor: "x"})
	requireRefused(t, contract.InvalidArgument, "cursor", err)
	_, err = w.Delivery(ctx, &contract.DeliveryRequest{WebhookID: contract.ID(webhook.ID), DeliveryID: contract.ID(webhook.ID)})
	requireRefused(t, contract.NotFound, "", err)
	_, err = w.Retry(ctx, &contract.DeliveryRequest{WebhookID: contract.ID(webhook.ID), DeliveryID: contract.ID(webhook.ID)})
	requireRefused(t, contract.NotFound, "", err)
}

func TestAnAddressThatIsGoneIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant, r := w.tenant(), w.receiver()
	ctx := w.person(tenant)
	webhook := w.create(ctx, r)
	r.answers(status(http.StatusGone))
	w.run(w.App)
	first := w.event(tenant)
	r.takes(t, 1)
	require.Eventually(t, func() bool { return !w.get(ctx, webhook.ID).Enabled }, limit, 2*time.Millisecond)
	require.Contains(t, w.get(ctx, webhook.ID).DisabledReason, "410")
	told := w.told(events.WebhookDisabled)
	require.Len(t, told, 1)
	require.Equal(t, webhook.ID, told[0].ID)

	missed := w.event(tenant)
	w.deliveries(ctx, webhook.ID, 1, func(d contract.Delivery) bool { return d.State == "missed" && d.EventID == missed })
	r.answers(nil)
	enabled, err := w.Update(ctx, &contract.UpdateWebhookRequest{WebhookID: contract.ID(webhook.ID), Enabled: ptr(true)})
	require.NoError(t, err)
	require.True(t, enabled.Enabled)
	require.Empty(t, enabled.DisabledReason)
	require.Nil(t, enabled.FailingSince)
	require.Equal(t, first, r.takes(t, 1)[0].ID(), "what waited is sent")
	replayed, err := w.Replay(ctx, &contract.ReplayWebhookRequest{WebhookID: contract.ID(webhook.ID)})
	require.NoError(t, err)
	require.Equal(t, 1, replayed.Deliveries)
	require.Equal(t, missed, r.takes(t, 1)[0].ID())
}

func TestAnAddressThatFailsForTooLongIsDisabled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.DisableAfter = 200 * time.Millisecond; c.Retries = c.Retries[:1] })
	tenant, r := w.tenant(), w.receiver()
	ctx := w.person(tenant)
	webhook := w.create(ctx, r)
	r.answers(status(http.StatusInternalServerError))
	w.run(w.App)
	require.Eventually(t, func() bool {
		w.event(tenant)
		return !w.get(ctx, webhook.ID).Enabled
	}, limit, 20*time.Millisecond)
	require.Contains(t, w.get(ctx, webhook.ID).DisabledReason, "200ms")
	require.Len(t, w.told(events.WebhookDisabled), 1)
	require.InDelta(t, 1, testutil.ToFloat64(w.metrics.disabled), 0)
}

func TestAnAddressForWhichTooMuchIsGivenUpIsDisabled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Retries = c.Retries[:1] })
	tenant, r := w.tenant(), w.receiver()
	ctx := w.person(tenant)
	webhook := w.create(ctx, r)
	r.answers(status(http.StatusInternalServerError))
	w.run(w.App)
	for range givenUpAtMost + 20 {
		w.event(tenant)
	}
	require.Eventually(t, func() bool { return !w.get(ctx, webhook.ID).Enabled }, limit, 2*time.Millisecond)
	require.Contains(t, w.get(ctx, webhook.ID).DisabledReason, fmt.Sprint(givenUpAtMost))
	require.Len(t, w.told(events.WebhookDisabled), 1)
}

// The others' events arrive while one address takes its time, and another fails.
func TestASlowAddressHoldsUpNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant := w.tenant()
	slow, failing, fast := w.receiver(), w.receiver(), w.receiver()
	release := make(chan struct{})
	var once sync.Once
	t.Cleanup(func() { once.Do(func() { close(release) }) })
	slow.answers(func(rw http.ResponseWriter, _ *http.Request) { <-release; rw.WriteHeader(http.StatusOK) })
	failing.answers(status(http.StatusInternalServerError))
	ctx := w.person(tenant)
	slows := w.create(ctx, slow)
	w.create(ctx, failing)
	w.create(ctx, fast)
	w.run(w.App)
	const n = 60
	want := make([]string, n)
	for i := range want {
		want[i] = w.event(tenant)
	}
	require.ElementsMatch(t, want, ids(fast.takes(t, n)))
	require.LessOrEqual(t, len(slow.got), 2*each, "so many at once and no more")
	once.Do(func() { close(release) })
	require.ElementsMatch(t, want, ids(slow.takes(t, n)))
	w.settled(ctx, slows.ID, n)
}

func TestWhatIsNoLongerGrantedIsNotSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant, r := w.tenant(), w.receiver()
	ctx, person := w.module("crm", "crm-1"), w.person(tenant)
	modules, tenants := w.create(ctx, r), w.create(person, r)
	w.grants.set(true, "crm", tenant, "auth.user.administered")
	w.event(tenant)
	intake, err := w.StartIntake(bounded(t), w.js)
	require.NoError(t, err)
	waits := func(d contract.Delivery) bool { return d.State == "waiting" }
	w.deliveries(ctx, modules.ID, 1, waits)
	w.deliveries(person, tenants.ID, 1, waits)
	intake.Stop()
	w.grants.set(false, "crm", tenant, "auth.user.administered")
	w.putTenant(tenant, false, 2) // suspended
	w.run(w.App)
	for webhook, ctx := range map[string]context.Context{modules.ID: ctx, tenants.ID: person} {
		d := w.settled(ctx, webhook, 1)[0]
		require.Equal(t, "missed", d.State)
		require.Zero(t, d.Attempts)
	}
	require.Empty(t, r.got)
}

func TestWhatAKeyHeardEndsWithTheKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver()
	first, second := w.module("crm", "crm-1"), w.module("crm", "crm-2")
	one, two := w.create(first, r), w.create(second, r)
	w.run(w.App)
	off := func(id string) func() bool { return func() bool { return !w.get(first, id).Enabled } }
	w.publish(events.KeyCreated, "", events.KeyChange{ID: "crm-3", Module: "crm", RotatedFrom: "crm-1"})
	w.publish(events.KeyCreated, "", events.KeyChange{ID: "crm-4", Module: "erp", RotatedFrom: "crm-2"}) // not that module's
	w.publish(events.KeyEnded, "", events.KeyChange{ID: "crm-1", Module: "crm", Reason: "revoked"})
	w.publish(events.KeyEnded, "", events.KeyChange{ID: "crm-2", Module: "crm", Reason: "leaked"})
	require.Eventually(t, off(two.ID), limit, 2*time.Millisecond)
	require.Contains(t, w.get(first, two.ID).DisabledReason, "leaked")
	require.True(t, w.get(first, one.ID).Enabled, "rotated: it is the new key's")
	w.publish(events.KeyEnded, "", events.KeyChange{ID: "crm-3", Module: "crm", Reason: "revoked"})
	require.Eventually(t, off(one.ID), limit, 2*time.Millisecond)

	third := w.module("crm", "crm-5")
	_, err := w.Update(third, &contract.UpdateWebhookRequest{WebhookID: contract.ID(one.ID), Enabled: ptr(true)})
	require.NoError(t, err)
	w.publish(events.KeyEnded, "", events.KeyChange{ID: "crm-3", Module: "crm", Reason: "revoked"})
	w.publish(events.KeyEnded, "", events.KeyChange{ID: "crm-5", Module: "crm", Reason: "revoked"})
	require.Eventually(t, off(one.ID), limit, 2*time.Millisecond)
	require.Contains(t, w.get(first, one.ID).DisabledReason, "crm-5")
	require.Len(t, w.told(events.WebhookDisabled), 3)
}

// lostAck is a message whose acknowledgement the network lost, and its reader
// with it.
type lostAck struct{ jetstream.Msg }

func (m lostAck) Ack() error { return errors.Join(errors.New("killed"), m.Nak()) }

// A replica is killed at each step. Whoever comes after it does what it left,
// and nothing is lost; only what was sent and not noted is sent again, under the
// same id.
func TestAReplicaMayDieAtEachStep(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Lease = 500 * time.Millisecond })
	tenant, r := w.tenant(), w.receiver()
	ctx := w.person(tenant)
	webhook := w.create(ctx, r)
	dying, err := w.intake(bounded(t), w.js)
	require.NoError(t, err)
	const n = 3
	var want []string
	for range n {
		want = append(want, w.event(tenant))
	}
	// Deliveries were made, and the events not acknowledged.
	var messages []jetstream.Msg
	for len(messages) < n {
		fetched, err := dying.fetch(bounded(t))
		require.NoError(t, err)
		for _, msg := range fetched {
			messages = append(messages, lostAck{msg})
		}
	}
	require.ErrorContains(t, dying.take(bounded(t), messages), "killed")
	for _, msg := range messages {
		_ = msg.Nak()
	}
	w.deliveries(ctx, webhook.ID, n, func(d contract.Delivery) bool { return d.State == "waiting" })
	// One delivery was leased and not sent, one was sent and not noted.
	var leased []db.ClaimDeliveriesRow
	require.NoError(t, w.DB.In(bounded(t), database.Everything, func(tx pgx.Tx) (err error) {
		leased, err = db.New(tx).ClaimDeliveries(bounded(t), db.ClaimDeliveriesParams{LeaseSeconds: w.Lease.Seconds(), Busy: []string{}, Each: 2, Most: 10})
		return err
	}))
	require.Len(t, leased, 2)
	twice := leased[0].EventID
	require.Empty(t, w.send(bounded(t), leased[0]).err)
	require.Equal(t, twice, r.takes(t, 1)[0].ID())

	w.run(w.app())
	require.ElementsMatch(t, want, ids(r.takes(t, n)), "the others, and the one again")
	for _, d := range w.settled(ctx, webhook.ID, n) {
		require.Equal(t, "sent", d.State)
		require.Equal(t, 1, d.Attempts)
	}
	require.Empty(t, r.got)
	// The dead one wakes up: its lease is over, and it changes nothing.
	_, err = w.settle(bounded(t), leased[0], attempt{at: time.Now(), err: "late"})
	require.ErrorContains(t, err, "lease")
	require.Len(t, w.settled(ctx, webhook.ID, n), n)
}

func TestReplicasShareTheSending(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant, r := w.tenant(), w.receiver()
	ctx := w.person(tenant)
	webhook := w.create(ctx, r)
	for range 3 {
		w.run(w.app())
	}
	const n = 100
	want := make([]string, n)
	for i := range want {
		want[i] = w.event(tenant)
	}
	require.ElementsMatch(t, want, ids(r.takes(t, n)))
	w.settled(ctx, webhook.ID, n)
	require.Empty(t, r.got, "each was sent by one of them")
}

func TestStopLetsAttemptsFinishOrGivesThemBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Lease = time.Hour })
	tenant, r := w.tenant(), w.receiver()
	ctx := w.person(tenant)
	webhook := w.create(ctx, r)
	stuck, release := make(chan struct{}, 10), make(chan struct{})
	t.Cleanup(func() { close(release) })
	r.answers(func(_ http.ResponseWriter, request *http.Request) {
		stuck <- struct{}{}
		select {
		case <-request.Context().Done():
		case <-release:
		}
	})
	_, sender := w.run(w.App)
	id := w.event(tenant)
	<-stuck
	r.takes(t, 1)
	ended, cancel := context.WithCancel(bounded(t))
	cancel()
	sender.Stop(ended)
	sender.Stop(ended)
	r.answers(nil)
	w.run(w.app())
	require.Equal(t, id, r.takes(t, 1)[0].ID(), "at once, not when the lease is over")
	d := w.settled(ctx, webhook.ID, 1)[0]
	require.Equal(t, 1, d.Attempts, "what was cut short is none")
}

func TestADatabaseThatIsAwayLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant, r := w.tenant(), w.receiver()
	w.create(w.person(tenant), r)
	admin, err := pgx.Connect(bounded(t), w.url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = admin.Close(context.Background()) })
	_, err = admin.Exec(bounded(t), "REVOKE ALL ON audit.webhook_deliveries FROM buildify_audit") // the least that makes it fail
	require.NoError(t, err)
	want := w.event(tenant)
	intake, err := w.intake(bounded(t), w.js)
	require.NoError(t, err)
	messages, err := intake.fetch(bounded(t))
	require.NoError(t, err)
	require.Error(t, intake.take(bounded(t), messages))
	_, err = admin.Exec(bounded(t), "GRANT SELECT, INSERT, UPDATE, DELETE ON audit.webhook_deliveries TO buildify_audit")
	require.NoError(t, err)
	for _, msg := range messages { // its wait is over
		require.NoError(t, msg.Nak())
	}
	w.run(w.App)
	require.Equal(t, want, r.takes(t, 1)[0].ID())
}

func TestPausesGrowAndMindRetryAfter(t *testing.T) {
	t.Parallel()
	total := time.Duration(0)
	for tried := range usualRetries {
		wait, again := pause(usualRetries, tried, 0)
		require.True(t, again)
		require.InEpsilon(t, usualRetries[tried], wait, 0.11)
		total += usualRetries[tried]
	}
	require.Greater(t, total, 24*time.Hour, "over a day")
	_, again := pause(usualRetries, len(usualRetries), time.Hour)
	require.False(t, again, "what an answer asks for makes no attempt more")
	wait, _ := pause(usualRetries, 0, time.Hour)
	require.Equal(t, time.Hour, wait)
	wait, _ = pause(usualRetries, 0, 1000*time.Hour)
	require.Equal(t, longestWait, wait)
	wait, _ = pause(usualRetries, 6, time.Second)
	require.Greater(t, wait, 12*time.Hour, "no answer shortens a pause")
	for value, want := range map[string]time.Duration{
		"": 0, "120": 2 * time.Minute, "-1": 0, "x": 0, "99999999999999999999": 0, "Mon, 02 Jan 2006 15:04:05 GMT": 0,
	} {
		require.Equal(t, want, retryAfter(&http.Response{Header: http.Header{"Retry-After": {value}}}), value)
	}
	later := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	require.InDelta(t, time.Hour, retryAfter(&http.Response{Header: http.Header{"Retry-After": {later}}}), float64(2*time.Second))
}

func TestAnAnswerWithoutEndIsCutShort(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Retries = c.Retries[:1] })
	tenant, r := w.tenant(), w.receiver()
	ctx := w.person(tenant)
	webhook := w.create(ctx, r)
	r.answers(func(rw http.ResponseWriter, request *http.Request) {
		for request.Context().Err() == nil {
			if _, err := rw.Write([]byte(strings.Repeat("x", 4096))); err != nil {
				return
			}
		}
	})
	w.run(w.App)
	w.event(tenant)
	d := w.settled(ctx, webhook.ID, 1)[0]
	require.Equal(t, "sent", d.State, "it answered 200")
	require.Len(t, w.detail(ctx, d).Attempts[0].Answer, kept)
	r.answers(func(rw http.ResponseWriter, _ *http.Request) {
		for i := range 100 {
			rw.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("x", 1000))
		}
	})
	w.event(tenant)
	d = w.settled(ctx, webhook.ID, 2)[0]
	require.Equal(t, "failed", d.State)
	require.Zero(t, w.detail(ctx, d).Attempts[0].Status)
}
