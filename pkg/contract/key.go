package contract

import (
	"errors"
	"fmt"
	"hash/crc32"
	"regexp"
	"strings"
)

// APIKey is a module's API key taken apart: "bfy_<environment>_<id>_<secret>".
// The id is "<module>-<random>", so that a client knows its own subject and
// inbox prefixes; the server never believes it and looks the id up.
type APIKey struct {
	Environment, ID, Secret string
}

// ErrMalformedKey says that a string cannot be an API key: wrong form, or its
// checksum does not hold, so it was cut or mistyped.
var ErrMalformedKey = errors.New("malformed API key")

var keyPattern = regexp.MustCompile(`^bfy_(dev|staging|prod)_([a-z][a-z0-9-]{1,62}-[a-z0-9]{8,32})_([A-Za-z0-9-]{43,128})$`)

// ValidModule reports whether name may name a module: 2 to 63 lower-case
// letters, digits and hyphens, beginning with a letter. Such a name is one
// safe subject token.
func ValidModule(name string) bool {
	if len(name) < 2 || len(name) > 63 || name[0] < 'a' || name[0] > 'z' {
		return false
	}
	for i := range len(name) { // by hand: each request of a module passes here
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// ReservedModule reports whether name is one that the platform speaks under,
// in audit trails and on the bus, so that no module may have it.
func ReservedModule(name string) bool {
	switch name {
	case "core", "platform", "buildify", "auth", "rbac", "tenant", "audit", "httpbridge", "operator", "system", "callout":
		return true
	}
	return PlatformNamespace(name)
}

// NewAPIKey forms a key from its id and its random part; it appends the
// checksum that ParseAPIKey asks for.
func NewAPIKey(environment, id, random string) APIKey {
	return APIKey{Environment: environment, ID: id, Secret: random + keyChecksum(environment, id, random)}
}

// ParseAPIKey takes a key apart. It tells a well-formed key, not a valid one.
func ParseAPIKey(s string) (APIKey, error) {
	parts := keyPattern.FindStringSubmatch(s)
	if len(s) > 512 || parts == nil {
		return APIKey{}, ErrMalformedKey
	}
	key := APIKey{Environment: parts[1], ID: parts[2], Secret: parts[3]}
	cut := len(key.Secret) - 8
	if keyChecksum(key.Environment, key.ID, key.Secret[:cut]) != key.Secret[cut:] {
		return APIKey{}, ErrMalformedKey
	}
	return key, nil
}

// Module is the module that the key's id names.
func (k APIKey) Module() string {
	module, _ := KeyModule(k.ID)
	return module
}

// KeyModule is the module that a key's id names: all before its last hyphen.
// It reports whether id has the form of a key's id, which is one safe subject
// token.
func KeyModule(id string) (module string, ok bool) {
	cut := strings.LastIndexByte(id, '-')
	if cut < 0 || !ValidModule(id[:cut]) || len(id)-cut < 9 || len(id)-cut > 33 {
		return "", false
	}
	for i := cut + 1; i < len(id); i++ { // by hand: each request of a module passes here
		if c := id[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return "", false
		}
	}
	return id[:cut], true
}

// Reveal returns the whole key, secret included. Nothing else does: neither
// fmt nor JSON nor slog.
func (k APIKey) Reveal() string {
	return fmt.Sprintf("bfy_%s_%s_%s", k.Environment, k.ID, k.Secret)
}

// String is the key without its secret, fit for logs.
func (k APIKey) String() string { return fmt.Sprintf("bfy_%s_%s_…", k.Environment, k.ID) }

// GoString is String, for %#v.
func (k APIKey) GoString() string { return k.String() }

// MarshalText is String, for JSON and slog.
func (k APIKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

func keyChecksum(environment, id, random string) string {
	return fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(environment+"_"+id+"_"+random)))
}
