package callout

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/natsconn"
	"github.com/buildify/core/pkg/kit/natsserver"
)

// limit bounds every wait; nothing waits that long unless a test fails.
const limit = 10 * time.Second

// bus is a server with the production configuration, plus one user in CORE and
// one in MODULES who hear everything and can say nothing.
type bus struct {
	t       *testing.T
	server  *natsserver.Server
	dir     string
	keyring *keyring
	spies   map[string]string // account → seed file
}

func newBus(t *testing.T, conf ...*strings.Replacer) *bus {
	t.Helper()
	b := &bus{t: t, dir: t.TempDir(), keyring: &keyring{grants: map[string]Grant{}}, spies: map[string]string{}}
	require.NoError(t, natsserver.Init(b.dir))
	b.addSpies(conf...)
	server, err := natsserver.Start(t.Context(), natsserver.Config{Dir: b.dir, Listen: "127.0.0.1:0"})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		require.NoError(t, server.Stop(ctx))
	})
	b.server = server
	return b
}

func (b *bus) addSpies(changes ...*strings.Replacer) {
	path := filepath.Join(b.dir, "nats.conf")
	conf, err := os.ReadFile(path)
	require.NoError(b.t, err)
	text := string(conf)
	for account, anchor := range map[string]string{"CORE": "    users: [\n      { nkey: $KEY_AUTH\n", "MODULES": "  MODULES {\n"} {
		pair, err := nkeys.CreateUser()
		require.NoError(b.t, err)
		public, err := pair.PublicKey()
		require.NoError(b.t, err)
		seed, err := pair.Seed()
		require.NoError(b.t, err)
		b.spies[account] = natsserver.SeedFile(b.dir, "spy_"+account)
		require.NoError(b.t, os.WriteFile(b.spies[account], seed, 0o600))
		user := fmt.Sprintf("{ nkey: %q, permissions { publish: { deny: [\">\"] }, subscribe: [\">\"] } }\n", public)
		replacement := strings.Replace(anchor, "users: [\n", "users: [\n"+user, 1)
		if replacement == anchor {
			replacement = anchor + "users: [" + user + "]\n"
		}
		require.Equal(b.t, 1, strings.Count(text, anchor))
		text = strings.Replace(text, anchor, replacement, 1)
		text = strings.Replace(text, "auth_users: [", fmt.Sprintf("auth_users: [%q, ", public), 1)
	}
	for _, change := range changes {
		text = change.Replace(text)
	}
	require.NoError(b.t, os.WriteFile(path, []byte(text), 0o600))
}

// callout starts a replica of the responder.
func (b *bus) callout(change ...func(*Config)) *Responder {
	b.t.Helper()
	issuer, err := natsserver.ReadSeed(b.dir, natsserver.Issuer)
	require.NoError(b.t, err)
	xkey, err := natsserver.ReadSeed(b.dir, natsserver.XKey)
	require.NoError(b.t, err)
	cfg := Config{Issuer: issuer, XKey: xkey}
	for _, f := range change {
		f(&cfg)
	}
	r, err := Start(b.user(natsconn.Callout), b.user(natsconn.System), b.keyring, cfg)
	require.NoError(b.t, err)
	b.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		require.NoError(b.t, r.Stop(ctx))
	})
	return r
}

// user connects a user of nats.conf.
func (b *bus) user(name string, opts ...nats.Option) *nats.Conn {
	return b.connect(name, natsserver.SeedFile(b.dir, name), opts...)
}

func (b *bus) connect(name, seedFile string, opts ...nats.Option) *nats.Conn {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), limit)
	defer cancel()
	nc, err := natsconn.Connect(ctx, natsconn.Config{URL: b.server.URL(), User: name, SeedFile: seedFile}, opts...)
	require.NoError(b.t, err)
	b.t.Cleanup(nc.Close)
	return nc
}

// module connects a module by its key.
func (b *bus) module(key contract.APIKey, opts ...nats.Option) (*nats.Conn, error) {
	b.t.Helper()
	nc, err := nats.Connect(b.server.URL(), append([]nats.Option{
		nats.Token(key.Reveal()), nats.CustomInboxPrefix("_INBOX_" + key.ID), nats.PermissionErrOnSubscribe(true),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), nats.NoReconnect(), nats.Timeout(limit),
	}, opts...)...)
	if err == nil {
		b.t.Cleanup(nc.Close)
	}
	return nc, err
}

// spy hears everything in an account from when it returns.
type spy struct {
	t  *testing.T
	nc *nats.Conn
	ch chan *nats.Msg
}

func (b *bus) spy(account string) *spy {
	b.t.Helper()
	s := &spy{t: b.t, nc: b.connect("spy", b.spies[account]), ch: make(chan *nats.Msg, 1000)}
	_, err := s.nc.ChanSubscribe(">", s.ch)
	require.NoError(b.t, err)
	require.NoError(b.t, s.nc.Flush())
	return s
}

// heard returns what reached the server since the last call.
func (s *spy) heard() []*nats.Msg {
	s.t.Helper()
	require.NoError(s.t, s.nc.Flush())
	var all []*nats.Msg
	for {
		select {
		case msg := <-s.ch:
			all = append(all, msg)
		default:
			return all
		}
	}
}

// keyring is an Authenticator. hook, when set, runs after the decision.
type keyring struct {
	mu     sync.Mutex
	grants map[string]Grant
	hook   func()
	err    error
}

func (k *keyring) AuthenticateKey(_ context.Context, apiKey string, _ netip.Addr) (Grant, error) {
	k.mu.Lock()
	grant, ok := k.grants[apiKey]
	err, hook := k.err, k.hook
	k.mu.Unlock()
	if hook != nil {
		hook()
	}
	if err != nil {
		return Grant{}, err
	}
	if !ok {
		return Grant{}, ErrRefused
	}
	return grant, nil
}

func (k *keyring) set(change func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change()
}

// add makes a key with the operations. A module's first key has the id
// "<module>-00000000", the next one "<module>-00000001".
func (k *keyring) add(module string, operations ...string) contract.APIKey {
	key := newKey(module)
	k.set(func() {
		n := 0
		for _, grant := range k.grants {
			if grant.Module == module {
				n++
			}
		}
		key = contract.NewAPIKey("dev", fmt.Sprintf("%s-%08d", module, n), rand.Text()+rand.Text())
		k.grants[key.Reveal()] = Grant{KeyID: key.ID, Module: module, Operations: operations}
	})
	return key
}

func (k *keyring) revoke(key contract.APIKey) {
	k.set(func() { delete(k.grants, key.Reveal()) })
}

func newKey(module string) contract.APIKey {
	return contract.NewAPIKey("dev", module+"-"+strings.ToLower(rand.Text()[:10]), rand.Text()+rand.Text())
}

// raw is a client without the manners of a library.
type raw struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

// dial sends CONNECT with the credentials (JSON members) and returns what the
// server says to that, up to the first PONG or -ERR.
func (b *bus) dial(credentials string) (*raw, string) {
	b.t.Helper()
	u, err := url.Parse(b.server.URL())
	require.NoError(b.t, err)
	conn, err := net.Dial("tcp", u.Host)
	require.NoError(b.t, err)
	b.t.Cleanup(func() { _ = conn.Close() })
	require.NoError(b.t, conn.SetDeadline(time.Now().Add(limit)))
	c := &raw{t: b.t, conn: conn, in: bufio.NewReader(conn)}
	_, err = c.in.ReadString('\n') // INFO
	require.NoError(b.t, err)
	return c, c.send(`CONNECT {"verbose":false,"pedantic":false,"protocol":1,"headers":true,"no_responders":true,"name":"raw",` + credentials + `}`)
}

func (b *bus) dialKey(key contract.APIKey) *raw {
	b.t.Helper()
	c, said := b.dial(fmt.Sprintf(`"auth_token":%q`, key.Reveal()))
	require.NotContains(b.t, said, "-ERR")
	return c
}

// send sends lines and a PING and returns all that the server said until its
// PONG. The server works in order: by then every line has had its effect.
func (c *raw) send(lines ...string) string {
	c.t.Helper()
	_, err := c.conn.Write([]byte(strings.Join(append(lines, "PING\r\n"), "\r\n")))
	require.NoError(c.t, err)
	var said strings.Builder
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return said.String() + "closed"
		}
		if line == "PONG\r\n" {
			return said.String()
		}
		if !strings.HasPrefix(line, "INFO ") {
			said.WriteString(line)
		}
	}
}

func pub(subject, reply, body string) string {
	return fmt.Sprintf("PUB %s %s %d\r\n%s", subject, reply, len(body), body)
}

func hpub(subject, reply, body string, headers ...string) string {
	h := "NATS/1.0\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n"
	return fmt.Sprintf("HPUB %s %s %d %d\r\n%s%s", subject, reply, len(h), len(h)+len(body), h, body)
}
