package rbac

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/kittest"
	"github.com/buildify/core/pkg/kit/natsconn"
	"github.com/buildify/core/pkg/kit/natsserver"
	"github.com/buildify/core/pkg/kit/revocation"
)

func TestMain(m *testing.M) { kittest.Main(m) }

// limit bounds every wait; nothing waits that long unless a test fails.
const limit = 20 * time.Second

func migrate(ctx context.Context, url string) error { return database.Migrate(ctx, url, nil) }

func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// world is a bus and a database with the services that rbac learns from, which
// say what the world holds. Replicas of rbac are started by the tests.
type world struct {
	t       testing.TB
	dir     string
	server  *natsserver.Server
	listen  string
	url     string
	own     map[string]jetstream.JetStream // of each service, for its events
	tenant  string
	module  string
	mu      sync.Mutex
	tenants map[string]contract.Tenant
	enabled map[string]contract.Activation
	members map[string]contract.Member
	units   map[string]contract.OrgUnit
	number  int64 // the last revision that was given out
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{
		t: t, dir: t.TempDir(), url: kittest.Database(t, migrate), tenant: kit.NewID(), module: "crm",
		tenants: map[string]contract.Tenant{}, enabled: map[string]contract.Activation{},
		members: map[string]contract.Member{}, units: map[string]contract.OrgUnit{},
	}
	require.NoError(t, natsserver.Init(w.dir))
	w.startBus("127.0.0.1:0")
	u, err := url.Parse(w.server.URL())
	require.NoError(t, err)
	w.listen = u.Host
	t.Cleanup(func() { require.NoError(t, w.server.Stop(bounded(t))) })
	w.own = map[string]jetstream.JetStream{}
	for _, service := range []string{natsconn.Auth, natsconn.Tenant, natsconn.RBAC} {
		w.own[service], err = jetstream.New(w.connect(service))
		require.NoError(t, err)
	}
	require.NoError(t, events.Ensure(bounded(t), w.own[natsconn.Auth], events.EventsStream, 1))
	w.answer()
	pulse := revocation.StartPulse(revocation.PulseConfig{
		NATS: w.connect(natsconn.Auth), Sequence: func() uint64 { return 0 }, Log: slog.New(slog.DiscardHandler),
		Oldest: func(context.Context) (int64, error) { return 0, nil },
	})
	t.Cleanup(pulse.Stop)
	w.setTenant(w.tenant, true)
	w.setModule(w.tenant, w.module, true)
	return w
}

func (w *world) startBus(listen string) {
	w.t.Helper()
	var err error
	w.server, err = natsserver.Start(bounded(w.t), natsserver.Config{Dir: w.dir, Listen: listen})
	require.NoError(w.t, err)
}

func (w *world) connect(user string) *nats.Conn {
	w.t.Helper()
	nc, err := natsconn.Connect(bounded(w.t), natsconn.Config{
		URL: w.server.URL(), User: user, SeedFile: natsserver.SeedFile(w.dir, user),
	})
	require.NoError(w.t, err)
	w.t.Cleanup(nc.Close)
	return nc
}

func (w *world) telemetry() *kit.Telemetry {
	w.t.Helper()
	tel, err := kit.NewTelemetry(context.Background(), kit.TelemetryConfig{Process: "test"})
	require.NoError(w.t, err)
	return tel
}

// answer has services tenant and auth say what the world holds.
func (w *world) answer() {
	w.t.Helper()
	serve := func(service string) *kit.Server {
		s, err := kit.NewServer(kit.ServerConfig{Service: service, NATS: w.connect(service), Telemetry: w.telemetry()})
		require.NoError(w.t, err)
		w.t.Cleanup(func() { _ = s.Stop(bounded(w.t)) })
		return s
	}
	tenant, auth := serve(natsconn.Tenant), serve(natsconn.Auth)
	require.NoError(w.t, kit.Handle(tenant, contract.ListModuleStates, func(context.Context, *contract.ModuleStatesRequest) (*contract.ModuleStatesResponse, error) {
		return &contract.ModuleStatesResponse{Items: []contract.ModuleState{}}, nil
	}))
	require.NoError(w.t, kit.Handle(tenant, contract.ListTenants, func(context.Context, *contract.SnapshotRequest) (*contract.ListTenantsResponse, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		all := &contract.ListTenantsResponse{Items: []contract.TenantSnapshot{}}
		for _, t := range w.tenants {
			item := contract.TenantSnapshot{Tenant: t}
			for _, a := range w.enabled {
				if a.TenantID == t.ID {
					item.Activations = append(item.Activations, a)
				}
			}
			all.Items = append(all.Items, item)
		}
		return all, nil
	}))
	require.NoError(w.t, kit.Handle(tenant, contract.ListUnits, func(context.Context, *contract.SnapshotRequest) (*contract.ListUnitsResponse, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		all := &contract.ListUnitsResponse{Items: []contract.OrgUnit{}}
		for _, u := range w.units {
			all.Items = append(all.Items, u)
		}
		return all, nil
	}))
	require.NoError(w.t, kit.Handle(auth, contract.ListMembers, func(context.Context, *contract.SnapshotRequest) (*contract.ListMembersResponse, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		all := &contract.ListMembersResponse{Items: []contract.Member{}}
		for _, m := range w.members {
			all.Items = append(all.Items, m)
		}
		return all, nil
	}))
	require.NoError(w.t, kit.Handle(auth, contract.ListRevocations, func(context.Context, *contract.SnapshotRequest) (*contract.ListRevocationsResponse, error) {
		return &contract.ListRevocationsResponse{}, nil
	}))
	require.NoError(w.t, kit.Handle(auth, contract.JWKS, func(context.Context, *contract.JWKSRequest) (*contract.JWKSResponse, error) {
		return &contract.JWKSResponse{}, nil
	}))
}

// publish tells what changed, as its owner's outbox does: until it is heard.
func (w *world) publish(service string, kind events.Kind, tenant string, revision int64, data any) {
	w.t.Helper()
	e, err := events.New(kind, tenant, revision, data)
	require.NoError(w.t, err)
	require.Eventually(w.t, func() bool {
		_, err = events.PublishAt(bounded(w.t), w.own[service], e, e.ID())
		return err == nil
	}, limit, time.Millisecond, "the last error: %v", &err)
}

func (w *world) next() int64 { w.number++; return w.number }

func (w *world) setTenant(id string, active bool) {
	w.t.Helper()
	w.mu.Lock()
	state := contract.Tenant{ID: id, Code: "T", IsActive: active, Revision: w.next()}
	w.tenants[id] = state
	w.mu.Unlock()
	w.publish(natsconn.Tenant, events.TenantChanged, id, state.Revision, state)
}

func (w *world) setModule(tenant, module string, enabled bool) {
	w.t.Helper()
	w.mu.Lock()
	state := contract.Activation{TenantID: tenant, Module: module, Enabled: enabled, Revision: w.next()}
	w.enabled[tenant+module] = state
	w.mu.Unlock()
	w.publish(natsconn.Tenant, events.ModuleChanged, tenant, state.Revision, state)
}

func (w *world) setUnit(id, parent string) string {
	w.t.Helper()
	w.mu.Lock()
	state := contract.OrgUnit{TenantID: w.tenant, ID: id, ParentID: parent, Revision: w.next()}
	w.units[id] = state
	w.mu.Unlock()
	w.publish(natsconn.Tenant, events.UnitChanged, w.tenant, state.Revision, state)
	return id
}

func (w *world) setUser(id, tenant string, active bool) string {
	w.t.Helper()
	w.mu.Lock()
	state := contract.Member{UserID: id, TenantID: tenant, Active: active, Revision: w.next()}
	w.members[id] = state
	w.mu.Unlock()
	w.publish(natsconn.Auth, events.UserChanged, tenant, state.Revision, state)
	return id
}

func (w *world) user() string { return w.setUser(kit.NewID(), w.tenant, true) }

// replica starts a replica of rbac.
func (w *world) replica(cfg Config) *Service {
	w.t.Helper()
	db, err := database.Open(bounded(w.t), w.url, Name, 0)
	require.NoError(w.t, err)
	w.t.Cleanup(db.Close)
	s := New(kit.Deps{NATS: w.connect(natsconn.RBAC), DB: db, Telemetry: w.telemetry(), Replicas: 1}, cfg)
	require.NoError(w.t, s.Start(bounded(w.t)))
	w.t.Cleanup(func() { require.NoError(w.t, s.Stop(bounded(w.t))) })
	return s
}

// sql changes the database behind everybody's back.
func (w *world) sql(statement string, args ...any) {
	w.t.Helper()
	admin, err := pgx.Connect(bounded(w.t), w.url)
	require.NoError(w.t, err)
	defer func() { _ = admin.Close(context.Background()) }()
	_, err = admin.Exec(bounded(w.t), statement, args...)
	require.NoError(w.t, err)
}

// database takes the database away from everybody, or gives it back.
func (w *world) database(there bool) {
	w.t.Helper()
	cfg, err := pgx.ParseConfig(w.url)
	require.NoError(w.t, err)
	name := cfg.Database
	cfg.Database = "postgres"
	admin, err := pgx.ConnectConfig(bounded(w.t), cfg)
	require.NoError(w.t, err)
	defer func() { _ = admin.Close(context.Background()) }()
	_, err = admin.Exec(bounded(w.t), fmt.Sprintf("ALTER DATABASE %s WITH ALLOW_CONNECTIONS %t", pgx.Identifier{name}.Sanitize(), there))
	require.NoError(w.t, err)
	if !there {
		_, err = admin.Exec(bounded(w.t), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
		require.NoError(w.t, err)
	}
}

// role makes a role of the tenant by a replica.
func (w *world) role(s *Service, permissions ...string) string {
	w.t.Helper()
	role, err := s.app.CreateRole(bounded(w.t), &contract.CreateRoleRequest{
		TenantID: contract.ID(w.tenant), Name: "r" + kit.NewID(), Permissions: permissions,
	})
	require.NoError(w.t, err)
	return role.ID
}

// bind gives a user a role by a replica.
func (w *world) bind(s *Service, user, role string, change ...func(*contract.CreateBindingRequest)) *contract.Binding {
	w.t.Helper()
	request := &contract.CreateBindingRequest{TenantID: contract.ID(w.tenant), UserID: contract.ID(user), RoleID: contract.ID(role)}
	for _, c := range change {
		c(request)
	}
	binding, err := s.app.CreateBinding(bounded(w.t), request)
	require.NoError(w.t, err)
	return binding
}

// allowed asks a replica's engine.
func (w *world) allowed(s *Service, user, permission string) bool {
	p := s.app.Engine.Policy(w.tenant)
	return p != nil && p.Check(decision.Question{User: user, Permission: permission}, decision.Now)
}

// decides waits until a replica's engine decides so.
func (w *world) decides(s *Service, want bool, user, permission string, why ...any) {
	w.t.Helper()
	require.Eventually(w.t, func() bool { return w.allowed(s, user, permission) == want }, limit, time.Millisecond, why...)
}

// hear subscribes to a module's feed, as the bridge does for it.
func (w *world) hear(module string) <-chan contract.PolicyFeedMessage {
	w.t.Helper()
	nc := w.connect(natsconn.HTTPBridge)
	heard := make(chan contract.PolicyFeedMessage, 10_000)
	_, err := nc.Subscribe(contract.FeedSubject(module, "*"), func(msg *nats.Msg) {
		var m contract.PolicyFeedMessage
		if json.Unmarshal(msg.Data, &m) == nil && msg.Header.Get(contract.HeaderFeed) != "" {
			heard <- m
		}
	})
	require.NoError(w.t, err)
	require.NoError(w.t, nc.Flush())
	return heard
}

// until returns what is heard up to the first message for which is holds.
func until(t testing.TB, heard <-chan contract.PolicyFeedMessage, is func(contract.PolicyFeedMessage) bool) (all []contract.PolicyFeedMessage) {
	t.Helper()
	timeout := time.After(limit)
	for {
		select {
		case m := <-heard:
			if all = append(all, m); is(m) {
				return all
			}
		case <-timeout:
			require.FailNow(t, "waited in vain", "after %+v", all)
		}
	}
}
