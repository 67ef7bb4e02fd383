package webhooks

import (
	"crypto/rand"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const secretPrefix = "whsec_"

// newSecret is 256 bits, within the 192 to 512 that Standard Webhooks asks for.
func newSecret() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return key
}

// sign is the header webhook-signature: a signature by each key.
func sign(keys [][]byte, id string, at time.Time, body []byte) (string, error) {
	var all []string
	for _, key := range keys {
		signer, err := standardwebhooks.NewWebhookRaw(key)
		if err != nil {
			return "", err
		}
		signature, err := signer.Sign(id, at, body)
		if err != nil {
			return "", err
		}
		all = append(all, signature)
	}
	return strings.Join(all, " "), nil
}
