package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

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

func TestAStackStopsInReverseAndTellsAllThatFailed(t *testing.T) {
	t.Parallel()
	var s Stack
	var order []string
	first, second := errors.New("first"), errors.New("second")
	push := func(name string, err error) {
		s.Push(name, func(ctx context.Context) error {
			_, bounded := ctx.Deadline()
			require.True(t, bounded)
			order = append(order, name)
			return err
		})
	}
	push("database", first)
	push("bus", nil)
	push("service", second)
	err := s.Close(limit)
	require.Equal(t, []string{"service", "bus", "database"}, order)
	require.ErrorIs(t, err, first)
	require.ErrorIs(t, err, second)
	require.ErrorContains(t, err, "stopping service")
	require.NoError(t, s.Close(limit), "it is empty now")
	require.Len(t, order, 3)
}

func TestAStackHasOneDeadlineForAll(t *testing.T) {
	t.Parallel()
	var s Stack
	ended := false
	s.Push("last", func(ctx context.Context) error { ended = ctx.Err() != nil; return nil })
	s.Push("slow", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	require.ErrorIs(t, s.Close(20*time.Millisecond), context.DeadlineExceeded)
	require.True(t, ended, "the rest is stopped all the same")
}

func TestFilesAppearWholeAndPrivate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "ready.json")
	require.NoError(t, WriteReady("", "nothing"))
	require.Error(t, WriteReady(path, make(chan int)))
	require.Error(t, WriteReady(filepath.Join(dir, "no", "such"), "x"))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { _ = WriteReady(path, map[string]string{"url": "http://x"}) })
	}
	all.Wait()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.JSONEq(t, `{"url":"http://x"}`, string(raw))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	// Where it cannot be put, nothing is left behind either.
	require.NoError(t, os.Mkdir(filepath.Join(dir, "taken"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "taken", "x"), nil, 0o600))
	require.Error(t, WriteFile(filepath.Join(dir, "taken"), []byte("x")))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2, "%v", entries)
}

func TestFlagsComeFromTheEnvironmentUnlessGiven(t *testing.T) {
	for name, c := range map[string]struct {
		environment map[string]string
		args        []string
		url         string
		replicas    int
		failure     string
	}{
		"nothing":                       {replicas: 1},
		"the environment":               {environment: map[string]string{"BUILDIFY_REPLICAS": "3", "BUILDIFY_DATABASE_URL": "b"}, url: "b", replicas: 3},
		"DATABASE_URL":                  {environment: map[string]string{"DATABASE_URL": "d"}, url: "d", replicas: 1},
		"the house's own name wins":     {environment: map[string]string{"DATABASE_URL": "d", "BUILDIFY_DATABASE_URL": "b"}, url: "b", replicas: 1},
		"the command line wins":         {environment: map[string]string{"DATABASE_URL": "d", "BUILDIFY_REPLICAS": "3"}, args: []string{"--database-url=c", "--replicas=2"}, url: "c", replicas: 2},
		"a value that is none":          {environment: map[string]string{"BUILDIFY_REPLICAS": "many"}, failure: "BUILDIFY_REPLICAS"},
		"none, but the command line is": {environment: map[string]string{"BUILDIFY_REPLICAS": "many"}, args: []string{"--replicas=2"}, replicas: 2},
	} {
		t.Run(name, func(t *testing.T) {
			for _, variable := range []string{"DATABASE_URL", "BUILDIFY_DATABASE_URL", "BUILDIFY_REPLICAS"} {
				t.Setenv(variable, "") // to be put back
				require.NoError(t, os.Unsetenv(variable))
			}
			for variable, value := range c.environment {
				t.Setenv(variable, value)
			}
			var url string
			var replicas int
			ran := false
			cmd := &cobra.Command{Use: "x", SilenceUsage: true, SilenceErrors: true, RunE: func(*cobra.Command, []string) error { ran = true; return nil }}
			cmd.Flags().StringVar(&url, "database-url", "", "the database")
			cmd.Flags().IntVar(&replicas, "replicas", 1, "how many")
			FromEnvironment(cmd)
			cmd.SetArgs(append([]string{}, c.args...))
			err := cmd.ExecuteContext(bounded(t))
			if c.failure != "" {
				require.ErrorContains(t, err, c.failure)
				require.False(t, ran)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.url, url)
			require.Equal(t, c.replicas, replicas)
			require.Contains(t, cmd.Flags().Lookup("replicas").Usage, "[BUILDIFY_REPLICAS]")
		})
	}
}

// service is one that a process runs.
type service struct {
	env     *Env
	start   error
	started chan struct{}
	stopped chan struct{}
	failed  chan error
}

func (s *service) Start(context.Context) error {
	if s.start == nil {
		close(s.started)
	}
	return s.start
}

func (s *service) Stop(context.Context) error {
	if !s.env.NATS.IsConnected() {
		return errors.New("the bus was closed before the service stopped")
	}
	close(s.stopped)
	return nil
}

func (s *service) URL() string          { return "http://service" }
func (s *service) Failed() <-chan error { return s.failed }

func bus(t testing.TB) (url, credentials string) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, natsserver.Init(dir))
	server, err := natsserver.Start(bounded(t), natsserver.Config{Dir: dir, Listen: "127.0.0.1:0"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(bounded(t))) })
	return server.URL(), dir
}

// command is the process of a service, run inside of the test.
func command(s *service, args ...string) (*cobra.Command, *logs) {
	cmd := Command(Spec{Name: "httpbridge", Short: "x",
		Flags: func(fs *pflag.FlagSet) { fs.String("more", "", "one more") },
		New: func(ctx context.Context, env *Env) (kit.Service, error) {
			s.env = env
			_, err := env.Connect(ctx, natsconn.Operator)
			return s, err
		}})
	log := &logs{}
	cmd.SetErr(log)
	cmd.SilenceErrors = true
	cmd.SetArgs(args)
	return cmd, log
}

type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newService() *service {
	return &service{started: make(chan struct{}), stopped: make(chan struct{}), failed: make(chan error, 1)}
}

func TestAProcessTellsWhenItIsReadyAndEndsInOrder(t *testing.T) {
	t.Parallel()
	url, credentials := bus(t)
	s, ready := newService(), filepath.Join(t.TempDir(), "ready.json")
	cmd, _ := command(s, "--nats-url", url, "--credentials", credentials, "--ready-file", ready, "--more", "x")
	ctx, cancel := context.WithCancel(bounded(t))
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- cmd.ExecuteContext(ctx) }()
	var told map[string]string
	require.Eventually(t, func() bool {
		raw, err := os.ReadFile(ready)
		return err == nil && json.Unmarshal(raw, &told) == nil
	}, limit, time.Millisecond)
	<-s.started
	require.Equal(t, "httpbridge", told["service"])
	require.Equal(t, "http://service", told["http_url"])
	for path, want := range map[string]int{"/healthz": 200, "/metrics": 200, "/readyz": 200} {
		request, err := http.NewRequestWithContext(bounded(t), http.MethodGet, told["ops_url"]+path, nil)
		require.NoError(t, err)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, response.Body)
		require.NoError(t, response.Body.Close())
		require.Equal(t, want, response.StatusCode, path)
	}
	require.Equal(t, filepath.Join(credentials, "operator.nk"), s.env.Credential("operator"))
	cancel()
	require.NoError(t, <-ended)
	<-s.stopped
	require.False(t, s.env.NATS.IsConnected(), "a connection is left open")
}

func TestAProcessEndsWithWhatFailed(t *testing.T) {
	t.Parallel()
	url, credentials := bus(t)
	failure := errors.New("listener gone")
	t.Run("a service that dies", func(t *testing.T) {
		t.Parallel()
		s := newService()
		cmd, _ := command(s, "--nats-url", url, "--credentials", credentials)
		s.failed <- failure
		require.ErrorIs(t, cmd.ExecuteContext(bounded(t)), failure)
		<-s.stopped
	})
	t.Run("a service that does not start", func(t *testing.T) {
		t.Parallel()
		s := newService()
		s.start = failure
		cmd, _ := command(s, "--nats-url", url, "--credentials", credentials)
		require.ErrorIs(t, cmd.ExecuteContext(bounded(t)), failure)
	})
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no credentials":          {[]string{"--nats-url", url}, "--credentials"},
		"credentials of nobody":   {[]string{"--nats-url", url, "--credentials", t.TempDir()}, "buildify nats init"},
		"a log level of nobody":   {[]string{"--nats-url", url, "--credentials", credentials, "--log-level", "loud"}, "--log-level"},
		"an address that is none": {[]string{"--nats-url", url, "--credentials", credentials, "--ops", "nowhere"}, "ops"},
		"an unknown flag":         {[]string{"--no-such"}, "no-such"},
		"an argument":             {[]string{"argument"}, "argument"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService()
			cmd, log := command(s, c.args...)
			require.ErrorContains(t, cmd.ExecuteContext(bounded(t)), c.want)
			require.False(t, strings.Contains(log.String(), `"msg":"ready"`))
		})
	}
}

func TestADatabaseIsAskedForWhereItIsNeeded(t *testing.T) {
	for _, variable := range []string{"DATABASE_URL", "BUILDIFY_DATABASE_URL"} {
		t.Setenv(variable, "")
		require.NoError(t, os.Unsetenv(variable))
	}
	cmd := Command(Spec{Name: "audit", Database: true, New: func(context.Context, *Env) (kit.Service, error) { return nil, nil }})
	cmd.SilenceErrors = true
	cmd.SetErr(io.Discard)
	cmd.SetArgs([]string{"--credentials", t.TempDir()})
	require.ErrorContains(t, cmd.ExecuteContext(bounded(t)), "DATABASE_URL")
	require.Contains(t, cmd.Flags().Lookup("database-url").Usage, "buildify_audit")
}
