package dev

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

// TestTheQuickStartOfTheReadme runs the example module against the demo, over
// each transport with one variable changed.
func TestTheQuickStartOfTheReadme(t *testing.T) {
	t.Parallel()
	p := start(t, "--ephemeral")
	token := func(user int) string {
		body, err := json.Marshal(map[string]string{"email": p.Users[user].Email, "password": p.Users[user].Password})
		require.NoError(t, err)
		out, refused := stack.HTTPCaller{URL: p.HTTPURL}.Call(t, contract.Login.Spec, string(body))
		require.Nil(t, refused)
		var in contract.LoginResponse
		require.NoError(t, json.Unmarshal(out, &in))
		return in.AccessToken
	}
	admin, anna, victor, nora := token(0), token(1), token(2), token(3)
	for code, variable := range map[string]string{"1200": "CORE_API_URL=" + p.HTTPURL, "1300": "CORE_NATS_URL=" + p.NATSURL} {
		t.Run(variable[:strings.IndexByte(variable, '=')], func(t *testing.T) {
			financial := startFinancial(t, variable, "CORE_API_KEY="+p.Modules[0].APIKey)
			account := `{"code":"` + code + `","name":"Receivables","type":"asset","currency":"EUR"}`
			for _, step := range []struct {
				name, method, token, body string
				status                    int
			}{
				{"the accountant makes an account", "POST", anna, account, http.StatusCreated},
				{"the viewer reads it", "GET", victor, "", http.StatusOK},
				{"the viewer makes none", "POST", victor, account, http.StatusForbidden},
				{"who holds nothing reads nothing", "GET", nora, "", http.StatusForbidden},
				{"nobody gets nothing", "GET", "", "", http.StatusUnauthorized},
				{"a garbled token gets nothing", "GET", "abc", "", http.StatusUnauthorized},
			} {
				status, body := call(t, step.method, financial+"/accounts", step.token, step.body)
				require.Equal(t, step.status, status, "%s: %s", step.name, body)
			}
			require.Eventually(t, func() bool {
				_, body := call(t, "GET", p.HTTPURL+"/api/v1/audit/events?action=account.created", admin, "")
				return strings.Contains(body, `"`+code+`"`) && strings.Contains(body, p.Users[1].ID) &&
					strings.Contains(body, `"source":"financial"`)
			}, stack.Timeout, 10*time.Millisecond)
		})
	}
}

// startFinancial runs the example module as a process and returns its URL.
func startFinancial(t *testing.T, environment ...string) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "ready.json")
	cmd := exec.Command(stack.Build(t, "github.com/buildify/core/modules/financial"),
		"--addr", "127.0.0.1:0", "--data", filepath.Join(dir, "data"), "--ready-file", file)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, environment...)
	log, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		require.NoError(t, log.Close())
		require.Zero(t, cmd.ProcessState.ExitCode())
	})
	var ready struct{ URL string }
	require.Eventually(t, func() bool {
		body, err := os.ReadFile(file)
		return err == nil && json.Unmarshal(body, &ready) == nil
	}, stack.Timeout, 10*time.Millisecond)
	return ready.URL
}

func call(t *testing.T, method, url, token, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(stack.Context(t), method, url, strings.NewReader(body))
	require.NoError(t, err)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	out, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(out)
}
