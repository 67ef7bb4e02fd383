// Package password hashes people's passwords with argon2id (RFC 9106).
package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// The cost of a hash, as OWASP's password storage guide recommends: 19 MiB,
// two passes, one lane; about 20 ms of one core.
const (
	memory  = 19 * 1024
	passes  = 2
	lanes   = 1
	keySize = 32
)

var errFormat = errors.New("malformed password hash")

// ErrBusy says that more passwords wait to be hashed than can be soon.
var ErrBusy = errors.New("too many passwords to hash at once")

// queued bounds how many wait for a place, each some tens of milliseconds.
const queued = 64

// Hasher hashes behind a semaphore, so that a storm of logins exhausts neither
// memory nor the cores that decisions need. It is safe for concurrent use.
type Hasher struct {
	queue chan struct{} // whoever waits or works
	slots chan struct{} // whoever works
	dummy string
}

// NewHasher returns a Hasher that works on at most n passwords at once. Beyond
// those that may wait it answers ErrBusy.
func NewHasher(n int) *Hasher {
	h := &Hasher{queue: make(chan struct{}, n+queued), slots: make(chan struct{}, n)}
	h.dummy = encode(make([]byte, 16), derive("", make([]byte, 16), memory, passes, lanes))
	return h
}

// Hash returns the PHC string of a password: parameters, random salt, hash.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	if err := h.acquire(ctx); err != nil {
		return "", err
	}
	defer h.release()
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails since Go 1.24
	return encode(salt, derive(password, salt, memory, passes, lanes)), nil
}

// Verify reports whether password has the hash. An empty hash costs as much
// as any other and is never matched: no such account takes no less time.
func (h *Hasher) Verify(ctx context.Context, hash, password string) (bool, error) {
	if err := h.acquire(ctx); err != nil {
		return false, err
	}
	defer h.release()
	known := hash != ""
	if !known {
		hash = h.dummy
	}
	var m, t uint32
	var p uint8
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != "v=19" {
		return false, errFormat
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &m, &t, &p); err != nil || t == 0 || p == 0 {
		return false, errFormat
	}
	salt, saltErr := base64.RawStdEncoding.DecodeString(parts[4])
	want, wantErr := base64.RawStdEncoding.DecodeString(parts[5])
	if errors.Join(saltErr, wantErr) != nil {
		return false, errFormat
	}
	match := subtle.ConstantTimeCompare(derive(password, salt, m, t, p), want) == 1
	return match && known, nil
}

func (h *Hasher) acquire(ctx context.Context) error {
	select {
	case h.queue <- struct{}{}:
	default:
		return ErrBusy
	}
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		<-h.queue
		return ctx.Err()
	}
}

func (h *Hasher) release() {
	<-h.slots
	<-h.queue
}

func derive(password string, salt []byte, m, t uint32, p uint8) []byte {
	return argon2.IDKey([]byte(password), salt, t, m, p, keySize)
}

func encode(salt, key []byte) string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", memory, passes, lanes, b64(salt), b64(key))
}
