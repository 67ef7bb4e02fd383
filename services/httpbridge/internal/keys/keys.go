// Package keys tells the bridge whom an API key speaks for.
package keys

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"log/slog"
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
}

type known struct {
	key   *contract.VerifyKeyResponse
	until time.Time
}

// Start returns Keys that follow revocations.
func Start(ctx context.Context, client *kit.Client, js jetstream.JetStream, log *slog.Logger) (*Keys, error) {
	k := &Keys{client: client, known: map[[32]byte]known{}, asking: make(chan struct{}, strangers)}
	var err error
	k.follower, err = events.Follow(ctx, js, events.EventsStream, []string{events.KeyEnded.Subject("*")}, func(e events.Event) {
		var ended events.KeyChange
		if err := json.Unmarshal(e.Data(), &ended); err != nil {
			log.Error("keys: event not understood", "id", e.ID(), "error", err)
		}
		k.forget(ended.ID)
	}, func(err error) { log.Warn("keys: reading events", "error", err) })
	return k, err
}

// Stop ends the following. It is idempotent.
func (k *Keys) Stop() {
	if k != nil {
		k.follower.Stop()
	}
}

// Verify returns whom the key speaks for; unauthenticated for whatever is
// wrong with it.
func (k *Keys) Verify(ctx context.Context, raw string) (*contract.VerifyKeyResponse, error) {
	if raw == "" {
		return nil, &contract.Error{Code: contract.Unauthenticated, Field: contract.HeaderAPIKey, Message: "an API key is required"}
	}
	sum, now := sha256.Sum256([]byte(raw)), time.Now()
	k.mu.RLock()
	entry, ok := k.known[sum]
	mark := k.revoked
	k.mu.RUnlock()
	if ok && now.Before(entry.until) {
		return entry.key, nil
	}
	if _, err := contract.ParseAPIKey(raw); err != nil {
		return nil, &contract.Error{Code: contract.Unauthenticated, Field: contract.HeaderAPIKey, Message: "the API key is not valid"}
	}
	// One question at a time for a key, whoever asks: all its callers come
	// here at once when its time is up.
	answer, err, _ := k.flights.Do(string(sum[:]), func() (any, error) {
		if !ok {
			select {
			case k.asking <- struct{}{}:
				defer func() { <-k.asking }()
			default:
				return nil, contract.Errorf(contract.RateLimited, "too many new API keys at once; try again")
			}
		}
		return k.ask(context.WithoutCancel(ctx), sum, raw, mark)
	})
	if err != nil {
		return nil, err
	}
	return answer.(*contract.VerifyKeyResponse), nil //nolint:errcheck // what ask returns
}

// ask asks service auth and remembers a good answer.
func (k *Keys) ask(ctx context.Context, sum [32]byte, raw string, mark uint64) (*contract.VerifyKeyResponse, error) {
	until := time.Now().Add(Lifetime)
	key, err := kit.Call(ctx, k.client, contract.VerifyKey, &contract.VerifyKeyRequest{APIKey: raw})
	if err != nil {
		return nil, err
	}
	if key.ExpiresAt != nil && key.ExpiresAt.Before(until) {
		until = *key.ExpiresAt
	}
	k.remember(sum, known{key, until}, mark)
	return key, nil
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

func (k *Keys) forget(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.revoked++
	for sum, entry := range k.known {
		if entry.key.ID == id {
			delete(k.known, sum)
		}
	}
}

// Grants reports whether the key may call an operation.
func Grants(key *contract.VerifyKeyResponse, operation string) bool {
	return slices.Contains(key.Operations, operation)
}
