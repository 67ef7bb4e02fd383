package saga

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

func TestTheCommandLineKeepsTenants(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	binary := stack.Build(t, "github.com/buildify/core/cmd/buildify")
	run := func(args ...string) (out, problem string) {
		t.Helper()
		cmd := exec.CommandContext(stack.Context(t), binary, append(append([]string{"tenant"}, args...), "--nats-url", s.NATSURL, "--credentials", s.Credentials)...)
		var stdout, stderr strings.Builder
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if cmd.Run() != nil {
			return "", stderr.String()
		}
		return stdout.String(), ""
	}
	must := func(args ...string) string {
		t.Helper()
		out, problem := run(args...)
		require.Empty(t, problem)
		return out
	}
	read := func(value any, args ...string) {
		t.Helper()
		require.NoError(t, json.Unmarshal([]byte(must(append(args, "--json")...)), value))
	}
	w := want()
	var made contract.Tenant
	read(&made, "create", "--code", w.code, "--name", "By hand", "--administrator", w.email, "--users", "5")
	require.Equal(t, []any{contract.TenantActive, 5}, []any{made.State, made.Limits.Users})
	w.isWhole(t, s)
	_, problem := run("create", "--code", w.code, "--name", "Again")
	require.Contains(t, problem, "exists")
	list := must("list", "--search", strings.ToLower(w.code))
	for _, shown := range []string{w.code, "By hand", "active", made.ID} {
		require.Contains(t, list, shown)
	}
	shown := must("show", w.code)
	for _, part := range []string{made.ID, "5 users", "1 users, 0 companies, 0 modules"} {
		require.Contains(t, shown, part)
	}
	_, problem = run("show", "NOSUCHCODE")
	require.Contains(t, problem, "tenant list")
	require.Contains(t, must("limits", made.ID, "--companies", "2"), "2 companies")
	require.NotContains(t, must("show", made.ID), "5 users", "what no flag names is unlimited")

	require.Contains(t, must("suspend", w.code, "--reason", "unpaid"), "suspended")
	require.Contains(t, must("show", w.code), "unpaid")
	require.Contains(t, must("resume", w.code), "active")
	require.Contains(t, must("delete", w.code, "--dry-run"), "would go")
	require.Contains(t, must("show", w.code), "active")
	require.Contains(t, must("delete", w.code, "--grace-days", "7"), "deleting")
	require.Contains(t, must("show", w.code), "grace")
	require.Contains(t, must("list", "--state", "deleting"), w.code)
	require.Contains(t, must("restore", w.code), "active")
	must("delete", w.code, "--grace-days", "0")
	eventually(t, func() error {
		if strings.Contains(must("list"), w.code) || strings.Contains(must("show", made.ID), "erasing") {
			return errNotYet
		}
		return nil
	})
	require.Contains(t, must("show", made.ID), "erased")
}
