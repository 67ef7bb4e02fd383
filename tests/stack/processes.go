package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
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
	log     *bytes.Buffer
	exited  chan struct{}
	HTTPURL string
	OpsURL  string
}

// Processes starts a standalone nats-server with the production configuration
// and the five services as processes, on a database of the test's own.
func Processes(t testing.TB) *Stack {
	t.Helper()
	s := &Stack{DatabaseURL: kittest.Database(t, nil), Processes: map[string]*Process{}}
	dir := t.TempDir()
	s.Credentials = filepath.Join(dir, "bus")
	buildify := Build(t, "github.com/buildify/core/cmd/buildify")
	run(t, buildify, "nats", "init", "--dir", s.Credentials)
	run(t, buildify, "migrate", "--database-url", s.DatabaseURL)
	s.Bus = startNATS(t, s.Credentials, filepath.Join(dir, "jetstream"))
	s.NATSURL = s.Bus.url

	s.PublicURL, s.SecretFile = "http://localhost:8080", filepath.Join(dir, "secret")
	require.NoError(t, os.WriteFile(s.SecretFile, []byte("a secret of thirty-two bytes or more"), 0o600))
	mailServer, mails := startMailServer(t)
	s.Mails = mails
	common := []string{"--nats-url", s.NATSURL, "--credentials", s.Credentials}
	withDatabase := append([]string{"--database-url", s.DatabaseURL}, common...)
	// Three by `buildify serve`, two by the services' own commands: the same
	// command either way.
	for name, p := range map[string]*Process{
		"tenant": {path: buildify, args: append([]string{"serve", "tenant", "--secret-file", s.SecretFile}, withDatabase...)},
		"auth": {path: buildify, args: append([]string{
			"serve", "auth", "--secret-file", s.SecretFile, "--public-url", s.PublicURL,
			"--smtp-server", "smtp://" + mailServer, "--mail-from", "Buildify <noreply@example.com>",
		}, withDatabase...)},
		"rbac":       {path: buildify, args: append([]string{"serve", "rbac"}, withDatabase...)},
		"audit":      {path: Build(t, "github.com/buildify/core/services/audit/cmd/audit"), args: withDatabase},
		"httpbridge": {path: Build(t, "github.com/buildify/core/services/httpbridge/cmd/httpbridge"), args: append([]string{"--http", "127.0.0.1:0"}, common...)},
	} {
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
	p.log, p.exited = &bytes.Buffer{}, make(chan struct{})
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
