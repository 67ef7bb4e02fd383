package keys

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

func TestTheCommandLineKeepsKeys(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	c := s.Company(t)
	binary := stack.Build(t, "github.com/buildify/core/cmd/buildify")
	command := func(args ...string) (out, problem string) {
		cmd := exec.CommandContext(stack.Context(t), binary, append(append([]string{"keys"}, args...), "--nats-url", s.NATSURL, "--credentials", s.Credentials)...)
		var stdout, stderr strings.Builder
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil {
			require.NotEmpty(t, stderr.String())
			return "", stderr.String()
		}
		return stdout.String(), ""
	}
	must := func(args ...string) string {
		t.Helper()
		out, problem := command(args...)
		require.Empty(t, problem)
		return out
	}
	made := &contract.CreateKeyResponse{}
	require.NoError(t, json.Unmarshal([]byte(must("create", "--module", c.Module, "--environment", "dev", "--name", "nightly",
		"--tenants", c.Tenant.ID, "--operations", "tenant.get,rbac.check", "--cidrs", "127.0.0.0/8", "--days", "30", "--json")), made))
	both, _ := callers(t, s, made)
	require.Nil(t, getTenant(t, both["http"], c.Tenant.ID))
	secret := strings.Split(made.APIKey, "_")[3]

	list := must("list", "--module", c.Module)
	require.Contains(t, list, made.ID)
	require.Contains(t, list, "nightly")
	require.Contains(t, list, c.KeyID)
	require.NotContains(t, list, secret)
	var all []contract.Key
	require.NoError(t, json.Unmarshal([]byte(must("list", "--module", c.Module, "--status", "active", "--json")), &all))
	require.Len(t, all, 2)
	show := must("show", made.ID)
	for _, detail := range []string{"nightly", "rbac.check, tenant.get", c.Tenant.ID, "127.0.0.0/8", "active", "standard"} {
		require.Contains(t, show, detail)
	}
	require.NotContains(t, show, secret)

	rotated := must("rotate", made.ID, "--overlap", "1h")
	require.Contains(t, rotated, "bfy_dev_"+c.Module+"-")
	require.Contains(t, rotated, "shown this once")
	require.Nil(t, getTenant(t, both["http"], c.Tenant.ID), "the old key overlaps")
	_, problem := command("rotate", made.ID)
	require.Contains(t, problem, "was replaced by")

	require.Contains(t, must("revoke", made.ID), "is revoked")
	refusedOverHTTP(t, both["http"], c.Tenant.ID)
	require.Contains(t, must("show", made.ID), "revoked")
	_, problem = command("revoke", made.ID)
	require.Contains(t, problem, "no such API key")
	_, problem = command("create", "--module", c.Module, "--environment", "test")
	require.Contains(t, problem, "environment")
	_, problem = command("create")
	require.Contains(t, problem, "required")
}
