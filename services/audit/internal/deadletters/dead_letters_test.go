package deadletters

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/kittest"
	"github.com/buildify/core/pkg/kit/natsconn"
	"github.com/buildify/core/pkg/kit/natsserver"
	"github.com/buildify/core/pkg/trail"
	"github.com/buildify/core/services/audit/internal/ingest"
	"github.com/buildify/core/services/audit/internal/record"
)

func TestMain(m *testing.M) { kittest.Main(m) }

func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// world is a database into which a bus is read.
type world struct {
	*DeadLetters
	t     *testing.T
	js    jetstream.JetStream
	sent  uint64
	told  int // how often something was committed that is to be told
	grown map[string]int64
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t}
	d, err := database.Open(bounded(t), kittest.Database(t, func(ctx context.Context, url string) error { return database.Migrate(ctx, url, nil) }), "audit", 8)
	require.NoError(t, err)
	t.Cleanup(d.Close)
	dir := t.TempDir()
	require.NoError(t, natsserver.Init(dir))
	server, err := natsserver.Start(bounded(t), natsserver.Config{Dir: dir, Listen: "127.0.0.1:0"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(bounded(t))) })
	nc, err := natsconn.Connect(bounded(t), natsconn.Config{URL: server.URL(), User: natsconn.Audit, SeedFile: natsserver.SeedFile(dir, natsconn.Audit)})
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	w.js, err = jetstream.New(nc)
	require.NoError(t, err)
	for _, stream := range []string{events.AuditStream, events.EventsStream} {
		require.NoError(t, events.Ensure(bounded(t), w.js, stream, 1))
	}
	i, err := ingest.Start(bounded(t), ingest.Config{DB: d, JetStream: w.js, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry()})
	require.NoError(t, err)
	t.Cleanup(i.Stop)
	w.DeadLetters = &DeadLetters{DB: d, Again: i.Again, Committed: func() { w.told++ }, Grown: func(g map[string]int64) { w.grown = g }}
	return w
}

// event is what the ingress would publish.
func event(t *testing.T, tenant string) events.Event {
	t.Helper()
	e, err := events.Make(record.Type, "/modules/crm", events.AuditSubject(tenant, "crm", "invoice.created"),
		map[string]string{events.TenantID: tenant, events.Outcome: "success"},
		record.Data{Actor: record.Actor{UserID: uuid.NewString()}, Source: "crm", Action: "invoice.created", Target: record.Target{Type: "invoice", ID: "7"}})
	require.NoError(t, err)
	return e
}

// publish puts a message into AUDIT and waits until it was read.
func (w *world) publish(e events.Event, spoil func(*nats.Msg)) {
	w.t.Helper()
	msg, err := events.Encode(e)
	require.NoError(w.t, err)
	if spoil != nil {
		spoil(msg)
	}
	msg.Header.Set(nats.MsgIdHdr, uuid.NewString())
	_, err = w.js.PublishMsg(bounded(w.t), msg)
	require.NoError(w.t, err)
	w.sent++
	consumer, err := w.js.Consumer(bounded(w.t), events.AuditStream, "audit_ingest")
	require.NoError(w.t, err)
	require.Eventually(w.t, func() bool {
		info, err := consumer.Info(bounded(w.t))
		return err == nil && info.AckFloor.Stream == w.sent
	}, 20*time.Second, 2*time.Millisecond)
}

// keep makes a dead letter of a message as if some earlier version had not
// understood it.
func (w *world) keep(e events.Event) contract.ID {
	w.t.Helper()
	msg, err := events.Encode(e)
	require.NoError(w.t, err)
	headers, err := json.Marshal(msg.Header)
	require.NoError(w.t, err)
	var id int64
	require.NoError(w.t, w.DB.QueryRow(bounded(w.t), `INSERT INTO dead_letter (stream, stream_seq, subject, headers, data, reason)
		VALUES ('AUDIT', (SELECT 1000000 + count(*) FROM dead_letter), $1, $2, $3, 'a bug') RETURNING id`, msg.Subject, headers, msg.Data).Scan(&id))
	return contract.ID(strconv.FormatInt(id, 10))
}

func (w *world) list(r contract.ListDeadLettersRequest) *contract.ListDeadLettersResponse {
	w.t.Helper()
	page, err := w.List(bounded(w.t), &r)
	require.NoError(w.t, err)
	return page
}

// trail is the ids of a tenant's records, and checks that its tree holds them.
func (w *world) trail(tenant string) (ids []string) {
	w.t.Helper()
	f := &trail.Frontier{}
	require.NoError(w.t, w.DB.Read(bounded(w.t), tenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(bounded(w.t), "SELECT entry FROM events ORDER BY tenant_seq")
		if err != nil {
			return err
		}
		entries, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
		for i, line := range entries {
			e, err := trail.Decode(line)
			require.NoError(w.t, err)
			require.EqualValues(w.t, i+1, e.Sequence)
			ids = append(ids, e.ID)
			f.Append(trail.LeafHash(line))
		}
		if err != nil || len(ids) == 0 {
			return err
		}
		var kept []byte
		err = tx.QueryRow(bounded(w.t), "SELECT frontier FROM heads").Scan(&kept)
		require.Equal(w.t, f.Marshal(), kept, "the tree is not of these entries")
		return err
	}))
	return ids
}

// changes are the events that wait in the outbox.
func (w *world) changes(kind events.Kind) (changes []events.DeadLetterChange) {
	w.t.Helper()
	rows, err := w.DB.Query(bounded(w.t), "SELECT event FROM outbox ORDER BY id")
	require.NoError(w.t, err)
	raw, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	require.NoError(w.t, err)
	for _, one := range raw {
		var e events.Event
		require.NoError(w.t, json.Unmarshal(one, &e))
		if kind.Is(e) {
			require.Equal(w.t, events.Platform, events.Extension(e, events.TenantID))
			change, err := events.Data[events.DeadLetterChange](e)
			require.NoError(w.t, err)
			changes = append(changes, change)
		}
	}
	return changes
}

func code(t *testing.T, err error) contract.Code {
	t.Helper()
	var refused *contract.Error
	require.ErrorAs(t, err, &refused)
	return refused.Code
}

func TestADeadLetterIsShownAsItCame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant := uuid.NewString()
	e := event(t, tenant)
	w.publish(e, func(m *nats.Msg) { m.Data = []byte("{\x00\xff") })
	page := w.list(contract.ListDeadLettersRequest{})
	require.EqualValues(t, 1, page.Total)
	letter := page.Items[0]
	require.Equal(t, []any{"AUDIT", int64(1), record.Type, tenant, 3, 0}, []any{letter.Stream, letter.Sequence, letter.Type, letter.TenantID, letter.Bytes, letter.Tries})
	require.NotEmpty(t, letter.Reason)
	detail, err := w.Get(bounded(t), &contract.DeadLetterRequest{DeadLetterID: contract.ID(letter.ID)})
	require.NoError(t, err)
	require.Equal(t, "{\x00\xff", string(detail.Data))
	require.False(t, detail.Truncated)
	require.Contains(t, string(detail.Headers), e.ID())
	detail.Headers, detail.Data = nil, nil
	require.Equal(t, letter, *detail)
	require.InDelta(t, 1, testutil.ToFloat64(w.Metrics()), 0)
	for _, id := range []contract.ID{"999", "x", "99999999999999999999"} {
		_, err = w.Get(bounded(t), &contract.DeadLetterRequest{DeadLetterID: id})
		require.Equal(t, contract.NotFound, code(t, err))
	}
}

func TestDeadLettersAreListedInPagesAndSearched(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var made []string
	for i := range 5 {
		e := event(t, uuid.NewString())
		e.SetSubject(fmt.Sprintf("core.audit.events.t.crm.Act_%d", i))
		made = append([]string{string(w.keep(e))}, made...)
	}
	var seen []string
	request := contract.ListDeadLettersRequest{Limit: 2}
	for {
		page := w.list(request)
		require.EqualValues(t, 5, page.Total)
		for _, l := range page.Items {
			seen = append(seen, l.ID)
		}
		if request.Cursor = page.NextCursor; request.Cursor == "" {
			break
		}
	}
	require.Equal(t, made, seen, "the newest first")
	for search, want := range map[string]int{"act_3": 1, "A BUG": 5, "%": 0, "": 5} {
		require.Len(t, w.list(contract.ListDeadLettersRequest{Search: search}).Items, want, search)
	}
	require.Empty(t, w.list(contract.ListDeadLettersRequest{Stream: events.EventsStream}).Items)
	_, err := w.List(bounded(t), &contract.ListDeadLettersRequest{Cursor: "x"})
	require.Equal(t, contract.InvalidArgument, code(t, err))
}

func TestARetriedDeadLetterGetsItsPlaceOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant := uuid.NewString()
	first, late := event(t, tenant), event(t, tenant)
	w.publish(first, nil)
	// The same message was put aside twice.
	one, two := w.keep(late), w.keep(late)
	got, err := w.Retry(bounded(t), &contract.DeadLetterRequest{DeadLetterID: one})
	require.NoError(t, err)
	require.Equal(t, &contract.RetriedDeadLetter{TenantID: tenant, ID: late.ID(), Sequence: 2}, got)
	again, err := w.Retry(bounded(t), &contract.DeadLetterRequest{DeadLetterID: two})
	require.NoError(t, err)
	require.Equal(t, &contract.RetriedDeadLetter{TenantID: tenant, ID: late.ID(), Sequence: 2, Known: true}, again)
	_, err = w.Retry(bounded(t), &contract.DeadLetterRequest{DeadLetterID: one})
	require.Equal(t, contract.NotFound, code(t, err))
	// And delivered once more it is known.
	w.publish(late, nil)
	require.Equal(t, []string{first.ID(), late.ID()}, w.trail(tenant))
	require.Zero(t, w.list(contract.ListDeadLettersRequest{}).Total)
	changes := w.changes(events.DeadLetterRetried)
	require.Len(t, changes, 2)
	require.Equal(t, []any{string(one), "a bug", tenant, late.ID(), int64(2)},
		[]any{changes[0].ID, changes[0].Fault, changes[0].TenantID, changes[0].EventID, changes[0].Place})
	require.Len(t, changes[0].SHA256, 64)
	require.Equal(t, 2, w.told)
	require.Equal(t, map[string]int64{tenant: 2}, w.grown)
}

func TestManyWhoRetryTheSamePlaceItOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Committed, w.Grown = func() {}, func(map[string]int64) {}
	tenant := uuid.NewString()
	late := event(t, tenant)
	id, copied := w.keep(late), w.keep(late)
	var all sync.WaitGroup
	results := make(chan error, 16)
	for n := range cap(results) {
		all.Go(func() {
			_, err := w.Retry(bounded(t), &contract.DeadLetterRequest{DeadLetterID: []contract.ID{id, copied}[n%2]})
			results <- err
		})
	}
	w.publish(late, nil) // and it comes meanwhile
	all.Wait()
	close(results)
	done := 0
	for err := range results {
		if err == nil {
			done++
			continue
		}
		require.Equal(t, contract.NotFound, code(t, err))
	}
	require.Equal(t, 2, done)
	require.Equal(t, []string{late.ID()}, w.trail(tenant))
}

func TestWhatIsStillNoRecordStaysADeadLetter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant := uuid.NewString()
	w.publish(event(t, tenant), func(m *nats.Msg) { m.Data = []byte("{") })
	tooLong := event(t, tenant) // only the database finds fault with it
	tooLong.SetType(record.Type)
	require.NoError(t, tooLong.SetData("application/json", record.Data{
		Actor: record.Actor{UserID: uuid.NewString()}, Source: "crm", Action: randomText(9000), Target: record.Target{Type: "invoice"},
	}))
	w.publish(tooLong, nil)
	letters := w.list(contract.ListDeadLettersRequest{})
	require.EqualValues(t, 2, letters.Total)
	for _, letter := range letters.Items {
		for try := range 2 {
			_, err := w.Retry(bounded(t), &contract.DeadLetterRequest{DeadLetterID: contract.ID(letter.ID)})
			require.Equal(t, contract.Conflict, code(t, err))
			detail, err := w.Get(bounded(t), &contract.DeadLetterRequest{DeadLetterID: contract.ID(letter.ID)})
			require.NoError(t, err)
			require.Equal(t, try+1, detail.Tries)
			require.NotNil(t, detail.TriedAt)
			require.Contains(t, detail.Reason, ingest.ErrNoRecord.Error())
		}
	}
	require.Empty(t, w.trail(tenant))
	require.Empty(t, w.changes(events.DeadLetterRetried))
	require.Zero(t, w.told)
}

// randomText is n characters that do not compress.
func randomText(n int) string {
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(strings.ReplaceAll(uuid.NewString(), "-", ""))
	}
	return b.String()[:n]
}

func TestNothingIsKeptOfAnErasedTenantsDeadLetter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant := uuid.NewString()
	id := w.keep(event(t, tenant))
	require.NoError(t, w.DB.In(bounded(t), database.Everything, func(tx pgx.Tx) error {
		_, err := tx.Exec(bounded(t), "INSERT INTO heads (tenant_id, last_seq, erased) VALUES ($1, 0, true)", tenant)
		return err
	}))
	got, err := w.Retry(bounded(t), &contract.DeadLetterRequest{DeadLetterID: id})
	require.NoError(t, err)
	require.Equal(t, &contract.RetriedDeadLetter{}, got)
	require.Empty(t, w.trail(tenant))
	require.Zero(t, w.list(contract.ListDeadLettersRequest{}).Total)
}

func TestADiscardedDeadLetterIsGoneAndThatIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.keep(event(t, uuid.NewString()))
	request := &contract.DiscardDeadLetterRequest{DeadLetterID: id, Reason: "spam"}
	_, err := w.Discard(bounded(t), request)
	require.NoError(t, err)
	_, err = w.Discard(bounded(t), request)
	require.Equal(t, contract.NotFound, code(t, err))
	require.Zero(t, w.list(contract.ListDeadLettersRequest{}).Total)
	changes := w.changes(events.DeadLetterDiscarded)
	require.Len(t, changes, 1)
	require.Equal(t, []string{string(id), "spam", "a bug"}, []string{changes[0].ID, changes[0].Reason, changes[0].Fault})
	require.Equal(t, 1, w.told)
}
