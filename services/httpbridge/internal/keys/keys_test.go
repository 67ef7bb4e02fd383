package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/natsconn"
	"github.com/buildify/core/pkg/kit/natsserver"
)

// limit bounds every wait; nothing waits that long unless a test fails.
const limit = 20 * time.Second

func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// identity stands for service auth.
type identity struct {
	t      testing.TB
	js     jetstream.JetStream
	server *kit.Server
	keys   *Keys

	mu      sync.Mutex
	asked   int
	last    *contract.VerifyKeyRequest
	known   map[string]*contract.VerifyKeyResponse
	meeting func() // runs while a key is being verified
}

func newIdentity(t testing.TB) *identity {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, natsserver.Init(dir))
	server, err := natsserver.Start(bounded(t), natsserver.Config{Dir: dir, Listen: "127.0.0.1:0"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(bounded(t))) })
	user := func(name string) *nats.Conn {
		nc, err := natsconn.Connect(bounded(t), natsconn.Config{URL: server.URL(), User: name, SeedFile: natsserver.SeedFile(dir, name)})
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		return nc
	}
	telemetry, err := kit.NewTelemetry(context.Background(), kit.TelemetryConfig{Process: "test"})
	require.NoError(t, err)
	id := &identity{t: t, known: map[string]*contract.VerifyKeyResponse{}}
	auth, bridge := user(natsconn.Auth), user(natsconn.HTTPBridge)
	id.js, err = jetstream.New(auth)
	require.NoError(t, err)
	require.NoError(t, events.Ensure(bounded(t), id.js, events.EventsStream, 1))
	id.server, err = kit.NewServer(kit.ServerConfig{Service: "auth", NATS: auth, Telemetry: telemetry})
	require.NoError(t, err)
	require.NoError(t, kit.Handle(id.server, contract.VerifyKey, id.verify))
	t.Cleanup(func() { require.NoError(t, id.server.Stop(bounded(t))) })
	js, err := jetstream.New(bridge)
	require.NoError(t, err)
	id.keys, err = Start(bounded(t), kit.NewClient(bridge, telemetry), js, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(id.keys.Stop)
	return id
}

func (id *identity) verify(_ context.Context, r *contract.VerifyKeyRequest) (*contract.VerifyKeyResponse, error) {
	id.mu.Lock()
	meeting := id.meeting
	id.asked++
	id.last = r
	known := id.known[r.APIKey]
	id.mu.Unlock()
	if meeting != nil {
		meeting()
	}
	if known == nil || (r.Address != home.String() && len(known.CIDRs) > 0) {
		return nil, &contract.Error{Code: contract.Unauthenticated, Message: "the API key is not valid"}
	}
	return known, nil
}

func (id *identity) times() int {
	id.mu.Lock()
	defer id.mu.Unlock()
	return id.asked
}

// home is where the tests ask from, and the only place where restricted keys
// are good.
var home = netip.MustParseAddr("192.0.2.1")

// ask verifies a key used from home.
func (id *identity) ask(t testing.TB, raw string) (*contract.VerifyKeyResponse, error) {
	t.Helper()
	return id.keys.Verify(bounded(t), raw, home, func() error { return nil })
}

// issue makes a key that is good.
func (id *identity) issue(name string, expires *time.Time) string {
	key := contract.NewAPIKey("dev", "crm-"+name, strings.Repeat("0", 64))
	id.mu.Lock()
	defer id.mu.Unlock()
	id.known[key.Reveal()] = &contract.VerifyKeyResponse{ID: key.ID, Module: "crm", Operations: []string{"rbac.check"}, ExpiresAt: expires}
	return key.Reveal()
}

// revoke ends a key and tells of it.
func (id *identity) revoke(raw string) {
	id.t.Helper()
	id.mu.Lock()
	ended := id.known[raw]
	delete(id.known, raw)
	id.mu.Unlock()
	e, err := events.New(events.KeyEnded, "", 0, events.KeyChange{ID: ended.ID})
	require.NoError(id.t, err)
	require.NoError(id.t, events.Publish(bounded(id.t), id.js, e, e.ID()))
}

func unauthenticated(err error) bool {
	return errors.Is(err, &contract.Error{Code: contract.Unauthenticated})
}

func TestAValidKeyIsAskedAboutOnce(t *testing.T) {
	t.Parallel()
	id := newIdentity(t)
	key := id.issue("abcdefgh", nil)
	for range 5 {
		got, err := id.ask(t, key)
		require.NoError(t, err)
		require.Equal(t, "crm", got.Module)
		require.True(t, Grants(got, "rbac.check"))
		for _, operation := range []string{"rbac.create_binding", "", "rbac", "rbac.*", "*"} {
			require.False(t, Grants(got, operation))
		}
	}
	require.Equal(t, 1, id.times())
	require.Equal(t, home.String(), id.last.Address)
}

func TestAKeyIsGoodWithinItsNetworksOnly(t *testing.T) {
	t.Parallel()
	id := newIdentity(t)
	key := id.issue("abcdefgh", nil)
	id.known[key].CIDRs = []string{"2001:db8::/32", "192.0.2.0/24"}
	from := func(address string) error {
		at, _ := netip.ParseAddr(address)
		_, err := id.keys.Verify(bounded(t), key, at, func() error { return nil })
		return err
	}
	require.True(t, unauthenticated(from("198.51.100.1")), "asked about")
	require.NoError(t, from("192.0.2.1"))
	asked := id.times()
	for _, inside := range []string{"192.0.2.255", "2001:db8::1"} {
		require.NoError(t, from(inside))
	}
	for _, outside := range []string{"192.0.3.1", "198.51.100.1", "2001:db9::1", "::", ""} {
		require.True(t, unauthenticated(from(outside)), outside)
	}
	require.Equal(t, asked, id.times(), "from memory")
}

// Two ask about the same key at once; what one is told for its address is not
// said to the other.
func TestARefusalForOneAddressIsNoneForAnother(t *testing.T) {
	t.Parallel()
	id := newIdentity(t)
	key := id.issue("abcdefgh", nil)
	id.known[key].CIDRs = []string{"192.0.2.0/24"}
	asked, release := make(chan struct{}, 2), make(chan struct{})
	id.mu.Lock()
	id.meeting = func() { asked <- struct{}{}; <-release }
	id.mu.Unlock()
	outside := make(chan error, 1)
	go func() {
		_, err := id.keys.Verify(bounded(t), key, netip.MustParseAddr("198.51.100.1"), func() error { return nil })
		outside <- err
	}()
	<-asked
	inside, waiting := make(chan error, 1), make(chan struct{})
	go func() {
		_, err := id.keys.Verify(bounded(t), key, home, func() error { close(waiting); return nil })
		inside <- err
	}()
	<-waiting
	close(release)
	require.True(t, unauthenticated(<-outside))
	require.NoError(t, <-inside)
}

func TestARotationEmptiesTheMemory(t *testing.T) {
	t.Parallel()
	id := newIdentity(t)
	key := id.issue("abcdefgh", nil)
	got, err := id.ask(t, key)
	require.NoError(t, err)
	e, err := events.New(events.KeyCreated, "", 0, events.KeyChange{ID: "crm-hgfedcba", RotatedFrom: got.ID})
	require.NoError(t, err)
	require.NoError(t, events.Publish(bounded(t), id.js, e, e.ID()))
	require.Eventually(t, func() bool {
		_, err := id.ask(t, key)
		return err == nil && id.times() == 2
	}, limit, time.Millisecond, "its new end is asked about")
}

func TestAStrangerWhoMayNotAskIsToldWhy(t *testing.T) {
	t.Parallel()
	id := newIdentity(t)
	known := id.issue("abcdefgh", nil)
	_, err := id.ask(t, known)
	require.NoError(t, err)
	slow := func() error { return contract.Errorf(contract.RateLimited, "slowly") }
	_, err = id.keys.Verify(bounded(t), known, home, slow)
	require.NoError(t, err, "no stranger")
	for _, raw := range []string{"", "nonsense", id.issue("hgfedcba", nil)} {
		_, err = id.keys.Verify(bounded(t), raw, home, slow)
		require.ErrorIs(t, err, &contract.Error{Code: contract.RateLimited})
	}
	require.Equal(t, 1, id.times())
}

func TestWhatIsNoKeyIsRefusedWithoutAsking(t *testing.T) {
	t.Parallel()
	id := newIdentity(t)
	good := id.issue("abcdefgh", nil)
	for _, raw := range []string{"", "x", good[:len(good)-1], good + "0", " " + good, strings.Repeat("x", 1<<20)} {
		_, err := id.ask(t, raw)
		require.True(t, unauthenticated(err), "%v", err)
		var e *contract.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, contract.HeaderAPIKey, e.Field)
	}
	require.Zero(t, id.times())
	stranger := contract.NewAPIKey("dev", "crm-zzzzzzzz", strings.Repeat("1", 64)).Reveal()
	for n := range 3 {
		_, err := id.ask(t, stranger)
		require.True(t, unauthenticated(err))
		require.Equal(t, n+1, id.times(), "a refusal is not remembered: the key may be made a moment later")
	}
}

func TestARevocationEmptiesTheMemory(t *testing.T) {
	t.Parallel()
	id := newIdentity(t)
	key, other := id.issue("abcdefgh", nil), id.issue("hgfedcba", nil)
	for _, k := range []string{key, other} {
		_, err := id.ask(t, k)
		require.NoError(t, err)
	}
	begin := time.Now()
	id.revoke(key)
	require.Eventually(t, func() bool {
		_, err := id.ask(t, key)
		return unauthenticated(err)
	}, limit, time.Millisecond)
	require.Less(t, time.Since(begin), Lifetime/2, "by the event, not by age")
	asked := id.times()
	_, err := id.ask(t, other)
	require.NoError(t, err)
	require.Equal(t, asked, id.times(), "the others stay")
}

// The answer was on its way when the key was revoked.
func TestAKeyThatIsRevokedWhileItIsVerifiedIsNotRemembered(t *testing.T) {
	t.Parallel()
	id := newIdentity(t)
	key := id.issue("abcdefgh", nil)
	id.meeting = func() {
		id.keys.mu.RLock()
		before := id.keys.revoked
		id.keys.mu.RUnlock()
		id.revoke(key)
		require.Eventually(t, func() bool {
			id.keys.mu.RLock()
			defer id.keys.mu.RUnlock()
			return id.keys.revoked > before
		}, limit, time.Millisecond)
	}
	_, err := id.ask(t, key)
	require.NoError(t, err, "it was valid when it was asked about")
	id.mu.Lock()
	id.meeting = nil
	id.mu.Unlock()
	_, err = id.ask(t, key)
	require.True(t, unauthenticated(err))
}

func TestAKeyIsRememberedNoLongerThanItIsValid(t *testing.T) {
	t.Parallel()
	id := newIdentity(t)
	past, soon := time.Now().Add(-time.Second), time.Now().Add(time.Minute)
	for name, expires := range map[string]*time.Time{"abcdefgh": &past, "hgfedcba": &soon, "aaaabbbb": nil} {
		key := id.issue(name, expires)
		got, err := id.ask(t, key)
		require.NoError(t, err)
		for _, entry := range id.keys.known {
			if entry.key.ID != got.ID {
				continue
			}
			require.False(t, entry.until.After(time.Now().Add(Lifetime)))
			if expires != nil {
				require.False(t, entry.until.After(*expires))
			}
		}
	}
	asked := id.times()
	_, err := id.ask(t, id.issue("abcdefgh", &past))
	require.NoError(t, err)
	require.Equal(t, asked+1, id.times(), "asked again")
}

func TestWithoutTheIdentityServiceKnownKeysGoOn(t *testing.T) {
	t.Parallel()
	id := newIdentity(t)
	known, other := id.issue("abcdefgh", nil), id.issue("hgfedcba", nil)
	_, err := id.ask(t, known)
	require.NoError(t, err)
	require.NoError(t, id.server.Stop(bounded(t)))
	_, err = id.ask(t, known)
	require.NoError(t, err)
	_, err = id.ask(t, other)
	require.ErrorIs(t, err, &contract.Error{Code: contract.Unavailable})
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	k := &Keys{known: map[[32]byte]known{}}
	for i := range maxKnown + 10 {
		k.remember([32]byte{byte(i), byte(i >> 8)}, known{}, 0)
	}
	require.LessOrEqual(t, len(k.known), maxKnown)
	var none *Keys
	none.Stop()
}

// A flood of forged keys waits for the identity service; it must not make
// those wait who are known.
func TestAFloodOfStrangersIsShed(t *testing.T) {
	t.Parallel()
	id := newIdentity(t)
	known := id.issue("abcdefgh", nil)
	_, err := id.ask(t, known)
	require.NoError(t, err)
	release := make(chan struct{})
	id.mu.Lock()
	id.meeting = func() { <-release }
	id.mu.Unlock()
	forged := func(n int) string {
		return contract.NewAPIKey("dev", fmt.Sprintf("crm-%08d", n), strings.Repeat("1", 64)).Reveal()
	}
	done := make(chan error, strangers)
	for n := range strangers {
		go func() {
			_, err := id.ask(t, forged(n))
			done <- err
		}()
	}
	require.Eventually(t, func() bool { return len(id.keys.asking) == strangers }, limit, time.Millisecond)
	_, err = id.ask(t, forged(strangers))
	require.ErrorIs(t, err, &contract.Error{Code: contract.RateLimited})
	_, err = id.ask(t, known)
	require.NoError(t, err)
	close(release)
	for range strangers {
		require.True(t, unauthenticated(<-done))
	}
	require.Empty(t, id.keys.asking)
}

func TestAWatchIsToldOfItsOwnKey(t *testing.T) {
	t.Parallel()
	id := newIdentity(t)
	key, other := id.issue("abcdefgh", nil), id.issue("hgfedcba", nil)
	told := make(chan string, 10)
	id.keys.Watch("crm-abcdefgh", func() { told <- "first" })
	stop := id.keys.Watch("crm-abcdefgh", func() { told <- "stopped" })
	stopOther := id.keys.Watch("crm-hgfedcba", func() { told <- "other" })
	stop()
	stop()
	id.revoke(key)
	require.Equal(t, "first", <-told)
	stopOther()
	require.Len(t, id.keys.watches, 1)
	id.revoke(other)
	require.Eventually(t, func() bool {
		id.keys.mu.RLock()
		defer id.keys.mu.RUnlock()
		return id.keys.revoked == 2
	}, limit, time.Millisecond)
	require.Empty(t, told)
}
