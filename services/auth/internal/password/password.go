// Package password hashes people's passwords with argon2id (RFC 9106) and says
// which ones are good enough (NIST SP 800-63B).
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
	"golang.org/x/text/unicode/norm"
)

// Cost is what making a hash takes.
type Cost struct {
	Memory uint32 // KiB
	Passes uint32
	Lanes  uint8
}

// Default is the cost that OWASP's password storage guide recommends: 19 MiB,
// two passes, one lane; about 20 ms of one core.
var Default = Cost{Memory: 19 * 1024, Passes: 2, Lanes: 1}

const (
	saltSize = 16
	keySize  = 32
	// No hash asks for more than a GiB and a hundred passes; one that does was
	// tampered with.
	maxMemory = 1 << 20
	maxPasses = 100
)

var errFormat = errors.New("malformed password hash")

// ErrBusy says that more passwords wait to be hashed than can be soon.
var ErrBusy = errors.New("too many passwords to hash at once")

// queued bounds how many wait for a place, each some tens of milliseconds.
const queued = 64

// Hasher hashes behind a semaphore, so that a storm of logins exhausts neither
// memory nor the cores that decisions need. It is safe for concurrent use.
type Hasher struct {
	cost  Cost
	queue chan struct{} // whoever waits or works
	slots chan struct{} // whoever works
	dummy string
}

// NewHasher returns a Hasher that works on at most n passwords at once, new
// hashes at the given cost. Beyond those that may wait it answers ErrBusy.
func NewHasher(n int, cost Cost) *Hasher {
	h := &Hasher{cost: cost, queue: make(chan struct{}, n+queued), slots: make(chan struct{}, n)}
	h.dummy = cost.encode(make([]byte, saltSize), cost.derive("", make([]byte, saltSize)))
	return h
}

// Hash returns the PHC string of a password: parameters, random salt, hash.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	if err := h.acquire(ctx); err != nil {
		return "", err
	}
	defer h.release()
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails since Go 1.24
	return h.cost.encode(salt, h.cost.derive(password, salt)), nil
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
	cost, salt, want, err := decode(hash)
	if err != nil {
		return false, err
	}
	match := subtle.ConstantTimeCompare(cost.derive(password, salt), want) == 1
	return match && known, nil
}

// NeedsRehash reports whether a hash was made at another cost than new ones
// are. An empty hash does not need it: there is no password.
func (h *Hasher) NeedsRehash(hash string) bool {
	cost, salt, key, err := decode(hash)
	return hash != "" && (err != nil || cost != h.cost || len(salt) != saltSize || len(key) != keySize)
}

// Load is how many passwords are being hashed and how many wait for it.
func (h *Hasher) Load() (working, waiting int) {
	working = len(h.slots)
	return working, max(len(h.queue)-working, 0)
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

// derive does not distinguish what looks the same: Unicode has several ways to
// write many letters, and keyboards differ in which they use.
func (c Cost) derive(password string, salt []byte) []byte {
	return argon2.IDKey([]byte(norm.NFKC.String(password)), salt, c.Passes, c.Memory, c.Lanes, keySize)
}

// encode writes a hash as a PHC string.
func (c Cost) encode(salt, key []byte) string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", c.Memory, c.Passes, c.Lanes, b64(salt), b64(key))
}

func decode(hash string) (c Cost, salt, key []byte, err error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != "v=19" {
		return c, nil, nil, errFormat
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &c.Memory, &c.Passes, &c.Lanes); err != nil ||
		c.Memory > maxMemory || c.Passes == 0 || c.Passes > maxPasses || c.Lanes == 0 {
		return c, nil, nil, errFormat
	}
	salt, saltErr := base64.RawStdEncoding.DecodeString(parts[4])
	key, keyErr := base64.RawStdEncoding.DecodeString(parts[5])
	if errors.Join(saltErr, keyErr) != nil {
		return c, nil, nil, errFormat
	}
	return c, salt, key, nil
}
