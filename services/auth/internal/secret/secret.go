// Package secret derives what service auth protects its data with from the
// installation's one secret.
package secret

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"

	"github.com/buildify/core/pkg/kit/sealed"
)

// MinLength of the installation's secret, in bytes.
const MinLength = sealed.MinLength

// What sealed answers with.
var (
	ErrShort  = sealed.ErrShort
	ErrSealed = sealed.ErrSealed
)

// Box seals private keys and peppers API keys. It is safe for concurrent use.
type Box struct {
	*sealed.Box
	pepper []byte
}

// NewBox derives the keys.
func NewBox(master []byte) (*Box, error) {
	pepper, err := sealed.Derive(master, "buildify api key pepper v1")
	if err != nil {
		return nil, err
	}
	box, err := sealed.NewBox(master, "buildify signing key seal v1")
	if err != nil {
		return nil, err
	}
	return &Box{box, pepper}, nil
}

// MAC is what is stored of an API key's secret: HMAC-SHA-256 under the pepper.
func (b *Box) MAC(secret string) []byte {
	mac := hmac.New(sha256.New, b.pepper)
	mac.Write([]byte(secret))
	return mac.Sum(nil)
}

// Matches compares in constant time.
func (b *Box) Matches(secret string, mac []byte) bool { return hmac.Equal(b.MAC(secret), mac) }

// Random returns n random bytes.
func Random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails since Go 1.24
	return b
}
