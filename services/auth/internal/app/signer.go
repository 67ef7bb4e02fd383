package app

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/token"
	"github.com/buildify/core/services/auth/internal/secret"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// Signer signs access tokens with the newest signing key. It is safe for
// concurrent use.
type Signer struct {
	kid string
	key ed25519.PrivateKey
}

// NewSigner loads the newest signing key, making the first one if there is
// none yet; replicas that start together agree on it.
func NewSigner(ctx context.Context, d *database.DB, box *secret.Box) (*Signer, error) {
	s := &Signer{}
	err := d.In(ctx, database.Everything, func(tx pgx.Tx) error {
		q := db.New(tx)
		if err := q.LockSigningKeys(ctx); err != nil {
			return err
		}
		rows, err := q.ListSigningKeys(ctx)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return s.create(ctx, q, box)
		}
		plain, err := box.Unseal(rows[0].Kid, rows[0].SealedKey)
		s.kid, s.key = rows[0].Kid, plain
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	return s, nil
}

func (s *Signer) create(ctx context.Context, q *db.Queries, box *secret.Box) error {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	s.kid, s.key = base64.RawURLEncoding.EncodeToString(secret.Random(12)), private
	return q.CreateSigningKey(ctx, db.CreateSigningKeyParams{
		Kid: s.kid, PublicKey: public, SealedKey: box.Seal(s.kid, private),
	})
}

// Sign issues an access token for a session of the user, in a tenant.
func (s *Signer) Sign(user, tenant, session string) (string, error) {
	now := time.Now()
	t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, token.Claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: token.Issuer, Audience: jwt.ClaimStrings{token.Audience}, Subject: user,
			ID: uuid.NewString(), IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(token.Lifetime)),
		},
		TenantID: tenant, SessionID: session,
	})
	t.Header["kid"] = s.kid
	return t.SignedString(s.key)
}
