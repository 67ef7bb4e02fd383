package throttle

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// doubling is 1 s, 2 s, 4 s …
func doubling(n int) (delays []time.Duration) {
	for delay := time.Second; len(delays) < n; delay *= 2 {
		delays = append(delays, delay)
	}
	return delays
}

func TestDelaysGrowUpToTheirLimit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limit    Limit
		failures int
		want     time.Duration
	}{
		{Pair, 0, 0}, {Pair, 4, 0},
		{Pair, 5, time.Second}, {Pair, 6, 2 * time.Second}, {Pair, 7, 4 * time.Second}, {Pair, 14, 512 * time.Second},
		{Pair, 15, 15 * time.Minute}, {Pair, 40, 15 * time.Minute}, {Pair, 1 << 20, 15 * time.Minute},
		{Source, 29, 0}, {Source, 30, time.Second}, {Source, 1000, 15 * time.Minute},
		{Account, 9, 0}, {Account, 10, time.Second}, {Account, 16, time.Minute}, {Account, 1 << 30, time.Minute},
	} {
		require.Equal(t, c.want, c.limit.Delay(c.failures), "%v after %d", c.limit, c.failures)
	}
}

func TestTheFreeAttemptsAreFreeAndTheNextMustWait(t *testing.T) {
	t.Parallel()
	var s State
	var wait time.Duration
	for i := range Pair.Free {
		s, wait = Pair.Attempt(s, noon)
		require.Zero(t, wait, i)
	}
	now := noon
	for _, delay := range doubling(6) {
		same, wait := Pair.Attempt(s, now)
		require.Equal(t, delay, wait)
		require.Equal(t, s, same, "an attempt that is not made changes nothing")
		_, wait = Pair.Attempt(s, now.Add(delay-time.Millisecond))
		require.Equal(t, time.Millisecond, wait)
		now = now.Add(delay)
		s, wait = Pair.Attempt(s, now)
		require.Zero(t, wait)
	}
}

func TestQuietIsForgotten(t *testing.T) {
	t.Parallel()
	s := State{Failures: 1000, LastAt: noon, Until: noon.Add(15 * time.Minute)}
	later, wait := Pair.Attempt(s, noon.Add(Forget-time.Second))
	require.Zero(t, wait)
	require.Equal(t, 1001, later.Failures)
	later, wait = Pair.Attempt(s, noon.Add(Forget))
	require.Zero(t, wait)
	require.Equal(t, 1, later.Failures)
	require.Zero(t, later.Until)
}

// A clock that was set back, on this replica or another, locks nobody out.
func TestNobodyWaitsLongerThanTheLimit(t *testing.T) {
	t.Parallel()
	_, wait := Account.Attempt(State{Failures: 20, LastAt: noon, Until: noon.AddDate(1, 0, 0)}, noon)
	require.Equal(t, time.Minute, wait)
}

func TestASuccessCostsNothing(t *testing.T) {
	t.Parallel()
	s := State{Failures: 40, LastAt: noon.Add(-time.Hour), Until: noon.Add(-time.Minute)}
	reserved, wait := Source.Attempt(s, noon)
	require.Zero(t, wait)
	back := Source.Refund(reserved)
	require.Equal(t, 40, back.Failures)
	_, wait = Source.Attempt(back, noon.Add(time.Second))
	require.Zero(t, wait, "the next may try")
	require.Zero(t, Source.Refund(State{}).Failures, "a refund too many")
}

// Whatever a guesser does, in whichever order, with successes of their own in
// between: wrong guesses never get ahead of what the delays grant.
func TestNoScheduleOfAttemptsGetsAhead(t *testing.T) {
	t.Parallel()
	granted := func(l Limit, span time.Duration) int {
		n := l.Free
		for ; span >= l.Delay(n); n++ {
			span -= l.Delay(n)
		}
		return n
	}
	for seed := range uint64(500) {
		random := rand.New(rand.NewPCG(seed, 1))
		limit := []Limit{Pair, Source, Account}[random.IntN(3)]
		var s State
		var wait time.Duration
		now, guesses, own := noon, 0, 0 // own: attempts in flight that will succeed
		for range 400 {
			switch random.IntN(5) {
			case 0:
				now = now.Add(time.Duration(random.Int64N(int64(20 * time.Second))))
			case 1:
				if s, wait = limit.Attempt(s, now); wait == 0 {
					own++
				}
			case 2:
				if own > 0 {
					own--
					s = limit.Refund(s)
				}
			default:
				if s, wait = limit.Attempt(s, now); wait == 0 {
					guesses++
				}
			}
			require.Equal(t, guesses+own, s.Failures, "seed %d", seed)
			require.LessOrEqual(t, guesses, granted(limit, now.Sub(noon)), "seed %d", seed)
			require.LessOrEqual(t, s.Until.Sub(now), limit.Max)
		}
	}
}

// Guesses alone: the pace is exactly the delays'.
func TestTheFastestGuesserKeepsToTheDelays(t *testing.T) {
	t.Parallel()
	var s State
	var wait time.Duration
	now, passed := noon, 0
	for now.Before(noon.Add(12 * time.Hour)) {
		if s, wait = Pair.Attempt(s, now); wait > 0 {
			now = now.Add(wait)
			continue
		}
		passed++
	}
	// 5 free, 10 until the longest delay, then one in 15 minutes.
	require.LessOrEqual(t, passed, 5+10+12*4)
}
