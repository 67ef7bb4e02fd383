package resilience

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

// Nothing is sealed under a secret under which what is there does not open.
func TestTenantDoesNotStartWithAnotherSecret(t *testing.T) {
	t.Parallel()
	s := stack.Processes(t)
	start := func(file string) string {
		command := exec.CommandContext(stack.Context(t), stack.Build(t, "github.com/buildify/core/cmd/buildify"),
			"serve", "tenant", "--secret-file", file, "--database-url", s.DatabaseURL, "--nats-url", s.NATSURL, "--credentials", s.Credentials)
		out, err := command.CombinedOutput()
		require.Error(t, err)
		return string(out)
	}
	other := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(other, []byte(strings.Repeat("x", 32)), 0o600))
	c := s.Company(t)
	c.Publish(t, c.Module, "1.0.0", map[string]any{"settings": map[string]any{
		"type": "object", "properties": map[string]any{"token": map[string]any{"type": "string", "x-secret": true}},
	}})
	c.Install(t, c.Module, "")
	stack.Do(t, s, contract.UpdateSettings, &contract.UpdateSettingsRequest{
		TenantID: contract.ID(c.Tenant.ID), Namespace: c.Module, Values: json.RawMessage(`{"token":"s3cret"}`),
	})
	out := start(other)
	require.Contains(t, out, "cannot unseal")
	require.Contains(t, out, "--secret-file")
	require.NoError(t, os.WriteFile(other, []byte("short"), 0o600))
	require.Contains(t, start(other), "at least 32 bytes")
	require.Contains(t, start(filepath.Join(t.TempDir(), "none")), "--secret-file")
}
