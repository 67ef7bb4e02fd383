package token

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/buildify/core/pkg/contract"
)

// Keys finds verification keys. Implementations are safe for concurrent use.
type Keys interface {
	// Current returns the key of that id if it is known and trusted now. It
	// never blocks.
	Current(kid string) (ed25519.PublicKey, bool)
	// PublicKey is Current, but asks further for a key that is not known. An
	// error refuses the token; not_found says that there is no such key.
	PublicKey(ctx context.Context, kid string) (ed25519.PublicKey, error)
}

// Verifier verifies tokens and remembers those it found valid, by their
// SHA-256, until they expire or their key is trusted no more. Whether the
// session has ended is not its business. It is safe for concurrent use.
type Verifier struct {
	keys   Keys
	parser *jwt.Parser

	mu    sync.RWMutex
	known map[[32]byte]verified
}

type verified struct {
	claims *Claims
	kid    string
	key    ed25519.PublicKey
}

// NewVerifier returns a Verifier that trusts keys.
func NewVerifier(keys Keys) *Verifier {
	return &Verifier{
		keys: keys,
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}), jwt.WithIssuer(Issuer),
			jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithStrictDecoding(),
		),
		known: map[[32]byte]verified{},
	}
}

// Verify returns the claims of a valid access token. Whatever is wrong with a
// token is unauthenticated; Keys that are out of reach are their own error.
func (v *Verifier) Verify(ctx context.Context, raw string) (*Claims, error) {
	return v.VerifyFor(ctx, raw, "")
}

// Cached returns the claims of an access token that was verified before and is
// still valid. It never blocks.
func (v *Verifier) Cached(raw string) (*Claims, bool) { return v.CachedFor(raw, "") }

// VerifyFor is Verify for what a module was handed: an access token, or a
// token made for that module. Claims.Module tells which it was.
func (v *Verifier) VerifyFor(ctx context.Context, raw, module string) (*Claims, error) {
	claims, ok := v.cached(raw)
	if !ok {
		var err error
		if claims, err = v.parse(ctx, raw); err != nil {
			return nil, err
		}
	}
	if !claims.isAccess() && !claims.isFor(module) {
		return nil, invalid("was not made for this use")
	}
	return claims, nil
}

// CachedFor is Cached for what VerifyFor accepts.
func (v *Verifier) CachedFor(raw, module string) (*Claims, bool) {
	claims, ok := v.cached(raw)
	if !ok || !claims.isAccess() && !claims.isFor(module) {
		return nil, false
	}
	return claims, true
}

func (v *Verifier) cached(raw string) (*Claims, bool) {
	key := sha256.Sum256([]byte(raw))
	v.mu.RLock()
	known, ok := v.known[key]
	v.mu.RUnlock()
	if !ok || !time.Now().Before(known.claims.ExpiresAt.Time) {
		return nil, false
	}
	trusted, ok := v.keys.Current(known.kid)
	return known.claims, ok && known.key.Equal(trusted)
}

// parse verifies a token of either kind, whomever it was made for.
func (v *Verifier) parse(ctx context.Context, raw string) (*Claims, error) {
	if strings.ContainsAny(raw, "\r\n") { // base64 would skip them: one token, many spellings
		return nil, invalid("is not a valid access token")
	}
	var keysError error
	known := verified{claims: &Claims{}}
	parsed, err := v.parser.ParseWithClaims(raw, known.claims, func(t *jwt.Token) (any, error) {
		known.kid, _ = t.Header["kid"].(string)
		known.key, keysError = v.keys.PublicKey(ctx, known.kid)
		return known.key, keysError
	})
	switch {
	case keysError != nil && !errors.Is(keysError, &contract.Error{Code: contract.NotFound}):
		return nil, keysError
	case errors.Is(err, jwt.ErrTokenExpired):
		return nil, invalid("has expired; log in again")
	case err != nil || !wellTyped(parsed.Header) || len(known.claims.Audience) != 1 ||
		known.claims.Subject == "" || known.claims.SessionID == "":
		return nil, invalid("is not a valid access token")
	}
	v.remember(raw, known)
	return known.claims, nil
}

// wellTyped reports whether it is the header of a token of ours: we make no
// extensions that a verifier must understand, and the parser overlooks them.
func wellTyped(header map[string]any) bool {
	_, critical := header["crit"]
	return header["typ"] == Type && !critical
}

// maxKnown bounds the memory of valid tokens, about 40 MB.
const maxKnown = 100_000

func (v *Verifier) remember(raw string, token verified) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.known) >= maxKnown {
		v.makeRoom()
	}
	v.known[sha256.Sum256([]byte(raw))] = token
}

// makeRoom forgets what expired, and any tenth of the rest when all is valid.
func (v *Verifier) makeRoom() {
	now := time.Now()
	for key, old := range v.known {
		if !now.Before(old.claims.ExpiresAt.Time) {
			delete(v.known, key)
		}
	}
	for key := range v.known {
		if len(v.known) <= maxKnown*9/10 {
			return
		}
		delete(v.known, key)
	}
}
