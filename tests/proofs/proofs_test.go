// Package proofs holds what a trail says against what the platform signed, as
// somebody does who trusts neither the platform nor its database.
package proofs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/tests/stack"
)

func TestMain(m *testing.M) { stack.Main(m) }

// auditor has the command line, and files of their own.
type auditor struct {
	t      *testing.T
	s      *stack.Stack
	c      *stack.Company
	binary string
	dir    string
}

func newAuditor(t *testing.T, s *stack.Stack) *auditor {
	t.Helper()
	return &auditor{t: t, s: s, c: s.Company(t), binary: stack.Build(t, "github.com/buildify/core/cmd/buildify"), dir: t.TempDir()}
}

func (a *auditor) path(name string) string { return filepath.Join(a.dir, name) }

// run runs `buildify audit …`.
func (a *auditor) run(args ...string) (out string, code int) {
	a.t.Helper()
	cmd := exec.CommandContext(stack.Context(a.t), a.binary, append([]string{"audit"}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return stdout.String() + stderr.String(), exit.ExitCode()
	}
	require.NoError(a.t, err)
	return stdout.String(), 0
}

// ask is run with what it takes to reach the core.
func (a *auditor) ask(args ...string) string {
	a.t.Helper()
	out, code := a.run(append(args, "--nats-url", a.s.NATSURL, "--credentials", a.s.Credentials)...)
	require.Zero(a.t, code, out)
	return out
}

// log logs events over HTTP, and waits until a checkpoint covers them.
func (a *auditor) log(n int) {
	a.t.Helper()
	module := stack.HTTPCaller{URL: a.s.HTTPURL, APIKey: a.c.APIKey}
	for i := range n {
		_, refused := module.Call(a.t, contract.LogAudit.Spec, fmt.Sprintf(
			`{"user_id":%q,"action":"invoice.paid","resource_type":"invoice","resource_id":%d,"details":{"amount":%d}}`, a.c.Reader.ID, i, 1000+i))
		require.Nil(a.t, refused)
	}
	tenant := contract.ID(a.c.Tenant.ID)
	require.Eventually(a.t, func() bool {
		page, err := kit.Call(stack.Context(a.t), a.s.Core, contract.ListAudit, &contract.ListAuditRequest{TenantID: tenant, Action: "invoice.paid", Limit: 1})
		if err != nil || len(page.Items) == 0 || !strings.Contains(string(page.Items[0].Details), fmt.Sprint(1000+n-1)) {
			return false
		}
		_, err = kit.Call(stack.Context(a.t), a.s.Core, contract.GetCheckpoint, &contract.GetCheckpointRequest{TenantID: tenant, Covering: page.Items[0].Sequence})
		return err == nil
	}, stack.Timeout, 50*time.Millisecond)
}

// take takes what an auditor keeps: key, proof and export.
func (a *auditor) take() {
	a.t.Helper()
	var keys contract.AuditKeysResponse
	require.NoError(a.t, json.Unmarshal([]byte(a.ask("keys", "--json")), &keys))
	require.NoError(a.t, os.WriteFile(a.path("key"), []byte(keys.Items[0].Verifier+"\n"), 0o600))
	a.ask("proof", "--tenant", a.c.Tenant.Code, "--output", a.path("proof.json"))
	require.NoError(a.t, os.WriteFile(a.path("checkpoint"), []byte(a.ask("checkpoint", "--tenant", a.c.Tenant.Code)), 0o600))
	a.export()
}

func (a *auditor) export() {
	a.t.Helper()
	a.ask("export", "--tenant", a.c.Tenant.Code, "--output", a.path("export.jsonl"))
}

func (a *auditor) verify(more ...string) (string, int) {
	a.t.Helper()
	return a.run(append([]string{"verify", a.path("export.jsonl"), "--key", a.path("key")}, more...)...)
}

func TestAnAlteredTrailIsFoundByWhoeverKeptACheckpoint(t *testing.T) {
	t.Parallel()
	a := newAuditor(t, stack.OneProcess(t))
	a.log(20)
	a.take()
	out, code := a.verify("--proof", a.path("proof.json"))
	require.Zero(t, code, out)
	require.Contains(t, out, "verified")
	out, code = a.verify("--checkpoint", a.path("checkpoint"))
	require.Zero(t, code, out)

	// Somebody with the database's keys makes one payment smaller, and one vanish.
	admin, err := pgx.Connect(stack.Context(t), a.s.DatabaseURL)
	require.NoError(t, err)
	defer func() { _ = admin.Close(stack.Context(t)) }()
	var altered, removed int64
	require.NoError(t, admin.QueryRow(stack.Context(t), `UPDATE audit.events SET entry = convert_to(replace(convert_from(entry, 'UTF8'), '"amount":1003', '"amount":1'), 'UTF8')
		WHERE tenant_id = $1 AND resource_id = '3' RETURNING tenant_seq`, a.c.Tenant.ID).Scan(&altered))
	require.NoError(t, admin.QueryRow(stack.Context(t), `DELETE FROM audit.events WHERE tenant_id = $1 AND resource_id = '7' RETURNING tenant_seq`, a.c.Tenant.ID).Scan(&removed))
	a.export()
	out, code = a.verify("--proof", a.path("proof.json"), "--json")
	require.Equal(t, 1, code, out)
	var told struct {
		Verified bool
		Findings []struct {
			Kind     string
			Sequence int64
		}
	}
	require.NoError(t, json.NewDecoder(strings.NewReader(out)).Decode(&told))
	require.False(t, told.Verified)
	require.Len(t, told.Findings, 2)
	require.Equal(t, []any{"altered", altered}, []any{told.Findings[0].Kind, told.Findings[0].Sequence})
	require.Equal(t, []any{"removed", removed}, []any{told.Findings[1].Kind, told.Findings[1].Sequence})
	out, code = a.verify("--checkpoint", a.path("checkpoint"))
	require.Equal(t, 1, code, out)
}

func TestWhatCannotBeVerifiedIsNoVerdict(t *testing.T) {
	t.Parallel()
	a := newAuditor(t, stack.OneProcess(t))
	a.log(1)
	a.take()
	other := "other.example/audit+7b5c9d1a+AbE2sC8Ww2sZ1nqn0D3xq2Cw6mPz0o3l0m9c8m7xY5aa"
	for _, args := range [][]string{
		{},
		{"--proof", a.path("nowhere")},
		{"--proof", a.path("key")},
		{"--checkpoint", a.path("key")},
		{"--checkpoint", a.path("checkpoint"), "--witness-key", other},
	} {
		out, code := a.verify(args...)
		require.Equal(t, 2, code, out)
	}
	out, code := a.run("verify", a.path("export.jsonl"), "--checkpoint", a.path("checkpoint"))
	require.Equal(t, 2, code, out)
	require.Contains(t, out, "--key is required")
}
