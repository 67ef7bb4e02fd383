package callout

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nkeys"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/kit/natsconn"
	"github.com/buildify/core/pkg/kit/natsserver"
)

// told starts two replicas and returns what they tell of refusals.
func (b *bus) told(change ...func(*Config)) chan Refusal {
	told := make(chan Refusal, 100)
	for range 2 {
		b.callout(append(change, func(c *Config) { c.Refused = func(r Refusal) { told <- r } })...)
	}
	return told
}

func next(t *testing.T, told chan Refusal, what string) Refusal {
	t.Helper()
	select {
	case r := <-told:
		return r
	case <-time.After(limit):
		require.FailNow(t, "not told", what)
		return Refusal{}
	}
}

func TestEachClientThatTheServerTurnsAwayIsToldOnce(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	told := b.told()
	local := netip.MustParseAddr("127.0.0.1")
	good, unknown := b.keyring.add("financial", "rbac.check"), newKey("financial")
	auth, err := natsserver.ReadSeed(b.dir, natsconn.Auth)
	require.NoError(t, err)
	authKey, err := auth.PublicKey()
	require.NoError(t, err)
	stranger, err := nkeys.CreateUser()
	require.NoError(t, err)
	strangerKey, err := stranger.PublicKey()
	require.NoError(t, err)

	for _, c := range []struct {
		name string
		do   func()
		want Refusal
	}{
		{"no key", func() { b.dial(`"lang":"raw"`) }, Refusal{Address: local, Reason: noKey}},
		{"unknown key", func() { b.dial(fmt.Sprintf(`"auth_token":%q`, unknown.Reveal())) }, Refusal{Address: local, KeyID: unknown.ID, Reason: notAccepted}},
		{"a service's name without its seed", func() { b.dial(fmt.Sprintf(`"nkey":%q,"sig":"AAAA"`, authKey)) }, Refusal{Address: local, Reason: "Authentication Failure"}},
		{"a stranger's nkey", func() { b.dial(fmt.Sprintf(`"nkey":%q,"sig":"AAAA"`, strangerKey)) }, Refusal{Address: local, Reason: noKey}},
		{"another protocol", func() { b.shout("GET / HTTP/1.1\r\n\r\n") }, Refusal{Address: local, Reason: noConnect}},
		{"too long a line", func() { b.shout("CONNECT " + strings.Repeat("x", 5000)) }, Refusal{Address: local, Reason: "Maximum Control Line Exceeded"}},
		{
			"too large a message", func() { b.dialKey(good).send(fmt.Sprintf("PUB m.x %d", maxPayload+1)) },
			Refusal{Address: local, KeyID: good.ID, Reason: "Maximum Message Payload Exceeded"},
		},
		{"nonsense of a module", func() { b.dialKey(good).send("NONSENSE") }, Refusal{Address: local, KeyID: good.ID, Reason: "Protocol Violation"}},
	} {
		c.do()
		assert.Equal(t, c.want, next(t, told, c.name), c.name)
	}
	nc, err := b.module(good)
	require.NoError(t, err)
	nc.Close() // an honest end
	b.dial(`"lang":"the last one"`)
	assert.Equal(t, Refusal{Address: local, Reason: noKey}, next(t, told, "the last one"))
	assert.Empty(t, told)
}

// shout sends text instead of CONNECT and waits for the connection's end.
func (b *bus) shout(text string) {
	b.t.Helper()
	u, err := url.Parse(b.server.URL())
	require.NoError(b.t, err)
	conn, err := net.Dial("tcp", u.Host)
	require.NoError(b.t, err)
	defer func() { _ = conn.Close() }()
	require.NoError(b.t, conn.SetDeadline(time.Now().Add(limit)))
	_, _ = conn.Write([]byte(text)) // cut off in the middle, perhaps
	for buffer := make([]byte, 1024); err == nil; {
		_, err = conn.Read(buffer)
	}
}

func TestAClientThatNoReplicaAnswersForIsToldOf(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	other, err := nkeys.CreateCurveKeys()
	require.NoError(t, err)
	told := b.told(func(c *Config) { c.XKey = other }) // what comes cannot be opened
	_, err = b.module(b.keyring.add("financial"))
	require.Error(t, err)
	assert.Equal(t, "not answered in time", next(t, told, "the refusal").Reason)
}

// A client may put its secret anywhere: in the name of a user, say.
func TestNoSecretIsTold(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	told := b.told()
	key := newKey("financial")
	b.dial(fmt.Sprintf(`"user":%q,"name":%q`, key.Reveal(), key.Reveal()))
	assert.NotContains(t, fmt.Sprint(next(t, told, "the refusal")), key.Secret)
	assert.Equal(t, netip.Addr{}, address("pipe"))
	assert.Equal(t, netip.MustParseAddr("192.0.2.1"), address("::ffff:192.0.2.1"))
}

func TestWithAllReplicasDownOpenConnectionsLiveOn(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	one, two := b.callout(), b.callout()
	b.serve(natsconn.RBAC)
	key := b.keyring.add("financial", "rbac.check")
	open, err := b.module(key)
	require.NoError(t, err)
	ask := func() {
		t.Helper()
		_, err := open.Request("m."+key.ID+".core.rbac.check", nil, limit)
		require.NoError(t, err)
	}
	require.NoError(t, one.Stop(t.Context()))
	ask()
	_, err = b.module(key)
	require.NoError(t, err, "the other replica answers")
	require.NoError(t, two.Stop(t.Context()))
	ask()
	begin := time.Now()
	_, said := b.dial(fmt.Sprintf(`"auth_token":%q`, key.Reveal()))
	assert.Equal(t, "-ERR 'Authorization Violation'\r\nclosed", said)
	t.Logf("refused without a replica after %v", time.Since(begin).Round(time.Millisecond))
	ask()
	b.callout()
	_, err = b.module(key)
	require.NoError(t, err, "a replica is back")
	ask()
}

func TestTheCountsAreMetrics(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	r := b.callout()
	registry := prometheus.NewRegistry()
	for _, c := range r.Metrics() {
		require.NoError(t, registry.Register(c))
	}
	_, err := b.module(b.keyring.add("financial"))
	require.NoError(t, err)
	families, err := registry.Gather()
	require.NoError(t, err)
	var text strings.Builder
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			fmt.Fprint(&text, family.GetName())
			for _, label := range metric.GetLabel() {
				fmt.Fprint(&text, " ", label.GetName(), "=", label.GetValue())
			}
			fmt.Fprintln(&text, "", metric.GetCounter().GetValue())
		}
	}
	assert.Contains(t, text.String(), "buildify_bus_callout_requests_total outcome=accepted 1")
	assert.Contains(t, text.String(), "buildify_bus_kicked_total 0")
}
