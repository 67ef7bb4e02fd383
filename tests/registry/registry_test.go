// Package registry takes modules through the registry the way their publishers,
// reviewers and operators do: by the command line, and by browsers.
package registry

import (
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
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

// workshop is a developer's project, and the command line beside it.
type workshop struct {
	t                 *testing.T
	s                 *stack.Stack
	c                 *stack.Company
	binary, directory string
}

func newWorkshop(t *testing.T, s *stack.Stack) *workshop {
	t.Helper()
	return &workshop{t: t, s: s, c: s.Company(t), binary: stack.Build(t, "github.com/buildify/core/cmd/buildify"), directory: t.TempDir()}
}

// write writes a file of the project.
func (w *workshop) write(path, content string) {
	w.t.Helper()
	name := filepath.Join(w.directory, filepath.FromSlash(path))
	require.NoError(w.t, os.MkdirAll(filepath.Dir(name), 0o750))
	require.NoError(w.t, os.WriteFile(name, []byte(content), 0o600))
}

// manifest writes the project's manifest; its bundle has no files yet.
func (w *workshop) manifest(version string) {
	w.t.Helper()
	w.write("manifest.json", `{
  "manifest_version": 2,
  "id": "notes",
  "name": "Notes – für alle",
  "version": "`+version+`",
  "license": "MIT",
  "publisher": {"name": "Example"},
  "compat": {"core": "*"},
  "bundle": {"entry": "assets/main.js", "files": []}
}
`)
}

func (w *workshop) run(args ...string) (out, problem string) {
	w.t.Helper()
	cmd := exec.CommandContext(stack.Context(w.t), w.binary, append(append([]string{"module"}, args...), "--nats-url", w.s.NATSURL, "--credentials", w.s.Credentials)...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		require.NotEmpty(w.t, stderr.String())
		return stdout.String(), stderr.String()
	}
	return stdout.String(), ""
}

func (w *workshop) must(args ...string) string {
	w.t.Helper()
	out, problem := w.run(args...)
	require.Empty(w.t, problem, args)
	return out
}

// version runs a command that answers with a version.
func (w *workshop) version(args ...string) *contract.ModuleVersion {
	w.t.Helper()
	v := &contract.ModuleVersion{}
	require.NoError(w.t, json.Unmarshal([]byte(w.must(append(args, "--json")...)), v))
	return v
}

// browse asks the bridge for a file of a version.
func (w *workshop) browse(version, path string) (int, string, http.Header) {
	w.t.Helper()
	request, err := http.NewRequestWithContext(stack.Context(w.t), http.MethodGet, w.s.HTTPURL+"/modules/notes/"+version+"/"+path, nil)
	require.NoError(w.t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(w.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(w.t, err)
	return response.StatusCode, string(body), response.Header
}

func (w *workshop) status(version, path string) int {
	status, _, _ := w.browse(version, path)
	return status
}

func integrity(content string) string {
	sum := sha512.Sum384([]byte(content))
	return "sha384-" + base64.StdEncoding.EncodeToString(sum[:])
}

func TestAModuleGoesFromAProjectToBrowsers(t *testing.T) {
	t.Parallel()
	for mode, start := range map[string]func(testing.TB) *stack.Stack{"one process": stack.OneProcess, "separate processes": stack.Processes} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			testProject(t, newWorkshop(t, start(t)))
		})
	}
}

func testProject(t *testing.T, w *workshop) {
	main := "import './deep/more.js'\n" + strings.Repeat("// padding, so that it takes several parts\n", 30_000)
	w.manifest("1.0.0")
	w.write("assets/main.js", main)
	w.write("assets/deep/more.js", "eval('1')\n")
	w.write("assets/empty.txt", "")
	w.write(".hidden/secret", "not of the bundle")

	// A draft, whose mistake the checks find.
	v := w.version("push", w.directory, "--hash", "--tenant", w.c.Tenant.ID)
	require.Equal(t, "draft", v.State)
	require.Len(t, v.Files, 3)
	require.Empty(t, v.Missing)
	require.Empty(t, v.Findings)
	out, problem := w.run("submit", "notes", "1.0.0")
	require.Contains(t, problem, "stays a draft")
	require.Contains(t, out, "assets/deep/more.js:1:1")
	_, problem = w.run("review", "notes", "1.0.0", "--approve")
	require.Contains(t, problem, "draft")
	require.Equal(t, http.StatusNotFound, w.status("1.0.0", "assets/main.js"))

	// A file that is not the one that the manifest names is not pushed.
	w.write("assets/deep/more.js", "export {}\n")
	_, problem = w.run("push", w.directory)
	require.Contains(t, problem, "--hash")
	v = w.version("push", filepath.Join(w.directory, "manifest.json"), "--hash")
	require.Empty(t, v.Missing, "the publisher need not be named again")

	// A reviewer looks at it and says no.
	submitted := w.version("submit", "notes", "1.0.0", "--comment", "please")
	require.Equal(t, "submitted", submitted.State, "%+v", submitted.Findings)
	require.Contains(t, w.must("reviews"), "notes")
	review := filepath.Join(t.TempDir(), "review")
	require.Contains(t, w.must("fetch", "notes", "1.0.0", review), "submitted")
	fetched, err := os.ReadFile(filepath.Join(review, "bundle", "assets", "main.js"))
	require.NoError(t, err)
	require.Equal(t, main, string(fetched))
	_, problem = w.run("review", "notes", "1.0.0", "--reject")
	require.Contains(t, problem, "--comment")
	_, problem = w.run("review", "notes", "1.0.0", "--approve", "--revision", "1")
	require.Contains(t, problem, "changed meanwhile")
	require.Equal(t, "rejected", w.version("review", "notes", "1.0.0", "--reject", "--comment", "too long").State)
	require.Equal(t, http.StatusNotFound, w.status("1.0.0", "assets/main.js"), "what was rejected is never served")
	_, problem = w.run("publish", "notes", "1.0.0")
	require.Contains(t, problem, "rejected")

	// Then yes.
	require.Equal(t, "draft", w.version("push", w.directory).State)
	w.must("submit", "notes", "1.0.0")
	require.Equal(t, http.StatusNotFound, w.status("1.0.0", "assets/main.js"))
	require.Equal(t, "approved", w.version("review", "notes", "1.0.0", "--approve").State)
	require.Equal(t, "published", w.version("publish", "notes", "1.0.0").State)
	status, body, header := w.browse("1.0.0", "assets/main.js")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, main, body)
	require.Equal(t, `"`+integrity(main)+`"`, header.Get("ETag"))
	require.Equal(t, "text/javascript; charset=utf-8", header.Get("Content-Type"))
	require.Equal(t, http.StatusOK, w.status("1.0.0", "assets/empty.txt"))
	for _, path := range []string{"manifest.json", "assets", "", ".hidden/secret", "assets/Main.js"} {
		require.Equal(t, http.StatusNotFound, w.status("1.0.0", path), path)
	}

	// An update that asks for nothing new needs no reviewer; it is tried out.
	w.manifest("1.1.0")
	w.version("push", w.directory, "--hash")
	auto := w.version("submit", "notes", "1.1.0")
	require.Equal(t, []any{"approved", true}, []any{auto.State, auto.Automatic}, "%+v", auto.Findings)
	canary := w.version("publish", "notes", "1.1.0", "--to", w.c.Tenant.ID)
	require.Equal(t, &contract.Rollout{TenantIDs: []string{w.c.Tenant.ID}}, canary.Rollout)
	require.Equal(t, 10, w.version("publish", "notes", "1.1.0", "--percent", "10").Rollout.Percent)
	require.Nil(t, w.version("publish", "notes", "1.1.0").Rollout)
	require.Equal(t, http.StatusOK, w.status("1.1.0", "assets/main.js"))
	require.Equal(t, "deprecated", w.version("deprecate", "notes", "1.0.0", "--comment", "use 1.1").State)

	testKillSwitch(t, w)

	require.Contains(t, w.must("visibility", "notes", "allow_list", "--to", w.c.Tenant.ID), "allow_list")
	require.Contains(t, w.must("list"), "notes")
	require.Contains(t, w.must("versions", "notes"), "1.1.0")
	require.Contains(t, w.must("show", "notes"), "1.1.0")
	require.Contains(t, w.must("show", "notes", "1.1.0", "--files"), integrity(main))
	require.NotContains(t, w.must("list", "--tenant", w.s.Company(t).Tenant.ID), "notes")
	w.manifest("1.2.0")
	w.version("push", w.directory)
	w.must("delete", "notes", "1.2.0")
	_, problem = w.run("show", "notes", "1.2.0")
	require.Contains(t, problem, "no such version")
	testTrail(t, w)
}

// testKillSwitch holds that nothing of what is suspended is served a second
// later, by a bridge that has just served it.
func testKillSwitch(t *testing.T, w *workshop) {
	for _, which := range [][]string{{"--version", "1.1.0"}, nil} {
		require.Equal(t, http.StatusOK, w.status("1.1.0", "assets/main.js"))
		args := append([]string{"notes"}, which...)
		w.must(append([]string{"suspend", "--reason", "malware"}, args...)...)
		suspended := time.Now()
		require.Eventually(t, func() bool { return w.status("1.1.0", "assets/main.js") == http.StatusNotFound }, stack.Timeout, 10*time.Millisecond)
		require.Less(t, time.Since(suspended), time.Second)
		if which != nil {
			require.Equal(t, http.StatusOK, w.status("1.0.0", "assets/main.js"), "the other version is not touched")
		}
		w.must(append([]string{"resume"}, args...)...)
		require.Eventually(t, func() bool { return w.status("1.1.0", "assets/main.js") == http.StatusOK }, stack.Timeout, 10*time.Millisecond)
	}
}

// testTrail holds that every decision is in the publisher's audit trail.
func testTrail(t *testing.T, w *workshop) {
	reader := stack.HTTPCaller{URL: w.s.HTTPURL, Bearer: w.c.Token(t, w.c.Admin)}
	var decisions []string
	require.Eventually(t, func() bool {
		out, refused := reader.Call(t, contract.ListAudit.Spec, `{"action":"tenant.module-version.changed","limit":500}`)
		require.Nil(t, refused)
		var page contract.ListAuditResponse
		require.NoError(t, json.Unmarshal(out, &page))
		decisions = nil
		for _, item := range page.Items {
			require.Equal(t, "notes", item.ResourceID)
			var change struct{ Version, State, By, Comment string }
			require.NoError(t, json.Unmarshal(item.Details, &change))
			decisions = append(decisions, change.Version+" "+change.State+" "+change.By+" "+change.Comment)
		}
		return len(decisions) > 0 && strings.HasPrefix(decisions[0], "1.2.0 deleted")
	}, stack.Timeout, 20*time.Millisecond)
	require.Contains(t, decisions, "1.0.0 rejected operator too long")
	require.Contains(t, decisions, "1.0.0 approved operator ")
}

func TestAPersonsDecisionIsRecordedWithWhoTheyAre(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	c := s.Company(t)
	admin := s.PlatformAdmin(t)
	call := stack.HTTPCaller{URL: s.HTTPURL, Bearer: stack.Do(t, s, contract.Login, &contract.LoginRequest{Email: admin.Email, Password: admin.Password}).AccessToken}
	stack.Do(t, s, contract.PutVersion, &contract.PutVersionRequest{
		TenantID: contract.ID(c.Tenant.ID), ModuleName: "notes", Version: "1.0.0",
		Manifest: `{"manifest_version":2,"id":"notes","name":"Notes","version":"1.0.0","publisher":{"name":"X"},"compat":{"core":"*"}}`,
	})
	stack.Do(t, s, contract.SubmitVersion, &contract.ChangeVersionRequest{ModuleName: "notes", Version: "1.0.0"})
	out, refused := call.Call(t, contract.ReviewVersion.Spec, `{"module_name":"notes","version":"1.0.0","decision":"approve","comment":"fine"}`)
	require.Nil(t, refused)
	var v contract.ModuleVersion
	require.NoError(t, json.Unmarshal(out, &v))
	require.Equal(t, []string{"approved", admin.ID, "fine"}, []string{v.State, v.DecidedBy, v.Comment})

	reader := stack.HTTPCaller{URL: s.HTTPURL, Bearer: c.Token(t, c.Admin)}
	require.Eventually(t, func() bool {
		out, refused := reader.Call(t, contract.ListAudit.Spec, `{"action":"tenant.module-version.changed","user_id":"`+admin.ID+`"}`)
		require.Nil(t, refused)
		var page contract.ListAuditResponse
		require.NoError(t, json.Unmarshal(out, &page))
		return len(page.Items) == 1 && strings.Contains(string(page.Items[0].Details), `"approved"`)
	}, stack.Timeout, 20*time.Millisecond)
}
