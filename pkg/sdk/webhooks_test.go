package sdk

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/events"
)

const (
	webhookSecret  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" // of the official vectors
	anotherSecret  = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	webhookMessage = `{"specversion":"1.0","id":"0190c7a1-0000-7000-8000-000000000001","source":"/core/auth","type":"dev.buildify.auth.user.changed.v1","datacontenttype":"application/json","tenantid":"t1","data":{"id":"u1"}}`
	webhookID      = "0190c7a1-0000-7000-8000-000000000001"
)

// signed is a message as the core sends it.
func signed(t *testing.T, id, body string, at time.Time, secrets ...string) http.Header {
	t.Helper()
	var signatures []string
	for _, secret := range secrets {
		signer, err := standardwebhooks.NewWebhook(secret)
		require.NoError(t, err)
		signature, err := signer.Sign(id, at, []byte(body))
		require.NoError(t, err)
		signatures = append(signatures, signature)
	}
	h := http.Header{}
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	h.Set("webhook-signature", strings.Join(signatures, " "))
	return h
}

// The vectors of the Standard Webhooks project: what signs there verifies here.
func TestTheOfficialVectorsOfStandardWebhooksVerify(t *testing.T) {
	t.Parallel()
	verifier, err := webhookVerifier(webhookSecret)
	require.NoError(t, err)
	const id, body = "msg_p5jXN8AQM9LWM0D4loKWxJek", `{"test": 2432232314}`
	signature, err := verifier.Sign(id, time.Unix(1614265330, 0), []byte(body))
	require.NoError(t, err)
	require.Equal(t, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", signature)
	h := http.Header{}
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", "1614265330")
	h.Set("webhook-signature", signature)
	require.NoError(t, verifier.VerifyIgnoringTimestamp([]byte(body), h))
	_, err = VerifyWebhook([]string{webhookSecret}, h, []byte(body))
	require.ErrorIs(t, err, ErrWebhook)
	require.ErrorIs(t, err, standardwebhooks.ErrMessageTooOld)
}

func TestAWebhookIsBelievedAsItWasSigned(t *testing.T) {
	t.Parallel()
	now := time.Now()
	change := func(name, value string) func(http.Header) { return func(h http.Header) { h.Set(name, value) } }
	drop := func(name string) func(http.Header) { return func(h http.Header) { h.Del(name) } }
	good := func() http.Header { return signed(t, webhookID, webhookMessage, now, webhookSecret) }
	another := "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="
	for what, c := range map[string]struct {
		at      time.Time
		id      string
		body    string
		by      []string
		known   []string
		change  func(http.Header)
		refused bool
	}{
		"as it was signed":                        {},
		"signed nearly five minutes ago":          {at: now.Add(-295 * time.Second)},
		"by a clock ahead":                        {at: now.Add(295 * time.Second)},
		"signed by both secrets of a rotation":    {by: []string{anotherSecret, webhookSecret}},
		"known by both secrets of a rotation":     {known: []string{anotherSecret, webhookSecret}},
		"among signatures of other versions":      {change: change("webhook-signature", another+" v2,x v1a,y "+good().Get("webhook-signature")+" "+another)},
		"signed too long ago":                     {at: now.Add(-305 * time.Second), refused: true},
		"signed in the future":                    {at: now.Add(305 * time.Second), refused: true},
		"signed by another":                       {by: []string{anotherSecret}, refused: true},
		"without an id":                           {change: drop("webhook-id"), refused: true},
		"without a timestamp":                     {change: drop("webhook-timestamp"), refused: true},
		"without a signature":                     {change: drop("webhook-signature"), refused: true},
		"with an empty signature":                 {change: change("webhook-signature", "v1,"), refused: true},
		"with a signature of no version":          {change: change("webhook-signature", good().Get("webhook-signature")[3:]), refused: true},
		"with a signature of an unknown version":  {change: change("webhook-signature", "v2"+good().Get("webhook-signature")[2:]), refused: true},
		"with part of a signature":                {change: change("webhook-signature", good().Get("webhook-signature")[:20]), refused: true},
		"at another time than was signed":         {change: change("webhook-timestamp", strconv.FormatInt(now.Unix()-1, 10)), refused: true},
		"at no time":                              {change: change("webhook-timestamp", "yesterday"), refused: true},
		"under another id than was signed":        {change: change("webhook-id", "0190c7a1-0000-7000-8000-000000000002"), refused: true},
		"signed under another id than it carries": {id: "0190c7a1-0000-7000-8000-000000000002", refused: true},
		"no CloudEvent, though it is signed":      {body: `{"test": 2432232314}`, refused: true},
		"no JSON, though it is signed":            {body: `x`, refused: true},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			if c.at.IsZero() {
				c.at = now
			}
			if c.id == "" {
				c.id = webhookID
			}
			if c.body == "" {
				c.body = webhookMessage
			}
			if c.by == nil {
				c.by = []string{webhookSecret}
			}
			if c.known == nil {
				c.known = []string{webhookSecret}
			}
			h := signed(t, c.id, c.body, c.at, c.by...)
			if c.change != nil {
				c.change(h)
			}
			e, err := VerifyWebhook(c.known, h, []byte(c.body))
			if c.refused {
				require.ErrorIs(t, err, ErrWebhook)
				require.Nil(t, e.Context, "nothing of it is given out")
				return
			}
			require.NoError(t, err)
			require.Equal(t, webhookID, e.ID())
			require.Equal(t, "t1", events.Extension(e, events.TenantID))
			require.JSONEq(t, `{"id":"u1"}`, string(e.Data()))
		})
	}
}

func TestEachBitOfABodyIsSigned(t *testing.T) {
	t.Parallel()
	h := signed(t, webhookID, webhookMessage, time.Now(), webhookSecret)
	for i := range len(webhookMessage) {
		altered := []byte(webhookMessage)
		altered[i] ^= 1
		_, err := VerifyWebhook([]string{webhookSecret}, h, altered)
		require.ErrorIs(t, err, ErrWebhook)
	}
	_, err := VerifyWebhook([]string{webhookSecret}, h, []byte(webhookMessage+" "))
	require.ErrorIs(t, err, ErrWebhook)
}

func TestASecretThatIsNoneIsNoWebhooksFault(t *testing.T) {
	t.Parallel()
	h := signed(t, webhookID, webhookMessage, time.Now(), webhookSecret)
	for _, secrets := range [][]string{nil, {""}, {"whsec_"}, {"whsec_!!"}, {"whsec_" + base64.StdEncoding.EncodeToString([]byte("too short"))}} {
		_, err := VerifyWebhook(secrets, h, []byte(webhookMessage))
		require.Error(t, err)
		require.NotErrorIs(t, err, ErrWebhook)
		require.NotContains(t, err.Error(), "!!", "no error quotes a secret")
	}
}

func TestTheHandlerTellsTheCoreWhatBecameOfAnEvent(t *testing.T) {
	t.Parallel()
	var got []events.Event
	var fail error
	handler := WebhookHandler(anotherSecret+" "+webhookSecret, func(_ context.Context, e events.Event) error {
		got = append(got, e)
		return fail
	})
	post := func(h http.Header, body string) int {
		r := httptest.NewRequest(http.MethodPost, "/hooks", bytes.NewBufferString(body))
		r.Header = h
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		require.NotContains(t, w.Body.String(), "whsec_")
		return w.Code
	}
	good := signed(t, webhookID, webhookMessage, time.Now(), webhookSecret)
	require.Equal(t, http.StatusNoContent, post(good, webhookMessage))
	require.Len(t, got, 1)
	require.Equal(t, webhookID, got[0].ID())
	fail = errors.New("database away")
	require.Equal(t, http.StatusInternalServerError, post(good, webhookMessage), "so that it comes again")
	require.Len(t, got, 2)
	require.Equal(t, http.StatusBadRequest, post(http.Header{}, webhookMessage))
	require.Equal(t, http.StatusBadRequest, post(good, strings.Repeat("x", maxWebhook+1)))
	require.Len(t, got, 2, "what is not genuine is not handled")

	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/hooks", http.NoBody))
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
	require.Equal(t, http.MethodPost, w.Header().Get("Allow"))
}
