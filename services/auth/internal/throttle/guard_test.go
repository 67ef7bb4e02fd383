package throttle

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/kittest"
	"github.com/buildify/core/services/auth/internal/secret"
	"github.com/buildify/core/services/auth/internal/store/db"
)

func TestMain(m *testing.M) { kittest.Main(m) }

func migrate(ctx context.Context, url string) error { return database.Migrate(ctx, url, nil) }

func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// guarded is a Guard on a database and under a clock of its own.
type guarded struct {
	*Guard
	t     testing.TB
	clock time.Time
}

func guard(t testing.TB) *guarded {
	t.Helper()
	pool, err := database.Open(bounded(t), kittest.Database(t, migrate), "auth", 4)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	box, err := secret.NewBox([]byte(strings.Repeat("a", secret.MinLength)))
	require.NoError(t, err)
	g := &guarded{t: t, clock: time.Now().Truncate(time.Millisecond)}
	g.Guard = &Guard{DB: pool, Key: box, Now: func() time.Time { return g.clock }}
	return g
}

func source(s string) netip.Addr {
	if s == "" {
		return netip.Addr{}
	}
	return netip.MustParseAddr(s)
}

// wait is how long the attempt must wait, zero if it was counted.
func (g *guarded) wait(account, from string) time.Duration {
	g.t.Helper()
	_, err := g.Reserve(bounded(g.t), account, source(from))
	var early *Early
	if errors.As(err, &early) {
		require.Positive(g.t, early.Wait)
		return early.Wait
	}
	require.NoError(g.t, err)
	return 0
}

func (g *guarded) fail(n int, account, from string) {
	g.t.Helper()
	for i := range n {
		require.Zero(g.t, g.wait(account, from), "attempt %d", i)
	}
}

// besiege makes attempts from ever other sources, as fast as they may be, for
// a span of time.
func (g *guarded) besiege(account string, span time.Duration) (made int) {
	g.t.Helper()
	end := g.clock.Add(span)
	for i := 0; g.clock.Before(end); i++ {
		if wait := g.wait(account, fmt.Sprintf("198.51.%d.%d", i/250%250, i%250)); wait > 0 {
			g.clock = g.clock.Add(wait)
			continue
		}
		made++
	}
	return made
}

func (g *guarded) do(work func(ctx context.Context, q *db.Queries) error) {
	g.t.Helper()
	ctx := bounded(g.t)
	require.NoError(g.t, g.DB.In(ctx, database.Everything, func(tx pgx.Tx) error { return work(ctx, db.New(tx)) }))
}

// person makes an account with a session used from an address some time ago.
func (g *guarded) person(email, from string, ago time.Duration) {
	g.t.Helper()
	ctx := bounded(g.t)
	user := kit.NewID()
	require.NoError(g.t, g.DB.In(ctx, database.Everything, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO users (id, platform, email, username, password_hash) VALUES ($1, true, $2, 'x', 'x')`, user, email); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO sessions (id, user_id, methods, address, agent, last_used_at, expires_at, absolute_until)
			VALUES ($1, $2, '{password}', $3, '', $4, now(), now())`, kit.NewID(), user, from, g.clock.Add(-ago))
		return err
	}))
}

func TestGuessesAtOnceGetNoMoreThanTheFreeOnesThrough(t *testing.T) {
	t.Parallel()
	g := guard(t)
	var passed, early atomic.Int64
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			_, err := g.Reserve(bounded(t), "ada@example.com", source("192.0.2.1"))
			var refused *Early
			switch {
			case err == nil:
				passed.Add(1)
			case errors.As(err, &refused) && refused.Wait == time.Second:
				early.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, Pair.Free, passed.Load())
	require.EqualValues(t, 100-Pair.Free, early.Load())
}

func TestDelaysGrowWithEachFailure(t *testing.T) {
	t.Parallel()
	g := guard(t)
	g.fail(Pair.Free, "ada@example.com", "192.0.2.1")
	for _, delay := range doubling(5) {
		require.Equal(t, delay, g.wait("ada@example.com", "192.0.2.1"))
		require.Equal(t, delay, g.wait("ada@example.com", "192.0.2.1"), "asking again makes it no longer")
		g.clock = g.clock.Add(delay)
		g.fail(1, "ada@example.com", "192.0.2.1")
	}
	require.Zero(t, g.wait("bob@example.com", "192.0.2.1"), "another account")
	g.clock = g.clock.Add(Forget)
	g.fail(Pair.Free, "ada@example.com", "192.0.2.1")
}

func TestASourceThatSpraysIsSlowedDown(t *testing.T) {
	t.Parallel()
	g := guard(t)
	for i := range Source.Free {
		g.fail(1, fmt.Sprintf("u%d@example.com", i), "2001:db8:1:2::1")
	}
	require.Equal(t, time.Second, g.wait("ada@example.com", "2001:db8:1:2::1"))
	require.Equal(t, time.Second, g.wait("ada@example.com", "2001:db8:1:2:ffff::2"), "the same /64")
	require.Zero(t, g.wait("ada@example.com", "2001:db8:1:3::1"), "another /64")
	require.Zero(t, g.wait("ada@example.com", ""), "the bus")
	for i := range Source.Free {
		g.fail(1, fmt.Sprintf("v%d@example.com", i), "::ffff:192.0.2.7")
	}
	require.Equal(t, time.Second, g.wait("ada@example.com", "192.0.2.7"), "an IPv4 address in another spelling")
	require.Zero(t, g.wait("ada@example.com", "192.0.2.8"))
}

func TestAnOutsiderCannotHoldUpAPersonWhereTheyUsuallyAre(t *testing.T) {
	t.Parallel()
	g := guard(t)
	g.person("ada@example.com", "203.0.113.9", 29*24*time.Hour)
	g.person("v6@example.com", "2001:db8::1", time.Hour)
	g.person("old@example.com", "203.0.113.9", 31*24*time.Hour)
	for _, account := range []string{"ada@example.com", "v6@example.com", "old@example.com"} {
		made := g.besiege(account, time.Hour)
		require.LessOrEqual(t, made, Account.Free+6+60, "from however many sources")
	}
	g.fail(1, "ada@example.com", "203.0.113.9")
	g.fail(1, "v6@example.com", "2001:db8::2")
	for account, from := range map[string]string{
		"ada@example.com": "203.0.113.10", "v6@example.com": "2001:db8:0:1::1", "old@example.com": "203.0.113.9",
	} {
		g.besiege(account, time.Minute)
		g.fail(1, account, "192.0.2.1")
		wait := g.wait(account, from)
		require.Positive(t, wait, account)
		require.LessOrEqual(t, wait, time.Minute, "a new source waits, and not for long")
	}
}

// Nothing tells an account that does not exist from one that does.
func TestAnAccountThatDoesNotExistIsSlowedDownAlike(t *testing.T) {
	t.Parallel()
	g := guard(t)
	g.person("ada@example.com", "203.0.113.9", time.Hour)
	var waits [2][]time.Duration
	begin := g.clock
	for i, account := range []string{"ada@example.com", "nobody@example.com"} {
		g.clock = begin
		for n := range 40 {
			waits[i] = append(waits[i], g.wait(account, fmt.Sprintf("198.51.%d.%d", 100+i, n%3)))
			g.clock = g.clock.Add(time.Second)
		}
	}
	require.Equal(t, waits[0], waits[1])
	require.Contains(t, waits[0], 2*time.Second)
}

func TestSuccessForgetsTheAccountAndItsPairButNotTheSource(t *testing.T) {
	t.Parallel()
	g := guard(t)
	g.fail(Pair.Free, "ada@example.com", "192.0.2.1")
	g.fail(Pair.Free, "ada@example.com", "192.0.2.2")
	require.Positive(t, g.wait("ada@example.com", "192.0.2.3"))
	g.do(func(ctx context.Context, q *db.Queries) error {
		return g.Succeeded(ctx, q, "ada@example.com", source("192.0.2.1"))
	})
	g.fail(Pair.Free, "ada@example.com", "192.0.2.1")
	require.Positive(t, g.wait("ada@example.com", "192.0.2.2"), "another source's")
	for i := range Source.Free - 2*Pair.Free {
		g.fail(1, fmt.Sprintf("u%d@example.com", i), "192.0.2.1")
	}
	require.Positive(t, g.wait("bob@example.com", "192.0.2.1"), "the source's failures stay")
}

func TestARefundLeavesNoTrace(t *testing.T) {
	t.Parallel()
	g := guard(t)
	for range 3 * Source.Free {
		refund, err := g.Reserve(bounded(t), "ada@example.com", source("192.0.2.1"))
		require.NoError(t, err)
		require.NoError(t, refund(bounded(t)))
	}
	refund, err := g.Reserve(bounded(t), "ada@example.com", source("192.0.2.1"))
	require.NoError(t, err)
	g.do(func(ctx context.Context, q *db.Queries) error { return g.Clear(ctx, q, "ada@example.com") })
	require.NoError(t, refund(bounded(t)), "what was cleared meanwhile")
	g.fail(Pair.Free, "ada@example.com", "192.0.2.1")
}

func TestClearForgetsAnAccountFromEverywhere(t *testing.T) {
	t.Parallel()
	g := guard(t)
	for _, from := range []string{"192.0.2.1", "2001:db8::1", ""} {
		g.clock = g.clock.Add(time.Minute)
		g.fail(1, "ada@example.com", from)
		for g.wait("ada@example.com", from) == 0 {
		}
	}
	g.fail(Pair.Free, "bob@example.com", "192.0.2.2")
	g.do(func(ctx context.Context, q *db.Queries) error { return g.Clear(ctx, q, "ada@example.com") })
	for _, from := range []string{"192.0.2.1", "2001:db8::1"} {
		require.Zero(t, g.wait("ada@example.com", from))
	}
	require.Positive(t, g.wait("bob@example.com", "192.0.2.2"), "another account's stay")
}

func TestTheTableHoldsNoAddressAndIsSwept(t *testing.T) {
	t.Parallel()
	g := guard(t)
	g.fail(2, "ada@example.com", "192.0.2.1")
	var all string
	require.NoError(t, g.DB.QueryRow(bounded(t), "SELECT string_agg(encode(key, 'escape'), '') FROM throttles").Scan(&all))
	require.NotContains(t, all, "ada")
	require.NotContains(t, all, "192.")
	sweep := func() (left int) {
		g.do(func(ctx context.Context, q *db.Queries) error {
			_, err := g.Sweep(ctx, q)
			return err
		})
		require.NoError(t, g.DB.QueryRow(bounded(t), "SELECT count(*) FROM throttles").Scan(&left))
		return left
	}
	require.Equal(t, 3, sweep())
	g.clock = g.clock.Add(Forget + time.Second)
	require.Zero(t, sweep())
}

func TestWhatComesAfterAPrefix(t *testing.T) {
	t.Parallel()
	require.Equal(t, []byte{1, 3}, after([]byte{1, 2}))
	require.Equal(t, []byte{2, 0}, after([]byte{1, 255}))
}
