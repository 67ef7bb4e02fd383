package kit

import (
	"crypto/sha256"
	"encoding/base64"
)

// ContentTag is what a field tagged etag:"true" holds of an answer whose field
// is still empty: it changes exactly when the answer does.
func ContentTag(answer any) (string, error) {
	out, err := encode(answer)
	sum := sha256.Sum256(out)
	return base64.RawURLEncoding.EncodeToString(sum[:]), err
}
