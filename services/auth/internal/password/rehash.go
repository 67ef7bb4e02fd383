package password

import (
	"fmt"
	"strings"
)

// NeedsRehash reports whether a hash was made at another cost than today's, so
// that a login, which knows the password, can renew it.
func NeedsRehash(hash string) bool {
	return !strings.HasPrefix(hash, fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$", memory, passes, lanes))
}
