package app

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/kittest"
	"github.com/buildify/core/pkg/kit/token"
	"github.com/buildify/core/services/auth/internal/secret"
)

// signs tells which key signs now.
func (s *Signer) signs(t testing.TB) string {
	t.Helper()
	for _, k := range *s.keys.Load() {
		if !k.done() {
			return k.kid
		}
	}
	t.Fatal("nothing signs")
	return ""
}

func published(t testing.TB, a *App) (kids []string) {
	t.Helper()
	set, err := a.JWKS(bounded(t), &contract.JWKSRequest{})
	require.NoError(t, err)
	for _, key := range set.Keys {
		kids = append(kids, key.KeyID)
	}
	return kids
}

// pass lets so much time pass for the signing keys.
func (w *world) pass(t testing.TB, d time.Duration) {
	t.Helper()
	_, err := w.DB.Exec(bounded(t), `UPDATE signing_keys SET created_at = created_at - $1::interval,
		retired_at = retired_at - $1::interval, trusted_until = trusted_until - $1::interval`, d)
	require.NoError(t, err)
	require.NoError(t, w.Keys.Refresh(bounded(t)))
}

// replica is another App on the same database.
func (w *world) replica(t testing.TB) *App {
	t.Helper()
	signer, err := NewSigner(bounded(t), w.DB, w.Box)
	require.NoError(t, err)
	a := &App{
		DB: w.DB, Directory: w.Directory, Box: w.Box, Signer: signer, Log: w.Log, Committed: func() {},
		Keys: SigningKeys{KeySet: keySet(w.DB), Signer: signer},
	}
	a.Verifier = token.NewVerifier(a.Keys.KeySet)
	return a
}

func TestReplicasThatStartTogetherAgreeOnOneKey(t *testing.T) {
	t.Parallel()
	url := kittest.Database(t, migrate)
	var all sync.WaitGroup
	signers := make([]*Signer, 4)
	failures := make([]error, len(signers))
	for i := range signers {
		db := open(t, url)
		all.Go(func() { signers[i], failures[i] = NewSigner(bounded(t), db, newBox(t, "a")) })
	}
	all.Wait()
	for i, s := range signers {
		require.NoError(t, failures[i])
		require.Equal(t, *signers[0].keys.Load(), *s.keys.Load())
	}
	db, kid := open(t, url), signers[0].signs(t)
	set, err := PublicKeys(bounded(t), db)
	require.NoError(t, err)
	require.Len(t, set.Keys, 1)
	require.Equal(t, contract.JWK{KeyType: "OKP", Curve: "Ed25519", Algorithm: "EdDSA", Use: "sig", KeyID: kid, X: set.Keys[0].X}, set.Keys[0])

	raw, err := signers[1].Sign("user", "tenant", "s1")
	require.NoError(t, err)
	claims, err := token.NewVerifier(keySet(db)).Verify(bounded(t), raw)
	require.NoError(t, err)
	require.Equal(t, []string{"user", "tenant", "s1"}, []string{claims.Subject, claims.TenantID, claims.SessionID})
	require.WithinDuration(t, time.Now().Add(token.Lifetime), claims.ExpiresAt.Time, time.Minute)
	again, err := signers[1].Sign("user", "tenant", "s1")
	require.NoError(t, err)
	second, err := token.NewVerifier(keySet(db)).Verify(bounded(t), again)
	require.NoError(t, err)
	require.NotEqual(t, claims.ID, second.ID)

	var sealed []byte
	require.NoError(t, db.QueryRow(bounded(t), "SELECT sealed_key FROM signing_keys").Scan(&sealed))
	private := (*signers[0].keys.Load())[0].key
	require.NotContains(t, string(sealed), string(private))
	require.NotContains(t, string(sealed), string(private.Seed()))
	_, err = NewSigner(bounded(t), db, newBox(t, "b"))
	require.ErrorIs(t, err, secret.ErrSealed, "the secret was exchanged")
}

func TestAKeyIsKnownBeforeItSignsAndTrustedUntilItsLastTokenExpired(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.Signer.signs(t)
	old, err := w.Signer.Sign("u", "t", "s")
	require.NoError(t, err)
	made, err := w.RotateSigningKey(bounded(t), &contract.RotateSigningKeyRequest{})
	require.NoError(t, err)
	require.Equal(t, []string{made.KeyID, first}, published(t, w.App))
	require.Equal(t, first, w.Signer.signs(t), "verifiers learn of the new key first")
	waiting := w.outbox(t)
	require.Len(t, waiting, 1)
	require.True(t, events.SigningKeysChanged.Is(waiting[0]))
	require.JSONEq(t, `{"kids":["`+made.KeyID+`","`+first+`"]}`, string(waiting[0].Data()))

	w.pass(t, signingLead)
	require.Equal(t, made.KeyID, w.Signer.signs(t))
	require.Equal(t, []string{made.KeyID, first}, published(t, w.App))
	w.pass(t, token.Lifetime)
	_, err = w.Verifier.Verify(bounded(t), old)
	require.NoError(t, err, "its key is trusted while it has not expired")
	w.pass(t, signingOverlap)
	require.Equal(t, []string{made.KeyID}, published(t, w.App))
	_, ok := w.Verifier.Cached(old)
	require.False(t, ok)
	require.NoError(t, w.tendSigningKeys(bounded(t), time.Hour*24*365))
	w.pass(t, 25*time.Hour)
	require.NoError(t, w.tendSigningKeys(bounded(t), time.Hour*24*365))
	var left int
	require.NoError(t, w.DB.QueryRow(bounded(t), "SELECT count(*) FROM signing_keys").Scan(&left))
	require.Equal(t, 1, left, "private keys that nobody needs are deleted")
}

func TestACompromisedKeyIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.replica(t)
	first := w.Signer.signs(t)
	stolen, err := w.Signer.Sign("u", "t", "s")
	require.NoError(t, err)
	for _, a := range []*App{w.App, other} {
		_, err = a.Verifier.Verify(bounded(t), stolen)
		require.NoError(t, err)
	}
	_, err = w.RotateSigningKey(bounded(t), &contract.RotateSigningKeyRequest{}) // one that already retires is dropped, too
	require.NoError(t, err)
	made, err := w.RotateSigningKey(bounded(t), &contract.RotateSigningKeyRequest{Compromised: true})
	require.NoError(t, err)
	require.Equal(t, []string{made.KeyID}, published(t, w.App))
	require.Equal(t, made.KeyID, w.Signer.signs(t))
	_, ok := w.Verifier.Cached(stolen)
	require.False(t, ok, "remembered or not")
	_, err = w.Verifier.Verify(bounded(t), stolen)
	require.ErrorIs(t, err, is(contract.Unauthenticated))

	other.Keys.Retain([]string{made.KeyID}) // what the event does
	_, ok = other.Verifier.Cached(stolen)
	require.False(t, ok)
	require.Equal(t, first, other.Signer.signs(t), "not told yet")
	require.NoError(t, other.Keys.Refresh(bounded(t)))
	require.Equal(t, made.KeyID, other.Signer.signs(t))
}

func TestTheKeyIsExchangedWhenItIsDueByOneReplica(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	replicas := []*App{w.App, w.replica(t), w.replica(t), w.replica(t)}
	tend := func() {
		var all sync.WaitGroup
		for _, a := range replicas {
			all.Go(func() {
				if err := a.tendSigningKeys(bounded(t), 24*time.Hour); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	tend()
	require.Len(t, published(t, w.App), 1, "not due")
	w.pass(t, 25*time.Hour)
	tend()
	require.Len(t, published(t, w.App), 2, "one of them")
	tend()
	require.Len(t, published(t, w.App), 2, "once")
	w.pass(t, signingLead)
	for _, a := range replicas {
		require.NoError(t, a.Keys.Refresh(bounded(t)))
		require.Equal(t, published(t, w.App)[0], a.Signer.signs(t))
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	w.KeepSigningKeys(ctx, time.Hour) // ends
}

// Replicas sign and verify without a pause while the key is exchanged.
func TestRotationUnderLoadRefusesNoValidToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.replica(t)
	// The event reaches the other replica a moment later.
	told := make(chan events.Event, 100)
	w.Announce = func(e events.Event) { told <- e }
	var all sync.WaitGroup
	all.Go(func() {
		for range told {
			if err := other.Keys.Refresh(bounded(t)); err != nil {
				t.Error(err)
			}
		}
	})
	var signed atomic.Int64
	done := make(chan struct{})
	for _, pair := range [][2]*App{{w.App, other}, {other, w.App}} {
		all.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				raw, err := pair[0].Signer.Sign("u", "t", "s")
				if err == nil {
					_, err = pair[1].Verifier.Verify(bounded(t), raw)
				}
				if err != nil {
					t.Error(err)
					return
				}
				signed.Add(1)
			}
		})
	}
	for range 5 {
		before := signed.Load()
		made, err := w.RotateSigningKey(bounded(t), &contract.RotateSigningKeyRequest{})
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			_, known := other.Keys.Current(made.KeyID)
			return known && signed.Load() > before+20
		}, limit, time.Millisecond)
		w.pass(t, signingLead) // this replica signs with the new key, the other still with the old one
		require.Equal(t, made.KeyID, w.Signer.signs(t))
		before = signed.Load()
		require.Eventually(t, func() bool { return signed.Load() > before+20 }, limit, time.Millisecond)
		require.NoError(t, other.Keys.Refresh(bounded(t)))
	}
	close(done)
	close(told)
	all.Wait()
	require.NotZero(t, signed.Load())
}

func TestAModuleTokenIsShortAndForOneModule(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	raw, err := w.Signer.SignFor("crm", "u", "t", "s", "crm:accounts:read")
	require.NoError(t, err)
	claims, err := w.Verifier.VerifyFor(bounded(t), raw, "crm")
	require.NoError(t, err)
	require.Equal(t, "crm:accounts:read", claims.Scope)
	require.WithinDuration(t, time.Now().Add(5*time.Minute), claims.ExpiresAt.Time, 2*time.Second)
	_, err = w.Verifier.Verify(bounded(t), raw)
	require.ErrorIs(t, err, is(contract.Unauthenticated))
	raw, err = w.Signer.Sign(kit.NewID(), "", "s")
	require.NoError(t, err)
	claims, err = w.Verifier.Verify(bounded(t), raw)
	require.NoError(t, err)
	require.Empty(t, claims.TenantID)
}
