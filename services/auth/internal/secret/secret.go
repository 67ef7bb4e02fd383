// Package secret derives what service auth protects its data with from the
// installation's one secret.
package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
)

// MinLength of the installation's secret, in bytes.
const MinLength = 32

// Box seals private keys and peppers API keys. It is safe for concurrent use.
type Box struct {
	pepper []byte
	seal   cipher.AEAD
}

// ErrShort says that the secret is too short to be one.
var ErrShort = fmt.Errorf("the installation's secret must have at least %d bytes", MinLength)

// ErrSealed says that something was sealed under another secret, or altered.
var ErrSealed = errors.New("cannot unseal: another secret, or altered data")

// NewBox derives the keys (HKDF-SHA-256, RFC 5869).
func NewBox(master []byte) (*Box, error) {
	if len(master) < MinLength {
		return nil, ErrShort
	}
	pepper, err := hkdf.Key(sha256.New, master, nil, "buildify api key pepper v1", 32)
	if err != nil {
		return nil, err
	}
	key, err := hkdf.Key(sha256.New, master, nil, "buildify signing key seal v1", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &Box{pepper: pepper, seal: aead}, nil
}

// MAC is what is stored of an API key's secret: HMAC-SHA-256 under the pepper.
func (b *Box) MAC(secret string) []byte {
	mac := hmac.New(sha256.New, b.pepper)
	mac.Write([]byte(secret))
	return mac.Sum(nil)
}

// Matches compares in constant time.
func (b *Box) Matches(secret string, mac []byte) bool { return hmac.Equal(b.MAC(secret), mac) }

// Seal encrypts plain and binds it to its name (AES-256-GCM).
func (b *Box) Seal(name string, plain []byte) []byte {
	return b.seal.Seal(nil, nil, plain, []byte(name)) //nolint:gosec // this AEAD makes its nonce itself
}

// Unseal reverses Seal; ErrSealed if that cannot be.
func (b *Box) Unseal(name string, sealed []byte) ([]byte, error) {
	plain, err := b.seal.Open(nil, nil, sealed, []byte(name))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// Random returns n random bytes.
func Random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails since Go 1.24
	return b
}
