package token

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/buildify/core/pkg/contract"
)

const (
	// pause is how long a key id that is not in the set, or a fetch that
	// failed, lets the next fetch wait.
	pause = time.Second
	// fetchTimeout bounds one fetch.
	fetchTimeout = 5 * time.Second
)

// KeySet is service auth's JWK set, fetched when needed and kept. A key id that
// is not in it fetches again, at most once a second however many ask. Refresh
// and Retain follow the changes that auth tells of. Readers never wait for a
// fetch that they do not need. It is safe for concurrent use.
type KeySet struct {
	// Fetch returns the current set, not older than the call.
	Fetch func(ctx context.Context) (*contract.JWKSResponse, error)

	keys    atomic.Pointer[map[string]ed25519.PublicKey] // replaced, never written to
	flights singleflight.Group
	loading sync.Mutex // one fetch at a time, so the one begun last is stored last

	mu      sync.Mutex // held for moments only
	tried   time.Time  // when the last fetch ended
	failure error      // why it failed
	dropped uint64     // grows with each Retain
}

// Current implements Keys.
func (s *KeySet) Current(kid string) (ed25519.PublicKey, bool) {
	keys := s.keys.Load()
	if keys == nil {
		return nil, false
	}
	key, ok := (*keys)[kid]
	return key, ok
}

// PublicKey implements Keys.
func (s *KeySet) PublicKey(ctx context.Context, kid string) (ed25519.PublicKey, error) {
	if key, ok := s.Current(kid); ok {
		return key, nil
	}
	flight := s.flights.DoChan("", func() (any, error) {
		s.mu.Lock()
		wait, failure := time.Since(s.tried) < pause, s.failure
		s.mu.Unlock()
		if wait {
			return nil, failure
		}
		return nil, s.Refresh(context.WithoutCancel(ctx))
	})
	select {
	case result := <-flight:
		if result.Err != nil {
			return nil, result.Err
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if key, ok := s.Current(kid); ok {
		return key, nil
	}
	return nil, contract.Missing("signing key")
}

// Refresh fetches the set now. Keys that it no longer holds are trusted no
// more; when it fails, all stays as it is.
func (s *KeySet) Refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	s.loading.Lock()
	defer s.loading.Unlock()
	for {
		before := s.drops()
		keys, err := s.fetch(ctx)
		if stored := s.store(keys, err, before); stored {
			return err
		}
	}
}

// Retain trusts none but these keys from now on, without asking: they are the
// word of an event. A set that is being fetched might be older than that word
// and is fetched again.
func (s *KeySet) Retain(kids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropped++
	if old := s.keys.Load(); old != nil {
		kept := maps.Clone(*old)
		maps.DeleteFunc(kept, func(kid string, _ ed25519.PublicKey) bool { return !slices.Contains(kids, kid) })
		s.keys.Store(&kept)
	}
}

func (s *KeySet) drops() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped
}

// store takes in what a fetch brought, unless keys were dropped since before.
func (s *KeySet) store(keys map[string]ed25519.PublicKey, err error, before uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && s.dropped != before {
		return false
	}
	s.tried, s.failure = time.Now(), err
	if err == nil {
		s.keys.Store(&keys)
	}
	return true
}

func (s *KeySet) fetch(ctx context.Context) (map[string]ed25519.PublicKey, error) {
	set, err := s.Fetch(ctx)
	if err != nil {
		return nil, err
	}
	keys := make(map[string]ed25519.PublicKey, len(set.Keys))
	for _, jwk := range set.Keys {
		key, err := base64.RawURLEncoding.DecodeString(jwk.X)
		if err != nil || len(key) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("signing key %s is malformed", jwk.KeyID)
		}
		keys[jwk.KeyID] = key
	}
	return keys, nil
}
