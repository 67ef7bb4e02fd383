package revocation

import (
	"context"
	"time"
)

// Keys is a set of keys that verify tokens. Implementations are safe for
// concurrent use; *token.KeySet is one.
type Keys interface {
	// Retain trusts none but these from now on. It does not block.
	Retain(kids []string)
	// Refresh asks which keys there are.
	Refresh(ctx context.Context) error
}

const (
	// refreshInterval is how often the keys are asked for without reason.
	refreshInterval = 5 * time.Minute
	refreshRetry    = time.Second
)

// changedKeys has the keys asked for again; kids, unless nil, are the only ones
// that may stay.
func (l *List) changedKeys(kids []string) {
	if l.cfg.Keys == nil {
		return
	}
	if kids != nil {
		l.cfg.Keys.Retain(kids)
	}
	select {
	case l.refresh <- struct{}{}:
	default:
	}
}

// keepKeys asks for the keys when they changed, and every now and then.
func (l *List) keepKeys(ctx context.Context) {
	timer := time.NewTimer(refreshInterval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-l.refresh:
		}
		next := refreshInterval
		if err := l.cfg.Keys.Refresh(ctx); err != nil && ctx.Err() == nil {
			l.cfg.Telemetry.Log.Warn("signing keys not refreshed; will try again", "service", l.cfg.Service, "error", err)
			next = refreshRetry
		}
		timer.Reset(next)
	}
}
