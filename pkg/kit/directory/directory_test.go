package directory

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/natsconn"
	"github.com/buildify/core/pkg/kit/natsserver"
	"github.com/buildify/core/pkg/kit/revocation"
	"github.com/buildify/core/pkg/kit/token"
)

// limit bounds every wait; nothing waits that long unless a test fails.
const limit = 20 * time.Second

func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

func empty() *Directory { return New(slog.New(slog.DiscardHandler)) }

// state is all that a Directory knows.
func (d *Directory) state() any {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return []any{d.tenants, d.members, d.activations, d.modules}
}

// history makes changes of a few tenants, users and activations, each with
// its revision.
func history(t testing.TB, r *rand.Rand, n int) (changes []events.Event, last *Directory) {
	t.Helper()
	last = empty()
	for revision := range n {
		tenant, user := "t"+strconv.Itoa(r.IntN(3)), "u"+strconv.Itoa(r.IntN(4))
		var kind events.Kind
		var data any
		switch r.IntN(4) {
		case 3:
			state := contract.ModuleState{Module: "m" + strconv.Itoa(r.IntN(2)), Suspended: r.IntN(2) == 0, Revision: int64(revision + 1)}
			last.PutModule(state)
			kind, data = events.ModuleStateChanged, state
		case 0:
			state := contract.Tenant{ID: tenant, Code: fmt.Sprint(revision), IsActive: r.IntN(2) == 0, Revision: int64(revision + 1)}
			last.tenants[tenant] = state
			kind, data = events.TenantChanged, state
		case 1:
			state := contract.Member{UserID: user, TenantID: tenant, Active: r.IntN(2) == 0, Revision: int64(revision + 1)}
			last.members[user] = state
			kind, data = events.UserChanged, state
		default:
			state := contract.Activation{TenantID: tenant, Module: "m" + strconv.Itoa(r.IntN(2)), Enabled: r.IntN(2) == 0, Revision: int64(revision + 1)}
			last.PutActivation(state)
			kind, data = events.ModuleChanged, state
		}
		e, err := events.New(kind, tenant, int64(revision+1), data)
		require.NoError(t, err)
		changes = append(changes, e)
	}
	return changes, last
}

// Whatever the order, however often: the state is the one of the highest
// revisions.
func TestOrderAndRepetitionOfEventsDoNotMatter(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		changes, want := history(t, r, 40)
		d := empty()
		for range 3 {
			r.Shuffle(len(changes), func(i, j int) { changes[i], changes[j] = changes[j], changes[i] })
			for _, e := range changes[:r.IntN(len(changes))] {
				d.apply(e)
			}
		}
		for _, e := range changes {
			d.apply(e)
		}
		require.Equal(t, want.state(), d.state(), "seed %d", seed)
	}
}

func TestAnEventThatIsNotUnderstoodChangesNothing(t *testing.T) {
	t.Parallel()
	d := empty()
	before := d.state()
	for _, kind := range []events.Kind{events.TenantChanged, events.UserChanged, events.ModuleChanged, events.KeyEnded, {Service: "x", Entity: "y", Verb: "z"}} {
		for _, data := range []any{nil, 5, "text", []int{1}, map[string]any{"revision": "1", "id": 5, "user_id": 5, "tenant_id": 5}} {
			e, err := events.New(kind, "t", 1, data)
			require.NoError(t, err)
			d.apply(e)
		}
	}
	require.Equal(t, before, d.state())
}

func TestWhoSeesWhom(t *testing.T) {
	t.Parallel()
	d := empty()
	for i, tenant := range []contract.Tenant{{ID: "on", IsActive: true}, {ID: "off"}, {ID: "plain", IsActive: true}} {
		tenant.Revision = int64(i + 1)
		d.PutTenant(tenant)
	}
	for i, a := range []contract.Activation{
		{TenantID: "on", Module: "crm", Enabled: true}, {TenantID: "off", Module: "crm", Enabled: true},
		{TenantID: "plain", Module: "crm"}, {TenantID: "gone", Module: "crm", Enabled: true},
	} {
		a.Revision = int64(i + 1)
		d.PutActivation(a)
	}
	for i, m := range []contract.Member{
		{UserID: "on-1", TenantID: "on", Active: true}, {UserID: "on-2", TenantID: "on"},
		{UserID: "off-1", TenantID: "off", Active: true}, {UserID: "plain-1", TenantID: "plain", Active: true},
		{UserID: "lost", TenantID: "gone", Active: true}, {UserID: "void", Active: true},
	} {
		m.Revision = int64(i + 1)
		d.PutMember(m)
	}
	service, crm, billing := kit.Principal{Kind: kit.KindService}, kit.Principal{Kind: kit.KindModule, Module: "crm"}, kit.Principal{Kind: kit.KindModule, Module: "billing"}
	anonymous, none := kit.Principal{Kind: kit.KindAnonymous}, kit.Principal{}
	for _, c := range []struct {
		name      string
		principal kit.Principal
		tenants   []string
		users     []string
	}{
		{"a service", service, []string{"on", "off", "plain"}, []string{"on-1", "plain-1"}},
		{"a module that is enabled", crm, []string{"on"}, []string{"on-1"}},
		{"a module that is not", billing, nil, nil},
		{"a module without a name", kit.Principal{Kind: kit.KindModule}, nil, nil},
		{"nobody", anonymous, nil, nil},
		{"the zero principal", none, nil, nil},
		{"a nobody who names a module", kit.Principal{Kind: kit.KindAnonymous, Module: "crm"}, nil, nil},
	} {
		var tenants, users []string
		for _, id := range []string{"on", "off", "plain", "gone", "unknown", ""} {
			if d.Sees(c.principal, id) {
				tenants = append(tenants, id)
			}
		}
		var refusals []error
		for _, id := range []string{"on-1", "on-2", "off-1", "plain-1", "lost", "void", "unknown", ""} {
			tenant, err := d.VisibleUser(kit.WithCaller(t.Context(), kit.Caller{Principal: c.principal}), id, "")
			if err == nil {
				users = append(users, id)
				continue
			}
			require.Zero(t, tenant)
			refusals = append(refusals, err)
		}
		require.Equal(t, c.tenants, tenants, c.name)
		require.Equal(t, c.users, users, c.name)
		for _, err := range refusals { // invisible and unknown cannot be told apart
			require.Equal(t, contract.Missing("user"), err, c.name)
		}
	}
}

// What the platform suspends is off for every tenant that has it, and whoever
// watches learns of each of these tenants.
func TestASuspensionIsAsIfTheTenantsHadDisabledIt(t *testing.T) {
	t.Parallel()
	d := empty()
	watched := map[string]int{}
	d.Watch(func(tenant, _ string) { watched[tenant]++ })
	for i, tenant := range []string{"a", "b", "c"} {
		d.PutTenant(contract.Tenant{ID: tenant, IsActive: true, Revision: 1})
		if tenant != "c" {
			d.PutActivation(contract.Activation{TenantID: tenant, Module: "crm", Enabled: true, Version: fmt.Sprintf("1.%d.0", i), Revision: 5})
		}
	}
	enabled := func() (on []string) {
		for _, tenant := range []string{"a", "b", "c"} {
			if d.Enabled(tenant, "crm") {
				on = append(on, tenant)
			}
		}
		return on
	}
	clear(watched)
	d.PutModule(contract.ModuleState{Module: "crm", Versions: []string{"1.1.0"}, Revision: 7})
	require.Equal(t, []string{"a"}, enabled())
	require.Equal(t, map[string]int{"a": 1, "b": 1}, watched)
	require.Equal(t, int64(7), d.Activations("b")[0].Revision, "so that projections take it in")
	d.PutModule(contract.ModuleState{Module: "crm", Suspended: true, Revision: 8})
	d.PutModule(contract.ModuleState{Module: "crm", Revision: 6}) // late
	require.Empty(t, enabled())
	require.Empty(t, d.Modules())
	require.Equal(t, []string{"crm"}, d.SuspendedModules())
	d.PutModule(contract.ModuleState{Module: "crm", Revision: 9})
	require.Equal(t, []string{"a", "b"}, enabled())
}

func TestAModuleUsesWhatATenantConsentedTo(t *testing.T) {
	t.Parallel()
	d := empty()
	d.PutTenant(contract.Tenant{ID: "t", IsActive: true, Revision: 1})
	d.PutActivation(contract.Activation{TenantID: "t", Module: "crm", Enabled: true, Scopes: &[]string{"rbac.check"}, Revision: 1})
	for operation, may := range map[string]bool{"rbac.check": true, "rbac.check_batch": false, "tenant.get": true, "": false} {
		require.Equal(t, may, d.Sees(kit.Principal{Kind: kit.KindModule, Module: "crm", Operation: operation}, "t"), operation)
	}
	d.PutActivation(contract.Activation{TenantID: "t", Module: "crm", Enabled: true, Revision: 2})
	require.True(t, d.Sees(kit.Principal{Kind: kit.KindModule, Module: "crm", Operation: "rbac.check_batch"}, "t"), "without a manifest")
}

func TestAwaitMemberIsWokenByTheEvent(t *testing.T) {
	t.Parallel()
	d := empty()
	d.PutTenant(contract.Tenant{ID: "t", IsActive: true, Revision: 1})
	began := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		close(began)
		done <- d.AwaitMember(bounded(t), "t", "u")
	}()
	<-began
	d.PutMember(contract.Member{UserID: "u", TenantID: "other", Active: true, Revision: 1})
	d.PutMember(contract.Member{UserID: "u", TenantID: "t", Revision: 2})
	e, err := events.New(events.UserChanged, "t", 3, contract.Member{UserID: "u", TenantID: "t", Active: true, Revision: 3})
	require.NoError(t, err)
	begin := time.Now()
	d.apply(e)
	require.NoError(t, <-done)
	require.Less(t, time.Since(begin), time.Second)

	require.NoError(t, d.AwaitMember(bounded(t), "t", "u"), "known already")
	require.NoError(t, d.AwaitTenant(bounded(t), "t"))
}

func TestAwaitGivesUp(t *testing.T) {
	t.Parallel()
	d := empty()
	d.PutTenant(contract.Tenant{ID: "off", Revision: 1})
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	require.Error(t, d.AwaitMember(ended, "t", "u"))
	for name, await := range map[string]func() error{
		"a user":               func() error { return d.AwaitMember(bounded(t), "t", "u") },
		"a tenant":             func() error { return d.AwaitTenant(bounded(t), "t") },
		"a tenant that is off": func() error { return d.AwaitTenant(bounded(t), "off") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ErrorIs(t, await(), &contract.Error{Code: contract.NotFound})
		})
	}
}

// world is a bus with somebody who owns tenants and users.
type world struct {
	t      testing.TB
	dir    string
	server *natsserver.Server
	tel    *kit.Telemetry
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	require.NoError(t, natsserver.Init(w.dir))
	var err error
	w.server, err = natsserver.Start(bounded(t), natsserver.Config{Dir: w.dir, Listen: "127.0.0.1:0"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.server.Stop(bounded(t))) })
	w.tel, err = kit.NewTelemetry(context.Background(), kit.TelemetryConfig{Process: "test"})
	require.NoError(t, err)
	return w
}

func (w *world) user(name string) *nats.Conn {
	w.t.Helper()
	nc, err := natsconn.Connect(bounded(w.t), natsconn.Config{URL: w.server.URL(), User: name, SeedFile: natsserver.SeedFile(w.dir, name)})
	require.NoError(w.t, err)
	w.t.Cleanup(nc.Close)
	return nc
}

func (w *world) jetStream(name string) jetstream.JetStream {
	w.t.Helper()
	js, err := jetstream.New(w.user(name))
	require.NoError(w.t, err)
	return js
}

func (w *world) service(service string) *kit.Server {
	w.t.Helper()
	s, err := kit.NewServer(kit.ServerConfig{Service: service, NATS: w.user(service), Telemetry: w.tel})
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, s.Stop(bounded(w.t))) })
	return s
}

func tenantState(i int, revision int64) contract.Tenant {
	return contract.Tenant{ID: fmt.Sprint("t", i), IsActive: true, Revision: revision}
}

func memberState(i int, revision int64) contract.Member {
	return contract.Member{UserID: fmt.Sprint("u", i), TenantID: fmt.Sprint("t", i), Active: true, Revision: revision}
}

// The snapshot is taken page by page while changes happen: those are in the
// snapshot, in an event, or in both, and none is lost.
func TestTheSnapshotAndTheEventsMakeOneState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenantJS, authJS := w.jetStream(natsconn.Tenant), w.jetStream(natsconn.Auth)
	require.NoError(t, events.Ensure(bounded(t), tenantJS, events.EventsStream, 1))
	tell := func(js jetstream.JetStream, kind events.Kind, revision int64, data any) {
		e, err := events.New(kind, "t", revision, data)
		require.NoError(t, err)
		require.NoError(t, events.Publish(bounded(t), js, e, e.ID()))
	}
	tell(tenantJS, events.TenantChanged, 1, tenantState(0, 1)) // before: in the snapshot
	const pages = 3
	owner := w.service(natsconn.Tenant)
	require.NoError(t, kit.Handle(owner, contract.ListModuleStates,
		func(context.Context, *contract.ModuleStatesRequest) (*contract.ModuleStatesResponse, error) {
			return &contract.ModuleStatesResponse{Items: []contract.ModuleState{{Module: "killed", Suspended: true, Revision: 1}}}, nil
		}))
	require.NoError(t, kit.Handle(owner, contract.ListTenants,
		func(_ context.Context, r *contract.SnapshotRequest) (*contract.ListTenantsResponse, error) {
			page, _ := strconv.Atoi(r.Cursor)
			answer := &contract.ListTenantsResponse{Items: []contract.TenantSnapshot{{
				Tenant:      tenantState(page, 1),
				Activations: []contract.Activation{{TenantID: fmt.Sprint("t", page), Module: "crm", Enabled: true, Revision: 1}},
			}}}
			// Changed after this page was read: only an event tells.
			changed := tenantState(page, 2)
			changed.Code = "newer"
			tell(tenantJS, events.TenantChanged, 2, changed)
			if page+1 < pages {
				answer.NextCursor = strconv.Itoa(page + 1)
			}
			return answer, nil
		}))

	// The owner of the users starts later than whoever asks for them.
	auth := w.service(natsconn.Auth)
	client := kit.NewClient(w.user(natsconn.RBAC), w.tel)
	d := empty()
	started := make(chan error, 1)
	js := w.jetStream(natsconn.RBAC)
	go func() { started <- d.Start(bounded(t), client, js, Tenants|Members) }()
	require.Eventually(t, func() bool {
		for i := range pages {
			if tenant, _ := d.Tenant(fmt.Sprint("t", i)); tenant.Code != "newer" {
				return false
			}
		}
		return true
	}, limit, time.Millisecond)
	select {
	case err := <-started:
		t.Fatal("ready without the members:", err)
	default:
	}
	tell(authJS, events.UserChanged, 5, contract.Member{UserID: "u0", TenantID: "t0", Revision: 5}) // deleted
	require.NoError(t, kit.Handle(auth, contract.ListMembers,
		func(_ context.Context, _ *contract.SnapshotRequest) (*contract.ListMembersResponse, error) {
			return &contract.ListMembersResponse{Items: []contract.Member{memberState(0, 3), memberState(1, 4)}}, nil
		}))
	require.NoError(t, <-started)
	require.True(t, d.Suspended("killed"))
	require.Eventually(t, func() bool { _, active := d.TenantOf("u0"); return !active }, limit, time.Millisecond, "an older snapshot brings nobody back")
	tenant, active := d.TenantOf("u1")
	require.True(t, active)
	require.Equal(t, "newer", tenant.Code)
	require.True(t, d.Enabled("t2", "crm"))

	tell(tenantJS, events.ModuleChanged, 2, contract.Activation{TenantID: "t2", Module: "crm", Revision: 2})
	require.Eventually(t, func() bool { return !d.Enabled("t2", "crm") }, limit, time.Millisecond)
	d.Stop()
	d.Stop()
	empty().Stop()
}

func TestStartEndsWithItsContext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	js := w.jetStream(natsconn.Tenant)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	d := empty()
	require.Error(t, d.Start(ctx, kit.NewClient(w.user(natsconn.RBAC), w.tel), js, Tenants), "no stream")
	d.Stop()
	require.NoError(t, events.Ensure(bounded(t), js, events.EventsStream, 1))
	ctx, cancel = context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	d = empty()
	require.ErrorContains(t, d.Start(ctx, kit.NewClient(w.user(natsconn.RBAC), w.tel), js, Tenants), "tenant", "no owner")
	d.Stop()
}

func TestAUsersTokenIsGoodWhileTheUserAndTheTenantAre(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	var fetched atomic.Int32
	auth := w.service(natsconn.Auth)
	var ended atomic.Bool
	require.NoError(t, kit.Handle(auth, contract.CheckSession, func(_ context.Context, r *contract.CheckSessionRequest) (*contract.Empty, error) {
		if ended.Load() {
			return nil, revocation.ErrEnded
		}
		return &contract.Empty{}, nil
	}))
	require.NoError(t, kit.Handle(auth, contract.JWKS, func(context.Context, *contract.JWKSRequest) (*contract.JWKSResponse, error) {
		fetched.Add(1)
		return &contract.JWKSResponse{Keys: []contract.JWK{{KeyType: "OKP", Curve: "Ed25519", KeyID: "k", X: base64.RawURLEncoding.EncodeToString(public)}}}, nil
	}))
	d := empty()
	v := NewUserVerifier(natsconn.Audit, kit.NewClient(w.user(natsconn.Audit), w.tel), d, w.tel)
	session := kit.NewID()
	sign := func(user, tenant string, expires time.Time) string {
		j := jwt.NewWithClaims(jwt.SigningMethodEdDSA, token.Claims{RegisteredClaims: jwt.RegisteredClaims{
			Issuer: token.Issuer, Audience: jwt.ClaimStrings{token.Audience}, Subject: user, ExpiresAt: jwt.NewNumericDate(expires),
		}, TenantID: tenant, SessionID: session})
		j.Header["kid"] = "k"
		raw, err := j.SignedString(private)
		require.NoError(t, err)
		return raw
	}
	later := time.Now().Add(time.Minute)
	good := sign("u1", "t1", later)
	refused := func(raw, why string) {
		t.Helper()
		user, err := v.VerifyUser(bounded(t), raw)
		require.ErrorIs(t, err, &contract.Error{Code: contract.Unauthenticated}, why)
		var e *contract.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, "Authorization", e.Field)
		require.Zero(t, user)
	}
	refused(good, "an unknown user")
	d.PutMember(memberState(1, 1))
	refused(good, "of an unknown tenant")
	d.PutTenant(tenantState(1, 1))
	user, err := v.VerifyUser(bounded(t), good)
	require.NoError(t, err)
	require.Equal(t, kit.User{ID: "u1", TenantID: "t1", SessionID: session}, user)
	refused(sign("u1", "t2", later), "another tenant's")
	refused(sign("u1", "t1", time.Now().Add(-time.Second)), "expired")
	refused("nonsense", "none at all")
	refused("", "nothing")
	d.PutTenant(contract.Tenant{ID: "t1", Revision: 2})
	refused(good, "the tenant is suspended")
	d.PutTenant(tenantState(1, 3))
	d.PutMember(contract.Member{UserID: "u1", TenantID: "t1", Revision: 4})
	refused(good, "the user is deleted")
	d.PutMember(memberState(1, 5))

	refused(sign("u1", "", later), "no tenant, of somebody who is in one")
	d.PutMember(contract.Member{UserID: "root", Platform: true, Active: true, Revision: 1})
	for _, tenant := range []string{"", "t1"} {
		user, err = v.VerifyUser(bounded(t), sign("root", tenant, later))
		require.NoError(t, err, tenant)
		require.Equal(t, kit.User{ID: "root", TenantID: tenant, SessionID: session, Platform: true}, user)
	}
	refused(sign("root", "t9", later), "a platform administrator in a tenant that is none")
	d.PutMember(contract.Member{UserID: "root", Platform: true, Revision: 2})
	refused(sign("root", "", later), "a platform administrator who is disabled")

	ended.Store(true)
	session = kit.NewID()
	refused(sign("u1", "t1", later), "the session has ended")
	require.EqualValues(t, 1, fetched.Load())
}

func TestAnIdentityServiceThatIsAwayIsNoRefusal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	j := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{})
	j.Header["kid"] = "k"
	raw, err := j.SignedString(private)
	require.NoError(t, err)
	v := NewUserVerifier(natsconn.Audit, kit.NewClient(w.user(natsconn.Audit), w.tel), empty(), w.tel)
	_, err = v.VerifyUser(bounded(t), raw)
	require.ErrorIs(t, err, &contract.Error{Code: contract.Unavailable})
}

func BenchmarkVisibleUser(b *testing.B) {
	d := empty()
	d.PutTenant(tenantState(1, 1))
	d.PutMember(memberState(1, 1))
	d.PutActivation(contract.Activation{TenantID: "t1", Module: "crm", Enabled: true, Revision: 1})
	ctx := kit.WithCaller(b.Context(), kit.Caller{Principal: kit.Principal{Kind: kit.KindModule, Module: "crm"}})
	for b.Loop() {
		if _, err := d.VisibleUser(ctx, "u1", ""); err != nil {
			b.Fatal(err)
		}
	}
}

func TestWhoeverWatchesHearsOfEachNewStateOnce(t *testing.T) {
	t.Parallel()
	d := New(slog.New(slog.DiscardHandler))
	var heard []string
	d.Watch(func(tenant, user string) {
		_, known := d.Tenant("t1")
		heard = append(heard, fmt.Sprint(tenant, "/", user, "/", known))
	})
	for range 2 { // again changes nothing
		d.PutTenant(contract.Tenant{ID: "t1", Revision: 1})
		d.PutActivation(contract.Activation{TenantID: "t1", Module: "m", Revision: 2})
		d.PutUnit(contract.OrgUnit{TenantID: "t1", ID: "u", Revision: 3})
		d.PutMember(contract.Member{UserID: "p", TenantID: "t1", Tenants: []string{"t2"}, Revision: 1})
		d.PutMember(contract.Member{UserID: "p", TenantID: "t1", Tenants: []string{"t3"}, Revision: 2})
	}
	require.Equal(t, []string{"t1//true", "t1//true", "t1//true", "t1/p/true", "t2/p/true", "t1/p/true", "t2/p/true", "t3/p/true"}, heard)
	require.Len(t, d.Units("t1"), 1)
	require.Len(t, d.Activations("t1"), 1)
	require.Equal(t, []string{"t1"}, d.TenantIDs())
}
