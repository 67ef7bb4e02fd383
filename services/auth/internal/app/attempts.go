package app

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/auth/internal/store/db"
	"github.com/buildify/core/services/auth/internal/throttle"
)

// reserveAttempt counts an attempt to prove to be an account (its normalised
// e-mail address, whether there is one or not) before anything is hashed, and
// refuses with rate_limited when it comes too early. The attempt stands as
// failed unless refund takes it back.
func (a *App) reserveAttempt(ctx context.Context, account string) (refund func(context.Context) error, err error) {
	refund, err = a.throttle().Reserve(ctx, account, kit.ClientFrom(ctx).Address)
	var early *throttle.Early
	if errors.As(err, &early) {
		seconds := int(math.Ceil(early.Wait.Seconds()))
		return nil, &contract.Error{
			Code: contract.RateLimited, RetryAfter: seconds, Message: "too many failed attempts; wait for the time that retry_after says",
		}
	}
	return refund, err
}

// clearAttempts forgets an account's failures, from wherever they came.
func (a *App) clearAttempts(ctx context.Context, q *db.Queries, account string) error {
	return a.throttle().Clear(ctx, q, account)
}

func (a *App) throttle() *throttle.Guard { return &throttle.Guard{DB: a.DB, Key: a.Box} }

// inFlight is how many logins may stand between their reservation and their
// outcome, a few more than are hashed at once: many people behind one address,
// or one person's many devices, that log in at once wait here instead of being
// taken for a guesser.
const inFlight = 4

// gate lets so many in at once; the zero gate is ready for use.
type gate struct {
	once   sync.Once
	places chan struct{}
}

func (g *gate) enter(ctx context.Context) (leave func(), err error) {
	g.once.Do(func() { g.places = make(chan struct{}, inFlight) })
	select {
	case g.places <- struct{}{}:
		return func() { <-g.places }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// delays remembers whom this replica turned away until when, so that a flood of
// attempts that come too early leaves one event a delay and not one each.
type delays struct {
	mu    sync.Mutex
	until map[string]time.Time
}

// maxDelays bounds the memory; an attacker who overflows it is told of more
// often.
const maxDelays = 10_000

// begins reports whether who was not being turned away until now.
func (d *delays) begins(who string, wait time.Duration) bool {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if now.Before(d.until[who]) {
		return false
	}
	if d.until == nil || len(d.until) >= maxDelays {
		d.until = map[string]time.Time{}
	}
	d.until[who] = now.Add(wait)
	return true
}
