package sdk_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/sdk"
	"github.com/buildify/core/pkg/sdk/internal/coretest"
)

const readAccounts = "financial:accounts:read"

var (
	acme, umbrella = coretest.Tenant(1), coretest.Tenant(2)
	anna, bert     = coretest.User(1), coretest.User(2)
)

// following is a fake that follows a core.
type following struct {
	fake
	core *coretest.Core
}

func (f *following) Follow(ctx context.Context, _ *contract.Spec, subjects []string, opened func(), handle func([]byte)) error {
	if err := f.core.Refused(); err != nil {
		return err
	}
	var mu sync.Mutex
	defer f.core.Listen(func(_ string, message []byte) {
		mu.Lock()
		defer mu.Unlock()
		handle(message)
	})()
	opened()
	<-ctx.Done()
	return ctx.Err()
}

// deciding returns a client that decides locally by a core in which anna holds
// all permissions of the module in tenant acme and bert only one there, on one
// invoice. What it asks remotely is counted, and allowed.
func deciding(t testing.TB, changes ...contract.PolicyChange) (*sdk.Client, *following) {
	f := &following{core: coretest.New("financial")}
	f.core.Commit(acme, append(append(f.core.Basics("financial:**"), coretest.Grant(1), contract.PolicyChange{
		Binding: &contract.PolicyBinding{ID: coretest.Binding(2), UserID: bert, RoleID: coretest.Role(1), ResourceType: "invoice", ResourceID: "7"},
	}), changes...)...)
	f.core.Commit(umbrella, f.core.Basics("financial:**")...)
	f.answer = func(ctx context.Context, spec *contract.Spec, request string) (string, error) {
		if spec.Name != contract.PolicySnapshot.Name {
			return `{"user":{"id":"` + anna + `","tenant_id":"` + acme + `"},"allowed":true,"revision":99}`, nil
		}
		f.calls.Add(-1)
		var in contract.PolicySnapshotRequest
		if err := json.Unmarshal([]byte(request), &in); err != nil {
			return "", err
		}
		out, err := f.core.Snapshot(ctx, &in)
		if err != nil {
			return "", err
		}
		body, err := json.Marshal(out)
		return string(body), err
	}
	running, stop := context.WithCancel(context.Background())
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		f.core.BeatEvery(running, 50*time.Millisecond)
	}()
	c := sdk.NewWithTransport(f, "financial", sdk.WithLocalDecisions(sdk.LocalDecisions{MaxStaleness: time.Minute}))
	t.Cleanup(func() {
		stop()
		<-beating
		require.NoError(t, c.Close())
	})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	require.NoError(t, c.AwaitLocal(ctx))
	return c, f
}

func TestWhatIsCertainIsDecidedLocallyAndTheRestAsked(t *testing.T) {
	t.Parallel()
	company, branch := coretest.Unit(1), coretest.Unit(2)
	c, _ := deciding(t,
		contract.PolicyChange{Unit: &contract.PolicyUnit{ID: company}},
		contract.PolicyChange{Unit: &contract.PolicyUnit{ID: branch, ParentID: company}},
		contract.PolicyChange{Binding: &contract.PolicyBinding{ID: coretest.Binding(3), UserID: coretest.User(3), RoleID: coretest.Role(1), UnitID: company}},
	)
	carl := coretest.User(3)
	here := sdk.InTenant(acme)
	for name, q := range map[string]struct {
		user, permission string
		options          []sdk.About
		want             string
	}{
		"allowed":                 {anna, readAccounts, []sdk.About{here}, "yes"},
		"not granted":             {bert, readAccounts, []sdk.About{here}, "no"},
		"on a resource":           {bert, readAccounts, []sdk.About{here, sdk.OnResourceOf("invoice", "7")}, "yes"},
		"on another":              {bert, readAccounts, []sdk.About{here, sdk.OnResourceOf("invoice", "8")}, "no"},
		"on one without type":     {bert, readAccounts, []sdk.About{here, sdk.OnResource("7")}, "no"},
		"in a company":            {carl, readAccounts, []sdk.About{here, sdk.InCompany(company)}, "yes"},
		"in a branch of it":       {carl, readAccounts, []sdk.About{here, sdk.InCompany(company), sdk.InBranch(branch)}, "yes"},
		"in an unknown unit":      {carl, readAccounts, []sdk.About{here, sdk.InDepartment(coretest.Unit(9)), sdk.InBranch(branch)}, "no"},
		"everywhere":              {carl, readAccounts, []sdk.About{here}, "no"},
		"as new as asked":         {anna, readAccounts, []sdk.About{here, sdk.AtLeast(1)}, "yes"},
		"newer":                   {anna, readAccounts, []sdk.About{here, sdk.AtLeast(2)}, "asked"},
		"no tenant":               {anna, readAccounts, nil, "asked"},
		"unknown tenant":          {anna, readAccounts, []sdk.About{sdk.InTenant(coretest.Tenant(9))}, "asked"},
		"unknown there":           {anna, readAccounts, []sdk.About{sdk.InTenant(umbrella)}, "asked"},
		"unknown user":            {coretest.User(99), readAccounts, []sdk.About{here}, "asked"},
		"no user":                 {"", readAccounts, []sdk.About{here}, "asked"},
		"another's permission":    {anna, "financials:accounts:read", []sdk.About{here}, "asked"},
		"the platform's":          {anna, "users:read:tenant", []sdk.About{here}, "asked"},
		"no permission code":      {anna, "financial:*", []sdk.About{here}, "asked"},
		"nor this":                {anna, "financial:", []sdk.About{here}, "asked"},
		"nor this one":            {anna, "financial:a:b:c:d:e", []sdk.About{here}, "asked"},
		"a unit that is none":     {anna, readAccounts, []sdk.About{here, sdk.InCompany("1")}, "asked"},
		"beside one that is":      {anna, readAccounts, []sdk.About{here, sdk.InCompany("1"), sdk.InBranch(branch)}, "asked"},
		"a type beyond measure":   {anna, readAccounts, []sdk.About{here, sdk.OnResourceOf(strings.Repeat("x", 101), "7")}, "asked"},
		"an id beyond measure":    {anna, readAccounts, []sdk.About{here, sdk.OnResource(strings.Repeat("x", 201))}, "asked"},
		"a revision that is none": {anna, readAccounts, []sdk.About{here, sdk.AtLeast(-1)}, "asked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := map[string]sdk.Decision{
				"yes": {Allowed: true, Revision: 1, Local: true}, "no": {Revision: 1, Local: true}, "asked": {Allowed: true, Revision: 99},
			}[q.want]
			got, err := c.Decide(t.Context(), q.user, q.permission, q.options...)
			require.NoError(t, err)
			assert.Equal(t, want, got)
			allowed, err := c.Check(t.Context(), q.user, q.permission, q.options...)
			require.NoError(t, err)
			assert.Equal(t, want.Allowed, allowed)
		})
	}
}

func TestABatchIsDecidedLocallyAsAWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	c, f := deciding(t)
	questions := []sdk.Question{
		{UserID: anna, Permission: readAccounts},
		{UserID: bert, Permission: readAccounts},
		{UserID: bert, Permission: readAccounts, ResourceType: "invoice", ResourceID: "7"},
		{UserID: bert, Permission: readAccounts, ResourceID: "7"},
	}
	allowed, err := c.CheckBatch(t.Context(), questions, sdk.InTenant(acme))
	require.NoError(t, err)
	assert.Equal(t, []bool{true, false, true, false}, allowed)
	allowed, err = c.CheckBatch(t.Context(), questions[:2], sdk.InTenant(acme), sdk.OnResourceOf("invoice", "7"))
	require.NoError(t, err)
	assert.Equal(t, []bool{true, true}, allowed)
	assert.Zero(t, f.calls.Load())

	for _, odd := range []sdk.Question{
		{UserID: coretest.User(99), Permission: readAccounts},
		{UserID: anna, Permission: "users:read:tenant"},
		{UserID: anna, Permission: readAccounts, UnitID: "1"},
	} {
		before := f.calls.Load()
		_, err = c.CheckBatch(t.Context(), append(questions[:1:1], odd), sdk.InTenant(acme))
		require.ErrorIs(t, err, sdk.ErrInternal, "the fake's answer holds none")
		assert.Equal(t, before+1, f.calls.Load())
	}
	_, err = c.CheckBatch(t.Context(), make([]sdk.Question, sdk.MaxChecks+1), sdk.InTenant(acme))
	require.ErrorIs(t, err, sdk.ErrInvalidArgument)
}

func TestRequirePermissionDecidesLocally(t *testing.T) {
	t.Parallel()
	c, f := deciding(t)
	handler := sdk.RequireUser(c)(sdk.RequirePermission(readAccounts)(http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })))
	w, _ := ask(handler, "Bearer token")
	assert.Equal(t, http.StatusTeapot, w.Code)
	assert.EqualValues(t, 1, f.calls.Load(), "the token is verified by the core")
	f.core.Change(acme, coretest.Revoke(1), contract.PolicyChange{User: &contract.PolicyUser{ID: anna, Suspended: true}})
	w, _ = ask(handler, "Bearer token")
	assert.Equal(t, http.StatusForbidden, w.Code)
	assert.EqualValues(t, 2, f.calls.Load())
}

func TestWithoutTheGrantAClientAsksAndSaysSoOnce(t *testing.T) {
	t.Parallel()
	f := &following{core: coretest.New("financial")}
	f.core.Refuse(contract.Errorf(contract.PermissionDenied, "not granted"))
	asked := make(chan struct{}, 10)
	f.answer = func(_ context.Context, spec *contract.Spec, _ string) (string, error) {
		if spec.Name == contract.PolicySnapshot.Name {
			asked <- struct{}{}
			return `{"items":[],"feed":[],"now":"2026-01-01T00:00:00Z"}`, nil // the snapshot is granted, the feed is not
		}
		return `{"allowed":true,"revision":99}`, nil
	}
	var log bytes.Buffer
	c := client(&fake{}, sdk.WithLocalDecisions(sdk.LocalDecisions{}), sdk.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	assert.Contains(t, log.String(), "no local decisions", "a transport that cannot follow")
	require.NoError(t, c.Close())

	log.Reset()
	c = sdk.NewWithTransport(f, "financial", sdk.WithLocalDecisions(sdk.LocalDecisions{}), sdk.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	<-asked
	require.Eventually(t, func() bool { return errors.Is(c.LocalState().Trouble, sdk.ErrPermissionDenied) }, 10*time.Second, time.Millisecond)
	d, err := c.Decide(t.Context(), anna, readAccounts, sdk.InTenant(acme))
	require.NoError(t, err)
	assert.Equal(t, sdk.Decision{Allowed: true, Revision: 99}, d)
	require.NoError(t, c.Close())
	assert.Equal(t, 1, strings.Count(log.String(), "level=WARN"), log.String())
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	require.Error(t, c.AwaitLocal(short))
}

func TestALocalDecisionDoesNotAllocate(t *testing.T) {
	c, _ := deciding(t)
	ctx, branch := t.Context(), coretest.Unit(1)
	for name, check := range map[string]func(){
		"yes":           func() { _, _ = c.Check(ctx, anna, readAccounts, sdk.InTenant(acme)) },
		"no":            func() { _, _ = c.Check(ctx, bert, readAccounts, sdk.InTenant(acme)) },
		"on a resource": func() { _, _ = c.Check(ctx, bert, readAccounts, sdk.InTenant(acme), sdk.OnResourceOf("invoice", "7")) },
		"in a unit":     func() { _, _ = c.Check(ctx, bert, readAccounts, sdk.InTenant(acme), sdk.InBranch(branch)) },
	} {
		assert.Zero(t, testing.AllocsPerRun(100, check), name)
	}
}

func BenchmarkLocalCheck(b *testing.B) {
	c, f := deciding(b)
	ctx := b.Context()
	for name, user := range map[string]string{"yes": anna, "no": bert} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if allowed, err := c.Check(ctx, user, readAccounts, sdk.InTenant(acme)); err != nil || allowed != (user == anna) {
					b.Fatal(allowed, err)
				}
			}
		})
	}
	require.Zero(b, f.calls.Load())
}
