package granted

import (
	"context"
	"fmt"
	"log/slog"
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

const (
	limit   = 20 * time.Second // bounds every wait
	tenantA = "0190f5c2-0000-7000-8000-00000000000a"
	tenantB = "0190f5c2-0000-7000-8000-00000000000b"
)

func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// knowsAll is the place up to which a directory knows all there will be.
const knowsAll = 1 << 40

// consents are what modules may hear, as module/tenant; they are known up to seen.
type consents struct {
	mu     sync.Mutex
	all    map[string]bool
	seen   uint64
	behind chan struct{} // told when it is asked that lags
}

func (c *consents) Activations(string) []contract.Activation {
	return []contract.Activation{{Module: "crm"}, {Module: "hr"}, {Module: "deaf"}}
}

func (c *consents) Seen() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen != knowsAll {
		select {
		case c.behind <- struct{}{}:
		default:
		}
	}
	return c.seen
}

func (c *consents) isAwaited(t testing.TB) {
	t.Helper()
	select {
	case <-c.behind:
	case <-time.After(limit):
		require.Fail(t, "nobody waits for the directory")
	}
}

func (c *consents) Hears(module, tenant, name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all[module+"/"+tenant] && name == events.UnitChanged.Name()
}

func (c *consents) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

func newConsents() *consents {
	all := map[string]bool{"crm/" + tenantA: true, "hr/" + tenantA: true, "hr/" + tenantB: true}
	return &consents{all: all, seen: knowsAll, behind: make(chan struct{}, 1)}
}

type world struct {
	t    *testing.T
	db   *database.DB
	js   jetstream.JetStream
	said jetstream.JetStream // as service tenant
	*consents
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, consents: newConsents()}
	url := kittest.Database(t, func(ctx context.Context, url string) error { return database.Migrate(ctx, url, nil) })
	var err error
	w.db, err = database.Open(bounded(t), url, "audit", 8)
	require.NoError(t, err)
	t.Cleanup(w.db.Close)
	dir := t.TempDir()
	require.NoError(t, natsserver.Init(dir))
	server, err := natsserver.Start(bounded(t), natsserver.Config{Dir: dir, Listen: "127.0.0.1:0"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(bounded(t))) })
	as := func(name string) jetstream.JetStream {
		nc, err := natsconn.Connect(bounded(t), natsconn.Config{URL: server.URL(), User: name, SeedFile: natsserver.SeedFile(dir, name)})
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		js, err := jetstream.New(nc)
		require.NoError(t, err)
		return js
	}
	w.js, w.said = as(natsconn.Audit), as(natsconn.Tenant)
	for _, stream := range []string{events.EventsStream, events.GrantedStream} {
		require.NoError(t, events.Ensure(bounded(t), w.js, stream, 1))
	}
	return w
}

func (w *world) start() *App {
	w.t.Helper()
	return w.replica(w.consents)
}

// replica is one that knows these consents.
func (w *world) replica(known *consents) *App {
	w.t.Helper()
	a, err := Start(bounded(w.t), Config{
		DB: w.db, JetStream: w.js, Directory: known, Grants: known, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
	})
	require.NoError(w.t, err)
	w.t.Cleanup(a.Stop)
	return a
}

// say publishes an event, as service tenant does, and returns its place.
func (w *world) say(kind events.Kind, tenant string, revision int) uint64 {
	w.t.Helper()
	e, err := events.New(kind, tenant, int64(revision), nil)
	require.NoError(w.t, err)
	place, err := events.PublishAt(bounded(w.t), w.said, e, e.ID())
	require.NoError(w.t, err)
	return place
}

// given waits until so many messages are in the stream, and is what it holds for a
// module: tenant and revision of each, in order.
func (w *world) given(module string, n int) (all []string) {
	w.t.Helper()
	consumer, err := w.js.OrderedConsumer(bounded(w.t), events.GrantedStream, jetstream.OrderedConsumerConfig{FilterSubjects: events.GrantedSubjects(module)})
	require.NoError(w.t, err)
	reading, err := consumer.Messages()
	require.NoError(w.t, err)
	defer reading.Stop()
	for range n {
		msg, err := reading.Next(jetstream.NextContext(bounded(w.t)))
		require.NoError(w.t, err, "%d of %d", len(all), n)
		e, err := events.Decode(msg.Headers(), msg.Data())
		require.NoError(w.t, err)
		all = append(all, events.Extension(e, events.TenantID)[35:]+events.Extension(e, events.Revision))
	}
	return all
}

func (w *world) stored() uint64 {
	w.t.Helper()
	stream, err := w.js.Stream(bounded(w.t), events.GrantedStream)
	require.NoError(w.t, err)
	return stream.CachedInfo().State.Msgs
}

func from(tenant string, first, last int) (all []string) {
	for n := first; n <= last; n++ {
		all = append(all, fmt.Sprint(tenant, n))
	}
	return all
}

// Two replicas, one after the other or both at once, give each event once to each
// module that may hear it, in order.
func TestEachModuleIsGivenItsEventsOnceAndInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.say(events.UnitChanged, tenantA, 0) // before there was anybody to give it
	first := w.start()
	for n := 1; n <= 20; n++ {
		w.say(events.UnitChanged, tenantA, n)
		w.say(events.TenantChanged, tenantA, n)
	}
	second := w.start()
	for n := 21; n <= 40; n++ {
		w.say(events.UnitChanged, tenantA, n)
	}
	first.Stop()
	for n := 41; n <= 60; n++ {
		w.say(events.UnitChanged, tenantA, n)
	}
	require.Equal(t, from("a", 1, 60), w.given("crm", 60))
	require.Equal(t, from("a", 1, 60), w.given("hr", 60))
	second.Stop()
	for n := 61; n <= 80; n++ {
		w.say(events.UnitChanged, tenantA, n)
	}
	// Killed between publishing and saying so: what is given again is known.
	require.NoError(t, w.db.In(bounded(t), database.Everything, func(tx pgx.Tx) error {
		_, err := tx.Exec(bounded(t), "UPDATE granted SET sequence = sequence - 20")
		return err
	}))
	w.start()
	require.Equal(t, from("a", 1, 80), w.given("crm", 80))
	require.Equal(t, from("a", 1, 80), w.given("hr", 80))
	require.EqualValues(t, 160, w.stored())
}

// What a module may not hear any more is taken back once the directory knows of it,
// and that is said.
func TestWhatIsWithdrawnIsTakenBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	for n := 1; n <= 3; n++ {
		w.say(events.UnitChanged, tenantA, n)
		w.say(events.UnitChanged, tenantB, n)
	}
	w.given("crm", 3)
	w.given("hr", 6)
	w.set(func() { w.seen = 1 })
	change := w.say(events.ModuleChanged, tenantA, 7)
	w.set(func() {
		w.all["hr/"+tenantA] = false
		w.seen = change
	})
	gone, err := w.js.OrderedConsumer(bounded(t), events.GrantedStream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{events.GoneSubject("*", "*")}})
	require.NoError(t, err)
	reading, err := gone.Messages()
	require.NoError(t, err)
	defer reading.Stop()
	msg, err := reading.Next(jetstream.NextContext(bounded(t)))
	require.NoError(t, err)
	require.Equal(t, events.GoneSubject("hr", tenantA), msg.Subject())
	require.Equal(t, from("b", 1, 3), w.given("hr", 3))
	require.Equal(t, from("a", 1, 3), w.given("crm", 3))
	require.EqualValues(t, 7, w.stored(), "and what says so")
}

// A bus that lost its data begins anew, and so do its events.
func TestAStreamThatWasLostIsFollowedAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.start()
	for n := 1; n <= 5; n++ {
		w.say(events.UnitChanged, tenantA, n)
	}
	w.given("crm", 5)
	a.Stop()
	require.NoError(t, w.db.In(bounded(t), database.Everything, func(tx pgx.Tx) error { // as if more had been there
		_, err := tx.Exec(bounded(t), "UPDATE granted SET sequence = 1000")
		return err
	}))
	w.start()
	w.say(events.UnitChanged, tenantA, 6)
	require.Equal(t, from("a", 1, 6), w.given("crm", 6))
}

// A replica that does not know yet of a consent takes nothing back that another one
// gave by it.
func TestAReplicaThatIsBehindTakesNothingBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.start()
	w.say(events.ModuleChanged, tenantA, 1)
	change := w.say(events.ModuleStateChanged, tenantA, 1)
	for n := 1; n <= 3; n++ {
		w.say(events.UnitChanged, tenantA, n)
	}
	w.given("crm", 3)
	first.Stop()
	late := newConsents()
	late.all, late.seen = map[string]bool{}, change-1
	w.replica(late)
	late.isAwaited(t)
	late.set(func() { late.all, late.seen = newConsents().all, knowsAll })
	w.say(events.UnitChanged, tenantA, 4)
	require.Equal(t, from("a", 1, 4), w.given("crm", 4))
}

// A replica that does not know yet what another one knew gives nothing.
func TestAReplicaThatIsBehindGivesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.start()
	late := newConsents()
	w.replica(late)
	w.say(events.UnitChanged, tenantA, 1)
	w.given("hr", 1)
	late.set(func() { late.seen = 1 })
	w.set(func() { w.all["hr/"+tenantA] = false })
	w.say(events.ModuleChanged, tenantA, 1)
	w.say(events.UnitChanged, tenantA, 2)
	late.isAwaited(t)
	w.given("crm", 2)
	first.Stop()
	w.say(events.UnitChanged, tenantA, 3)
	late.set(func() { late.all, late.seen = w.all, knowsAll })
	require.Equal(t, from("a", 1, 3), w.given("crm", 3))
	w.say(events.UnitChanged, tenantB, 4)
	require.Equal(t, from("b", 4, 4), w.given("hr", 1))
}
