package ingest

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/kittest"
	"github.com/buildify/core/pkg/kit/natsconn"
	"github.com/buildify/core/pkg/kit/natsserver"
	"github.com/buildify/core/pkg/trail"
	"github.com/buildify/core/services/audit/internal/record"
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

// world is a bus with empty streams, and a database.
type world struct {
	t      testing.TB
	dir    string
	server *natsserver.Server
	url    string
	db     *database.DB
	js     jetstream.JetStream
	sent   int // to AUDIT
	told   int // to EVENTS
	// publishers of domain events, by service.
	publishers map[string]jetstream.JetStream
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), url: kittest.Database(t, migrate), publishers: map[string]jetstream.JetStream{}}
	require.NoError(t, natsserver.Init(w.dir))
	var err error
	w.server, err = natsserver.Start(bounded(t), natsserver.Config{Dir: w.dir, Listen: "127.0.0.1:0"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.server.Stop(bounded(t))) })
	w.db, w.js = w.open(), w.jetStream()
	for _, stream := range []string{events.AuditStream, events.EventsStream} {
		require.NoError(t, events.Ensure(bounded(t), w.js, stream, 1))
	}
	return w
}

func (w *world) open() *database.DB {
	w.t.Helper()
	db, err := database.Open(bounded(w.t), w.url, "audit", 4)
	require.NoError(w.t, err)
	w.t.Cleanup(db.Close)
	return db
}

func (w *world) jetStream() jetstream.JetStream { return w.jetStreamOf(natsconn.Audit) }

// jetStreamOf connects as a user of the bus.
func (w *world) jetStreamOf(user string) jetstream.JetStream {
	w.t.Helper()
	nc, err := natsconn.Connect(bounded(w.t), natsconn.Config{
		URL: w.server.URL(), User: user, SeedFile: natsserver.SeedFile(w.dir, user),
	})
	require.NoError(w.t, err)
	w.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(w.t, err)
	return js
}

// ingester starts a replica.
func (w *world) ingester() *Ingester {
	w.t.Helper()
	i, err := Start(bounded(w.t), Config{DB: w.open(), JetStream: w.jetStream(), Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry()})
	require.NoError(w.t, err)
	w.t.Cleanup(i.Stop)
	return i
}

// event is an audit event of a tenant.
func event(t testing.TB, tenant string, change ...func(*record.Data)) events.Event {
	t.Helper()
	data := record.Data{
		Actor: record.Actor{UserID: uuid.NewString()}, Source: "crm", Action: "invoice.created",
		Target: record.Target{Type: "invoice"}, Request: record.Request{ID: "request-1"},
	}
	for _, f := range change {
		f(&data)
	}
	e, err := events.Make(record.Type, "/modules/crm", events.AuditSubject(tenant, "crm", data.Action),
		map[string]string{events.TenantID: tenant}, data)
	require.NoError(t, err)
	return e
}

// send publishes as the ingress does.
func (w *world) send(e events.Event) {
	w.t.Helper()
	w.sendAs(e, uuid.NewString())
}

func (w *world) sendAs(e events.Event, messageID string) {
	w.t.Helper()
	require.NoError(w.t, events.Publish(bounded(w.t), w.js, e, messageID))
	w.sent++
}

// sendRaw publishes what need not be an event.
func (w *world) sendRaw(header nats.Header, data string) {
	w.t.Helper()
	if header == nil {
		header = nats.Header{}
	}
	header[nats.MsgIdHdr] = []string{uuid.NewString()}
	_, err := w.js.PublishMsg(bounded(w.t), &nats.Msg{Subject: "core.audit.events.t.crm.x", Header: header, Data: []byte(data)})
	require.NoError(w.t, err)
	w.sent++
}

// done waits until everything sent was acknowledged.
func (w *world) done() {
	w.t.Helper()
	for stream, sent := range map[string]int{events.AuditStream: w.sent, events.EventsStream: w.told} {
		consumer, err := w.js.Consumer(bounded(w.t), stream, durable)
		require.NoError(w.t, err)
		require.Eventually(w.t, func() bool {
			info, err := consumer.Info(bounded(w.t))
			return err == nil && info.AckFloor.Stream == uint64(sent)
		}, limit, 2*time.Millisecond)
	}
}

// entry is one stored event.
type entry struct {
	Seq      int64
	ID       string
	Received []byte
}

// received is the data in an entry.
func received(t testing.TB, line []byte) []byte {
	t.Helper()
	e, err := trail.Decode(line)
	require.NoError(t, err)
	return e.Data
}

// trail is what is stored of a tenant, in order.
func (w *world) trail(tenant string) (entries []entry) {
	w.t.Helper()
	require.NoError(w.t, w.db.Read(bounded(w.t), tenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(bounded(w.t), "SELECT tenant_seq, id::text, entry FROM events ORDER BY tenant_seq")
		if err != nil {
			return err
		}
		entries, err = pgx.CollectRows(rows, pgx.RowToStructByPos[entry])
		return err
	}))
	for i := range entries {
		entries[i].Received = received(w.t, entries[i].Received)
	}
	return entries
}

func (w *world) head(tenant string) (last int64) {
	w.t.Helper()
	require.NoError(w.t, w.db.Read(bounded(w.t), tenant, func(tx pgx.Tx) error {
		return tx.QueryRow(bounded(w.t), "SELECT last_seq FROM heads WHERE tenant_id = $1", tenant).Scan(&last)
	}))
	return last
}

// gapFree checks the sequence and returns how long it is.
func (w *world) gapFree(tenant string) int {
	w.t.Helper()
	trail := w.trail(tenant)
	for i, e := range trail {
		require.EqualValues(w.t, i+1, e.Seq, "a gap")
	}
	require.EqualValues(w.t, len(trail), w.head(tenant))
	return len(trail)
}

func (w *world) deadLetters() (reasons []string) {
	w.t.Helper()
	rows, err := w.db.Query(bounded(w.t), "SELECT reason FROM dead_letter ORDER BY stream, stream_seq")
	require.NoError(w.t, err)
	reasons, err = pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(w.t, err)
	return reasons
}

func TestReceivedBytesAreStoredByteForByte(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant := uuid.NewString()
	user := uuid.NewString()
	var want [][]byte
	for _, data := range []string{
		// What jsonb would not keep: order, spaces, equal keys, digits, escapes.
		`{ "user_id":"` + user + `","source":"crm","action":"a","resource_type":"r","details":{"b":1,"a":2,"a":3,"n":1.50,"big":123456789012345678901234567890},"request_id":""}`,
		"{\n\t\"user_id\" : \"" + user + "\", \"action\":\"\\u00e9é<>&\", \"source\":\"\", \"resource_type\":\"\", \"more\": [1e400]}\r\n",
	} {
		e := event(t, tenant)
		require.NoError(t, e.SetData("application/json", []byte(data)))
		w.send(e)
		want = append(want, []byte(data))
	}
	plain := event(t, tenant)
	w.send(plain)
	want = append(want, plain.Data())
	w.ingester()
	w.done()
	stored := w.trail(tenant)
	require.Len(t, stored, len(want))
	for i := range want {
		require.Equal(t, string(want[i]), string(stored[i].Received))
	}
	require.Equal(t, plain.ID(), stored[2].ID)
	require.Empty(t, w.deadLetters())
}

// The same event twice in the stream, which deduplication by Nats-Msg-Id did
// not notice, is one event in the trail.
func TestAnEventDeliveredTwiceIsStoredOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant := uuid.NewString()
	first, second := event(t, tenant), event(t, tenant)
	for _, e := range []events.Event{first, first, second} {
		w.send(e)
	}
	i := w.ingester()
	w.done()
	w.send(first) // much later
	w.send(second)
	w.done()
	require.Equal(t, 2, w.gapFree(tenant))
	require.Equal(t, []string{first.ID(), second.ID()}, []string{w.trail(tenant)[0].ID, w.trail(tenant)[1].ID})

	// Other bytes under an id that was used are another event, and kept.
	forged := first.Clone()
	require.NoError(t, forged.SetData("application/json", bytes.ReplaceAll(first.Data(), []byte("invoice.created"), []byte("invoice.deleted"))))
	w.send(forged)
	w.done()
	require.Equal(t, 3, w.gapFree(tenant))
	i.Stop()
	i.Stop()
}

// lostAck is a message whose acknowledgement the network lost: the server
// delivers it again.
type lostAck struct {
	jetstream.Msg
	times *atomic.Int32
}

func (m lostAck) Ack() error {
	m.times.Add(1)
	return errors.Join(errors.New("connection lost"), m.Nak())
}

// An ingester was killed after its commit and before its acknowledgement.
func TestABatchThatWasStoredAndNotAcknowledgedIsStoredOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenants := []string{uuid.NewString(), uuid.NewString()}
	const each = 20
	for range each {
		for _, tenant := range tenants {
			w.send(event(t, tenant))
		}
	}
	// The one that dies: its consumer exists, its loop does not.
	starting := w.readerByHand(events.AuditStream)
	var messages []jetstream.Msg
	var times atomic.Int32
	for len(messages) < w.sent {
		fetched, err := starting.fetch(bounded(t))
		require.NoError(t, err)
		for _, msg := range fetched {
			messages = append(messages, lostAck{msg, &times})
		}
	}
	require.Error(t, starting.ingest(bounded(t), messages))
	require.Positive(t, times.Load())
	for _, tenant := range tenants {
		require.Equal(t, each, w.gapFree(tenant), "committed before it died")
	}
	for _, msg := range messages { // its death, for the server
		_ = msg.Nak()
	}
	w.ingester()
	w.done()
	for _, tenant := range tenants {
		require.Equal(t, each, w.gapFree(tenant))
	}
	require.Empty(t, w.deadLetters())
}

// readerByHand is the reader of a stream whose loop the test runs by hand.
func (w *world) readerByHand(stream string) *reader {
	w.t.Helper()
	i, err := Start(bounded(w.t), Config{DB: w.db, JetStream: w.jetStream(), Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry()})
	require.NoError(w.t, err)
	i.Stop()
	for _, r := range i.readers {
		if r.stream == stream {
			return r
		}
	}
	w.t.Fatalf("nobody reads %s", stream)
	return nil
}

func TestTwoIngestersKeepEachTrailWithoutGaps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenants := []string{uuid.NewString(), uuid.NewString(), uuid.NewString()}
	const each = 40
	first, second := w.ingester(), w.ingester()
	var all sync.WaitGroup
	failures := make(chan error, each*len(tenants)*2)
	var sent atomic.Int32
	for _, tenant := range tenants {
		js := w.jetStream()
		all.Go(func() {
			for n := range each {
				e := event(t, tenant)
				times := 1 + n%5/4 // every fifth twice
				for range times {
					failures <- events.Publish(bounded(t), js, e, uuid.NewString())
					sent.Add(1)
				}
			}
		})
	}
	all.Wait()
	close(failures)
	for err := range failures {
		require.NoError(t, err)
	}
	w.sent = int(sent.Load())
	w.done()
	for _, tenant := range tenants {
		require.Equal(t, each, w.gapFree(tenant))
	}
	require.Empty(t, w.deadLetters())
	first.Stop()
	second.Stop()
}

// One message that cannot be stored must neither hold up the others nor be
// lost.
func TestPoisonIsKeptApartAndTheRestIsStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant := uuid.NewString()
	good := func() { w.send(event(t, tenant)) }
	headers := func(change map[string]string) nats.Header {
		msg, err := events.Encode(event(t, tenant))
		require.NoError(t, err)
		for name, value := range change {
			msg.Header[name] = []string{value}
		}
		return msg.Header
	}
	valid := string(event(t, tenant).Data())
	poison := 0
	bad := func(header nats.Header, data string) {
		w.sendRaw(header, data)
		poison++
		good()
	}
	good()
	bad(nil, "")
	bad(nil, "\x00\xff")
	bad(headers(nil), "{")
	bad(headers(nil), "null")
	bad(headers(nil), `{"user_id":"nobody"}`)
	bad(headers(map[string]string{"ce-tenantid": "*"}), valid)
	bad(headers(map[string]string{"ce-tenantid": ""}), valid)
	bad(headers(map[string]string{"ce-id": "1"}), valid)
	bad(headers(map[string]string{"ce-type": "dev.buildify.other"}), valid)
	bad(headers(map[string]string{"ce-type": "a%00%FFb"}), valid)
	bad(headers(map[string]string{"ce-type": "other", "more": "a\x00b\xff"}), valid)
	bad(nats.Header{"content-type": {"application/cloudevents+json"}}, `{"data_base64":5,"specversion":"1.0","id":"1","type":"t","source":"/s"}`)
	// Events that only the database finds fault with: U+0000, and text that is
	// longer than an index entry may be.
	for _, spoil := range []func(*record.Data){
		func(d *record.Data) { d.Source = "a\x00b" },
		func(d *record.Data) { d.Action = "a\x00b" },
		func(d *record.Data) { d.Target.Type = "a\x00b" },
		func(d *record.Data) { d.Target.ID = "a\x00b" },
		func(d *record.Data) { d.Request.ID = "a\x00b" },
		func(d *record.Data) { d.Action = randomText(10_000) },
	} {
		bad(headers(nil), string(event(t, tenant, spoil).Data()))
	}
	w.ingester()
	w.done()
	require.Equal(t, 1+poison, w.gapFree(tenant), "a good one after each bad one")
	letters := w.deadLetters()
	require.Len(t, letters, poison)
	for _, reason := range letters {
		require.NotEmpty(t, reason)
	}
	var kept int
	require.NoError(t, w.db.QueryRow(bounded(t), `SELECT count(*) FROM dead_letter WHERE data = '\x00ff' AND subject = 'core.audit.events.t.crm.x'`).Scan(&kept))
	require.Equal(t, 1, kept, "as it came")
}

// randomText does not compress, as the database would try to.
func randomText(n int) string {
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(uuid.NewString())
	}
	return b.String()[:n]
}

func TestOneIDInAnotherSpellingIsTheSameTenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant := uuid.NewString()
	w.send(event(t, tenant))
	w.send(event(t, strings.ToUpper(tenant)))
	w.send(event(t, "urn:uuid:"+tenant))
	w.send(event(t, tenant, func(d *record.Data) { d.Actor.UserID = "urn:uuid:" + d.Actor.UserID }))
	w.send(event(t, tenant, func(d *record.Data) { d.Actor.UserID = "{" + strings.ToUpper(d.Actor.UserID) + "}" }))
	w.ingester()
	w.done()
	require.Equal(t, 5, w.gapFree(tenant))
	require.Empty(t, w.deadLetters())
}

func TestADatabaseThatIsAwayLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant := uuid.NewString()
	admin, err := pgx.Connect(bounded(t), w.url)
	require.NoError(t, err)
	defer func() { _ = admin.Close(context.Background()) }()
	allow := func(yes bool) {
		t.Helper()
		statement := "REVOKE ALL ON audit.events FROM buildify_audit"
		if yes {
			statement = "GRANT SELECT, INSERT ON audit.events TO buildify_audit"
		}
		_, err := admin.Exec(bounded(t), statement)
		require.NoError(t, err)
	}
	allow(false) // the least that makes every transaction fail
	i := w.readerByHand(events.AuditStream)
	w.send(event(t, tenant))
	messages, err := i.fetch(bounded(t))
	require.NoError(t, err)
	require.Error(t, i.ingest(bounded(t), messages))
	require.Empty(t, w.deadLetters(), "that is not the event's fault")
	allow(true)
	for _, msg := range messages {
		require.NoError(t, msg.Nak())
	}
	w.ingester()
	w.done()
	require.Equal(t, 1, w.gapFree(tenant))
}

func BenchmarkIngest(b *testing.B) {
	w := newWorld(b)
	i := w.readerByHand(events.AuditStream)
	tenant := uuid.NewString()
	for range b.N {
		w.send(event(b, tenant))
	}
	b.ResetTimer()
	for stored := 0; stored < b.N; {
		messages, err := i.fetch(bounded(b))
		require.NoError(b, err)
		require.NoError(b, i.ingest(bounded(b), messages))
		stored += len(messages)
	}
}
