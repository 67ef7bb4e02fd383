package app

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/argon2"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
	"github.com/buildify/core/services/auth/internal/throttle"
)

// try logs in from an address and tells how it went.
func (w *world) try(t testing.TB, email, password, address string) error {
	t.Helper()
	_, err := w.Login(from(t, address), &contract.LoginRequest{Email: email, Password: password})
	return err
}

// wait is how many seconds a refused login must wait.
func wait(t testing.TB, err error) int {
	t.Helper()
	var refused *contract.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, contract.RateLimited, refused.Code)
	require.Positive(t, refused.RetryAfter)
	return refused.RetryAfter
}

func TestGuessesAtOnceAreFewHashed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user(t, "ada@example.com")
	for _, email := range []string{"ada@example.com", "nobody@example.com"} {
		var hashed, early atomic.Int64
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				err := w.try(t, email, fmt.Sprintf("guess %d", i), "192.0.2.1")
				switch {
				case errors.Is(err, errLogin):
					hashed.Add(1)
				case errors.Is(err, is(contract.RateLimited)):
					early.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		require.GreaterOrEqual(t, hashed.Load(), int64(throttle.Pair.Free), email)
		require.LessOrEqual(t, hashed.Load(), int64(throttle.Pair.Free+1), "one more if the hashing took a second")
		require.EqualValues(t, 100, hashed.Load()+early.Load())
	}
}

// The delay holds for the right password too: else it would be no delay for
// who guesses it.
func TestAnAttemptThatComesTooEarlyIsRefusedUnheard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user(t, "ada@example.com")
	for range throttle.Pair.Free + 5 {
		w.exec(t, "UPDATE throttles SET until = now()")
		require.Equal(t, error(errLogin), w.try(t, "ada@example.com", "wrong", "192.0.2.1"))
	}
	err := w.try(t, "ada@example.com", goodPassword, "192.0.2.1")
	require.LessOrEqual(t, wait(t, err), 32)
	require.Equal(t, err, w.try(t, " ADA@example.com", "wrong", "192.0.2.1"), "in any spelling")
	require.NoError(t, w.DB.In(bounded(t), database.Everything, func(tx pgx.Tx) error {
		return w.clearAttempts(bounded(t), db.New(tx), "ada@example.com")
	}))
	require.NoError(t, w.try(t, "ada@example.com", goodPassword, "192.0.2.1"), "an administrator unlocked the account")
}

func TestSuccessForgetsFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user(t, "ada@example.com")
	for range 3 {
		for range throttle.Pair.Free - 1 {
			require.Equal(t, error(errLogin), w.try(t, "ada@example.com", "wrong", "192.0.2.1"))
		}
		require.NoError(t, w.try(t, "ada@example.com", goodPassword, "192.0.2.1"))
		w.exec(t, "UPDATE throttles SET until = now()")
	}
}

func TestAnOutsiderCannotKeepTheOwnerOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user(t, "ada@example.com")
	w.loggedIn(t, "ada@example.com", "203.0.113.9")
	for i := range throttle.Account.Free {
		require.Equal(t, error(errLogin), w.try(t, "ada@example.com", "guess", fmt.Sprintf("198.51.100.%d", i)))
	}
	wait(t, w.try(t, "ada@example.com", goodPassword, "198.51.100.200"))
	require.NoError(t, w.try(t, "ada@example.com", goodPassword, "203.0.113.9"), "where they usually are")
}

// What everybody at the same address, or one person's many devices, do at once
// is no attack, and exhausts nothing.
func TestAStormOfLoginsIsServedInBoundedMemory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user(t, "ada@example.com")
	var most uint64
	measured, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(measured)
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapInuse)
			}
		}
	}()
	var all sync.WaitGroup
	failures := make([]error, 100)
	for i := range failures {
		all.Go(func() { failures[i] = w.try(t, "ada@example.com", goodPassword, "192.0.2.1") })
	}
	all.Wait()
	close(done)
	<-measured
	for _, err := range failures {
		require.NoError(t, err)
	}
	require.Less(t, most, uint64(500<<20), "100 hashes at once would be 1.9 GB")
	require.Len(t, w.told(t, events.LoginSucceeded), 100)
}

func TestEveryAttemptIsToldAndWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.user(t, "ada@example.com")
	require.NoError(t, w.try(t, "ada@example.com", goodPassword, "2001:db8::1"))
	told := w.outbox(t)
	last := told[len(told)-1]
	require.True(t, events.LoginSucceeded.Is(last))
	require.Equal(t, w.tenant, events.Extension(last, events.TenantID))
	require.Equal(t, id, events.Extension(last, events.ActorID))
	require.Equal(t, "success", events.Extension(last, events.Outcome))
	require.Contains(t, string(last.Data()), `"address":"2001:db8::1","agent":"a browser"`)
	require.Contains(t, string(last.Data()), `"methods":["password"]`)

	failed := func(email, password, reason, tenant string) {
		t.Helper()
		w.exec(t, "DELETE FROM outbox")
		w.exec(t, "DELETE FROM throttles")
		require.Equal(t, error(errLogin), w.try(t, email, password, "192.0.2.1"))
		told := w.outbox(t)
		require.Len(t, told, 1)
		require.True(t, events.LoginFailed.Is(told[0]))
		require.Equal(t, "failure", events.Extension(told[0], events.Outcome))
		require.Equal(t, tenant, events.Extension(told[0], events.TenantID))
		require.Empty(t, events.Extension(told[0], events.ActorID), "nobody proved who they are")
		require.Contains(t, string(told[0].Data()), `"reason":"`+reason+`"`)
		require.Contains(t, string(told[0].Data()), `"address":"192.0.2.1"`)
		require.NotContains(t, string(told[0].Data()), password)
		require.Equal(t, email == "nobody@example.com", !contains(told[0], id))
		require.Equal(t, email == "nobody@example.com", contains(told[0], email), "an address stands for an account that is none")
	}
	failed("ada@example.com", "a guess", "wrong password", w.tenant)
	failed("nobody@example.com", goodPassword, "unknown account", events.Platform)
	w.activate(false, 2)
	failed("ada@example.com", goodPassword, "tenant suspended", w.tenant)
	w.activate(true, 3)
	w.exec(t, "UPDATE users SET disabled_at = now()")
	failed("ada@example.com", goodPassword, "account disabled", w.tenant)
	failed("ada@example.com", "a guess", "wrong password", w.tenant)
	w.exec(t, "UPDATE users SET disabled_at = NULL, password_hash = ''")
	failed("ada@example.com", goodPassword, "no password set", w.tenant)

	w.exec(t, "UPDATE throttles SET until = now() + interval '10 minutes'")
	w.exec(t, "DELETE FROM outbox")
	for range 20 {
		wait(t, w.try(t, "ada@example.com", "a guess", "192.0.2.1"))
	}
	require.Len(t, w.told(t, events.LoginFailed), 1, "a flood of early attempts floods no trail")
}

func contains(e events.Event, text string) bool { return strings.Contains(string(e.Data()), text) }

// statements records what is sent to the database.
type statements struct {
	mu   sync.Mutex
	sent []string
}

func (s *statements) add(sql string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, sql)
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	s.add(q.SQL)
	return ctx
}
func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (s *statements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

func (s *statements) TraceBatchQuery(_ context.Context, _ *pgx.Conn, q pgx.TraceBatchQueryData) {
	s.add(q.SQL)
}
func (s *statements) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// Time cannot be compared in a test that others run beside; the work can.
// That a hash is derived for an account that does not exist, package password
// shows.
func TestTheWorkDoesNotTellWhetherAnAccountExists(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user(t, "ada@example.com")
	invited := w.user(t, "invited@example.com")
	disabled := w.user(t, "disabled@example.com")
	w.exec(t, "UPDATE users SET password_hash = '' WHERE id = $1", invited)
	w.exec(t, "UPDATE users SET disabled_at = now() WHERE id = $1", disabled)
	recorder := &statements{}
	cfg := w.DB.Config()
	cfg.ConnConfig.Tracer = recorder
	pool, err := pgxpool.NewWithConfig(bounded(t), cfg)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	w.DB = &database.DB{Pool: pool}
	work := map[string][][]string{}
	for round := range 2 { // the first connects
		for i, email := range []string{"ada@example.com", "nobody@example.com", "invited@example.com", "disabled@example.com"} {
			for attempt := range 9 {
				recorder.sent = nil
				_ = w.try(t, email, "a guess", fmt.Sprintf("192.0.%d.%d", round, i))
				if round == 1 {
					work[email] = append(work[email], recorder.sent)
					require.NotEmpty(t, recorder.sent, attempt)
				}
			}
		}
	}
	for email, sent := range work {
		require.Equal(t, work["nobody@example.com"], sent, email)
	}
}

// Between the password's being found right and the session much can happen.
func TestAnAccountThatChangedMeanwhileGetsNoSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.user(t, "ada@example.com")
	for name, change := range map[string]string{
		"disabled":           "UPDATE users SET disabled_at = now() WHERE id = $1",
		"deleted":            "UPDATE users SET deleted_at = now() WHERE id = $1",
		"password reset":     "UPDATE users SET password_hash = '' WHERE id = $1",
		"password exchanged": "UPDATE users SET password_changed_at = now() + interval '1 s' WHERE id = $1",
	} {
		before, match, err := w.matchPassword(bounded(t), "ada@example.com", goodPassword)
		require.NoError(t, err)
		require.True(t, match)
		w.exec(t, change, id)
		_, err = w.passwordMatched(bounded(t), before, before.PasswordHash)
		require.Equal(t, error(errLogin), err, name)
		w.exec(t, "UPDATE users SET disabled_at = NULL, deleted_at = NULL, password_hash = $2 WHERE id = $1", id, before.PasswordHash)
	}
	require.Empty(t, w.told(t, events.LoginSucceeded))
}

func TestAHashOfAnotherCostIsRenewedAtLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user(t, "ada@example.com")
	salt := []byte("0123456789abcdef")
	b64 := base64.RawStdEncoding.EncodeToString
	cheap := fmt.Sprintf("$argon2id$v=19$m=8192,t=1,p=1$%s$%s", b64(salt), b64(argon2.IDKey([]byte(goodPassword), salt, 1, 8192, 1, 32)))
	w.exec(t, "UPDATE users SET password_hash = $1", cheap)
	stored := func() (hash string) {
		require.NoError(t, w.DB.In(bounded(t), database.Everything, func(tx pgx.Tx) error {
			return tx.QueryRow(bounded(t), "SELECT password_hash FROM users").Scan(&hash)
		}))
		return hash
	}
	require.Equal(t, error(errLogin), w.try(t, "ada@example.com", "a guess", "192.0.2.1"))
	require.Equal(t, cheap, stored())
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := w.try(t, "ada@example.com", goodPassword, "192.0.2.1"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.False(t, w.Hasher.NeedsRehash(stored()))
	require.NoError(t, w.try(t, "ada@example.com", goodPassword, "192.0.2.1"))
}
