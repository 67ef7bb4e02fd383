package mail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/kittest"
	"github.com/buildify/core/services/auth/internal/secret"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// recorder is a Sender whose failures tests choose.
type recorder struct {
	mu    sync.Mutex
	sent  []Message
	fail  error
	tried chan struct{}
}

func newRecorder() *recorder { return &recorder{tried: make(chan struct{}, 1000)} }

func (r *recorder) Send(_ context.Context, m Message) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() { r.tried <- struct{}{} }()
	if r.fail == nil {
		r.sent = append(r.sent, m)
	}
	return r.fail
}

func (r *recorder) set(fail error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = fail
}

func (r *recorder) messages() []Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Message{}, r.sent...)
}

func (r *recorder) await(t testing.TB, n int) {
	t.Helper()
	for range n {
		select {
		case <-r.tried:
		case <-time.After(limit):
			require.Fail(t, "nothing is sent")
		}
	}
}

func open(t testing.TB) *database.DB {
	t.Helper()
	url := kittest.Database(t, func(ctx context.Context, url string) error { return database.Migrate(ctx, url, nil) })
	pool, err := database.Open(bounded(t), url, "auth", 8)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func box(t testing.TB, letter string) *secret.Box {
	t.Helper()
	b, err := secret.NewBox([]byte(strings.Repeat(letter, secret.MinLength)))
	require.NoError(t, err)
	return b
}

func queue(t testing.TB, pool *database.DB, sender Sender, logs *bytes.Buffer) *Queue {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	if logs != nil {
		log = slog.New(slog.NewTextHandler(logs, nil))
	}
	q := NewQueue(pool, box(t, "a"), sender, log, prometheus.NewRegistry())
	t.Cleanup(q.Stop)
	return q
}

// add puts a message in, in a transaction that ends with outcome.
func add(t testing.TB, q *Queue, m Message, outcome error) {
	t.Helper()
	err := q.db.In(bounded(t), database.Everything, func(tx pgx.Tx) error {
		require.NoError(t, q.Add(bounded(t), db.New(tx), m))
		return outcome
	})
	require.ErrorIs(t, err, outcome)
	q.Notify()
}

func waiting(t testing.TB, pool *database.DB) (n int) {
	t.Helper()
	require.NoError(t, pool.QueryRow(bounded(t), "SELECT count(*) FROM mails").Scan(&n))
	return n
}

func exec(t testing.TB, pool *database.DB, sql string) {
	t.Helper()
	_, err := pool.Exec(bounded(t), sql)
	require.NoError(t, err)
}

func gone(t testing.TB, pool *database.DB) {
	t.Helper()
	require.Eventually(t, func() bool { return waiting(t, pool) == 0 }, limit, 5*time.Millisecond)
}

func TestWhatWasCommittedIsSentAndNothingElse(t *testing.T) {
	t.Parallel()
	pool, sender := open(t), newRecorder()
	q := queue(t, pool, sender, nil)
	add(t, q, Message{To: "before@example.com"}, nil)
	q.Start()
	sender.await(t, 1)
	errUndone := errors.New("undone")
	add(t, q, Message{To: "never@example.com"}, errUndone)
	add(t, q, Message{To: "after@example.com", Subject: "s", Text: "t"}, nil)
	sender.await(t, 1)
	gone(t, pool)
	require.Equal(t, []Message{{To: "before@example.com"}, {To: "after@example.com", Subject: "s", Text: "t"}}, sender.messages())
	require.InDelta(t, 2, testutil.ToFloat64(q.sent), 0)
	require.Error(t, q.Add(bounded(t), db.New(pool), Message{To: "a@example.com", Subject: "x\nBcc: b@example.com"}))
}

func TestMessagesAreSealedWhileTheyWait(t *testing.T) {
	t.Parallel()
	pool := open(t)
	q := queue(t, pool, newRecorder(), nil)
	add(t, q, Message{To: "ada@example.com", Text: "the link"}, nil)
	var stored []byte
	require.NoError(t, pool.QueryRow(bounded(t), "SELECT sealed FROM mails").Scan(&stored))
	require.NotContains(t, string(stored), "link")
	require.NotContains(t, string(stored), "ada")
}

func TestAMessageIsTriedAgainLaterAndLater(t *testing.T) {
	t.Parallel()
	pool, sender := open(t), newRecorder()
	sender.set(errors.New("the server is away"))
	q := queue(t, pool, sender, nil)
	q.Start()
	add(t, q, Message{To: "ada@example.com"}, nil)
	sender.await(t, 1)
	due := func(from, to string) func() bool {
		return func() bool {
			var ok bool
			require.NoError(t, pool.QueryRow(bounded(t),
				"SELECT next_at BETWEEN now() + $1::text::interval AND now() + $2::text::interval FROM mails", from, to).Scan(&ok))
			return ok
		}
	}
	require.Eventually(t, due("3 s", "5 s"), limit, 5*time.Millisecond)
	exec(t, pool, "UPDATE mails SET next_at = now(), attempts = 6")
	q.Notify()
	sender.await(t, 1)
	require.Eventually(t, due("318 s", "320 s"), limit, 5*time.Millisecond)
	sender.set(nil)
	exec(t, pool, "UPDATE mails SET next_at = now()")
	q.Notify()
	sender.await(t, 1)
	gone(t, pool)
	require.Len(t, sender.messages(), 1)
	require.InDelta(t, 2, testutil.ToFloat64(q.failures), 0)
	require.Zero(t, testutil.ToFloat64(q.lost))
}

func TestHowLongIsWaited(t *testing.T) {
	t.Parallel()
	for attempts, want := range map[int32]time.Duration{
		1: 5 * time.Second, 2: 10 * time.Second, 5: 80 * time.Second, 10: 2560 * time.Second, 11: time.Hour, 1000: time.Hour,
	} {
		require.Equal(t, want, backOff(attempts), attempts)
	}
}

func TestWhatCannotBeSentIsGivenUpAndTold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		failure error
		before  string
	}{
		"refused for good":      {errors.Join(ErrRefused, errors.New("no such mailbox")), "SELECT 1"},
		"for a day":             {errors.New("away"), "UPDATE mails SET created_at = now() - interval '25 hours'"},
		"sealed by another key": {nil, `UPDATE mails SET sealed = sealed || '\x00'`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool, sender, logs := open(t), newRecorder(), &bytes.Buffer{}
			sender.set(c.failure)
			q := queue(t, pool, sender, logs)
			add(t, q, Message{To: "ada@example.com", Text: "the link"}, nil)
			exec(t, pool, c.before)
			q.Start()
			gone(t, pool)
			q.Stop()
			require.InDelta(t, 1, testutil.ToFloat64(q.lost), 0)
			require.Empty(t, sender.messages())
			require.Contains(t, logs.String(), "level=ERROR")
			require.NotContains(t, logs.String(), "the link")
		})
	}
}

func TestReplicasSendEachMessageOnce(t *testing.T) {
	t.Parallel()
	pool, sender := open(t), newRecorder()
	const messages = 100
	var first *Queue
	for range 3 {
		q := queue(t, pool, sender, nil)
		if first == nil {
			first = q
			for i := range messages {
				add(t, q, Message{To: fmt.Sprintf("u%d@example.com", i)}, nil)
			}
		}
		q.Start()
	}
	sender.await(t, messages)
	gone(t, pool)
	seen := map[string]bool{}
	for _, m := range sender.messages() {
		require.False(t, seen[m.To], "%s twice", m.To)
		seen[m.To] = true
	}
	require.Len(t, seen, messages)
}

// stuck is a Sender that waits for its context's end.
type stuck struct{ begun chan struct{} }

func (s stuck) Send(ctx context.Context, _ Message) error {
	s.begun <- struct{}{}
	<-ctx.Done()
	return ctx.Err()
}

func TestAMessageCutOffIsSentByTheNext(t *testing.T) {
	t.Parallel()
	pool, sender := open(t), stuck{make(chan struct{}, 1)}
	q := queue(t, pool, sender, nil)
	add(t, q, Message{To: "ada@example.com"}, nil)
	q.Start()
	<-sender.begun
	q.Stop()
	q.Stop()
	require.Equal(t, 1, waiting(t, pool))
	require.Zero(t, testutil.ToFloat64(q.lost))
	exec(t, pool, "UPDATE mails SET next_at = now()") // its lease has ended
	next := newRecorder()
	queue(t, pool, next, nil).Start()
	next.await(t, 1)
	require.Equal(t, "ada@example.com", next.messages()[0].To)
}

func TestWithoutAServerMessagesWait(t *testing.T) {
	t.Parallel()
	pool := open(t)
	q := queue(t, pool, Nowhere{}, nil)
	add(t, q, Message{To: "ada@example.com"}, nil)
	q.Start()
	require.Eventually(t, func() bool { return testutil.ToFloat64(q.failures) == 1 }, limit, 5*time.Millisecond)
	require.Equal(t, 1, waiting(t, pool))
}
