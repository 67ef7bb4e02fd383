package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/kittest"
	"github.com/buildify/core/pkg/kit/natsconn"
	"github.com/buildify/core/pkg/kit/natsserver"
)

func TestMain(m *testing.M) { kittest.Main(m) }

// limit bounds every wait; nothing waits that long unless a test fails.
const limit = 20 * time.Second

func migrate(ctx context.Context, url string) error { return database.Migrate(ctx, url, nil) }

func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// world is a bus, a database of service tenant, and nothing that relays yet.
type world struct {
	t      testing.TB
	dir    string
	server *natsserver.Server
	url    string
	db     *database.DB
	js     jetstream.JetStream
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), url: kittest.Database(t, migrate)}
	require.NoError(t, natsserver.Init(w.dir))
	w.start("127.0.0.1:0")
	t.Cleanup(func() { w.stop() })
	w.db = w.open()
	w.js = w.jetStream()
	require.NoError(t, events.Ensure(bounded(t), w.js, events.EventsStream, 1))
	return w
}

func (w *world) start(listen string) {
	w.t.Helper()
	var err error
	w.server, err = natsserver.Start(bounded(w.t), natsserver.Config{Dir: w.dir, Listen: listen})
	require.NoError(w.t, err)
}

// stop ends the bus and tells where it listened.
func (w *world) stop() string {
	w.t.Helper()
	u, err := url.Parse(w.server.URL())
	require.NoError(w.t, err)
	require.NoError(w.t, w.server.Stop(bounded(w.t)))
	return u.Host
}

func (w *world) open() *database.DB {
	w.t.Helper()
	db, err := database.Open(bounded(w.t), w.url, "tenant", 0)
	require.NoError(w.t, err)
	w.t.Cleanup(db.Close)
	return db
}

func (w *world) jetStream() jetstream.JetStream {
	w.t.Helper()
	nc, err := natsconn.Connect(bounded(w.t), natsconn.Config{
		URL: w.server.URL(), User: natsconn.Tenant, SeedFile: natsserver.SeedFile(w.dir, natsconn.Tenant),
	})
	require.NoError(w.t, err)
	w.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(w.t, err)
	return js
}

// relay starts a replica's relay.
func (w *world) relay() *Relay {
	r := Start(w.open(), w.jetStream(), "tenant", slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = r.Stop(ctx) // the bus may be gone
	})
	return r
}

// add writes events with these revisions in one transaction, which ends with
// the error.
func (w *world) add(end error, revisions ...int) error {
	return w.db.In(bounded(w.t), database.Everything, func(tx pgx.Tx) error {
		for _, revision := range revisions {
			e, err := events.New(events.TenantChanged, "t1", int64(revision), nil)
			require.NoError(w.t, err)
			if err := Add(bounded(w.t), tx, e); err != nil {
				return err
			}
		}
		return end
	})
}

func (w *world) waiting() (n int) {
	w.t.Helper()
	require.NoError(w.t, w.db.QueryRow(bounded(w.t), "SELECT count(*) FROM outbox").Scan(&n))
	return n
}

func (w *world) drained() {
	w.t.Helper()
	require.Eventually(w.t, func() bool { return w.waiting() == 0 }, limit, 2*time.Millisecond)
}

// published reads the stream from its beginning: the revisions, in order.
func (w *world) published() []string {
	w.t.Helper()
	js := w.jetStream()
	s, err := js.Stream(bounded(w.t), events.EventsStream)
	require.NoError(w.t, err)
	want := s.CachedInfo().State.Msgs
	c, err := js.OrderedConsumer(bounded(w.t), events.EventsStream, jetstream.OrderedConsumerConfig{})
	require.NoError(w.t, err)
	all := []string{}
	for range want {
		msg, err := c.Next(jetstream.FetchMaxWait(limit))
		require.NoError(w.t, err)
		e, err := events.Decode(msg.Headers(), msg.Data())
		require.NoError(w.t, err)
		all = append(all, events.Extension(e, events.Revision))
	}
	return all
}

func upTo(from, to int) (revisions []int, texts []string) {
	for i := from; i <= to; i++ {
		revisions, texts = append(revisions, i), append(texts, fmt.Sprint(i))
	}
	return revisions, texts
}

func TestWhatWasRolledBackIsNeverPublished(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.relay()
	failure := errors.New("failure")
	require.ErrorIs(t, w.add(failure, 1, 2), failure)
	r.Notify()
	require.NoError(t, w.add(nil, 3))
	r.Notify()
	w.drained()
	require.Equal(t, []string{"3"}, w.published())
}

func TestOrderIsKeptOverBatches(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revisions, want := upTo(1, batch+50)
	require.NoError(t, w.add(nil, revisions...))
	w.relay()
	w.drained()
	require.Equal(t, want, w.published())
}

func TestOneThatIsNotNotifiedIsFoundAnyway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.relay()
	require.NoError(t, w.add(nil, 1)) // by a replica that died before its Notify
	w.drained()
	require.Equal(t, []string{"1"}, w.published())
}

func TestWhileTheBusIsAwayEventsWaitAndThenGoByThemselves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.relay()
	address := w.stop()
	first, _ := upTo(1, 3)
	require.NoError(t, w.add(nil, first...), "writing goes on")
	r.Notify()
	failed := func() bool { return value(t, r.failures) > 0 }
	require.Eventually(t, failed, limit, 2*time.Millisecond)
	require.Equal(t, 3, w.waiting())
	const backlog = 3*batch + 50
	more, _ := upTo(4, backlog)
	require.NoError(t, w.add(nil, more...))
	require.Positive(t, r.lag())
	w.start(address)
	w.drained()
	_, want := upTo(1, backlog)
	require.Equal(t, want, w.published())
	require.Eventually(t, func() bool { return value(t, r.published) == backlog && r.lag() == 0 }, limit, time.Millisecond)
}

func value(t testing.TB, c prometheus.Collector) float64 {
	t.Helper()
	r := prometheus.NewRegistry()
	require.NoError(t, r.Register(c))
	families, err := r.Gather()
	require.NoError(t, err)
	metric := families[0].GetMetric()[0]
	return metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
}

// The relay was killed after the stream had the event and before the row was
// deleted.
func TestACrashBetweenPublishingAndDeletingPublishesOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.add(nil, 1, 2))
	killed := w.open()
	dying := &Relay{db: killed, js: w.js}
	tx, err := killed.Begin(bounded(t))
	require.NoError(t, err)
	waiting, err := read(bounded(t), tx)
	require.NoError(t, err)
	sent, _, err := dying.publish(bounded(t), waiting[:1])
	require.NoError(t, err)
	require.Len(t, sent, 1)
	require.NoError(t, tx.Rollback(bounded(t)))
	require.Equal(t, []string{"1"}, w.published())
	require.Equal(t, 2, w.waiting())

	w.relay()
	w.drained()
	require.Equal(t, []string{"1", "2"}, w.published())
}

func TestAFullBacklogIsUnavailable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.add(nil, 1))
	admin, err := pgx.Connect(bounded(t), w.url)
	require.NoError(t, err)
	defer func() { _ = admin.Close(context.Background()) }()
	jump := func(to int) {
		_, err := admin.Exec(bounded(t), "SELECT setval(pg_get_serial_sequence('tenant.outbox', 'id'), $1)", to)
		require.NoError(t, err)
	}
	jump(backlogCap - 1)
	require.NoError(t, w.add(nil, 2), "just below the cap")
	require.NoError(t, w.add(nil, 3), "up to the cap")
	err = w.add(nil, 4)
	var refused *contract.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, contract.Unavailable, refused.Code)
	require.Equal(t, 3, w.waiting())
	w.relay()
	w.drained()
	require.NoError(t, w.add(nil, 4), "and open again")
}

// The same, of a whole batch, which the server then refuses for its first message.
func TestACrashInTheMiddleOfABatchPublishesOnceAndInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revisions, want := upTo(1, 50)
	require.NoError(t, w.add(nil, revisions...))
	killed := w.open()
	dying := &Relay{db: killed, js: w.js}
	tx, err := killed.Begin(bounded(t))
	require.NoError(t, err)
	waiting, err := read(bounded(t), tx)
	require.NoError(t, err)
	sent, _, err := dying.publish(bounded(t), waiting[:20])
	require.NoError(t, err)
	require.Len(t, sent, 20)
	require.NoError(t, tx.Rollback(bounded(t)))

	r := w.relay()
	w.drained()
	require.Equal(t, want, w.published())
	require.Eventually(t, func() bool { return r.Sequence(events.TenantChanged) == 50 }, limit, time.Millisecond)
}

// How long the oldest event waits is what tells that nobody hears of changes.
func TestTheLagIsTheAgeOfTheOldestEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.relay()
	require.Zero(t, r.lag())
	address := w.stop()
	old := eventOf(t, nil)
	old.SetTime(time.Now().Add(-time.Minute))
	require.NoError(t, w.addOne(old))
	require.NoError(t, w.add(nil, 1))
	r.Notify()
	require.Eventually(t, func() bool { return r.lag() >= 60 }, limit, 2*time.Millisecond)
	w.start(address)
	w.drained()
	require.Eventually(t, func() bool { return r.lag() == 0 }, limit, 2*time.Millisecond)
}

func TestTwoRelaysKeepOrderAndPublishOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	relays := []*Relay{w.relay(), w.relay()}
	const writers, each = 3, 20
	var all sync.WaitGroup
	failures := make(chan error, writers*each)
	for writer := range writers {
		all.Go(func() {
			for i := range each {
				failures <- w.add(nil, writer*1000+i)
				relays[i%2].Notify()
			}
		})
	}
	all.Wait()
	close(failures)
	for err := range failures {
		require.NoError(t, err)
	}
	w.drained()
	published := w.published()
	require.Len(t, published, writers*each, "each once")
	next := map[int]int{}
	for _, text := range published {
		var n int
		_, err := fmt.Sscan(text, &n)
		require.NoError(t, err)
		require.Equal(t, next[n/1000], n%1000, "writer %d: %v", n/1000, published)
		next[n/1000]++
	}
}

func TestStopMakesALastRound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.relay()
	require.NoError(t, w.add(nil, 1))
	require.NoError(t, r.Stop(bounded(t)))
	require.Zero(t, w.waiting())
	require.Equal(t, []string{"1"}, w.published())
	require.NoError(t, r.Stop(bounded(t)))
	r.Notify()
}

func TestStopIsBoundedWhileTheBusIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.relay()
	address := w.stop()
	require.NoError(t, w.add(nil, 1))
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	begin := time.Now()
	require.Error(t, r.Stop(ctx))
	require.Less(t, time.Since(begin), 5*time.Second)
	require.Equal(t, 1, w.waiting(), "published at the next start")
	w.start(address)
	w.relay()
	w.drained()
}

// addOne writes one event in a transaction of its own.
func (w *world) addOne(e events.Event) error {
	return w.db.In(bounded(w.t), database.Everything, func(tx pgx.Tx) error { return Add(bounded(w.t), tx, e) })
}

func eventOf(t testing.TB, data any) events.Event {
	t.Helper()
	e, err := events.New(events.TenantChanged, "t1", 1, data)
	require.NoError(t, err)
	return e
}

func TestAnEventThatTheBusDoesNotTakeIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wide := eventOf(t, nil)
	wide.SetExtension("more", strings.Repeat("x", 80_000))
	encoded := eventOf(t, nil)
	encoded.SetExtension("more", strings.Repeat("ü", 10_000))
	for name, e := range map[string]events.Event{
		"long data":                   eventOf(t, strings.Repeat("x", contract.MaxBody-1)), // and its quotes
		"long headers":                wide,
		"headers that grow when sent": encoded, // "ü" becomes "%C3%BC"
	} {
		err := w.addOne(e)
		require.ErrorIs(t, err, &contract.Error{Code: contract.PayloadTooLarge}, name)
		require.ErrorContains(t, err, "make the change in several", name)
	}
	require.Zero(t, w.waiting())
}

// Of as many bytes as a body may have, with headers of as many as they may: the
// database keeps the data byte for byte, which PostgreSQL's own JSON would not be.
func TestTheLargestEventIsPublished(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := eventOf(t, make([]int, contract.MaxBody/2-1))  // one more is too large
	e.SetExtension("more", strings.Repeat(" ", 10_000)) // three times that when sent
	require.NoError(t, w.addOne(e))
	w.relay()
	w.drained()
	c, err := w.js.OrderedConsumer(bounded(t), events.EventsStream, jetstream.OrderedConsumerConfig{})
	require.NoError(t, err)
	msg, err := c.Next(jetstream.FetchMaxWait(limit))
	require.NoError(t, err)
	require.Equal(t, len(e.Data()), len(msg.Data()))
	require.Greater(t, len(msg.Data()), contract.MaxBody-4)
}

// One that came in all the same, from an older version, stops nobody: neither the
// others that wait nor, by holding its place, the backlog. It is not lost.
func TestAnEventThatTheBusDoesNotTakeIsSetAside(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	large := eventOf(t, strings.Repeat("x", contract.MaxBody+100_000))
	insert := func(e events.Event) {
		raw, err := json.Marshal(e)
		require.NoError(t, err)
		_, err = w.db.Exec(bounded(t), "INSERT INTO outbox (event) VALUES ($1)", raw)
		require.NoError(t, err)
	}
	insert(large)
	require.NoError(t, w.add(nil, 2, 3))
	insert(large)
	require.NoError(t, w.add(nil, 4))
	r := w.relay()
	require.Eventually(t, func() bool { return w.waiting() == 2 }, limit, 2*time.Millisecond)
	require.Equal(t, []string{"2", "3", "4"}, w.published())
	require.NoError(t, r.Stop(bounded(t)))
	require.InDelta(t, 2, value(t, r.failures), 0, "each is complained of once")

	admin, err := pgx.Connect(bounded(t), w.url)
	require.NoError(t, err)
	defer func() { _ = admin.Close(context.Background()) }()
	_, err = admin.Exec(bounded(t), "SELECT setval(pg_get_serial_sequence('tenant.outbox', 'id'), $1)", backlogCap)
	require.NoError(t, err)
	require.NoError(t, w.add(nil, 5, 6))
	again := w.relay()
	require.Eventually(t, func() bool { return w.waiting() == 2 }, limit, 2*time.Millisecond)
	require.Equal(t, []string{"2", "3", "4", "5", "6"}, w.published())
	require.NoError(t, again.Stop(bounded(t)))
	require.InDelta(t, 2, value(t, again.aside), 0)
	var kept int
	require.NoError(t, w.db.QueryRow(bounded(t), "SELECT count(*) FROM outbox WHERE id < 0 AND length(event ->> 'data_base64') > $1",
		contract.MaxBody).Scan(&kept))
	require.Equal(t, 2, kept, "whole, to be looked at")
}
