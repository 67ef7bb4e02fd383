package stack

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/kit/natsserver"
)

// Bus is a nats-server running apart.
type Bus struct {
	t    testing.TB
	url  string
	args []string
	key  nats.Option
	cmd  *exec.Cmd
	log  bytes.Buffer // of all runs
}

// startNATS runs the nats-server of the module graph as its own process.
func startNATS(t testing.TB, credentials, store string) *Bus {
	t.Helper()
	address := freeAddress(t)
	require.NoError(t, os.WriteFile(filepath.Join(credentials, "local.conf"),
		[]byte("NATS_LISTEN: \""+address+"\"\nNATS_STORE_DIR: \""+store+"\"\n"), 0o600))
	key, err := nats.NkeyOptionFromSeed(natsserver.SeedFile(credentials, "operator"))
	require.NoError(t, err)
	b := &Bus{t: t, url: "nats://" + address, args: []string{"-c", filepath.Join(credentials, "nats.conf")}, key: key}
	t.Cleanup(func() {
		b.end(syscall.SIGTERM)
		if t.Failed() {
			t.Logf("nats-server:\n%s", b.log.String())
		}
	})
	b.Start()
	return b
}

// Start starts the server, where it was before, and waits until it answers.
func (b *Bus) Start() {
	b.t.Helper()
	b.cmd = exec.Command(Build(b.t, "github.com/nats-io/nats-server/v2"), b.args...)
	b.cmd.Stdout, b.cmd.Stderr = &b.log, &b.log
	require.NoError(b.t, b.cmd.Start())
	require.Eventually(b.t, func() bool {
		nc, err := nats.Connect(b.url, b.key)
		if err == nil {
			nc.Close()
		}
		return err == nil
	}, Timeout, 20*time.Millisecond)
}

// Kill ends the server with SIGKILL.
func (b *Bus) Kill() { b.end(syscall.SIGKILL) }

func (b *Bus) end(signal syscall.Signal) {
	if b.cmd == nil {
		return // it never started
	}
	_ = b.cmd.Process.Signal(signal) // already gone is as good
	_ = b.cmd.Wait()
}
