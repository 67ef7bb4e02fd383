package throttle

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// knownFor is how long a source stays known after a session was last used
// from it.
const knownFor = 30 * 24 * time.Hour

// Key is the installation's secret: no address and no e-mail address can be
// read from the table. Implementations are safe for concurrent use.
type Key interface {
	// MAC returns 32 bytes that only the key's holder can tell.
	MAC(message string) []byte
}

// Guard keeps the counts in PostgreSQL, for all replicas. It is safe for
// concurrent use.
type Guard struct {
	DB  *database.DB
	Key Key
	// Now is the clock; time.Now when nil.
	Now func() time.Time
}

// Early says that an attempt comes too early and must not be made.
type Early struct{ Wait time.Duration }

// Error implements error.
func (e *Early) Error() string { return fmt.Sprintf("too many attempts: wait %s", e.Wait) }

// counted is one count that an attempt goes into.
type counted struct {
	key   []byte
	limit Limit
}

// Reserve counts an attempt on an account, named by whatever names it uniquely,
// from a source, the zero Addr where it is not known. It answers *Early when
// the attempt must not be made. The attempt counts as failed until refund, of
// no use twice, takes it back. An account that does not exist is counted all
// the same, by the same statements.
func (g *Guard) Reserve(ctx context.Context, account string, source netip.Addr) (refund func(context.Context) error, err error) {
	network := network(source)
	var counts []counted
	err = g.DB.In(ctx, database.Everything, func(tx pgx.Tx) error {
		q, now := db.New(tx), g.now()
		known, err := q.KnownSource(ctx, db.KnownSourceParams{Email: account, Since: now.Add(-knownFor), Network: network})
		if err != nil {
			return err
		}
		counts = g.counts(account, network, known)
		// Whoever must wait is told so before a row is locked or written.
		rows, err := q.PeekThrottles(ctx, keys(counts))
		if err != nil {
			return err
		}
		if _, err := attempt(counts, rows, now); err != nil {
			return err
		}
		rows, err = q.LockThrottles(ctx, db.LockThrottlesParams{At: now, Keys: keys(counts)})
		if err != nil {
			return err
		}
		next, err := attempt(counts, rows, g.now())
		if err != nil {
			return err
		}
		return set(ctx, q, next)
	})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error { return g.refund(ctx, counts) }, nil
}

func (g *Guard) refund(ctx context.Context, counts []counted) error {
	return g.DB.In(ctx, database.Everything, func(tx pgx.Tx) error {
		q := db.New(tx)
		rows, err := q.LockThrottles(ctx, db.LockThrottlesParams{At: g.now(), Keys: keys(counts)})
		if err != nil {
			return err
		}
		states := byKey(rows)
		var next []db.SetThrottleParams
		for _, c := range counts {
			next = append(next, row(c.key, c.limit.Refund(states[string(c.key)])))
		}
		return set(ctx, q, next)
	})
}

// Succeeded forgets the failures of an account from a source, and those of the
// account as a whole. The source's own stay: whoever has an account of their
// own does not get rid of them by it.
func (g *Guard) Succeeded(ctx context.Context, q *db.Queries, account string, source netip.Addr) error {
	whole := g.account(account)
	return q.DropThrottles(ctx, [][]byte{whole, g.pair(whole, network(source))})
}

// Clear forgets all failures of an account, from wherever they came.
func (g *Guard) Clear(ctx context.Context, q *db.Queries, account string) error {
	low := g.account(account)
	return q.ClearThrottles(ctx, db.ClearThrottlesParams{Low: low, High: after(low)})
}

// Sweep removes a batch of what is forgotten and tells how many counts it was.
func (g *Guard) Sweep(ctx context.Context, q *db.Queries) (int64, error) {
	return q.SweepThrottles(ctx, g.now().Add(-Forget))
}

func (g *Guard) now() time.Time {
	if g.Now != nil {
		return g.Now()
	}
	return time.Now()
}

// counts are those that an attempt goes into. The account as a whole is not
// held against a source that it was logged in from before.
func (g *Guard) counts(account, network string, known bool) []counted {
	whole := g.account(account)
	counts := []counted{{g.pair(whole, network), Pair}}
	if network != "" {
		counts = append(counts, counted{g.Key.MAC("throttle source:" + network), Source})
	}
	if !known {
		counts = append(counts, counted{whole, Account})
	}
	return counts
}

func (g *Guard) account(account string) []byte { return g.Key.MAC("throttle account:" + account) }

// pair is the key of an account from a source. It begins with the account's
// own, so that all of an account are one range.
func (g *Guard) pair(account []byte, network string) []byte {
	return slices.Concat(account, g.Key.MAC("throttle source of an account:"+network))
}

// network is what counts as one source: an IPv4 address, or the /64 of an IPv6
// one, which is one customer's.
func network(source netip.Addr) string {
	source = source.Unmap().WithZone("")
	if source.Is6() {
		return netip.PrefixFrom(source, 64).Masked().String()
	}
	if !source.IsValid() {
		return ""
	}
	return source.String()
}

// after is the first key behind all that begin with prefix.
func after(prefix []byte) []byte {
	next := slices.Clone(prefix)
	for i := len(next) - 1; i >= 0; i-- {
		if next[i]++; next[i] != 0 {
			break
		}
	}
	return next
}

func keys(counts []counted) (keys [][]byte) {
	for _, c := range counts {
		keys = append(keys, c.key)
	}
	return keys
}

func byKey(rows []db.AuthThrottle) map[string]State {
	states := map[string]State{}
	for _, r := range rows {
		states[string(r.Key)] = State{Failures: int(r.Failures), LastAt: r.LastAt, Until: r.Until}
	}
	return states
}

// attempt is the rows after one more attempt, or *Early with the longest wait.
func attempt(counts []counted, rows []db.AuthThrottle, now time.Time) (next []db.SetThrottleParams, err error) {
	states := byKey(rows)
	var longest time.Duration
	for _, c := range counts {
		state, wait := c.limit.Attempt(states[string(c.key)], now)
		longest = max(longest, wait)
		next = append(next, row(c.key, state))
	}
	if longest > 0 {
		return nil, &Early{longest}
	}
	return next, nil
}

func row(key []byte, s State) db.SetThrottleParams {
	return db.SetThrottleParams{Key: key, Failures: int32(s.Failures), LastAt: s.LastAt, Until: s.Until}
}

func set(ctx context.Context, q *db.Queries, rows []db.SetThrottleParams) (err error) {
	q.SetThrottle(ctx, rows).Exec(func(_ int, failure error) {
		if err == nil {
			err = failure
		}
	})
	return err
}
