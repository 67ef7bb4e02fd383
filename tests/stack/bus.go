package stack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/kit/natsconn"
	"github.com/buildify/core/pkg/kit/natsserver"
)

// Bus is a nats-server running apart.
type Bus struct {
	// Name is the server's in its cluster; empty when it is alone.
	Name string
	t    testing.TB
	url  string
	args []string
	key  nats.Option
	cmd  *exec.Cmd
	log  output // of all runs
}

// startBus starts the servers of the layout.
func (l Layout) startBus(t testing.TB, s *Stack, store string) {
	t.Helper()
	if l.Servers < 2 {
		s.Bus = newBus(t, s.Credentials, s.Credentials, store, "")
		s.NATSURL = s.Bus.url
		s.Bus.Start()
		return
	}
	var routes, urls []string
	for range l.Servers {
		routes = append(routes, "nats://"+freeAddress(t))
	}
	for i, route := range routes {
		name := "bus-" + strconv.Itoa(i+1)
		dir := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.Mkdir(dir, 0o700))
		for _, file := range []string{"nats.conf", "keys.conf"} {
			content, err := os.ReadFile(filepath.Join(s.Credentials, file))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, file), content, 0o600))
		}
		b := newBus(t, dir, s.Credentials, filepath.Join(store, name), fmt.Sprintf(
			"server_name: %q\ncluster {\n  name: buildify\n  listen: %q\n  routes: [%s]\n}\n",
			name, strings.TrimPrefix(route, "nats://"), strings.Join(routes, ", ")))
		b.Name = name
		s.Cluster, urls = append(s.Cluster, b), append(urls, b.url)
	}
	s.NATSURL = strings.Join(urls, ",")
	for _, b := range s.Cluster {
		b.launch()
	}
	for _, b := range s.Cluster {
		b.awaitReady()
	}
	s.Cluster[0].awaitJetStream()
}

// newBus prepares the nats-server of the module graph as its own process, with
// its configuration in dir and more of it.
func newBus(t testing.TB, dir, credentials, store, more string) *Bus {
	t.Helper()
	address := freeAddress(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "local.conf"),
		[]byte("NATS_LISTEN: \""+address+"\"\nNATS_STORE_DIR: \""+store+"\"\n"+more), 0o600))
	key, err := nats.NkeyOptionFromSeed(natsserver.SeedFile(credentials, "operator"))
	require.NoError(t, err)
	b := &Bus{t: t, url: "nats://" + address, args: []string{"-c", filepath.Join(dir, "nats.conf")}, key: key}
	t.Cleanup(func() {
		b.end(syscall.SIGTERM)
		if t.Failed() {
			t.Logf("nats-server %s:\n%s", b.Name, b.log.String())
		}
	})
	return b
}

// Start starts the server, where it was before, and waits until it answers.
func (b *Bus) Start() {
	b.t.Helper()
	b.launch()
	b.awaitReady()
}

func (b *Bus) launch() {
	b.t.Helper()
	b.cmd = exec.Command(Build(b.t, "github.com/nats-io/nats-server/v2"), b.args...)
	b.cmd.Stdout, b.cmd.Stderr = &b.log, &b.log
	require.NoError(b.t, b.cmd.Start())
}

func (b *Bus) awaitReady() {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		nc, err := nats.Connect(b.url, b.key)
		if err == nil {
			nc.Close()
		}
		return err == nil
	}, Timeout, 20*time.Millisecond)
}

// awaitJetStream waits until the cluster has elected who may make streams.
func (b *Bus) awaitJetStream() {
	b.t.Helper()
	nc, err := nats.Connect(b.url, b.key, nats.CustomInboxPrefix(natsconn.InboxPrefix(natsconn.Operator)))
	require.NoError(b.t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(b.t, err)
	require.Eventually(b.t, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := js.AccountInfo(ctx)
		return err == nil
	}, Timeout, 20*time.Millisecond, "no leader")
}

// Logged is what the server has printed in all its runs.
func (b *Bus) Logged() string { return b.log.String() }

// Kill ends the server with SIGKILL.
func (b *Bus) Kill() { b.end(syscall.SIGKILL) }

// PID is the server's process.
func (b *Bus) PID() int { return b.cmd.Process.Pid }

func (b *Bus) end(signal syscall.Signal) {
	if b.cmd == nil {
		return // it never started
	}
	_ = b.cmd.Process.Signal(signal) // already gone is as good
	_ = b.cmd.Wait()
}
