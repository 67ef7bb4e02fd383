package app

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

const (
	// quiet is how long a source that was told of is only counted.
	quiet = time.Minute
	// maxTold bounds the events of refusals a second, maxSources those that are
	// told apart: a flood from everywhere becomes one count a reason.
	maxTold, maxSources = 20, 1000
)

// refusals counts whom the bus refused, by network and reason.
type refusals struct {
	mu     sync.Mutex
	counts map[refused]*refusalCount
}

type refused struct {
	network netip.Addr
	reason  string
}

type refusalCount struct {
	events.BusRefusal
	told time.Time
}

// BusRefused is told of a client that the bus refused, or cut off. It never
// blocks.
func (a *App) BusRefused(from netip.Addr, keyID, reason string) {
	a.refusals.add(from, keyID, reason, 1)
}

func (r *refusals) add(from netip.Addr, keyID, reason string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		r.counts = map[refused]*refusalCount{}
	}
	source := refused{networkOf(from), reason}
	if r.counts[source] == nil && len(r.counts) >= maxSources {
		source, from, keyID = refused{reason: reason}, netip.Addr{}, ""
	}
	c := r.counts[source]
	if c == nil {
		c = &refusalCount{}
		r.counts[source] = c
	}
	if c.Count == 0 {
		c.BusRefusal = events.BusRefusal{KeyID: keyID, Reason: reason}
		if from.IsValid() {
			c.Address = from.String()
		}
	}
	if c.KeyID != keyID {
		c.KeyID = "" // several
	}
	c.Count += n
}

// networkOf is what a client cannot choose of its address.
func networkOf(address netip.Addr) netip.Addr {
	if address.Is6() {
		prefix, _ := address.WithZone("").Prefix(64) // 64 bits are there
		return prefix.Addr()
	}
	return address
}

// due takes what may be told now: of each source its first refusal at once,
// and from then on a count a minute.
func (r *refusals) due(now time.Time) (told []events.BusRefusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for source, c := range r.counts {
		switch {
		case now.Sub(c.told) < quiet:
		case c.Count == 0:
			delete(r.counts, source)
		case len(told) < maxTold:
			told = append(told, c.BusRefusal)
			c.told, c.Count = now, 0
		}
	}
	return told
}

// writeRefusals makes events of them.
func (a *App) writeRefusals(ctx context.Context) error {
	told := a.refusals.due(time.Now())
	if len(told) == 0 {
		return nil
	}
	err := a.change(ctx, database.Everything, func(*db.Queries) (happened []events.Event, err error) {
		for i := 0; i < len(told) && err == nil; i++ {
			var e events.Event
			e, err = kit.NewEvent(ctx, events.BusRefused, "", 0, told[i])
			e.SetExtension(events.Outcome, "failure")
			happened = append(happened, e)
		}
		return happened, err
	})
	if err != nil {
		for _, lost := range told {
			from, _ := netip.ParseAddr(lost.Address) // invalid is unknown
			a.refusals.add(from, lost.KeyID, lost.Reason, lost.Count)
		}
	}
	return err
}
