package callout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/natsconn"
)

// serve answers operations of a service the way kit does, with who called.
func (b *bus) serve(service string) *nats.Conn {
	b.t.Helper()
	nc := b.user(service)
	for _, subject := range []string{"core." + service + ".*", "m.*.core." + service + ".*"} {
		_, err := nc.QueueSubscribe(subject, "core", func(msg *nats.Msg) {
			_ = msg.Respond([]byte("answer to " + msg.Subject))
		})
		require.NoError(b.t, err)
	}
	require.NoError(b.t, nc.Flush())
	return nc
}

func TestModuleCallsItsGrantedOperations(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	r := b.callout()
	b.serve(natsconn.RBAC)
	key := b.keyring.add("financial", "rbac.check")

	for name, opts := range map[string][]nats.Option{
		"token":      nil,
		"password":   {nats.Token(""), nats.UserInfo("anything", key.Reveal())},
		"in process": {b.server.InProcess()},
	} {
		nc, err := b.module(key, opts...)
		require.NoError(t, err, name)
		reply, err := nc.Request("m.financial-00000000.core.rbac.check", nil, limit)
		require.NoError(t, err, name)
		assert.Equal(t, "answer to m.financial-00000000.core.rbac.check", string(reply.Data), name)

		require.NoError(t, nc.Publish("m.financial-00000000.core.rbac.grant", nil), name)
		require.NoError(t, nc.Flush(), name)
		require.ErrorIs(t, nc.LastError(), nats.ErrPermissionViolation, name)
	}
	// It counts after it has answered.
	require.Eventually(t, func() bool { return r.Stats() == Stats{Accepted: 3} }, limit, time.Millisecond)
}

func TestNobodyServingIsToldAtOnce(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	b.callout()
	nc, err := b.module(b.keyring.add("financial", "rbac.check"))
	require.NoError(t, err)
	_, err = nc.Request("m.financial-00000000.core.rbac.check", nil, limit)
	require.ErrorIs(t, err, nats.ErrNoResponders)
}

func TestRefusalTellsNothing(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	var log syncBuffer
	r := b.callout(func(c *Config) {
		c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	good := b.keyring.add("financial", "rbac.check")
	expired, mismatch, dotted, star := newKey("financial"), newKey("financial"), newKey("financial"), newKey("financial")
	b.keyring.set(func() {
		g := b.keyring.grants
		g[expired.Reveal()] = Grant{KeyID: expired.ID, Module: "financial", Expires: time.Now().Add(-time.Minute)}
		g[mismatch.Reveal()] = Grant{KeyID: mismatch.ID, Module: "payroll", Operations: []string{"rbac.check"}}
		g[dotted.Reveal()] = Grant{KeyID: dotted.ID, Module: "financial", Operations: []string{"rbac.check.x"}}
		g[star.Reveal()] = Grant{KeyID: star.ID, Module: "financial", Operations: []string{"rbac.*"}}
	})
	damaged := good
	damaged.Secret = damaged.Secret[:len(damaged.Secret)-1] + "x"

	for name, credentials := range map[string]string{
		"none":             `"lang":"raw"`,
		"no key at all":    `"auth_token":"secret"`,
		"empty":            `"auth_token":""`,
		"unknown key":      fmt.Sprintf(`"auth_token":%q`, newKey("financial").Reveal()),
		"damaged key":      fmt.Sprintf(`"auth_token":%q`, damaged.Reveal()),
		"expired key":      fmt.Sprintf(`"auth_token":%q`, expired.Reveal()),
		"other's grant":    fmt.Sprintf(`"auth_token":%q`, mismatch.Reveal()),
		"dotted operation": fmt.Sprintf(`"auth_token":%q`, dotted.Reveal()),
		"wildcard":         fmt.Sprintf(`"auth_token":%q`, star.Reveal()),
		"core user's nkey": `"nkey":"UAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","sig":"AAAA"`,
		"unsigned jwt":     `"jwt":"eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0.e30."`,
	} {
		_, said := b.dial(credentials)
		assert.Equal(t, "-ERR 'Authorization Violation'\r\nclosed", said, name)
	}
	for _, key := range []contract.APIKey{good, expired, mismatch, damaged} {
		assert.NotContains(t, log.String(), key.Secret)
	}
	assert.Contains(t, log.String(), "key_id="+expired.ID)
	assert.Zero(t, r.Stats().Accepted)
}

func TestFaultOfTheAuthenticatorRefuses(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	r := b.callout()
	key := b.keyring.add("financial", "rbac.check")
	b.keyring.set(func() { b.keyring.err = errors.New("database is down") })
	_, err := b.module(key)
	require.ErrorIs(t, err, nats.ErrAuthorization)
	assert.Equal(t, Stats{Faulty: 1}, r.Stats())
}

func TestModuleWithoutOperationsMayPublishNothing(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	b.callout()
	c := b.dialKey(b.keyring.add("idle"))
	for _, subject := range []string{"m.idle-00000000.core.rbac.check", "_INBOX_idle-00000000.x", "anything"} {
		assert.Contains(t, c.send(pub(subject, "", "x")), "Permissions Violation for Publish", subject)
	}
}

func TestWithoutResponderModulesAreRefusedAndOpenOnesStay(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	r := b.callout()
	b.serve(natsconn.RBAC)
	key := b.keyring.add("financial", "rbac.check")
	open, err := b.module(key)
	require.NoError(t, err)

	require.NoError(t, r.Stop(t.Context()))
	require.NoError(t, r.Stop(t.Context()), "Stop is idempotent")
	start := time.Now()
	_, err = b.module(key)
	require.ErrorIs(t, err, nats.ErrAuthorization)
	assert.Less(t, time.Since(start), 5*time.Second)
	_, err = open.Request("m.financial-00000000.core.rbac.check", nil, limit)
	require.NoError(t, err)
	b.user(natsconn.Audit) // services need no callout
}

func TestReplicasShareTheWork(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	one, two := b.callout(), b.callout()
	key := b.keyring.add("financial")
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			_, err := b.module(key)
			assert.NoError(t, err)
		})
	}
	all.Wait()
	assert.EqualValues(t, 40, one.Stats().Accepted+two.Stats().Accepted)
	assert.NotZero(t, one.Stats().Accepted)
	assert.NotZero(t, two.Stats().Accepted)
	require.NoError(t, one.Stop(t.Context()))
	_, err := b.module(key)
	require.NoError(t, err)
}

func TestConnectionEndsWithItsTTLAndComesBack(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	r := b.callout(func(c *Config) { c.TTL = 2 * time.Second })
	back := make(chan struct{}, 1)
	_, err := b.module(b.keyring.add("financial"), nats.MaxReconnects(-1), nats.ReconnectWait(time.Millisecond), allowReconnect,
		nats.ReconnectHandler(func(*nats.Conn) { signal(back) }))
	require.NoError(t, err)
	await(t, back, "the reconnect")
	assert.EqualValues(t, 2, r.Stats().Accepted)
}

func TestRevokedKeyIsKickedAndDoesNotComeBack(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	b.callout()
	other := b.callout() // a replica that let nobody in can kick as well
	key, bystander := b.keyring.add("financial", "rbac.check"), b.keyring.add("financial", "rbac.check")
	lost, refused := make(chan struct{}, 10), make(chan struct{}, 10)
	for range 3 {
		_, err := b.module(key, nats.MaxReconnects(-1), nats.ReconnectWait(time.Millisecond), allowReconnect,
			nats.IgnoreAuthErrorAbort(),
			nats.DisconnectErrHandler(func(*nats.Conn, error) { signal(lost) }),
			nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
				if errors.Is(err, nats.ErrAuthorization) {
					signal(refused)
				}
			}),
			nats.ReconnectHandler(func(*nats.Conn) { t.Error("came back") }))
		require.NoError(t, err)
	}
	stays, err := b.module(bystander)
	require.NoError(t, err)

	b.keyring.revoke(key)
	kicked, err := other.Kick(t.Context(), key.ID)
	require.NoError(t, err)
	assert.Equal(t, 3, kicked)
	for range 3 {
		await(t, lost, "the kick")
	}
	for range 6 {
		await(t, refused, "the refusal")
	}
	require.NoError(t, stays.Flush())
	kicked, err = other.Kick(t.Context(), key.ID)
	require.NoError(t, err)
	assert.Zero(t, kicked)
}

func TestKickCatchesAConnectionThatIsBeingMade(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	r := b.callout(func(c *Config) { c.Timeout = 500 * time.Millisecond })
	key := b.keyring.add("financial")
	decided, release := make(chan struct{}), make(chan struct{})
	b.keyring.set(func() { b.keyring.hook = func() { close(decided); <-release } })
	closed := make(chan struct{}, 1)
	made := make(chan error)
	go func() {
		_, err := b.module(key, nats.ClosedHandler(func(*nats.Conn) { signal(closed) }))
		made <- err
	}()
	<-decided
	b.keyring.revoke(key)
	kicked, err := r.Kick(t.Context(), key.ID)
	require.NoError(t, err)
	assert.Zero(t, kicked)
	close(release)
	require.NoError(t, <-made)
	await(t, closed, "the second sweep")
}

func TestKickNeedsAKeyID(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	r := b.callout()
	nc, err := b.module(b.keyring.add("financial"))
	require.NoError(t, err)
	for _, id := range []string{"", "*", ">", "_", "FINANCIAL-1"} {
		_, err := r.Kick(t.Context(), id)
		require.Error(t, err, id)
	}
	require.NoError(t, nc.Flush())
}

func TestLateVerdictIsNone(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	r := b.callout(func(c *Config) { c.Timeout = 50 * time.Millisecond; c.Concurrency = 1 })
	key := b.keyring.add("financial")
	b.keyring.set(func() {
		b.keyring.hook = func() { <-time.After(100 * time.Millisecond) } // an Authenticator that overruns
	})
	_, err := b.module(key)
	require.ErrorIs(t, err, nats.ErrAuthorization)
	assert.Zero(t, r.Stats().Accepted)
}

func TestClearRequestIsNotAnsweredWhenAnXKeyIsConfigured(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	other, err := nkeys.CreateCurveKeys()
	require.NoError(t, err)
	r := b.callout(func(c *Config) { c.XKey = other }) // what comes cannot be opened
	_, err = b.module(b.keyring.add("financial"))
	require.ErrorIs(t, err, nats.ErrAuthorization)
	assert.Equal(t, Stats{Faulty: 1}, r.Stats())
}

// allowReconnect undoes the harness's NoReconnect.
func allowReconnect(o *nats.Options) error {
	o.AllowReconnect = true
	return nil
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

func await(t *testing.T, ch chan struct{}, what string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	select {
	case <-ch:
	case <-ctx.Done():
		require.FailNow(t, "waited in vain for "+what)
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
