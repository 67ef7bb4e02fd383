// Package throttle slows down whoever guesses passwords and codes: growing
// delays by account and source together, by source address, and, for sources
// that an account was never logged in from, by the account as a whole. Nothing
// is ever locked for good, and an outsider cannot hold up a person who comes
// from where they usually do. Accounts that do not exist are treated alike.
package throttle

import "time"

// Forget is how long without an attempt it takes until all is forgotten.
const Forget = 24 * time.Hour

// Limit says how many failures are free and how the delays grow after that:
// one second after the last free failure, twice as long after each further one,
// Max at most.
type Limit struct {
	Free int
	Max  time.Duration
}

// The limits of the three counts.
var (
	Pair    = Limit{Free: 5, Max: 15 * time.Minute}
	Source  = Limit{Free: 30, Max: 15 * time.Minute}
	Account = Limit{Free: 10, Max: time.Minute}
)

// State is a count of failed attempts, those in flight included. The zero
// State is of what nobody attempted.
type State struct {
	Failures int
	// LastAt is when the last attempt began, Until when the next may: zero while
	// it may at once, so that clocks that differ delay nobody.
	LastAt, Until time.Time
}

// Delay is how long to wait after that many failures.
func (l Limit) Delay(failures int) time.Duration {
	beyond := failures - l.Free
	switch {
	case beyond < 0:
		return 0
	case beyond > 30: // the shift must not overflow
		return l.Max
	}
	return min(time.Second<<beyond, l.Max)
}

// Attempt counts an attempt as failed before it is made, so that attempts made
// at once cannot all pass, and returns the new state; or how long to wait, when
// it comes too early and must not be made.
func (l Limit) Attempt(s State, now time.Time) (next State, wait time.Duration) {
	if now.Sub(s.LastAt) >= Forget {
		s = State{}
	}
	if wait := s.Until.Sub(now); wait > 0 {
		// A clock that was set back makes nobody wait longer than the limit.
		return s, min(wait, l.Max)
	}
	next = State{Failures: min(s.Failures+1, 1<<20), LastAt: now}
	if delay := l.Delay(next.Failures); delay > 0 {
		next.Until = now.Add(delay)
	}
	return next, 0
}

// Refund takes back an attempt that did not fail. It gives back the one attempt
// it had used up and no more, so a guesser gains nothing by succeeding
// elsewhere in between.
func (Limit) Refund(s State) State {
	s.Failures, s.Until = max(s.Failures-1, 0), time.Time{}
	return s
}
