package natsserver

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/kit/natsconn"
)

const limit = 10 * time.Second

func start(t *testing.T, dir string) *Server {
	t.Helper()
	require.NoError(t, Init(dir))
	s, err := Start(t.Context(), Config{Dir: dir, Listen: "127.0.0.1:0"})
	require.NoError(t, err)
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	require.NoError(t, s.Stop(ctx))
}

func connect(t *testing.T, s *Server, dir, user string, opts ...nats.Option) *nats.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	nc, err := natsconn.Connect(ctx, natsconn.Config{URL: s.URL(), User: user, SeedFile: SeedFile(dir, user), Log: slog.New(slog.DiscardHandler)}, opts...)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

func TestInitIsIdempotentAndPrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "bus")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { assert.NoError(t, Init(dir)) })
	}
	all.Wait()
	before := contents(t, dir)
	assert.Len(t, before, len(Users())+2+3)
	require.NoError(t, os.WriteFile(filepath.Join(dir, localFile), []byte("NATS_LISTEN: \"127.0.0.1:1\"\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, keysFile), []byte("damaged"), 0o600))
	require.NoError(t, Init(dir))
	after := contents(t, dir)
	assert.Contains(t, after[localFile], "127.0.0.1:1")
	before[localFile] = after[localFile]
	assert.Equal(t, before, after)
	for name, text := range after {
		if filepath.Ext(name) == ".conf" {
			assert.NotRegexp(t, `\bS[UAX][A-Z0-9]{50,}`, text, "no seed in %s", name)
		}
	}
}

// contents checks the modes and returns the files.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	info, err := os.Stat(dir)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	files := map[string]string{}
	for _, e := range entries {
		info, err := e.Info()
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), e.Name())
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		files[e.Name()] = string(data)
	}
	return files
}

func TestDamagedSeedIsNotReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(SeedFile(dir, natsconn.Auth), []byte("not a seed"), 0o600))
	require.ErrorContains(t, Init(dir), "seed auth")
}

func TestStartNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Config{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	require.ErrorContains(t, err, "buildify nats init")
	_, err = ReadSeed(t.TempDir(), Issuer)
	require.ErrorContains(t, err, "buildify nats init")
}

func TestStartFailsOnATakenPort(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, dir)
	_, err := Start(t.Context(), Config{Dir: dir, Listen: s.URL()[len("nats://"):], StoreDir: t.TempDir()})
	require.ErrorContains(t, err, "address already in use")
}

func TestEveryUserConnects(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, dir)
	for _, user := range Users() {
		require.NoError(t, connect(t, s, dir, user).Flush(), user)
		require.NoError(t, connect(t, s, dir, user, s.InProcess()).Flush(), user)
	}
}

func TestStopIsIdempotentAndDataSurvive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, dir)
	nc := connect(t, s, dir, natsconn.Operator)
	js, err := nc.JetStream()
	require.NoError(t, err)
	_, err = js.AddStream(&nats.StreamConfig{Name: "EVENTS", Subjects: []string{"core.events.>"}})
	require.NoError(t, err)
	nc.Close()
	stop(t, s)
	stop(t, s)

	nc = connect(t, start(t, dir), dir, natsconn.Operator)
	js, err = nc.JetStream()
	require.NoError(t, err)
	_, err = js.StreamInfo("EVENTS")
	require.NoError(t, err)
}

func TestConnectWaitsForTheServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, dir)
	address := s.URL()
	stop(t, s)
	connected := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		nc, err := natsconn.Connect(ctx, natsconn.Config{URL: address, User: natsconn.RBAC, SeedFile: SeedFile(dir, natsconn.RBAC)})
		if err == nil {
			nc.Close()
		}
		connected <- err
	}()
	again, err := Start(t.Context(), Config{Dir: dir, Listen: address[len("nats://"):]})
	require.NoError(t, err)
	defer stop(t, again)
	require.NoError(t, <-connected)
}

func TestConnectTellsWhyItGaveUp(t *testing.T) {
	t.Parallel()
	dir, stranger := t.TempDir(), t.TempDir()
	s := start(t, dir)
	require.NoError(t, Init(stranger))
	// Nobody answers the callout here: the server refuses after 1.8 s.
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
	defer cancel()
	_, err := natsconn.Connect(ctx, natsconn.Config{URL: s.URL(), User: natsconn.RBAC, SeedFile: SeedFile(stranger, natsconn.RBAC)})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, nats.ErrAuthorization)

	_, err = natsconn.Connect(t.Context(), natsconn.Config{URL: s.URL(), User: natsconn.RBAC, SeedFile: filepath.Join(stranger, "none.nk")})
	require.ErrorContains(t, err, "buildify nats init")
}
