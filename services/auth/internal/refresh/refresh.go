// Package refresh is the form of refresh tokens: opaque to clients, of which
// the server keeps a MAC only. The successor of a token is derived from it
// under the installation's secret, so that whoever races to use one token is
// given the same successor, by whichever replica.
package refresh

import (
	"crypto/hmac"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/google/uuid"
)

const (
	prefix     = "bfr_"
	secretSize = 32
	tagSize    = 16
	bodySize   = 2 * (16 + secretSize + tagSize)
	size       = len(prefix) + bodySize + 8
)

// ErrMalformed says that a string cannot be a refresh token: wrong form, or
// its checksum does not hold, so it was cut or mistyped.
var ErrMalformed = errors.New("malformed refresh token")

// Key is the installation's secret. Implementations are keyed with nothing
// that leaves the service, and safe for concurrent use.
type Key interface {
	// MAC returns 32 bytes that only the key's holder can tell.
	MAC(message string) []byte
}

// Token is a refresh token taken apart:
// "bfr_<session><secret><tag><checksum>", all of it in hex. The tag tells a
// token that was once given out from an invented one, also when it is no
// longer remembered; the checksum lets secret scanners recognise it.
type Token struct {
	session uuid.UUID
	secret  [secretSize]byte
	tag     [tagSize]byte
}

// New forms the first token of a session, whose id must be a UUID, from 32
// random bytes.
func New(key Key, session string, random []byte) (Token, error) {
	id, err := uuid.Parse(session)
	if err != nil {
		return Token{}, fmt.Errorf("refresh token: session: %w", err)
	}
	if len(random) != secretSize {
		return Token{}, fmt.Errorf("refresh token: %d random bytes, not %d", len(random), secretSize)
	}
	return form(key, id, random), nil
}

func form(key Key, session uuid.UUID, secret []byte) Token {
	t := Token{session: session, secret: [secretSize]byte(secret)}
	copy(t.tag[:], t.expectedTag(key))
	return t
}

// Parse takes a token apart. It tells a well-formed token, not a valid one.
func Parse(s string) (Token, error) {
	if len(s) != size || !strings.HasPrefix(s, prefix) || s != strings.ToLower(s) {
		return Token{}, ErrMalformed // one token, one spelling
	}
	body := s[len(prefix) : len(prefix)+bodySize]
	raw, err := hex.DecodeString(body)
	if err != nil || checksum(body) != s[len(prefix)+bodySize:] {
		return Token{}, ErrMalformed
	}
	t := Token{session: uuid.UUID(raw[:16]), secret: [secretSize]byte(raw[16:])}
	copy(t.tag[:], raw[16+secretSize:])
	return t, nil
}

// Session is the id of the session that the token names.
func (t Token) Session() string { return t.session.String() }

// Genuine reports whether this installation made the token, be it spent or
// not.
func (t Token) Genuine(key Key) bool { return hmac.Equal(t.tag[:], t.expectedTag(key)) }

// Successor is the token that follows this one.
func (t Token) Successor(key Key) Token {
	return form(key, t.session, key.MAC("refresh successor:"+t.Reveal()))
}

// Stored is what is kept of the token.
func (t Token) Stored(key Key) []byte { return key.MAC("refresh stored:" + t.Reveal()) }

// Reveal returns the whole token. Nothing else does: neither fmt nor JSON nor
// slog.
func (t Token) Reveal() string {
	body := hex.EncodeToString(t.session[:]) + hex.EncodeToString(t.secret[:]) + hex.EncodeToString(t.tag[:])
	return prefix + body + checksum(body)
}

// String names the session only, fit for logs.
func (t Token) String() string { return prefix + t.Session() + "…" }

// GoString is String, for %#v.
func (t Token) GoString() string { return t.String() }

// MarshalText is String, for JSON and slog.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

func (t Token) expectedTag(key Key) []byte {
	return key.MAC("refresh tag:" + string(t.session[:]) + string(t.secret[:]))[:tagSize]
}

func checksum(body string) string { return fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(body))) }
