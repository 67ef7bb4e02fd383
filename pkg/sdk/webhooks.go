package sdk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/nats-io/nats.go"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/buildify/core/pkg/events"
)

// ErrWebhook says that a message is not one that the core signed for this
// webhook just now: answer it with 400 and believe nothing of it.
var ErrWebhook = errors.New("not a genuine webhook message")

// maxWebhook is as large as a message can be: an event's data may take 1 MiB, in
// base64 a third more, beside its attributes.
const maxWebhook = 2 << 20

// minWebhookKey is the least that Standard Webhooks wants of a key, in bytes.
const minWebhookKey = 24

// VerifyWebhook returns the event that a webhook brought, once it is certain that
// the core sent it: one of its signatures is by one of the secrets (whsec_…), and
// it was signed within five minutes from now. All else is [ErrWebhook]. body is
// what came, byte for byte.
//
// While a secret is rotated the core signs with both, and secrets may hold both.
// A message may come more than once, as any event: its ID is the same each time.
func VerifyWebhook(secrets []string, header http.Header, body []byte) (events.Event, error) {
	if len(secrets) == 0 {
		return events.Event{}, errors.New("sdk: VerifyWebhook without a secret")
	}
	var failure error
	for _, secret := range secrets {
		verifier, err := webhookVerifier(secret)
		if err != nil {
			return events.Event{}, err
		}
		if failure = verifier.Verify(body, header); failure == nil {
			return webhookEvent(header, body)
		}
	}
	return events.Event{}, fmt.Errorf("%w: %w", ErrWebhook, failure)
}

func webhookVerifier(secret string) (*standardwebhooks.Webhook, error) {
	verifier, err := standardwebhooks.NewWebhook(strings.TrimSpace(secret))
	if err != nil {
		return nil, errors.New("sdk: a webhook's secret is whsec_ and base64") // not the error: it may quote the secret
	}
	if len(strings.TrimRight(strings.TrimPrefix(strings.TrimSpace(secret), "whsec_"), "="))*3/4 < minWebhookKey {
		return nil, errors.New("sdk: a webhook's secret is too short")
	}
	return verifier, nil
}

// webhookEvent reads what was signed; the id that was signed with it is the
// event's.
func webhookEvent(header http.Header, body []byte) (events.Event, error) {
	e, err := events.Decode(nats.Header{"content-type": {"application/cloudevents+json"}}, body)
	switch {
	case err != nil:
		return events.Event{}, fmt.Errorf("%w: %w", ErrWebhook, err)
	case e.ID() != header.Get(standardwebhooks.HeaderWebhookID):
		return events.Event{}, fmt.Errorf("%w: the id of the event is another than that of the message", ErrWebhook)
	}
	return e, nil
}

// WebhookHandler serves a webhook's address: it verifies each message with the
// secret and calls handle with its event. When handle returns nil the core is
// told that the event arrived; when it fails, or does not return within the 15
// seconds that the core waits, the event comes again later. handle must be able
// to repeat what it does: an event may come more than once.
//
// To serve while a secret is rotated give both, separated by a space.
func WebhookHandler(secret string, handle func(context.Context, events.Event) error) http.Handler {
	secrets := strings.Fields(secret)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "post events here", http.StatusMethodNotAllowed)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxWebhook))
		if err != nil {
			http.Error(w, "the message is cut short or too large", http.StatusBadRequest)
			return
		}
		e, err := VerifyWebhook(secrets, r.Header, body)
		switch {
		case errors.Is(err, ErrWebhook):
			http.Error(w, ErrWebhook.Error(), http.StatusBadRequest)
		case err != nil:
			http.Error(w, "the receiver has no good secret", http.StatusInternalServerError)
		case handle(r.Context(), e) != nil:
			http.Error(w, "the event was not handled; send it again", http.StatusInternalServerError)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	})
}
