package stack

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/kit/kittest"
)

// Process is a service running apart.
type Process struct {
	t       testing.TB
	path    string
	args    []string
	env     []string
	ready   string
	cmd     *exec.Cmd
	log     *output
	exited  chan struct{}
	HTTPURL string
	OpsURL  string
}

// Layout says how a stack of processes differs from the plain one.
type Layout struct {
	// Database is the URL of an empty database; one of the test's own when empty.
	Database string
	// Servers of the bus, 1 when 0; with 3 every stream has as many replicas.
	Servers int
	// Store is the directory of the bus's streams, one below the test's when
	// empty. Of several servers each has a directory below it.
	Store string
	// Through gives the URLs by which a service reaches the bus and the database,
	// directly when nil.
	Through func(service, bus, database string) (string, string)
	// Audit are more flags of service audit.
	Audit []string
	// Poisoned: the test publishes what is no event of the catalogue, on purpose.
	Poisoned bool
}

// Processes starts a standalone nats-server with the production configuration
// and the five services as processes, on a database of the test's own.
func Processes(t testing.TB) *Stack { return Layout{}.Start(t) }

// Start starts the bus and the five services.
func (l Layout) Start(t testing.TB) *Stack {
	t.Helper()
	s := &Stack{DatabaseURL: l.Database, Processes: map[string]*Process{}, poisoned: l.Poisoned}
	if s.DatabaseURL == "" {
		s.DatabaseURL = kittest.Database(t, nil)
	}
	dir := t.TempDir()
	s.Credentials = filepath.Join(dir, "bus")
	buildify := Build(t, "github.com/buildify/core/cmd/buildify")
	run(t, buildify, "nats", "init", "--dir", s.Credentials)
	run(t, buildify, "migrate", "--database-url", s.DatabaseURL)
	l.startBus(t, s, cmp.Or(l.Store, filepath.Join(dir, "jetstream")))

	s.PublicURL, s.SecretFile = "http://localhost:8080", filepath.Join(dir, "secret")
	require.NoError(t, os.WriteFile(s.SecretFile, []byte("a secret of thirty-two bytes or more"), 0o600))
	mailServer, mails := startMailServer(t)
	s.Mails = mails
	// Three by `buildify serve`, two by the services' own commands: the same
	// command either way.
	for name, p := range map[string]*Process{
		"tenant": {path: buildify, args: []string{"serve", "tenant", "--secret-file", s.SecretFile}},
		"auth": {path: buildify, args: []string{
			"serve", "auth", "--secret-file", s.SecretFile, "--public-url", s.PublicURL,
			"--smtp-server", "smtp://" + mailServer, "--mail-from", "Buildify <noreply@example.com>",
		}},
		"rbac": {path: buildify, args: []string{"serve", "rbac"}},
		"audit": {path: Build(t, "github.com/buildify/core/services/audit/cmd/audit"), args: []string{
			"--secret-file", s.SecretFile, "--checkpoint-interval", "200ms", "--webhooks-allow-private", "--webhooks-retries", "100ms,200ms,400ms,400ms,400ms,400ms,400ms,400ms,1s,1s,1s,1s",
		}},
		"httpbridge": {path: Build(t, "github.com/buildify/core/services/httpbridge/cmd/httpbridge"), args: []string{"--http", "127.0.0.1:0"}},
	} {
		bus, database := s.NATSURL, s.DatabaseURL
		if l.Through != nil {
			bus, database = l.Through(name, bus, database)
		}
		p.args = append(p.args, "--nats-url", bus, "--credentials", s.Credentials, "--replicas", strconv.Itoa(max(l.Servers, 1)))
		if name != "httpbridge" {
			p.args = append(p.args, "--database-url", database)
		}
		if name == "audit" {
			p.args = append(p.args, l.Audit...)
		}
		p.t, p.ready = t, filepath.Join(dir, name+".json")
		s.Processes[name] = p
	}
	for _, p := range s.Processes { // in no order: each waits for what it needs
		p.launch()
	}
	for _, p := range s.Processes {
		p.awaitReady()
	}
	t.Cleanup(func() {
		for _, p := range s.Processes {
			p.Stop()
		}
	})
	s.HTTPURL = s.Processes["httpbridge"].HTTPURL
	s.connectOperator(t)
	return s
}

// Start starts the process and waits until it is ready.
func (p *Process) Start() {
	p.t.Helper()
	p.launch()
	p.awaitReady()
}

func (p *Process) launch() {
	p.t.Helper()
	_ = os.Remove(p.ready) // of an earlier run
	p.log, p.exited = &output{}, make(chan struct{})
	p.cmd = exec.Command(p.path, append(p.args, "--ready-file", p.ready)...)
	p.cmd.Env = append(os.Environ(), p.env...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	require.NoError(p.t, p.cmd.Start())
	cmd, exited := p.cmd, p.exited
	go func() {
		_ = cmd.Wait() // its state tells
		close(exited)
	}()
}

func (p *Process) awaitReady() {
	p.t.Helper()
	var ready struct {
		HTTPURL string `json:"http_url"`
		OpsURL  string `json:"ops_url"`
	}
	require.Eventually(p.t, func() bool {
		select {
		case <-p.exited:
			require.Fail(p.t, "exited before it was ready", "%v\n%s", p.args, p.log)
		default:
		}
		body, err := os.ReadFile(p.ready)
		return err == nil && json.Unmarshal(body, &ready) == nil
	}, 2*Timeout, 10*time.Millisecond, "%v", p.args)
	p.HTTPURL, p.OpsURL = ready.HTTPURL, ready.OpsURL
}

// Kill ends the process with SIGKILL.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // already gone is as good
	<-p.exited
}

// Stop ends the process with SIGTERM; it must exit cleanly.
func (p *Process) Stop() {
	select {
	case <-p.exited:
		return
	default:
	}
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-p.exited:
	case <-time.After(Timeout):
		p.Kill()
	}
	if p.cmd.ProcessState.ExitCode() != 0 {
		p.t.Errorf("%v: %v\n%s", p.args, p.cmd.ProcessState, p.log)
	}
}

// Logged is what the process has printed since its last start.
func (p *Process) Logged() string { return p.log.String() }

// output keeps what a process prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

func run(t testing.TB, path string, args ...string) {
	t.Helper()
	out, err := exec.Command(path, args...).CombinedOutput()
	require.NoError(t, err, "%v: %s", args, out)
}

var builds struct {
	sync.Mutex
	paths map[string]string
}

// Build compiles a command once per test process and returns its path. The
// platform's own are built with the race detector when the test is.
func Build(t testing.TB, pkg string) string {
	t.Helper()
	builds.Lock()
	defer builds.Unlock()
	if path, ok := builds.paths[pkg]; ok {
		return path
	}
	if builds.paths == nil {
		builds.paths = map[string]string{}
	}
	path := filepath.Join(buildDir(t), filepath.Base(pkg)+"-"+filepath.Base(filepath.Dir(pkg)))
	args := []string{"build", "-o", path}
	if race {
		args = append(args, "-race")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "go", append(args, pkg)...).CombinedOutput()
	require.NoError(t, err, string(out))
	builds.paths[pkg] = path
	return path
}

var buildDirectory string

// buildDir outlives the test that needs it first; Main removes it.
func buildDir(t testing.TB) string {
	if buildDirectory == "" {
		dir, err := os.MkdirTemp("", "buildify-tests-")
		require.NoError(t, err)
		buildDirectory = dir
	}
	return buildDirectory
}

// Main is what TestMain of a package that uses stacks calls.
func Main(m *testing.M) { kittest.Main(cleaning{m}) }

type cleaning struct{ *testing.M }

// Run implements what kittest.Main runs.
func (c cleaning) Run() int {
	defer func() { _ = os.RemoveAll(buildDirectory) }() // temporary: the system sweeps it too
	return c.M.Run()
}
