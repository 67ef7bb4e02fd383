// Package stack starts the core for tests: in one process, or as the separate
// processes of production.
package stack

import (
	"context"
	"crypto/rand"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/cmd/buildify/platform"
	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/kittest"
	"github.com/buildify/core/pkg/kit/natsconn"
	"github.com/buildify/core/pkg/kit/natsserver"
)

// Stack is a running core.
type Stack struct {
	HTTPURL, NATSURL, DatabaseURL string
	// Operator is the operator's connection inside account CORE, Core calls
	// operations over it.
	Operator *nats.Conn
	Core     *kit.Client
	// PublicURL is what links in e-mails and passkeys are made for.
	PublicURL string
	// Credentials is the directory of the bus users' seeds, SecretFile holds the
	// installation's secret.
	Credentials, SecretFile string
	// Mails are the e-mails that the core sent, the latest last.
	Mails func(testing.TB) []Mail
	// Processes are the services by name; none when all is one process.
	Processes map[string]*Process
	// Bus is the nats-server; nil when all is one process, or there are several.
	Bus *Bus
	// Cluster are the servers of the bus when there are several.
	Cluster []*Bus

	poisoned bool // as Layout.Poisoned
}

// Timeout bounds whatever a test waits for.
const Timeout = 20 * time.Second

// Context ends with the test, or after Timeout.
func Context(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), Timeout)
	t.Cleanup(cancel)
	return ctx
}

// Migrate makes a database ready, as `buildify migrate` does.
func Migrate(ctx context.Context, url string) error { return database.Migrate(ctx, url, nil) }

// OneProcess starts the core as `buildify dev` does, in the test's process,
// on a database of its own.
func OneProcess(t testing.TB) *Stack {
	t.Helper()
	s := &Stack{DatabaseURL: kittest.Database(t, Migrate)}
	data := t.TempDir()
	p, err := platform.Start(Context(t), platform.Config{
		HTTP: "127.0.0.1:0", NATS: "127.0.0.1:0", Ops: "127.0.0.1:0", Data: data,
		DatabaseURL: s.DatabaseURL, Logs: logWriter{t}, TraceSample: 0.05, WebhooksAllowPrivate: true,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Stop()) })
	s.HTTPURL, s.NATSURL, s.Credentials = p.HTTPURL, p.NATSURL, p.Credentials()
	s.PublicURL = strings.Replace(p.HTTPURL, "127.0.0.1", "localhost", 1)
	s.SecretFile, s.Mails = filepath.Join(data, "secret"), outbox(p.HTTPURL+platform.OutboxPath)
	s.connectOperator(t)
	return s
}

func (s *Stack) connectOperator(t testing.TB) {
	t.Helper()
	nc, err := natsconn.Connect(Context(t), natsconn.Config{
		URL: s.NATSURL, User: natsconn.Operator, SeedFile: natsserver.SeedFile(s.Credentials, natsconn.Operator),
	})
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	telemetry, err := kit.NewTelemetry(context.Background(), kit.TelemetryConfig{Process: "tests"})
	require.NoError(t, err)
	s.Operator, s.Core = nc, kit.NewClient(nc, telemetry)
	if !s.poisoned {
		s.observe(t)
	}
}

// PlatformAdmin makes a platform administrator, who is in no tenant.
func (s *Stack) PlatformAdmin(t testing.TB) User {
	t.Helper()
	u := User{Email: strings.ToLower(rand.Text()) + "@example.com", Password: rand.Text()}
	u.ID = Do(t, s, contract.CreateUser, &contract.CreateUserRequest{Platform: true, Email: u.Email, Password: u.Password}).ID
	return u
}

// User is a person of a Company.
type User struct{ ID, Email, Password string }

// Company is a tenant of a test's own, with a module enabled.
type Company struct {
	stack  *Stack
	Tenant contract.Tenant
	Module string
	// APIKey is the module's, KeyID its public id.
	APIKey, KeyID string
	// Admin may read the audit trail and everything of the module; Reader
	// holds "<module>:accounts:read" only; Nobody holds nothing.
	Admin, Reader, Nobody User
}

// Company makes a tenant with people and a module of its own.
func (s *Stack) Company(t testing.TB) *Company {
	t.Helper()
	name := rand.Text()[:12]
	c := &Company{stack: s, Module: "m" + strings.ToLower(name)}
	c.Tenant = *Do(t, s, contract.CreateTenant, &contract.CreateTenantRequest{Code: "T" + name, Name: "Company " + name})
	c.EnableModule(t, c.Module, true)
	key := Do(t, s, contract.CreateKey, &contract.CreateKeyRequest{Module: c.Module, Environment: "dev", RateClass: "bulk"})
	c.APIKey, c.KeyID = key.APIKey, key.ID
	c.PutRole(t, "administrator", "audit:events:read", "users:**", "keys:**", "policies:**", c.Module+":**")
	c.PutRole(t, "reader", c.Module+":accounts:read")
	c.Admin, c.Reader, c.Nobody = c.AddUser(t, "administrator"), c.AddUser(t, "reader"), c.AddUser(t)
	// The last change of all has reached every service's projection, and the
	// module's activation is part of the policy.
	require.Eventually(t, func() bool {
		ctx := Context(t)
		check, rbacErr := kit.Call(ctx, s.Core, contract.CheckPermission,
			&contract.CheckRequest{UserID: contract.ID(c.Reader.ID), Permission: c.Module + ":accounts:read"})
		_, nobodyErr := kit.Call(ctx, s.Core, contract.CheckPermission,
			&contract.CheckRequest{UserID: contract.ID(c.Nobody.ID), Permission: c.Module + ":accounts:read"})
		_, auditErr := kit.Call(ctx, s.Core, contract.LogAudit, &contract.LogAuditRequest{
			UserID: contract.ID(c.Nobody.ID), Action: "company.ready", ResourceType: "company",
		})
		return rbacErr == nil && check.Allowed && nobodyErr == nil && auditErr == nil
	}, Timeout, 5*time.Millisecond)
	return c
}

// AddUser adds a person with roles, by name, that hold in the whole tenant.
func (c *Company) AddUser(t testing.TB, roles ...string) User {
	t.Helper()
	u := User{Email: strings.ToLower(rand.Text()) + "@example.com", Password: rand.Text()}
	u.ID = Do(t, c.stack, contract.CreateUser, &contract.CreateUserRequest{
		TenantID: contract.ID(c.Tenant.ID), Email: u.Email, Password: u.Password,
	}).ID
	for _, role := range roles {
		c.Bind(t, u.ID, role)
	}
	return u
}

// EnableModule enables or disables a module for the tenant.
func (c *Company) EnableModule(t testing.TB, module string, enabled bool) {
	t.Helper()
	Do(t, c.stack, contract.SetTenantModule, &contract.SetTenantModuleRequest{
		TenantID: contract.ID(c.Tenant.ID), ModuleName: module, Enabled: enabled,
	})
}

// Token logs a person in.
func (c *Company) Token(t testing.TB, u User) string {
	t.Helper()
	return Do(t, c.stack, contract.Login, &contract.LoginRequest{Email: u.Email, Password: u.Password}).AccessToken
}

// Do calls an operation as the operator; it must succeed.
func Do[Req, Resp any](t testing.TB, s *Stack, op contract.Operation[Req, Resp], request *Req) *Resp {
	t.Helper()
	response, err := kit.Call(Context(t), s.Core, op, request)
	require.NoError(t, err, op.Name)
	return response
}

// logWriter sends a platform's log to the test's, which shows it on failure.
type logWriter struct{ t testing.TB }

func (w logWriter) Write(line []byte) (int, error) {
	if testing.Verbose() {
		w.t.Logf("%s", line)
	}
	return len(line), nil
}
