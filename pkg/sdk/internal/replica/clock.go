package replica

import "time"

const (
	// drift bounds how far two clocks drift apart: one part in so many.
	drift = 1000
	// sampleLife is how long a reading of the core's clock is believed.
	sampleLife = time.Minute
	// tolerance is how far the clocks of the core's machines may differ.
	tolerance = 100 * time.Millisecond
)

// sample is a reading of the core's clock (Cristian's algorithm): it showed core
// at a moment after sent, by ours. sent has a monotonic reading.
type sample struct{ sent, core time.Time }

// since is how long ago the request of the sample was sent. The monotonic clock
// stands still while the machine is suspended, and the other one can be put
// back, so the longer of both counts.
func (s sample) since(now time.Time) time.Duration {
	return max(now.Sub(s.sent), now.Round(0).Sub(s.sent.Round(0)))
}

// latest is the most that the core's clock can show at now.
func (s sample) latest(now time.Time) time.Time {
	since := s.since(now)
	return s.core.Add(since + since.Abs()/drift)
}

// clock estimates the core's clock from above.
type clock struct{ samples []sample }

func (c *clock) add(s sample) {
	kept := c.samples[:0]
	for _, old := range c.samples {
		if old.since(s.sent) < sampleLife {
			kept = append(kept, old)
		}
	}
	if len(kept) == 8 {
		kept = kept[1:]
	}
	c.samples = append(kept, s)
}

// doubt forgets all samples: the core's clock was set.
func (c *clock) doubt() { c.samples = c.samples[:0] }

// latest is the most that the core's clock can show at a moment, as far as is
// known now; the sample that was least long on the way tells it best.
func (c *clock) latest(at, now time.Time) (core time.Time, known bool) {
	for _, s := range c.samples {
		if s.since(now) >= sampleLife {
			continue
		}
		if t := s.latest(at); !known || t.Before(core) {
			core, known = t, true
		}
	}
	return core, known
}

// lease says until when the replica may be believed.
type lease struct {
	until time.Duration // on the monotonic clock, since the replica's epoch
	wall  int64         // on the other clock, in nanoseconds since 1970
}

func (l *lease) holds(epoch, now time.Time) bool {
	return l != nil && now.Sub(epoch) < l.until && now.UnixNano() < l.wall
}
