package rbac

import (
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/natsconn"
)

func TestAChangeIsDecidedByEveryReplica(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.replica(Config{}), w.replica(Config{})
	user, role := w.user(), w.role(one, "crm:deals:read")
	b := w.bind(one, user, role)
	require.True(t, w.allowed(one, user, "crm:deals:read"), "where it was made, when it returns")
	w.decides(two, true, user, "crm:deals:read")
	require.Equal(t, one.app.Engine.Policy(w.tenant).Digest(), two.app.Engine.Policy(w.tenant).Digest())
	_, err := two.app.DeleteBinding(bounded(t), &contract.DeleteBindingRequest{TenantID: contract.ID(w.tenant), BindingID: contract.ID(b.ID)})
	require.NoError(t, err)
	w.decides(one, false, user, "crm:deals:read")
	late := w.replica(Config{})
	require.Equal(t, one.app.Engine.Policy(w.tenant).Digest(), late.app.Engine.Policy(w.tenant).Digest(), "loaded as grown")
}

// Whatever is lost, the database is asked.
func TestAStepThatNobodyTellsIsFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.replica(Config{})
	user, role := w.user(), w.role(one, "crm:deals:read")
	w.sql(`WITH r AS (UPDATE rbac.revisions SET revision = revision + 1, changed_at = clock_timestamp() WHERE tenant_id = $1 RETURNING revision)
		INSERT INTO rbac.bindings (id, tenant_id, user_id, role_id, revision) SELECT $2, $1, $3, $4, revision FROM r`,
		w.tenant, kit.NewID(), user, role)
	w.decides(one, true, user, "crm:deals:read")
	require.NotZero(t, counted(t, one.metrics.reloads))
}

// However long the database was away, nothing of that time is missed.
func TestTheDatabaseIsAskedSinceItLastAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.replica(Config{})
	user, role := w.user(), w.role(one, "crm:deals:read")
	one.stop() // from here on, the test polls
	one.done.Wait()
	w.sql(`WITH r AS (UPDATE rbac.revisions SET revision = revision + 1, changed_at = now() - interval '50 seconds' WHERE tenant_id = $1 RETURNING revision)
		INSERT INTO rbac.bindings (id, tenant_id, user_id, role_id, revision) SELECT $2, $1, $3, $4, revision FROM r`,
		w.tenant, kit.NewID(), user, role)
	_, err := one.poll(bounded(t))
	require.NoError(t, err)
	require.False(t, w.allowed(one, user, "crm:deals:read"), "the test would show nothing")
	one.polled = time.Now().Add(-time.Minute)
	_, err = one.poll(bounded(t))
	require.NoError(t, err)
	require.True(t, w.allowed(one, user, "crm:deals:read"))
}

func TestStepsThatComeInAnyOrderAreTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.replica(Config{}), w.replica(Config{})
	role := w.role(one, "crm:deals:read")
	var users []string
	for range 10 {
		users = append(users, w.user())
	}
	var all sync.WaitGroup
	for i, user := range users { // both at once: what one announces overtakes what the other does
		all.Go(func() {
			s := []*Service{one, two}[i%2]
			_, err := s.app.CreateBinding(bounded(t), &contract.CreateBindingRequest{
				TenantID: contract.ID(w.tenant), UserID: contract.ID(user), RoleID: contract.ID(role),
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, user := range users {
		w.decides(one, true, user, "crm:deals:read")
		w.decides(two, true, user, "crm:deals:read")
	}
	require.Equal(t, one.app.Engine.Policy(w.tenant).Revision(), two.app.Engine.Policy(w.tenant).Revision())
	require.Equal(t, one.app.Engine.Policy(w.tenant).Digest(), two.app.Engine.Policy(w.tenant).Digest())
}

func TestWhatOthersOwnTakesEffect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.replica(Config{}), w.replica(Config{})
	user, role := w.user(), w.role(one, "crm:**", "*:**")
	w.bind(one, user, role)
	both := func(want bool, permission, why string) {
		t.Helper()
		w.decides(one, want, user, permission, why)
		w.decides(two, want, user, permission, why)
	}
	both(true, "crm:deals:read", "as granted")
	both(false, "hr:people:read", "a module that is not enabled")
	w.setModule(w.tenant, w.module, false)
	both(false, "crm:deals:read", "its module is disabled")
	both(true, "users:read:tenant", "the platform's own stays")
	w.setModule(w.tenant, w.module, true)
	both(true, "crm:deals:read", "and enabled again")
	w.setUser(user, w.tenant, false)
	both(false, "crm:deals:read", "the user is disabled")
	w.setUser(user, w.tenant, true)
	both(true, "crm:deals:read", "and enabled again")
	w.setTenant(w.tenant, false)
	both(false, "crm:deals:read", "the tenant is suspended")
	w.setTenant(w.tenant, true)
	both(true, "crm:deals:read", "and active again")
	require.Equal(t, one.app.Engine.Policy(w.tenant).Revision(), two.app.Engine.Policy(w.tenant).Revision(), "two replicas take one step")
}

func TestWhoLeavesATenantLeavesTheirBindings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.replica(Config{})
	user, role := w.user(), w.role(one, "crm:deals:read")
	w.bind(one, user, role)
	elsewhere := kit.NewID()
	w.setTenant(elsewhere, true)
	w.setUser(user, elsewhere, true)
	w.decides(one, false, user, "crm:deals:read")
	require.Eventually(t, func() bool { return !one.app.Engine.Policy(w.tenant).Knows(user) }, limit, time.Millisecond)
	w.setUser(user, w.tenant, true)
	again := w.user() // whose state came later
	w.bind(one, again, role)
	w.decides(one, true, again, "crm:deals:read")
	require.False(t, w.allowed(one, user, "crm:deals:read"), "coming back brings nothing back")
}

func TestABranchsBindingHoldsBelowIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.replica(Config{})
	company := w.setUnit(kit.NewID(), "")
	branch := w.setUnit(kit.NewID(), company)
	other := w.setUnit(kit.NewID(), company)
	department := w.setUnit(kit.NewID(), branch)
	user, role := w.user(), w.role(one, "crm:deals:read")
	var b *contract.Binding
	require.Eventually(t, func() (made bool) { // the units come by event
		var err error
		b, err = one.app.CreateBinding(bounded(t), &contract.CreateBindingRequest{
			TenantID: contract.ID(w.tenant), UserID: contract.ID(user), RoleID: contract.ID(role), UnitID: contract.ID(branch),
		})
		return err == nil
	}, limit, 10*time.Millisecond)
	check := func(r contract.CheckRequest) bool {
		r.UserID, r.Permission, r.AtLeast = contract.ID(user), "crm:deals:read", b.Revision
		answer, err := one.app.Check(kit.WithCaller(bounded(t), kit.Caller{Principal: kit.Principal{Kind: kit.KindService}}), &r)
		require.NoError(t, err)
		return answer.Allowed
	}
	require.False(t, check(contract.CheckRequest{}), "not in the whole tenant")
	require.True(t, check(contract.CheckRequest{CompanyID: contract.ID(company), BranchID: contract.ID(branch)}))
	require.False(t, check(contract.CheckRequest{CompanyID: contract.ID(company)}))
	require.False(t, check(contract.CheckRequest{BranchID: contract.ID(other)}))
	below := contract.CheckRequest{DepartmentID: contract.ID(department)}
	require.Eventually(t, func() bool { return check(below) }, limit, 5*time.Millisecond)
	w.setUnit(department, other)
	require.Eventually(t, func() bool { return !check(below) }, limit, 5*time.Millisecond, "it was moved away")
}

func TestABindingEndsAtItsSecondOnEveryReplicaWithoutAWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.replica(Config{}), w.replica(Config{})
	user, role := w.user(), w.role(one, "crm:deals:read")
	end := time.Now().Add(2 * time.Second).Truncate(time.Second)
	b := w.bind(one, user, role, func(r *contract.CreateBindingRequest) { r.ExpiresAt = &end })
	w.decides(two, true, user, "crm:deals:read")
	for _, s := range []*Service{one, two} {
		p := s.app.Engine.Policy(w.tenant)
		at := func(seconds int64) bool {
			return p.Check(decision.Question{User: user, Permission: "crm:deals:read"}, func() int64 { return seconds })
		}
		require.True(t, at(end.Unix()-1))
		require.False(t, at(end.Unix()))
		w.decides(s, false, user, "crm:deals:read")
		require.False(t, time.Now().Before(end), "not before")
		require.Equal(t, b.Revision, s.app.Engine.Policy(w.tenant).Revision(), "nothing was written")
	}
}

func TestWhoAsksForARevisionGetsItOrAConflict(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.replica(Config{}), w.replica(Config{})
	role := w.role(one, "crm:deals:read")
	ctx := kit.WithCaller(bounded(t), kit.Caller{Principal: kit.Principal{Kind: kit.KindService}})
	var last int64
	for i := range 50 { // at once, at the replica that did not make the change
		user := w.user()
		w.seen(two, user)
		b := w.bind(one, user, role)
		last = b.Revision
		request := &contract.CheckRequest{UserID: contract.ID(user), Permission: "crm:deals:read", AtLeast: b.Revision}
		answer, done, err := two.app.CheckFast(ctx, request)
		if !done {
			answer, err = two.app.Check(ctx, request)
		}
		require.NoError(t, err)
		require.True(t, answer.Allowed, i)
		require.GreaterOrEqual(t, answer.Revision, b.Revision)
	}
	_, err := two.app.Check(ctx, &contract.CheckRequest{UserID: contract.ID(w.user()), Permission: "crm:deals:read", AtLeast: last + 1})
	if err != nil && err.Error() == "not_found: no such user" {
		t.Skip("the user's event was slower than the question") // the seen ones above show the rest
	}
	require.ErrorIs(t, err, &contract.Error{Code: contract.Conflict})
}

// seen waits until a replica knows a user.
func (w *world) seen(s *Service, user string) {
	w.t.Helper()
	require.NoError(w.t, s.directory.AwaitMember(bounded(w.t), w.tenant, user))
}

func TestAPolicyThatDiffersFromTheDatabaseIsFoundAndMended(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.replica(Config{})
	user, role := w.user(), w.role(one, "crm:deals:read")
	w.bind(one, user, role)
	one.verify(bounded(t), w.tenant)
	require.Zero(t, counted(t, one.metrics.mismatches))
	w.sql("UPDATE rbac.roles SET permissions = '{crm:deals:write}' WHERE id = $1", role)
	heard := w.hear(w.module)
	one.verify(bounded(t), w.tenant)
	require.Equal(t, 1.0, counted(t, one.metrics.mismatches))
	require.True(t, w.allowed(one, user, "crm:deals:write"))
	require.False(t, w.allowed(one, user, "crm:deals:read"))
	until(t, heard, func(m contract.PolicyFeedMessage) bool { return m.Reset && m.TenantID == w.tenant })
}

func TestIdlePoliciesAreDroppedAndComeBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.replica(Config{CacheTenants: 2})
	user, role := w.user(), w.role(one, "crm:deals:read")
	w.bind(one, user, role)
	for range 5 {
		w.setTenant(kit.NewID(), true)
	}
	require.Eventually(t, func() bool { return one.app.Engine.Policy(w.tenant) == nil || one.metrics.tenants() <= 2 }, limit, 5*time.Millisecond)
	one.app.Engine.Drop(w.tenant)
	ctx := kit.WithCaller(bounded(t), kit.Caller{Principal: kit.Principal{Kind: kit.KindService}})
	request := &contract.CheckRequest{UserID: contract.ID(user), Permission: "crm:deals:read"}
	_, done, err := one.app.CheckFast(ctx, request)
	require.NoError(t, err)
	require.False(t, done, "it is not in memory")
	answer, err := one.app.Check(ctx, request)
	require.NoError(t, err)
	require.True(t, answer.Allowed)
}

func TestABusThatStartsAnewLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.replica(Config{}), w.replica(Config{})
	user, role := w.user(), w.role(one, "crm:deals:read")
	w.decides(two, false, user, "crm:deals:read")
	require.NoError(t, w.server.Stop(bounded(t)))
	w.bind(one, user, role) // nobody can be told
	w.decides(two, true, user, "crm:deals:read", "from the database")
	w.startBus(w.listen)
	another := w.user()
	w.seen(one, another)
	w.bind(one, another, role)
	w.decides(two, true, another, "crm:deals:read")
}

func TestAModuleHearsOfItsOwnPermissionsOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setModule(w.tenant, "hr", true)
	one := w.replica(Config{})
	crm, hr, other := w.hear("crm"), w.hear("hr"), w.hear("other")
	user := w.user()
	role := w.role(one, "crm:deals:read", "hr:people:read")
	b := w.bind(one, user, role)
	heard := until(t, crm, func(m contract.PolicyFeedMessage) bool {
		return m.TenantID == w.tenant && m.Revision == b.Revision && (m.Step || m.Reset)
	})
	for _, m := range heard {
		for _, c := range m.Changes {
			if c.Role != nil {
				require.Equal(t, []string{"crm:deals:read"}, c.Role.Permissions)
				require.Empty(t, c.Role.Name)
			}
		}
	}
	until(t, hr, func(m contract.PolicyFeedMessage) bool { return m.Revision == b.Revision })
	w.setModule(w.tenant, "crm", false)
	until(t, crm, func(m contract.PolicyFeedMessage) bool { return m.Gone && m.TenantID == w.tenant })
	b = w.bind(one, w.seenUser(one), role)
	until(t, hr, func(m contract.PolicyFeedMessage) bool { return m.Revision == b.Revision })
	for len(crm) > 0 {
		m := <-crm
		require.True(t, m.AsOf != nil || m.Gone, "nothing about a tenant that is gone: %+v", m)
	}
	w.setModule(w.tenant, "crm", true)
	until(t, crm, func(m contract.PolicyFeedMessage) bool { return m.Reset && m.TenantID == w.tenant })
	w.setTenant(w.tenant, false)
	until(t, hr, func(m contract.PolicyFeedMessage) bool { return m.Gone })
	require.Empty(t, other)
}

func (w *world) seenUser(s *Service) string {
	user := w.user()
	w.seen(s, user)
	return user
}

// A step that nobody told, for its replica was killed, is told by the next.
func TestAReplicaRepeatsWhatMayNotHaveBeenTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.replica(Config{})
	user := w.seenUser(one)
	b := w.bind(one, user, w.role(one, "crm:deals:read"))
	w.sql("UPDATE rbac.revisions SET changed_at = changed_at - interval '20 seconds' WHERE tenant_id = $1", w.tenant)
	heard := w.hear(w.module)
	w.replica(Config{})
	all := until(t, heard, func(m contract.PolicyFeedMessage) bool { return m.TenantID == w.tenant && m.Revision == b.Revision })
	for _, m := range all[:len(all)-1] {
		require.NotNil(t, m.AsOf, "of the replica that told it long ago")
	}
}

// Who is loaded anew may have lost modules on the way.
func TestAModuleThatWasDisabledUnheardIsToldSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.replica(Config{})
	w.bind(one, w.seenUser(one), w.role(one, "crm:deals:read"))
	heard := w.hear(w.module)
	w.sql(`WITH r AS (UPDATE rbac.revisions SET revision = revision + 1, changed_at = clock_timestamp() WHERE tenant_id = $1 RETURNING tenant_id)
		UPDATE rbac.modules m SET enabled = false, source_revision = 1000000 FROM r WHERE m.tenant_id = r.tenant_id`, w.tenant)
	until(t, heard, func(m contract.PolicyFeedMessage) bool { return m.TenantID == w.tenant && m.Gone })
}

// A beat says that everything has been told. Nobody who cannot ask may say so.
func TestWithoutTheDatabaseNobodyBeats(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.replica(Config{})
	user, role := w.seenUser(one), w.role(one, "crm:deals:read")
	w.bind(one, user, role)
	heard := w.hear(w.module)
	beat := func(m contract.PolicyFeedMessage) bool { return m.AsOf != nil }
	until(t, heard, beat)
	w.database(false)
	cut := time.Now()
	require.Eventually(t, func() bool { return counted(t, one.metrics.pollFailures) > 0 }, limit, 5*time.Millisecond)
	for len(heard) > 0 {
		if m := <-heard; beat(m) {
			require.False(t, m.AsOf.After(cut))
		}
	}
	require.True(t, w.allowed(one, user, "crm:deals:read"), "decisions go on from memory")
	w.database(true)
	all := until(t, heard, beat)
	require.True(t, all[len(all)-1].AsOf.After(cut))
}

func TestASnapshotAndTheStepsAfterItAreThePolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.replica(Config{})
	role := w.role(one, "crm:deals:*", "crm:**", "users:read:tenant")
	var users []string
	for range 30 {
		user := w.seenUser(one)
		users = append(users, user)
		w.bind(one, user, role)
	}
	ctx := kit.WithCaller(bounded(t), kit.Caller{Principal: kit.Principal{Kind: kit.KindModule, Module: "crm", KeyID: "crm-1"}})
	request, held := &contract.PolicySnapshotRequest{}, decision.New()
	for {
		page, err := one.app.Snapshot(ctx, request)
		require.NoError(t, err)
		require.Equal(t, []string{contract.FeedSubject("crm", "*")}, page.Feed)
		for _, item := range page.Items {
			require.Equal(t, w.tenant, item.TenantID)
			held = held.Apply(item.Revision, item.Changes)
		}
		if request.Cursor = page.NextCursor; request.Cursor == "" {
			break
		}
	}
	for _, user := range users {
		require.True(t, held.Check(decision.Question{User: user, Permission: "crm:deals:read"}, decision.Now))
		require.False(t, held.Check(decision.Question{User: user, Permission: "users:read:tenant"}, decision.Now), "no business of crm's")
	}
	stranger := kit.WithCaller(bounded(t), kit.Caller{Principal: kit.Principal{Kind: kit.KindModule, Module: "hr", KeyID: "hr-1"}})
	page, err := one.app.Snapshot(stranger, &contract.PolicySnapshotRequest{})
	require.NoError(t, err)
	require.Empty(t, page.Items)
	_, err = one.app.Snapshot(stranger, &contract.PolicySnapshotRequest{TenantID: contract.ID(w.tenant)})
	require.ErrorIs(t, err, &contract.Error{Code: contract.NotFound})
	confined := kit.Principal{Kind: kit.KindModule, Module: "crm", KeyID: "crm-2", Tenants: []string{kit.NewID()}}
	page, err = one.app.Snapshot(kit.WithCaller(bounded(t), kit.Caller{Principal: confined}), &contract.PolicySnapshotRequest{})
	require.NoError(t, err)
	require.Empty(t, page.Items)
	require.Equal(t, []string{contract.FeedSubject("crm", contract.FeedBeats), contract.FeedSubject("crm", confined.Tenants[0])}, page.Feed)
}

func counted(t testing.TB, c prometheus.Counter) float64 {
	t.Helper()
	r := prometheus.NewRegistry()
	require.NoError(t, r.Register(c))
	families, err := r.Gather()
	require.NoError(t, err)
	return families[0].GetMetric()[0].GetCounter().GetValue()
}

// A replica that was frozen finds out before it decides.
func TestAReplicaThatWasHeldUpAsksBeforeItDecides(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.replica(Config{})
	user, role := w.seenUser(one), w.role(one, "crm:deals:read")
	b := w.bind(one, user, role)
	one.stop() // from here on, nobody polls
	one.done.Wait()
	w.sql(`WITH r AS (UPDATE rbac.revisions SET revision = revision + 1, changed_at = clock_timestamp() WHERE tenant_id = $1)
		DELETE FROM rbac.bindings WHERE id = $2`, w.tenant, b.ID)
	ask := func() bool {
		answer, err := kit.Call(bounded(t), kit.NewClient(w.connect(natsconn.Tenant), w.telemetry()), contract.CheckPermission,
			&contract.CheckRequest{UserID: contract.ID(user), Permission: "crm:deals:read"})
		require.NoError(t, err)
		return answer.Allowed
	}
	require.True(t, ask(), "the test would show nothing")
	one.asked.Store(time.Now().Add(-time.Minute).UnixNano())
	require.False(t, ask())
}
