package trail

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// ErrCheckpoint says that a text is no checkpoint, or not signed by who should.
var ErrCheckpoint = errors.New("not a valid checkpoint")

// Checkpoint is the state of a tenant's tree that somebody signed (C2SP
// tlog-checkpoint).
type Checkpoint struct {
	// Origin names the log: the name of the installation's key, "/" and the tenant.
	Origin string
	Size   int64
	Root   Hash
}

// Origin is that of a tenant's log, by the name of the installation's key.
func Origin(name, tenant string) string { return name + "/" + tenant }

// tenant is whose log it is.
func (c *Checkpoint) tenant() string { return c.Origin[strings.LastIndexByte(c.Origin, '/')+1:] }

// Text is what is signed.
func (c *Checkpoint) Text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:]))
}

// Sign returns the checkpoint as a signed note (C2SP signed-note).
func (c *Checkpoint) Sign(signers ...note.Signer) ([]byte, error) {
	return note.Sign(&note.Note{Text: c.Text()}, signers...)
}

// OpenCheckpoint reads a signed checkpoint and verifies every signature whose key
// is among verifiers. It must be signed by the first of them, the log's. The names
// of those that signed are returned. Anything else is ErrCheckpoint.
func OpenCheckpoint(signed []byte, verifiers ...note.Verifier) (*Checkpoint, []string, error) {
	n, err := note.Open(signed, note.VerifierList(verifiers...))
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	var names []string
	byLog := false
	for _, s := range n.Sigs {
		names = append(names, s.Name)
		byLog = byLog || s.Name == verifiers[0].Name() && s.Hash == verifiers[0].KeyHash()
	}
	if !byLog {
		return nil, nil, fmt.Errorf("%w: not signed by %s", ErrCheckpoint, verifiers[0].Name())
	}
	c, err := parseCheckpoint(n.Text)
	return c, names, err
}

func parseCheckpoint(text string) (*Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || lines[0] == "" {
		return nil, fmt.Errorf("%w: too short", ErrCheckpoint)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return nil, fmt.Errorf("%w: size %q", ErrCheckpoint, lines[1])
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != len(Hash{}) {
		return nil, fmt.Errorf("%w: root %q", ErrCheckpoint, lines[2])
	}
	return &Checkpoint{Origin: lines[0], Size: size, Root: Hash(root)}, nil
}

// A witness signs with cosignatures (C2SP tlog-cosignature): like a checkpoint's
// signature, with the time at which the witness saw it.
const algCosignature = 0x04

func cosignatureKeyHash(name string, public ed25519.PublicKey) uint32 {
	h := sha256.New()
	h.Write([]byte(name + "\n"))
	h.Write([]byte{algCosignature})
	h.Write(public)
	return binary.BigEndian.Uint32(h.Sum(nil))
}

func cosigned(text []byte, at uint64) []byte {
	return fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, text)
}

type cosigner struct {
	name string
	key  ed25519.PrivateKey
	now  func() time.Time
}

// NewCosigner returns the signer of a witness. It is safe for concurrent use.
func NewCosigner(name string, key ed25519.PrivateKey, now func() time.Time) note.Signer {
	return &cosigner{name, key, now}
}

func (c *cosigner) Name() string { return c.name }
func (c *cosigner) KeyHash() uint32 {
	return cosignatureKeyHash(c.name, c.key.Public().(ed25519.PublicKey)) //nolint:errcheck // as crypto/ed25519 says
}

func (c *cosigner) Sign(text []byte) ([]byte, error) {
	at := uint64(c.now().Unix())
	return append(binary.BigEndian.AppendUint64(nil, at), ed25519.Sign(c.key, cosigned(text, at))...), nil
}

type cosignatureVerifier struct {
	name   string
	public ed25519.PublicKey
}

func (v *cosignatureVerifier) Name() string    { return v.name }
func (v *cosignatureVerifier) KeyHash() uint32 { return cosignatureKeyHash(v.name, v.public) }

func (v *cosignatureVerifier) Verify(text, signature []byte) bool {
	return len(signature) == 8+ed25519.SignatureSize &&
		ed25519.Verify(v.public, cosigned(text, binary.BigEndian.Uint64(signature)), signature[8:])
}

// NewVerifier reads a verifier key: of a log, as note.NewVerifier, or of a
// witness.
func NewVerifier(vkey string) (note.Verifier, error) {
	name, rest, _ := strings.Cut(vkey, "+")
	hash, encoded, _ := strings.Cut(rest, "+")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) != 1+ed25519.PublicKeySize || key[0] != algCosignature {
		return note.NewVerifier(vkey)
	}
	v := &cosignatureVerifier{name: name, public: key[1:]}
	if fmt.Sprintf("%08x", v.KeyHash()) != hash || name == "" {
		return nil, errors.New("invalid verifier hash")
	}
	return v, nil
}

// CosignatureKey is the verifier key of a witness.
func CosignatureKey(name string, public ed25519.PublicKey) string {
	return fmt.Sprintf("%s+%08x+%s", name, cosignatureKeyHash(name, public), base64.StdEncoding.EncodeToString(append([]byte{algCosignature}, public...)))
}
