package feed

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/natsconn"
	"github.com/buildify/core/pkg/kit/natsserver"
)

// limit bounds every wait; nothing waits that long unless a test fails.
const limit = 20 * time.Second

type bus struct {
	t                    testing.TB
	hub                  *Hub
	bridge, rbac, tenant *nats.Conn
}

func newBus(t testing.TB) *bus {
	t.Helper()
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	require.NoError(t, natsserver.Init(dir))
	server, err := natsserver.Start(ctx, natsserver.Config{Dir: dir, Listen: "127.0.0.1:0"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(ctx)) })
	user := func(name string) *nats.Conn {
		nc, err := natsconn.Connect(ctx, natsconn.Config{URL: server.URL(), User: name, SeedFile: natsserver.SeedFile(dir, name)})
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		return nc
	}
	b := &bus{t: t, bridge: user(natsconn.HTTPBridge), rbac: user(natsconn.RBAC), tenant: user(natsconn.Tenant)}
	b.hub = NewHub(b.bridge)
	t.Cleanup(b.hub.Stop)
	return b
}

func key(id, module string, tenants ...string) *contract.VerifyKeyResponse {
	return &contract.VerifyKeyResponse{ID: id, Module: module, Tenants: tenants}
}

// open opens a reader; ended gets why it is cut.
func (b *bus) open(key *contract.VerifyKeyResponse) (r *Reader, ended chan error) {
	b.t.Helper()
	ended = make(chan error, 10)
	r, err := b.hub.Open(b.t.Context(), contract.PolicyFeed.Spec, key, func(err error) { ended <- err })
	require.NoError(b.t, err)
	return r, ended
}

func (b *bus) tell(module, tenant, body string) {
	b.t.Helper()
	require.NoError(b.t, b.rbac.Publish(contract.FeedSubject(module, tenant), []byte(body)))
	require.NoError(b.t, b.rbac.Flush())
}

// await reads until last has come.
func await(t testing.TB, r *Reader, last string) (got []string) {
	t.Helper()
	for {
		select {
		case <-r.Ready():
		case <-time.After(limit):
			require.FailNow(t, "waited in vain", "for %s after %v", last, got)
		}
		for _, frame := range taken(r) {
			data, ok := strings.CutPrefix(string(frame), "data: ")
			require.True(t, ok)
			data, ok = strings.CutSuffix(data, "\n\n")
			require.True(t, ok)
			if got = append(got, data); data == last {
				return got
			}
		}
	}
}

func awaitEnd(t testing.TB, ended chan error) error {
	t.Helper()
	select {
	case err := <-ended:
		return err
	case <-time.After(limit):
		require.FailNow(t, "not cut")
		return nil
	}
}

func TestEachReaderHearsWhatItsKeyMay(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	all, _ := b.open(key("crm-1", "crm"))
	one, _ := b.open(key("crm-2", "crm", "t1", "t3"))
	other, _ := b.open(key("hr-1", "hr"))
	require.Len(t, b.hub.topics, 2, "one subscription a module")
	b.tell("crm", "t1", "1")
	b.tell("crm", "t2", "2")
	b.tell("hr", "t1", "3")
	b.tell("crm", "beat", "4")
	b.tell("hr", "beat", "5")
	require.Equal(t, []string{"1", "2", "4"}, await(t, all, "4"))
	require.Equal(t, []string{"1", "4"}, await(t, one, "4"))
	require.Equal(t, []string{"3", "5"}, await(t, other, "5"))
	one.Close()
	one.Close()
	require.Equal(t, 2, b.hub.Readers())
	b.tell("crm", "t1", "6")
	require.Equal(t, []string{"6"}, await(t, all, "6"))
	all.Close()
	other.Close()
	require.Empty(t, b.hub.topics)
	require.Empty(t, b.hub.ofKey)
	require.Zero(t, b.bridge.NumSubscriptions())
}

func TestEachStreamOfAModuleIsReadApart(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	news := func(key *contract.VerifyKeyResponse) *Reader {
		r, err := b.hub.Open(t.Context(), contract.ModuleNews.Spec, key, func(error) {})
		require.NoError(t, err)
		return r
	}
	report := func(module, tenant, body string) {
		require.NoError(t, b.tenant.Publish(contract.NewsSubject(module, tenant), []byte(body)))
		require.NoError(t, b.tenant.Flush())
	}
	policies, _ := b.open(key("crm-1", "crm"))
	all, one, other := news(key("crm-1", "crm")), news(key("crm-2", "crm", "t1")), news(key("hr-1", "hr"))
	require.Len(t, b.hub.topics, 3)
	b.tell("crm", "t1", "a policy")
	report("crm", "t1", "1")
	report("crm", "t2", "2")
	report("hr", "t1", "3")
	report("crm", contract.NewsOfAll, "4")
	report("hr", contract.NewsOfAll, "5")
	b.tell("crm", contract.FeedBeats, "a beat")
	require.Equal(t, []string{"a policy", "a beat"}, await(t, policies, "a beat"))
	require.Equal(t, []string{"1", "2", "4"}, await(t, all, "4"))
	require.Equal(t, []string{"1", "4"}, await(t, one, "4"))
	require.Equal(t, []string{"3", "5"}, await(t, other, "5"))
	policies.Close()
	report("crm", "t1", "6")
	require.Equal(t, []string{"6"}, await(t, all, "6"))
	for _, r := range []*Reader{all, one, other} {
		r.Close()
	}
	require.Empty(t, b.hub.topics)
	require.Zero(t, b.bridge.NumSubscriptions())
}

func TestAMessageIsOneEventWhateverItsWhiteSpace(t *testing.T) {
	t.Parallel()
	require.Equal(t, "data: {}\n\n", string(frame([]byte("{}"))))
	require.Equal(t, "data: { \"a\":  1 }\n\n", string(frame([]byte("{\n\"a\":\r\n1\n}"))))
	require.Equal(t, "data: {}  data: {\"forged\":true}  \n\n", string(frame([]byte("{}\n\ndata: {\"forged\":true}\n\n"))))
}

func TestASlowReaderIsCutAndNobodyElse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body string
		n    int
	}{"many": {"x", maxFrames}, "large": {strings.Repeat("x", maxBytes/4), 3}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBus(t)
			slow, ended := b.open(key("crm-1", "crm"))
			quick, quickEnded := b.open(key("crm-2", "crm"))
			for i := range c.n {
				b.tell("crm", "t1", c.body)
				b.tell("crm", "t2", fmt.Sprint(i))
				await(t, quick, fmt.Sprint(i))
				if i < c.n/2 {
					require.Empty(t, ended, "within what is kept")
				}
			}
			b.tell("crm", "t1", c.body)
			require.Equal(t, Slow, awaitEnd(t, ended))
			require.Empty(t, taken(slow))
			b.tell("crm", "t1", "after")
			await(t, quick, "after")
			require.Empty(t, taken(slow))
			require.Empty(t, ended, "told once")
			require.Empty(t, quickEnded)
		})
	}
}

// One message that is larger than what is kept is delivered to who reads.
func TestALargeMessageIsDelivered(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	r, ended := b.open(key("crm-1", "crm"))
	body := strings.Repeat("x", maxBytes+1000)
	b.tell("crm", "t1", body)
	await(t, r, body)
	require.Empty(t, ended)
}

func TestWhoeverMissedSomethingIsCut(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	_, ended := b.open(key("crm-1", "crm"))
	other, otherEnded := b.open(key("hr-1", "hr"))
	b.hub.mu.Lock() // the hub is busy, and the client of the bus keeps little
	require.NoError(t, b.hub.topics[place{contract.PolicyFeed.Name, "crm"}].sub.SetPendingLimits(5, -1))
	for range 50 {
		b.tell("crm", "t1", "x")
	}
	b.tell("hr", "t1", "last")
	require.NoError(t, b.bridge.Flush())
	b.hub.mu.Unlock()
	require.Equal(t, Lost, awaitEnd(t, ended))
	await(t, other, "last")
	require.Empty(t, otherEnded)
}

func TestALostConnectionCutsAll(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	r, ended := b.open(key("crm-1", "crm"))
	_, other := b.open(key("hr-1", "hr"))
	require.NoError(t, b.bridge.ForceReconnect())
	require.Equal(t, Lost, awaitEnd(t, ended))
	require.Equal(t, Lost, awaitEnd(t, other))
	r.Close()
	// It is back by itself, and so may the readers be.
	require.Eventually(t, func() bool {
		r, err := b.hub.Open(t.Context(), contract.PolicyFeed.Spec, key("crm-1", "crm"), func(error) {})
		if err == nil {
			b.tell("crm", "t1", "again")
			await(t, r, "again")
			return true
		}
		require.ErrorIs(t, err, &contract.Error{Code: contract.Unavailable})
		return false
	}, limit, 10*time.Millisecond)
}

func TestWithoutABusNobodyReads(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	_, ended := b.open(key("crm-1", "crm"))
	b.bridge.Close()
	require.Equal(t, Lost, awaitEnd(t, ended))
	_, err := b.hub.Open(t.Context(), contract.PolicyFeed.Spec, key("crm-1", "crm"), func(error) {})
	require.ErrorIs(t, err, &contract.Error{Code: contract.Unavailable})
	require.Equal(t, 1, b.hub.Readers())
}

func TestReadersAreBounded(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	var first *Reader
	for range MaxOfKey {
		r, _ := b.open(key("crm-1", "crm"))
		first = r
	}
	_, err := b.hub.Open(t.Context(), contract.PolicyFeed.Spec, key("crm-1", "crm"), func(error) {})
	require.ErrorIs(t, err, &contract.Error{Code: contract.RateLimited})
	first.Close()
	b.open(key("crm-1", "crm"))
	for i := range MaxReaders - MaxOfKey {
		require.NoError(t, b.hub.add(newReader(b.hub, contract.PolicyFeed.Spec, key(fmt.Sprint("hr-", i), "hr"), func(error) {})))
	}
	_, err = b.hub.Open(t.Context(), contract.PolicyFeed.Spec, key("pay-1", "pay"), func(error) {})
	require.ErrorIs(t, err, &contract.Error{Code: contract.Unavailable})
}

func TestStopCutsAllAndTakesNoMore(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	_, ended := b.open(key("crm-1", "crm"))
	b.hub.Stop()
	b.hub.Stop()
	require.Equal(t, Stopping, awaitEnd(t, ended))
	_, err := b.hub.Open(t.Context(), contract.PolicyFeed.Spec, key("crm-1", "crm"), func(error) {})
	require.ErrorIs(t, err, &contract.Error{Code: contract.Unavailable})
	var none *Hub
	none.Stop()
}

func taken(r *Reader) [][]byte {
	frames, _ := r.Take(context.Background()) // it never fails
	return frames
}
