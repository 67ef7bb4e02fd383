// Package keys holds API keys to their limits over both transports: ends,
// networks, tenants, rotation.
package keys

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/tests/stack"
)

func TestMain(m *testing.M) { stack.Main(m) }

// newKey makes a key of the company's module.
func newKey(t *testing.T, s *stack.Stack, c *stack.Company, change func(*contract.CreateKeyRequest)) *contract.CreateKeyResponse {
	t.Helper()
	r := &contract.CreateKeyRequest{Module: c.Module, Environment: "dev", RateClass: "bulk"} // tests ask without a pause
	change(r)
	return stack.Do(t, s, contract.CreateKey, r)
}

// callers are a key's, one for each transport; closed is when its connection
// to the bus has ended.
func callers(t *testing.T, s *stack.Stack, key *contract.CreateKeyResponse) (both map[string]stack.Caller, closed chan time.Time) {
	t.Helper()
	closed = make(chan time.Time, 1)
	nc, err := s.ModuleBus(t, key.APIKey, nats.ClosedHandler(func(*nats.Conn) { closed <- time.Now() }))
	require.NoError(t, err)
	return map[string]stack.Caller{
		"nats": stack.BusCaller{Conn: nc, KeyID: key.ID},
		"http": stack.HTTPCaller{URL: s.HTTPURL, APIKey: key.APIKey},
	}, closed
}

func getTenant(t *testing.T, caller stack.Caller, tenant string) *contract.Error {
	t.Helper()
	_, refused := caller.Call(t, contract.GetTenant.Spec, `{"tenant_id":"`+tenant+`"}`)
	return refused
}

func awaitClosed(t *testing.T, closed chan time.Time) time.Time {
	t.Helper()
	select {
	case at := <-closed:
		return at
	case <-time.After(stack.Timeout):
		require.FailNow(t, "the open connection to the bus was not closed")
		return time.Time{}
	}
}

// refusedOverHTTP waits until the key is refused.
func refusedOverHTTP(t *testing.T, caller stack.Caller, tenant string) time.Time {
	t.Helper()
	for deadline := time.Now().Add(stack.Timeout); time.Now().Before(deadline); {
		if refused := getTenant(t, caller, tenant); refused != nil {
			require.Equal(t, contract.Unauthenticated, refused.Code)
			return time.Now()
		}
	}
	require.FailNow(t, "the key is still accepted")
	return time.Time{}
}

func TestARevokedKeyIsRefusedOnOpenConnections(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	c := s.Company(t)
	var overHTTP, overNATS []time.Duration
	for range 20 {
		key := newKey(t, s, c, func(*contract.CreateKeyRequest) {})
		both, closed := callers(t, s, key)
		for transport, caller := range both {
			require.Nil(t, getTenant(t, caller, c.Tenant.ID), transport)
		}
		begin := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			stack.Do(t, s, contract.RevokeKey, &contract.KeyRequest{ID: key.ID})
		}()
		overHTTP = append(overHTTP, refusedOverHTTP(t, both["http"], c.Tenant.ID).Sub(begin))
		overNATS = append(overNATS, awaitClosed(t, closed).Sub(begin))
		<-done
		_, err := s.ModuleBus(t, key.APIKey)
		require.ErrorIs(t, err, nats.ErrAuthorization, "it does not come back")
	}
	for transport, took := range map[string][]time.Duration{"http": overHTTP, "nats": overNATS} {
		slices.Sort(took)
		t.Logf("%s: refused %v (median), %v (slowest) after the revocation was asked for", transport,
			took[len(took)/2].Round(10*time.Microsecond), took[len(took)-1].Round(10*time.Microsecond))
	}
}

func TestAKeyIsGoodFromItsNetworksOnly(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	c := s.Company(t)
	here := newKey(t, s, c, func(r *contract.CreateKeyRequest) { r.CIDRs = []string{"127.0.0.0/8", "::1"} })
	both, _ := callers(t, s, here)
	for transport, caller := range both {
		require.Nil(t, getTenant(t, caller, c.Tenant.ID), transport)
	}
	elsewhere := newKey(t, s, c, func(r *contract.CreateKeyRequest) { r.CIDRs = []string{"192.0.2.0/24"} })
	refused := getTenant(t, stack.HTTPCaller{URL: s.HTTPURL, APIKey: elsewhere.APIKey}, c.Tenant.ID)
	require.NotNil(t, refused)
	require.Equal(t, contract.Unauthenticated, refused.Code)
	require.Equal(t, contract.HeaderAPIKey, refused.Field)
	_, err := s.ModuleBus(t, elsewhere.APIKey)
	require.ErrorIs(t, err, nats.ErrAuthorization)
	// Nobody is believed who says to come from there.
	request, err := http.NewRequestWithContext(stack.Context(t), http.MethodGet, s.HTTPURL+"/api/v1/core/tenants/"+c.Tenant.ID, nil)
	require.NoError(t, err)
	request.Header.Set(contract.HeaderAPIKey, elsewhere.APIKey)
	for _, header := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "Buildify-Client"} {
		request.Header.Set(header, "192.0.2.1")
	}
	_, refused = stack.Answer(t, request)
	require.NotNil(t, refused)
	require.Equal(t, contract.Unauthenticated, refused.Code)
}

func TestAKeyOfATenantSeesThatTenantOnly(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	c, other := s.Company(t), s.Company(t)
	other.EnableModule(t, c.Module, true)
	every, _ := callers(t, s, &contract.CreateKeyResponse{ID: c.KeyID, APIKey: c.APIKey})
	for transport, caller := range every {
		require.Nil(t, getTenant(t, caller, c.Tenant.ID), transport)
		require.Eventually(t, func() bool { return getTenant(t, caller, other.Tenant.ID) == nil }, stack.Timeout, time.Millisecond, transport)
	}
	one := newKey(t, s, c, func(r *contract.CreateKeyRequest) { r.Tenants = []string{c.Tenant.ID} })
	restricted, _ := callers(t, s, one)
	for transport, caller := range restricted {
		require.Nil(t, getTenant(t, caller, c.Tenant.ID), transport)
		refused := getTenant(t, caller, other.Tenant.ID)
		require.NotNil(t, refused, transport)
		require.Equal(t, contract.NotFound, refused.Code, transport)
		for spec, body := range map[*contract.Spec]string{
			contract.VerifyToken.Spec:     `{"token":"` + other.Token(t, other.Reader) + `"}`,
			contract.CheckPermission.Spec: `{"user_id":"` + other.Reader.ID + `","permission":"` + c.Module + `:a:b"}`,
			contract.LogAudit.Spec:        `{"user_id":"` + other.Reader.ID + `","action":"a.b","resource_type":"c"}`,
		} {
			_, refused := caller.Call(t, spec, body)
			require.NotNil(t, refused, spec.Name+" over "+transport)
			require.Equal(t, contract.NotFound, refused.Code, spec.Name+" over "+transport)
		}
	}
}

func TestARotatedKeyEndsWithItsOverlap(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	c := s.Company(t)
	old := newKey(t, s, c, func(*contract.CreateKeyRequest) {})
	both, closed := callers(t, s, old)
	require.Nil(t, getTenant(t, both["http"], c.Tenant.ID))
	seconds := 6
	begin := time.Now()
	made := stack.Do(t, s, contract.RotateKey, &contract.RotateKeyRequest{ID: old.ID, OverlapSeconds: &seconds})
	after, _ := callers(t, s, made)
	// The open connection was closed for its longer credential: it comes back
	// with a shorter one.
	awaitClosed(t, closed)
	both, closed = callers(t, s, old)
	for range 2 {
		for transport, caller := range both {
			require.Nil(t, getTenant(t, caller, c.Tenant.ID), "the old one over "+transport)
			require.Nil(t, getTenant(t, after[transport], c.Tenant.ID), "the new one over "+transport)
		}
	}
	// The second sweep closes what came back; credentials of the bus end on
	// whole seconds, up to two before the key.
	end := begin.Add(time.Duration(seconds) * time.Second)
	for awaitClosed(t, closed).Before(end.Add(-2 * time.Second)) {
		_, closed = callers(t, s, old)
	}
	require.False(t, refusedOverHTTP(t, both["http"], c.Tenant.ID).Before(end))
	for transport, caller := range after {
		require.Nil(t, getTenant(t, caller, c.Tenant.ID), "the new one over "+transport)
	}
}

func TestAnExpiringKeysConnectionIsClosed(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	c := s.Company(t)
	end := time.Now().Add(5 * time.Second)
	key := newKey(t, s, c, func(r *contract.CreateKeyRequest) { r.ExpiresAt = &end })
	both, closed := callers(t, s, key)
	for transport, caller := range both {
		require.Nil(t, getTenant(t, caller, c.Tenant.ID), transport)
	}
	at := awaitClosed(t, closed)
	t.Logf("closed %v before its end", end.Sub(at).Round(time.Millisecond))
	refusedOverHTTP(t, both["http"], c.Tenant.ID)
	_, err := s.ModuleBus(t, key.APIKey)
	require.ErrorIs(t, err, nats.ErrAuthorization)
}

func TestAnyoneMayReportALeakedKey(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	c := s.Company(t)
	key := newKey(t, s, c, func(*contract.CreateKeyRequest) {})
	both, closed := callers(t, s, key)
	anyone := stack.HTTPCaller{URL: s.HTTPURL}
	report := func(key string) string {
		out, refused := anyone.Call(t, contract.ReportLeak.Spec, `{"api_key":"`+key+`","where":"a gist"}`)
		require.Nil(t, refused)
		return string(out)
	}
	unknown := report("bfy_dev_nobody")
	require.Nil(t, getTenant(t, both["nats"], c.Tenant.ID))
	require.Equal(t, unknown, report(key.APIKey))
	awaitClosed(t, closed)
	refusedOverHTTP(t, both["http"], c.Tenant.ID)
	require.Equal(t, unknown, report(key.APIKey))
	shown := stack.Do(t, s, contract.GetKey, &contract.KeyRequest{ID: key.ID})
	require.Equal(t, "revoked", shown.Status)
}

func TestATenantsAdministratorKeepsItsOwnKeys(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	c, other := s.Company(t), s.Company(t)
	admin := stack.HTTPCaller{URL: s.HTTPURL, Bearer: c.Token(t, c.Admin)}
	stranger := stack.HTTPCaller{URL: s.HTTPURL, Bearer: other.Token(t, other.Admin)}
	create := `{"module":"` + c.Module + `","environment":"prod","tenants":["` + c.Tenant.ID + `"]}`
	out, refused := admin.Call(t, contract.CreateKey.Spec, create)
	require.Nil(t, refused)
	var made contract.CreateKeyResponse
	require.NoError(t, json.Unmarshal(out, &made))
	for spec, body := range map[*contract.Spec]string{
		contract.CreateKey.Spec: create, contract.GetKey.Spec: `{"id":"` + made.ID + `"}`,
		contract.RotateKey.Spec: `{"id":"` + made.ID + `"}`, contract.RevokeKey.Spec: `{"id":"` + made.ID + `"}`,
	} {
		_, refused := stranger.Call(t, spec, body)
		require.NotNil(t, refused, spec.Name)
		require.Contains(t, []contract.Code{contract.NotFound, contract.PermissionDenied}, refused.Code, spec.Name)
		reader := stack.HTTPCaller{URL: s.HTTPURL, Bearer: c.Token(t, c.Reader)}
		_, refused = reader.Call(t, spec, body)
		require.NotNil(t, refused, spec.Name)
		require.Equal(t, contract.PermissionDenied, refused.Code, spec.Name)
	}
	_, refused = admin.Call(t, contract.GetKey.Spec, `{"id":"`+c.KeyID+`"}`)
	require.NotNil(t, refused, "the module's key for every tenant is not the tenant's")
	require.Equal(t, contract.NotFound, refused.Code)
	both, closed := callers(t, s, &made)
	for transport, caller := range both {
		require.Nil(t, getTenant(t, caller, c.Tenant.ID), transport)
	}
	_, refused = admin.Call(t, contract.RevokeKey.Spec, `{"id":"`+made.ID+`"}`)
	require.Nil(t, refused)
	awaitClosed(t, closed)
}

func TestWhoTheBusRefusesIsAnEvent(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	c := s.Company(t)
	js, err := jetstream.New(s.Operator)
	require.NoError(t, err)
	consumer, err := js.OrderedConsumer(stack.Context(t), events.EventsStream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{events.BusRefused.Subject(events.Platform)},
	})
	require.NoError(t, err)
	stack.Do(t, s, contract.RevokeKey, &contract.KeyRequest{ID: c.KeyID})
	for range 3 {
		_, err := s.ModuleBus(t, c.APIKey)
		require.ErrorIs(t, err, nats.ErrAuthorization)
	}
	msg, err := consumer.Next(jetstream.FetchMaxWait(stack.Timeout))
	require.NoError(t, err)
	e, err := events.Decode(msg.Headers(), msg.Data())
	require.NoError(t, err)
	var refusal events.BusRefusal
	require.NoError(t, json.Unmarshal(e.Data(), &refusal))
	require.Equal(t, c.KeyID, refusal.KeyID)
	require.Equal(t, "127.0.0.1", refusal.Address)
	require.Positive(t, refusal.Count)
}
