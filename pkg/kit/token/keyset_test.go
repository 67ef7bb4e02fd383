package token

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
)

func jwks(keys map[string]ed25519.PublicKey) *contract.JWKSResponse {
	set := &contract.JWKSResponse{}
	for kid, key := range keys {
		set.Keys = append(set.Keys, contract.JWK{KeyID: kid, X: base64.RawURLEncoding.EncodeToString(key)})
	}
	return set
}

var errNoKey = &contract.Error{Code: contract.NotFound}

func TestAKeySetAsksAtMostOnceASecond(t *testing.T) {
	t.Parallel()
	k, _ := newKeys(t)
	for name, failure := range map[string]error{"answering": nil, "failing": errors.New("away")} {
		synctest.Test(t, func(t *testing.T) {
			fetched := 0
			set := &KeySet{Fetch: func(context.Context) (*contract.JWKSResponse, error) {
				fetched++
				time.Sleep(100 * time.Millisecond)
				return jwks(map[string]ed25519.PublicKey{"k": k.public}), failure
			}}
			ask := func() {
				var all sync.WaitGroup
				for range 50 {
					all.Go(func() {
						_, err := set.PublicKey(t.Context(), "hostile")
						if failure != nil {
							require.ErrorIs(t, err, failure)
							return
						}
						require.ErrorIs(t, err, errNoKey)
						key, err := set.PublicKey(t.Context(), "k")
						require.NoError(t, err)
						require.Equal(t, k.public, key)
					})
				}
				all.Wait()
			}
			ask()
			ask()
			require.Equal(t, 1, fetched, name)
			time.Sleep(pause)
			ask()
			require.Equal(t, 2, fetched, name)
		})
	}
}

// Whoever needs no fetch waits for none; whoever waits stops with its context,
// and the fetch goes on for the others.
func TestASlowFetchHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	k, _ := newKeys(t)
	asked, release := make(chan struct{}, 2), make(chan struct{})
	set := &KeySet{Fetch: func(context.Context) (*contract.JWKSResponse, error) {
		asked <- struct{}{}
		<-release
		return jwks(map[string]ed25519.PublicKey{"old": k.public, "new": k.public}), nil
	}}
	set.keys.Store(&map[string]ed25519.PublicKey{"old": k.public})
	ctx, cancel := context.WithCancel(t.Context())
	impatient, patient := make(chan error), make(chan error)
	go func() {
		_, err := set.PublicKey(ctx, "new")
		impatient <- err
	}()
	<-asked
	go func() {
		_, err := set.PublicKey(t.Context(), "new")
		patient <- err
	}()
	_, err := set.PublicKey(t.Context(), "old")
	require.NoError(t, err)
	_, ok := set.Current("new")
	require.False(t, ok)
	cancel()
	require.ErrorIs(t, <-impatient, context.Canceled)
	close(release)
	require.NoError(t, <-patient)
}

// A key that was made a moment ago is found; one that was taken away is not.
func TestAKeySetFollowsItsSource(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, _ := newKeys(t)
		answer, failure := jwks(nil), error(nil)
		set := &KeySet{Fetch: func(context.Context) (*contract.JWKSResponse, error) { return answer, failure }}
		_, err := set.PublicKey(t.Context(), "new")
		require.ErrorIs(t, err, errNoKey)
		answer = jwks(map[string]ed25519.PublicKey{"new": k.public})
		_, err = set.PublicKey(t.Context(), "new")
		require.ErrorIs(t, err, errNoKey, "asked a moment ago")
		require.NoError(t, set.Refresh(t.Context()), "whoever was told asks at once")
		_, err = set.PublicKey(t.Context(), "new")
		require.NoError(t, err)
		failure = errors.New("away")
		require.ErrorIs(t, set.Refresh(t.Context()), failure)
		_, err = set.PublicKey(t.Context(), "new")
		require.NoError(t, err, "what was known stays")
		answer, failure = jwks(map[string]ed25519.PublicKey{"other": k.public}), nil
		time.Sleep(pause)
		_, err = set.PublicKey(t.Context(), "other")
		require.NoError(t, err)
		_, err = set.PublicKey(t.Context(), "new")
		require.ErrorIs(t, err, errNoKey)
		for _, x := range []ed25519.PublicKey{nil, {}, k.public[1:], append(k.public[:32:32], 0)} {
			answer = jwks(map[string]ed25519.PublicKey{"odd": x})
			time.Sleep(pause)
			_, err = set.PublicKey(t.Context(), "odd")
			require.ErrorContains(t, err, "malformed", "%q", x)
		}
	})
}

// The word of the event stands against an answer that was on its way when it
// came.
func TestADroppedKeyDoesNotComeBackWithALateAnswer(t *testing.T) {
	t.Parallel()
	k, _ := newKeys(t)
	asked, release := make(chan struct{}), make(chan struct{})
	var fetched atomic.Int32
	set := &KeySet{Fetch: func(context.Context) (*contract.JWKSResponse, error) {
		if fetched.Add(1) > 1 {
			return jwks(map[string]ed25519.PublicKey{"good": k.public}), nil
		}
		close(asked)
		<-release
		return jwks(map[string]ed25519.PublicKey{"stolen": k.public}), nil
	}}
	set.keys.Store(&map[string]ed25519.PublicKey{"stolen": k.public, "good": k.public})
	done := make(chan error)
	go func() { done <- set.Refresh(t.Context()) }()
	<-asked
	set.Retain([]string{"good", "newer"})
	_, ok := set.Current("stolen")
	require.False(t, ok)
	_, ok = set.Current("good")
	require.True(t, ok)
	close(release)
	require.NoError(t, <-done)
	require.EqualValues(t, 2, fetched.Load())
	_, ok = set.Current("stolen")
	require.False(t, ok)
	_, ok = set.Current("good")
	require.True(t, ok)
}
