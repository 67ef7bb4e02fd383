// Package tail wakes those who follow trails: one subscription for all of them.
// What is in a trail it never sees; each follower asks service audit, as the
// person it serves.
package tail

import (
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/buildify/core/pkg/contract"
)

const (
	// MaxTails is how many followers one bridge has.
	MaxTails = 1000
	// MaxOfUser is how many of them one person has.
	MaxOfUser = 10
	// poll is the default of Hub.Poll.
	poll = 5 * time.Second
)

// Hub hears which trails grow. It is safe for concurrent use.
type Hub struct {
	// Poll is how often a trail is looked at, whatever is announced: what a lost
	// announcement costs, and how long a follower outlives the permission that it
	// needs while nothing happens.
	Poll time.Duration
	sub  *nats.Subscription

	mu      sync.Mutex
	trails  map[string]map[*Tail]struct{} // by tenant
	ofUser  map[string]int
	open    int
	stopped bool
}

// Tail is one that follows a trail.
type Tail struct {
	hub          *Hub
	tenant, user string
	stop         func()
	grown        chan struct{}
}

// NewHub returns a Hub that listens on the bridge's connection.
func NewHub(nc *nats.Conn) (*Hub, error) {
	h := &Hub{Poll: poll, trails: map[string]map[*Tail]struct{}{}, ofUser: map[string]int{}}
	var err error
	h.sub, err = nc.Subscribe(contract.TrailSubject("*"), func(msg *nats.Msg) {
		h.wake(msg.Subject[strings.LastIndexByte(msg.Subject, '.')+1:])
	})
	return h, err
}

// Open returns a Tail of a tenant's trail for a user. It calls stop, which must
// not block, once when the Hub stops. The caller closes the Tail.
func (h *Hub) Open(tenant, user string, stop func()) (*Tail, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.stopped:
		return nil, contract.Errorf(contract.Unavailable, "this replica is about to stop; try again")
	case h.open >= MaxTails:
		return nil, contract.Errorf(contract.Unavailable, "this replica serves no more tails; try again")
	case h.ofUser[user] >= MaxOfUser:
		return nil, &contract.Error{
			Code: contract.RateLimited, Field: "Authorization", RetryAfter: 10,
			Message: "you have as many open tails as you may; close one",
		}
	}
	t := &Tail{hub: h, tenant: tenant, user: user, stop: stop, grown: make(chan struct{}, 1)}
	if h.trails[tenant] == nil {
		h.trails[tenant] = map[*Tail]struct{}{}
	}
	h.trails[tenant][t] = struct{}{}
	h.ofUser[user]++
	h.open++
	return t, nil
}

// Grown is told when the trail has grown since it was told the last time.
func (t *Tail) Grown() <-chan struct{} { return t.grown }

// Close ends the following. It is idempotent.
func (t *Tail) Close() {
	h := t.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, there := h.trails[t.tenant][t]; !there {
		return
	}
	if delete(h.trails[t.tenant], t); len(h.trails[t.tenant]) == 0 {
		delete(h.trails, t.tenant)
	}
	if h.ofUser[t.user]--; h.ofUser[t.user] == 0 {
		delete(h.ofUser, t.user)
	}
	h.open--
}

func (h *Hub) wake(tenant string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for t := range h.trails[tenant] {
		select {
		case t.grown <- struct{}{}:
		default: // it knows
		}
	}
}

// Tails returns how many there are.
func (h *Hub) Tails() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.open
}

// Stop stops all tails and takes no more. It is idempotent.
func (h *Hub) Stop() {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		return
	}
	h.stopped = true
	_ = h.sub.Unsubscribe() // gone with its connection, if it fails
	for _, tails := range h.trails {
		for t := range tails {
			t.stop()
		}
	}
}
