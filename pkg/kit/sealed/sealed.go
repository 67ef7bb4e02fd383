// Package sealed encrypts what is stored, with keys derived from the
// installation's one secret: a key of its own for each purpose.
package sealed

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
)

// MinLength of the installation's secret, in bytes.
const MinLength = 32

// ErrShort says that the secret is too short to be one.
var ErrShort = fmt.Errorf("the installation's secret must have at least %d bytes", MinLength)

// ErrSealed says that something was sealed under another secret, or altered.
var ErrSealed = errors.New("cannot unseal: another secret, or altered data")

// Box seals for one purpose. It is safe for concurrent use.
type Box struct{ aead cipher.AEAD }

// NewBox derives the key of a purpose (HKDF-SHA-256, RFC 5869).
func NewBox(master []byte, purpose string) (*Box, error) {
	key, err := Derive(master, purpose)
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
	return &Box{aead}, nil
}

// Derive returns the 32 bytes of a purpose's key.
func Derive(master []byte, purpose string) ([]byte, error) {
	if len(master) < MinLength {
		return nil, ErrShort
	}
	return hkdf.Key(sha256.New, master, nil, purpose, 32)
}

// Seal encrypts plain and binds it to its name (AES-256-GCM).
func (b *Box) Seal(name string, plain []byte) []byte {
	return b.aead.Seal(nil, nil, plain, []byte(name)) //nolint:gosec // this AEAD makes its nonce itself
}

// Unseal reverses Seal; ErrSealed if that cannot be.
func (b *Box) Unseal(name string, sealed []byte) ([]byte, error) {
	plain, err := b.aead.Open(nil, nil, sealed, []byte(name))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}
