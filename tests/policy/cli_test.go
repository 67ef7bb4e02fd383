// Package policy holds the command line of roles and bindings to what it says.
package policy

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

func TestMain(m *testing.M) { stack.Main(m) }

// commandLine runs `buildify rbac` against a core.
type commandLine struct {
	s      *stack.Stack
	c      *stack.Company
	binary string
}

func (l *commandLine) run(t *testing.T, args ...string) (out, problem string) {
	t.Helper()
	cmd := exec.CommandContext(stack.Context(t), l.binary, append(append([]string{"rbac"}, args...), "--nats-url", l.s.NATSURL, "--credentials", l.s.Credentials)...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		require.NotEmpty(t, stderr.String())
		return "", stderr.String()
	}
	return stdout.String(), ""
}

// must runs a command about the company's tenant.
func (l *commandLine) must(t *testing.T, args ...string) string {
	t.Helper()
	out, problem := l.run(t, append(args, "--tenant", l.c.Tenant.ID)...)
	require.Empty(t, problem)
	return out
}

// read is must for its JSON.
func read[T any](t *testing.T, l *commandLine, args ...string) *T {
	t.Helper()
	value := new(T)
	require.NoError(t, json.Unmarshal([]byte(l.must(t, append(args, "--json")...)), value))
	return value
}

func (l *commandLine) allowed(t *testing.T, user stack.User, permission string, revision int64) bool {
	t.Helper()
	return stack.Do(t, l.s, contract.CheckPermission, &contract.CheckRequest{
		UserID: contract.ID(user.ID), Permission: permission, AtLeast: revision,
	}).Allowed
}

func TestTheCommandLineKeepsRolesAndBindings(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	l := &commandLine{s, s.Company(t), stack.Build(t, "github.com/buildify/core/cmd/buildify")}
	user, open, closing := l.c.Nobody, l.c.Module+":till:open", l.c.Module+":till:close"

	made := read[contract.Role](t, l, "role", "create", "--name", "cashier", "--title", "Cashier", "--permissions", open+","+closing)
	require.ElementsMatch(t, []string{open, closing}, made.Permissions)
	_, problem := l.run(t, "role", "create", "--name", "cashier", "--permissions", open, "--tenant", l.c.Tenant.ID)
	require.Contains(t, problem, "exists")
	changed := read[contract.Role](t, l, "role", "update", "cashier", "--permissions", open)
	require.Equal(t, []string{open}, changed.Permissions)
	require.Equal(t, "Cashier", changed.Title, "what no flag names stays")
	list := l.must(t, "roles")
	for _, shown := range []string{made.ID, "cashier", "Cashier", open, "tenant-administrator", "system", "*:**"} {
		require.Contains(t, list, shown)
	}
	require.NotContains(t, l.must(t, "roles", "--permission", closing, "--search", "cashier"), made.ID)

	granted := read[contract.Binding](t, l, "grant", "--role", "cashier", "--user", user.Email)
	require.Equal(t, []string{user.ID, made.ID, "allow"}, []string{granted.UserID, granted.RoleID, granted.Effect})
	require.True(t, l.allowed(t, user, open, granted.Revision))
	require.Contains(t, l.must(t, "who-can", "--permission", open), user.ID)
	require.Contains(t, l.must(t, "bindings", "--user", user.Email), granted.ID)
	dry := l.must(t, "role", "delete", "cashier", "--dry-run")
	require.Contains(t, dry, "would be deleted, with 1 bindings; 1 users lose permissions")
	require.Contains(t, dry, user.ID)
	require.Contains(t, dry, open)
	require.True(t, l.allowed(t, user, open, 0))

	require.Contains(t, l.must(t, "revoke", granted.ID), "is revoked at revision")
	require.False(t, l.allowed(t, user, open, granted.Revision+1))
	_, problem = l.run(t, "revoke", granted.ID, "--tenant", l.c.Tenant.ID)
	require.Contains(t, problem, "no such")

	end := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	until := read[contract.Binding](t, l, "grant", "--role", made.ID, "--user", user.ID, "--resource", "till:7", "--until", end.Format(time.RFC3339))
	require.Equal(t, []string{"till", "7"}, []string{until.ResourceType, until.ResourceID})
	require.WithinDuration(t, end, *until.ExpiresAt, 0)
	group := l.c.Group(t, "tellers", user.ID)
	denied := read[contract.Binding](t, l, "grant", "--role", "cashier", "--group", "tellers", "--deny")
	require.Equal(t, []string{group.ID, "deny"}, []string{denied.GroupID, denied.Effect})
	bindings := l.must(t, "bindings", "--role", "cashier")
	for _, shown := range []string{"user:" + user.ID, "group:" + group.ID, "deny", "resource:till:7", end.Format(time.RFC3339), "never"} {
		require.Contains(t, bindings, shown)
	}
	gone := read[contract.Removal](t, l, "role", "delete", "cashier")
	require.Equal(t, 2, gone.Bindings)
	_, problem = l.run(t, "role", "delete", "cashier", "--tenant", l.c.Tenant.ID)
	require.Contains(t, problem, "no role cashier")
}

func TestTheCommandLineSaysWhy(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	l := &commandLine{s, s.Company(t), stack.Build(t, "github.com/buildify/core/cmd/buildify")}
	company := l.c.Unit(t, "company", "")
	branch := l.c.Unit(t, "branch", company)
	user, code := l.c.Nobody, l.c.Module+":till:open"
	units := l.must(t, "units")
	for _, shown := range []string{company, branch, "branch"} {
		require.Contains(t, units, shown)
	}
	file := filepath.Join(t.TempDir(), "permissions.json")
	declare := func(body string) (string, string) {
		require.NoError(t, os.WriteFile(file, []byte(body), 0o600))
		return l.run(t, "permissions", "declare", "--file", file)
	}
	explain := func(args ...string) string {
		t.Helper()
		return l.must(t, append([]string{"explain", "--user", user.Email, "--permission", code}, args...)...)
	}
	require.Contains(t, explain(), "misspelt")
	out, problem := declare(`{"module_name":"` + l.c.Module + `","permissions":[{"code":"` + code + `","title":"Open tills","risk":"high"}]}`)
	require.Empty(t, problem)
	require.Contains(t, out, "added")
	out, _ = declare(`{"module_name":"` + l.c.Module + `","permissions":[{"code":"` + code + `","title":"Open tills","risk":"high"}]}`)
	require.Contains(t, out, "nothing has changed")
	_, problem = declare(`{"module_name":"` + l.c.Module + `","permission":[]}`)
	require.Contains(t, problem, "permission")
	_, problem = declare(`{"module_name":"` + l.c.Module + `","permissions":[{"code":"other:till:open"}]}`)
	require.NotEmpty(t, problem, "another's namespace")

	l.c.PutRole(t, "cashier", code)
	no := explain()
	require.Contains(t, no, "NO: "+user.Email+", "+code+": nothing grants it")
	require.NotContains(t, no, "misspelt")
	require.Contains(t, no, "Hints:")
	require.Contains(t, no, "cashier")
	bound := read[contract.Binding](t, l, "grant", "--role", "cashier", "--user", user.Email, "--unit", branch)
	require.Eventually(t, func() bool { return strings.Contains(explain("--unit", branch), "YES") }, stack.Timeout, 5*time.Millisecond)
	yes := explain("--unit", branch)
	for _, shown := range []string{"a binding grants it", "→", "applies", "unit:" + branch, bound.ID} {
		require.Contains(t, yes, shown)
	}
	require.Contains(t, explain(), "other_scope")
	var answer contract.Explanation
	require.NoError(t, json.Unmarshal([]byte(explain("--unit", branch, "--json")), &answer))
	require.Equal(t, bound.ID, answer.Deciding.BindingID)
	require.Contains(t, l.must(t, "who-can", "--permission", code, "--unit", branch), user.ID)
	require.NotContains(t, l.must(t, "who-can", "--permission", code), user.ID)
}

func TestTheCommandLineTellsMistakes(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	l := &commandLine{s, s.Company(t), stack.Build(t, "github.com/buildify/core/cmd/buildify")}
	for problem, args := range map[string][]string{
		"required":               {"roles"},
		"no role nothing":        {"grant", "--role", "nothing", "--user", l.c.Nobody.ID},
		"nobody in the tenant":   {"grant", "--role", "reader", "--user", "nobody@example.com"},
		"no such group":          {"grant", "--role", "reader", "--group", "nothing"},
		"must be type:id":        {"grant", "--role", "reader", "--user", l.c.Nobody.ID, "--resource", "till"},
		"must be a time":         {"grant", "--role", "reader", "--user", l.c.Nobody.ID, "--until", "tomorrow"},
		"at least one of the":    {"grant", "--role", "reader"},
		"none of the others can": {"grant", "--role", "reader", "--user", l.c.Nobody.ID, "--group", "x"},
		"permission":             {"explain", "--user", l.c.Nobody.ID, "--permission", "x"},
	} {
		if problem != "required" {
			args = append(args, "--tenant", l.c.Tenant.ID)
		}
		_, got := l.run(t, args...)
		require.Contains(t, got, problem, "%v", args)
	}
}
