// Package dev holds `buildify dev` to what its help says, as a process.
package dev

import (
	"encoding/json"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

func TestMain(m *testing.M) { stack.Main(m) }

// ready is the ready file, field by field as documented.
type ready struct {
	HTTPURL string                           `json:"http_url"`
	NATSURL string                           `json:"nats_url"`
	OpsURL  string                           `json:"ops_url"`
	Admin   struct{ Email, Password string } `json:"admin"`
	Tenant  struct{ ID, Code string }        `json:"tenant"`
	Users   []struct {
		ID, Email, Password string
		Roles               []string
	} `json:"users"`
	Modules []struct {
		Name   string `json:"name"`
		APIKey string `json:"api_key"`
	} `json:"modules"`
}

// platform is a running `buildify dev`.
type platform struct {
	ready
	cmd    *exec.Cmd
	log    string // file of its output
	exited chan struct{}
}

// output is what the platform has printed so far.
func (p *platform) output() string {
	body, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(body)
}

func start(t *testing.T, args ...string) *platform {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ready.json")
	p := &platform{log: filepath.Join(t.TempDir(), "output"), exited: make(chan struct{})}
	log, err := os.Create(p.log)
	require.NoError(t, err)
	defer log.Close()
	p.cmd = exec.Command(stack.Build(t, "github.com/buildify/core/cmd/buildify"),
		append([]string{"dev", "--http", "127.0.0.1:0", "--nats", "127.0.0.1:0", "--ready-file", file}, args...)...)
	p.cmd.Env = append(os.Environ(), "DATABASE_URL=") // a private PostgreSQL is part of what is tested
	p.cmd.Stdout, p.cmd.Stderr = log, log
	require.NoError(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait() // its state tells
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exited
	})
	require.Eventually(t, func() bool {
		select {
		case <-p.exited:
			require.Fail(t, "exited", p.output())
		default:
		}
		body, err := os.ReadFile(file)
		return err == nil && json.Unmarshal(body, &p.ready) == nil
	}, 3*stack.Timeout, 20*time.Millisecond)
	return p
}

// interrupt is Ctrl-C.
func (p *platform) interrupt(t *testing.T) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
	select {
	case <-p.exited:
	case <-time.After(stack.Timeout):
		require.Fail(t, "did not stop", p.output())
	}
	require.Zero(t, p.cmd.ProcessState.ExitCode(), p.output())
}

// dataDirectory is one that the user of root's PostgreSQL can reach, which is
// not so with t.TempDir's.
func dataDirectory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "buildify-dev-test-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o711))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// postmaster finds the private PostgreSQL's process by its data directory.
func postmaster(t *testing.T, data string) (pid int) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(data, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Base(path) != "postmaster.pid" {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		pid, err = strconv.Atoi(strings.SplitN(string(body), "\n", 2)[0])
		return err
	}))
	require.NotZero(t, pid)
	return pid
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

func TestDevIsReadyWithADemoThatWorks(t *testing.T) {
	t.Parallel()
	p := start(t, "--ephemeral")
	require.Equal(t, "ACME001", p.Tenant.Code)
	require.GreaterOrEqual(t, len(p.Users), 3)
	require.Equal(t, "financial", p.Modules[0].Name)

	anyone := stack.HTTPCaller{URL: p.HTTPURL}
	for _, u := range p.Users {
		out, refused := anyone.Call(t, contract.Login.Spec, `{"email":"`+u.Email+`","password":"`+u.Password+`"}`)
		require.Nil(t, refused)
		var in contract.LoginResponse
		require.NoError(t, json.Unmarshal(out, &in))
		require.Equal(t, u.ID, in.User.ID)
		require.Equal(t, p.Tenant.ID, in.User.TenantID)
	}
	module := stack.HTTPCaller{URL: p.HTTPURL, APIKey: p.Modules[0].APIKey}
	out, refused := module.Call(t, contract.CheckPermission.Spec,
		`{"user_id":"`+p.Users[1].ID+`","permission":"financial:accounts:write"}`)
	require.Nil(t, refused)
	require.Contains(t, string(out), `"allowed":true`)

	for _, url := range []string{p.HTTPURL + "/", p.HTTPURL + "/docs/api", p.HTTPURL + "/openapi.json", p.HTTPURL + "/readyz", p.OpsURL + "/metrics", p.OpsURL + "/readyz"} {
		response, err := http.Get(url)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusOK, response.StatusCode, url)
	}
	require.Contains(t, p.output(), p.Admin.Password)
	p.interrupt(t)
	data := regexpData(t, p.output())
	require.NoDirExists(t, data, "ephemeral data are removed")
}

// regexpData reads the data directory from the banner.
func regexpData(t *testing.T, banner string) string {
	t.Helper()
	for _, line := range strings.Split(banner, "\n") {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == "Data" {
			return fields[1]
		}
	}
	require.Fail(t, "no data directory in the banner", banner)
	return ""
}

func TestDevKeepsItsDataAndRecoversFromAKill(t *testing.T) {
	t.Parallel()
	data := dataDirectory(t)
	first := start(t, "--data", data)
	pid := postmaster(t, data)
	require.NoError(t, first.cmd.Process.Kill())
	<-first.exited
	require.Eventually(t, func() bool { return !alive(pid) }, stack.Timeout, 20*time.Millisecond, "no orphan PostgreSQL")

	second := start(t, "--data", data)
	require.Equal(t, first.Tenant, second.Tenant)
	require.Equal(t, first.Admin, second.Admin)
	require.Equal(t, first.Modules, second.Modules)
	_, refused := stack.HTTPCaller{URL: second.HTTPURL}.Call(t, contract.Login.Spec,
		`{"email":"`+second.Admin.Email+`","password":"`+second.Admin.Password+`"}`)
	require.Nil(t, refused)
	pid = postmaster(t, data)
	second.interrupt(t)
	require.False(t, alive(pid), "Ctrl-C leaves no PostgreSQL")
}

func TestATakenPortIsOneLineThatNamesItAndTheFlag(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for _, flag := range []string{"--http", "--nats", "--ops"} {
		args := map[string]string{"--http": "127.0.0.1:0", "--nats": "127.0.0.1:0", "--ops": "127.0.0.1:0"}
		args[flag] = taken.Addr().String()
		cmd := exec.Command(stack.Build(t, "github.com/buildify/core/cmd/buildify"), "dev", "--ephemeral",
			"--http", args["--http"], "--nats", args["--nats"], "--ops", args["--ops"])
		out, err := cmd.CombinedOutput()
		require.Error(t, err)
		line := strings.TrimSpace(string(out))
		require.NotContains(t, line, "\n")
		require.Contains(t, line, taken.Addr().String())
		require.Contains(t, line, flag)
	}
}

func TestFlagsMayComeFromTheEnvironment(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(stack.Build(t, "github.com/buildify/core/cmd/buildify"), "dev")
	cmd.Env = append(os.Environ(), "BUILDIFY_HTTP=nowhere", "BUILDIFY_EPHEMERAL=true")
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "nowhere")
	cmd = exec.Command(stack.Build(t, "github.com/buildify/core/cmd/buildify"), "dev")
	cmd.Env = append(os.Environ(), "BUILDIFY_EPHEMERAL=perhaps")
	out, err = cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "BUILDIFY_EPHEMERAL")
}
