// Package keys tells the bridge whom an API key speaks for.
package keys

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/singleflight"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
)

const (
	// Lifetime bounds how long a key is remembered as valid without asking
	// again: what a lost revocation event could cost at most.
	Lifetime = 10 * time.Second
	maxKnown = 10_000
	// strangers bounds the keys never seen before that are asked about at
	// once, so that a flood of forged ones leaves room for those that expire.
	strangers = 16
)

// Keys verifies API keys with service auth and remembers the valid ones by
// their SHA-256, until a revocation event, their expiry or Lifetime. It is
// safe for concurrent use.
type Keys struct {
	client   *kit.Client
	follower *events.Follower
	asking   chan struct{} // one for each stranger being asked about
	flights  singleflight.Group

	mu      sync.RWMutex
	known   map[[32]byte]known
	revoked uint64 // grows with each revocation
	watches map[string]map[*watch]struct{}
}

type known struct {
	key      *contract.VerifyKeyResponse
	networks []netip.Prefix // empty is anywhere
	until    time.Time
}

// holds reports whether the key may be used from the address.
func (k known) holds(address netip.Addr) bool {
	return len(k.networks) == 0 ||
		slices.ContainsFunc(k.networks, func(n netip.Prefix) bool { return n.Contains(address) })
}

// Start returns Keys that follow revocations and rotations.
func Start(ctx context.Context, client *kit.Client, js jetstream.JetStream, log *slog.Logger) (*Keys, error) {
	k := &Keys{client: client, known: map[[32]byte]known{}, asking: make(chan struct{}, strangers)}
	var err error
	subjects := []string{events.KeyEnded.Subject("*"), events.KeyCreated.Subject("*"), events.ModuleStateChanged.Subject("*")}
	k.follower, err = events.Follow(ctx, js, events.EventsStream, subjects, func(e events.Event) {
		var change struct {
			events.KeyChange
			Suspended bool `json:"suspended"`
		}
		if err := json.Unmarshal(e.Data(), &change); err != nil {
			log.Error("keys: event not understood", "id", e.ID(), "error", err)
		}
		switch {
		case events.KeyEnded.Is(e):
			k.forget(func(id string) bool { return id == change.ID })
		case change.RotatedFrom != "": // it ends sooner than was known
			k.forget(func(id string) bool { return id == change.RotatedFrom })
		case change.Suspended:
			k.forget(func(id string) bool {
				module, _ := contract.KeyModule(id)
				return module == change.Module
			})
		}
	}, func(err error) { log.Warn("keys: reading events", "error", err) })
	return k, err
}

// Stop ends the following. It is idempotent.
func (k *Keys) Stop() {
	if k != nil {
		k.follower.Stop()
	}
}

var errInvalid = &contract.Error{
	Code: contract.Unauthenticated, Field: contract.HeaderAPIKey, Message: "the API key is not valid",
}

// Verify returns whom the key speaks for; unauthenticated for whatever is
// wrong with it, its use from that address included. Before it troubles
// anybody with a key that it does not know it asks stranger.
func (k *Keys) Verify(ctx context.Context, raw string, from netip.Addr, stranger func() error) (*contract.VerifyKeyResponse, error) {
	sum := sha256.Sum256([]byte(raw))
	k.mu.RLock()
	entry, ok := k.known[sum]
	mark := k.revoked
	k.mu.RUnlock()
	switch {
	case ok && !entry.holds(from):
		return nil, errInvalid
	case ok && time.Now().Before(entry.until):
		return entry.key, nil
	case ok: // its time is up
		return k.settle(ctx, question{sum, raw, from, mark, false})
	}
	if err := stranger(); err != nil {
		return nil, err
	}
	if raw == "" {
		return nil, &contract.Error{Code: contract.Unauthenticated, Field: contract.HeaderAPIKey, Message: "an API key is required"}
	}
	if _, err := contract.ParseAPIKey(raw); err != nil {
		return nil, errInvalid
	}
	return k.settle(ctx, question{sum, raw, from, mark, true})
}

// question is what is asked about a key.
type question struct {
	sum      [32]byte
	raw      string
	from     netip.Addr
	mark     uint64 // revocations at the time
	stranger bool
}

// verdict is what service auth said to a question.
type verdict struct {
	known
	asked netip.Addr
	err   error
}

// settle asks one question at a time for a key, whoever asks: all its callers
// come here at once when its time is up.
func (k *Keys) settle(ctx context.Context, q question) (*contract.VerifyKeyResponse, error) {
	ask := func() (any, error) { return k.ask(context.WithoutCancel(ctx), q), nil }
	shared, _, _ := k.flights.Do(string(q.sum[:]), ask) // the error is in the verdict
	v, _ := shared.(verdict)
	if errors.Is(v.err, errInvalid) && v.asked != q.from { // for the other's address, perhaps
		own, _, _ := k.flights.Do(string(q.sum[:])+q.from.String(), ask)
		v, _ = own.(verdict)
	}
	switch {
	case v.err != nil:
		return nil, v.err
	case !v.holds(q.from):
		return nil, errInvalid
	}
	return v.key, nil
}

// ask asks service auth and remembers a good answer.
func (k *Keys) ask(ctx context.Context, q question) verdict {
	v := verdict{known: known{until: time.Now().Add(Lifetime)}, asked: q.from}
	if q.stranger {
		select {
		case k.asking <- struct{}{}:
			defer func() { <-k.asking }()
		default:
			v.err = contract.Errorf(contract.RateLimited, "too many new API keys at once; try again")
			return v
		}
	}
	request := &contract.VerifyKeyRequest{APIKey: q.raw}
	if q.from.IsValid() {
		request.Address = q.from.String()
	}
	if v.key, v.err = kit.Call(ctx, k.client, contract.VerifyKey, request); v.err != nil {
		return v
	}
	for _, cidr := range v.key.CIDRs {
		network, _ := netip.ParsePrefix(cidr) // one that cannot be read holds no address
		v.networks = append(v.networks, network)
	}
	if v.key.ExpiresAt != nil && v.key.ExpiresAt.Before(v.until) {
		v.until = *v.key.ExpiresAt
	}
	k.remember(q.sum, v.known, q.mark)
	return v
}

// remember keeps an answer, unless a revocation was told since mark: it might
// have been of this key.
func (k *Keys) remember(sum [32]byte, entry known, mark uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.revoked != mark {
		return
	}
	if len(k.known) >= maxKnown {
		clear(k.known)
	}
	k.known[sum] = entry
}

// forget has those keys asked about again.
func (k *Keys) forget(them func(id string) bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.revoked++
	for sum, entry := range k.known {
		if them(entry.key.ID) {
			delete(k.known, sum)
		}
	}
	for id, watches := range k.watches {
		if !them(id) {
			continue
		}
		for w := range watches {
			w.ended()
		}
	}
}

// Grants reports whether the key may call an operation.
func Grants(key *contract.VerifyKeyResponse, operation string) bool {
	return slices.Contains(key.Operations, operation)
}
