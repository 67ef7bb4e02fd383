package app

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/token"
	"github.com/buildify/core/services/auth/internal/secret"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// Signer signs tokens. A key's life, of which the database keeps the dates:
//
//	published ── 5 s, till all know it ──▶ signs ── retired ──▶ verifies still ── its last token expired ──▶ gone
//
// Its predecessor signs until the 5 seconds are over. A compromised key is gone
// at once. It is safe for concurrent use.
type Signer struct {
	// Lifetime of the access tokens, token.Lifetime at most. It is to be set
	// before the first is signed.
	Lifetime time.Duration

	db   *database.DB
	box  *secret.Box
	keys atomic.Pointer[[]signingKey]
}

// signingKey signs until it retires; zero is not known yet.
type signingKey struct {
	kid     string
	key     ed25519.PrivateKey
	retires time.Time
}

// NewSigner loads the signing keys, making the first one if there is none yet;
// replicas that start together agree on it.
func NewSigner(ctx context.Context, d *database.DB, box *secret.Box) (*Signer, error) {
	s := &Signer{Lifetime: token.Lifetime, db: d, box: box}
	err := d.In(ctx, database.Everything, func(tx pgx.Tx) error {
		q := db.New(tx)
		if err := q.LockSigningKeys(ctx); err != nil {
			return err
		}
		rows, err := q.TrustedSigningKeys(ctx)
		if err != nil || slices.ContainsFunc(rows, func(row db.AuthSigningKey) bool { return row.RetiredAt == nil }) {
			return err
		}
		_, err = createSigningKey(ctx, q, box)
		return err
	})
	if err == nil {
		err = s.Reload(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	return s, nil
}

func createSigningKey(ctx context.Context, q *db.Queries, box *secret.Box) (kid string, err error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return "", err
	}
	kid = base64.RawURLEncoding.EncodeToString(secret.Random(12))
	return kid, q.CreateSigningKey(ctx, db.CreateSigningKeyParams{
		Kid: kid, PublicKey: public, SealedKey: box.Seal(kid, private),
	})
}

// Reload takes in which keys sign now, and which will.
func (s *Signer) Reload(ctx context.Context) error {
	var rows []db.AuthSigningKey
	err := s.db.Read(ctx, database.Everything, func(tx pgx.Tx) (err error) {
		rows, err = db.New(tx).TrustedSigningKeys(ctx)
		return err
	})
	if err != nil {
		return err
	}
	var keys []signingKey
	for _, row := range rows {
		k := signingKey{kid: row.Kid}
		if row.RetiredAt != nil {
			k.retires = *row.RetiredAt
		}
		if k.done() {
			continue
		}
		if k.key, err = s.box.Unseal(row.Kid, row.SealedKey); err != nil {
			return fmt.Errorf("signing key %s: %w", row.Kid, err)
		}
		keys = append(keys, k)
	}
	// Whoever retires first still signs: all verifiers know that one.
	slices.SortFunc(keys, func(a, b signingKey) int { return a.until().Compare(b.until()) })
	s.keys.Store(&keys)
	return nil
}

// until is when the key signs no more, far away when that is not known.
func (k signingKey) until() time.Time {
	if k.retires.IsZero() {
		return time.Unix(1<<40, 0)
	}
	return k.retires
}

func (k signingKey) done() bool { return !time.Now().Before(k.until()) }

var errNoSigningKey = errors.New("there is no key to sign with")

// Sign issues an access token for a session of the user, in a tenant; empty
// for a platform administrator who acts in none.
func (s *Signer) Sign(user, tenant, session string) (string, error) {
	return s.sign(token.Claims{
		RegisteredClaims: jwt.RegisteredClaims{Subject: user, Audience: jwt.ClaimStrings{token.Audience}},
		TenantID:         tenant, SessionID: session,
	}, s.Lifetime)
}

// SignFor issues a token that only the module can use.
func (s *Signer) SignFor(module, user, tenant, session, scope string) (string, error) {
	return s.sign(token.Claims{
		RegisteredClaims: jwt.RegisteredClaims{Subject: user, Audience: jwt.ClaimStrings{token.ModuleAudiencePrefix + module}},
		TenantID:         tenant, SessionID: session, Scope: scope,
	}, token.ModuleLifetime)
}

func (s *Signer) sign(claims token.Claims, lifetime time.Duration) (string, error) {
	keys := *s.keys.Load()
	i := slices.IndexFunc(keys, func(k signingKey) bool { return !k.done() })
	if i < 0 {
		return "", errNoSigningKey
	}
	now := time.Now()
	claims.Issuer, claims.ID = token.Issuer, uuid.NewString()
	claims.IssuedAt, claims.ExpiresAt = jwt.NewNumericDate(now), jwt.NewNumericDate(now.Add(lifetime))
	t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims)
	t.Header["kid"], t.Header["typ"] = keys[i].kid, token.Type
	return t.SignedString(keys[i].key)
}
