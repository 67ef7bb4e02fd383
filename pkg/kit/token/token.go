// Package token verifies people's access tokens where they arrive: JWTs
// (RFC 7519) signed with Ed25519 (RFC 8037), algorithm, issuer and audience
// pinned.
package token

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/buildify/core/pkg/contract"
)

// Issuer and Audience are what every access token of the platform carries.
const (
	Issuer   = "buildify"
	Audience = "buildify-core"
	// Lifetime of an access token.
	Lifetime = 15 * time.Minute
)

// Claims are those of an access token: sub is the user, tid the tenant, sid
// the session.
type Claims struct {
	jwt.RegisteredClaims
	TenantID  string `json:"tid"`
	SessionID string `json:"sid"`
}

// Keys finds verification keys. Implementations are safe for concurrent use.
type Keys interface {
	// PublicKey returns the key of that id; an error refuses the token.
	PublicKey(ctx context.Context, kid string) (ed25519.PublicKey, error)
}

// Verifier verifies access tokens and remembers those it found valid, by
// their SHA-256, until they expire. It is safe for concurrent use.
type Verifier struct {
	keys   Keys
	parser *jwt.Parser

	mu    sync.RWMutex
	known map[[32]byte]*Claims
}

// NewVerifier returns a Verifier that trusts keys.
func NewVerifier(keys Keys) *Verifier {
	return &Verifier{
		keys: keys,
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}),
			jwt.WithIssuer(Issuer), jwt.WithAudience(Audience),
			jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithStrictDecoding(),
		),
		known: map[[32]byte]*Claims{},
	}
}

// maxKnown bounds the memory of valid tokens, about 40 MB.
const maxKnown = 100_000

// Cached returns the claims of a token that was verified before and has not
// expired since. It never blocks.
func (v *Verifier) Cached(raw string) (*Claims, bool) {
	key := sha256.Sum256([]byte(raw))
	v.mu.RLock()
	claims, ok := v.known[key]
	v.mu.RUnlock()
	if !ok || !time.Now().Before(claims.ExpiresAt.Time) {
		return nil, false
	}
	return claims, true
}

// Verify returns the claims of a valid token. Whatever is wrong with a token
// is unauthenticated; a Keys that is out of reach is its own error.
func (v *Verifier) Verify(ctx context.Context, raw string) (*Claims, error) {
	if claims, ok := v.Cached(raw); ok {
		return claims, nil
	}
	if strings.ContainsAny(raw, "\r\n") { // base64 would skip them: one token, many spellings
		return nil, invalid("is not a valid access token")
	}
	var keysError error
	claims := &Claims{}
	_, err := v.parser.ParseWithClaims(raw, claims, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		var key ed25519.PublicKey
		key, keysError = v.keys.PublicKey(ctx, kid)
		return key, keysError
	})
	switch {
	case keysError != nil && !errors.Is(keysError, &contract.Error{Code: contract.NotFound}):
		return nil, keysError
	case errors.Is(err, jwt.ErrTokenExpired):
		return nil, invalid("has expired; log in again")
	case err != nil || claims.Subject == "" || claims.TenantID == "":
		return nil, invalid("is not a valid access token")
	}
	v.remember(raw, claims)
	return claims, nil
}

func invalid(message string) error {
	return &contract.Error{Code: contract.Unauthenticated, Field: "token", Message: message}
}

func (v *Verifier) remember(raw string, claims *Claims) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.known) >= maxKnown {
		now := time.Now()
		for key, old := range v.known {
			if now.After(old.ExpiresAt.Time) {
				delete(v.known, key)
			}
		}
		if len(v.known) >= maxKnown {
			clear(v.known)
		}
	}
	v.known[sha256.Sum256([]byte(raw))] = claims
}

// KeySet is service auth's JWK set, fetched when needed and kept; a key id that
// is not in it fetches again, at most once a second.
type KeySet struct {
	// Fetch returns the current set.
	Fetch func(ctx context.Context) (*contract.JWKSResponse, error)

	mu      sync.Mutex
	keys    map[string]ed25519.PublicKey
	fetched time.Time
}

// PublicKey implements Keys.
func (r *KeySet) PublicKey(ctx context.Context, kid string) (ed25519.PublicKey, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if key, ok := r.keys[kid]; ok {
		return key, nil
	}
	if time.Since(r.fetched) < time.Second {
		return nil, contract.Missing("signing key")
	}
	set, err := r.Fetch(ctx)
	if err != nil {
		return nil, err
	}
	r.fetched = time.Now()
	r.keys = make(map[string]ed25519.PublicKey, len(set.Keys))
	for _, jwk := range set.Keys {
		key, err := base64.RawURLEncoding.DecodeString(jwk.X)
		if err != nil || len(key) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("signing key %s is malformed", jwk.KeyID)
		}
		r.keys[jwk.KeyID] = key
	}
	if key, ok := r.keys[kid]; ok {
		return key, nil
	}
	return nil, contract.Missing("signing key")
}
