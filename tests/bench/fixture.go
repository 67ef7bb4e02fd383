package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/buildify/core/cmd/buildify/platform"
	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/natsconn"
	"github.com/buildify/core/pkg/kit/pgserver"
	"github.com/buildify/core/pkg/kit/process"
)

// The policy that rbac.check is measured on.
const (
	users              = 1000
	roles              = 50
	rolesOfUser        = 2
	permissions        = 200
	permissionsOfRole  = 20
	module             = "bench"
	questions          = 4096
	passwordOfTheAdmin = "a password for the benchmark"
)

// question is a check and its right answer.
type question struct {
	user, permission string
	body             []byte
	allowed          bool
}

// fixture is the core under measurement with what it stands on beside it.
type fixture struct {
	stack     process.Stack
	core      *platform.Platform
	key       string
	keyID     string
	token     string
	email     string
	tenant    string
	dir       string
	database  string
	questions []question
	granted   map[string][]map[string]bool // by user: the codes of each of their roles
	codes     []string
	module    []*nats.Conn // callers' connections to the core's bus
	echo      []*nats.Conn // callers' connections to a bare server
	http      httpTargets
}

func start(ctx context.Context) (_ *fixture, err error) {
	f := &fixture{tenant: uuid.NewString(), email: "admin@bench.example"}
	defer func() {
		if err != nil {
			f.stop()
		}
	}()
	for _, step := range []func(context.Context) error{f.startCore, f.prepareModule, f.startEcho, f.startHTTP} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (f *fixture) stop() {
	if err := f.stack.Close(process.StopTimeout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
}

// startCore runs the core upon a database that already holds the policy.
func (f *fixture) startCore(ctx context.Context) error {
	if err := f.startDatabase(ctx); err != nil {
		return err
	}
	if err := f.fill(ctx, f.database); err != nil {
		return err
	}
	return f.startPlatform(ctx)
}

// startDatabase runs PostgreSQL with the schema.
func (f *fixture) startDatabase(ctx context.Context) (err error) {
	if f.dir, err = os.MkdirTemp("", "buildify-bench-"); err != nil {
		return err
	}
	data := filepath.Join(f.dir, "postgres")
	f.stack.Push("data", func(ctx context.Context) error {
		return errors.Join(pgserver.Remove(ctx, data), os.RemoveAll(f.dir))
	})
	postgres, err := pgserver.Start(ctx, pgserver.Config{Dir: data})
	if err != nil {
		return err
	}
	f.stack.Push("postgres", postgres.Stop)
	f.database = postgres.URL("", "")
	return database.Migrate(ctx, f.database, nil)
}

// startPlatform runs the core as `buildify dev` does, over TCP, with everything
// on.
func (f *fixture) startPlatform(ctx context.Context) error {
	logs, err := os.Create(filepath.Join(f.dir, "buildify.log"))
	if err != nil {
		return err
	}
	f.core, err = platform.Start(ctx, platform.Config{
		HTTP: "127.0.0.1:0", NATS: "127.0.0.1:0", Ops: "127.0.0.1:0", Data: f.dir,
		DatabaseURL: f.database, Logs: logs, LogLevel: slog.LevelInfo, TraceSample: 0.05,
	})
	if err == nil {
		f.stack.Push("core", func(context.Context) error { return f.core.Stop() })
	}
	return err
}

// fill writes tenant, people and policy straight into the tables, and keeps
// the questions with their right answers, half of them denials.
func (f *fixture) fill(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	random := rand.New(rand.NewPCG(1, 2))
	codes := make([]string, permissions)
	for i := range codes {
		codes[i] = fmt.Sprintf("%s:entity%d:read", module, i)
	}
	f.codes, f.granted = codes, map[string][]map[string]bool{}
	batch := &pgx.Batch{}
	batch.Queue("INSERT INTO tenant.tenants (id, code, name) VALUES ($1, 'BENCH', 'Benchmark')", f.tenant)
	batch.Queue("INSERT INTO tenant.activations (tenant_id, module, enabled) VALUES ($1, $2, true)", f.tenant, module)
	batch.Queue("INSERT INTO rbac.tenants SELECT id, state = 'active', revision FROM tenant.tenants WHERE id = $1", f.tenant)
	batch.Queue("INSERT INTO rbac.modules SELECT tenant_id, module, enabled, revision FROM tenant.activations WHERE tenant_id = $1", f.tenant)
	batch.Queue("INSERT INTO rbac.revisions (tenant_id, revision) VALUES ($1, 1)", f.tenant)
	granted, ids := make([]map[string]bool, roles), make([]string, roles)
	for i := range roles {
		ids[i] = uuid.NewString()
		granted[i] = map[string]bool{}
		var held []string
		for _, j := range random.Perm(permissions)[:permissionsOfRole] {
			held, granted[i][codes[j]] = append(held, codes[j]), true
		}
		batch.Queue("INSERT INTO rbac.roles (id, tenant_id, name, permissions, revision) VALUES ($1, $2, $3, $4, 1)",
			ids[i], f.tenant, fmt.Sprintf("role%d", i), held)
	}
	for i := range users {
		user := uuid.NewString()
		batch.Queue("INSERT INTO auth.users (id, tenant_id, email, username, password_hash) VALUES ($1, $2, $3, '', '')",
			user, f.tenant, fmt.Sprintf("user%d@bench.example", i))
		own := random.Perm(roles)[:rolesOfUser]
		for _, r := range own {
			batch.Queue("INSERT INTO rbac.bindings (id, tenant_id, user_id, role_id, revision) VALUES ($1, $2, $3, $4, 1)",
				uuid.NewString(), f.tenant, user, ids[r])
		}
		for _, r := range own {
			f.granted[user] = append(f.granted[user], granted[r])
		}
		f.ask(random, user)
	}
	return conn.SendBatch(ctx, batch).Close()
}

// ask adds questions about a user, allowed and denied in turn.
func (f *fixture) ask(random *rand.Rand, user string) {
	for want, left := true, questions/users+1; left > 0; {
		q := f.question(user, f.codes[random.IntN(len(f.codes))])
		if q.allowed != want {
			continue
		}
		f.questions = append(f.questions, q)
		want = !want
		left--
	}
}

func (f *fixture) question(user, code string) question {
	return question{
		user: user, permission: code, body: fmt.Appendf(nil, `{"user_id":%q,"permission":%q}`, user, code),
		allowed: slices.ContainsFunc(f.granted[user], func(role map[string]bool) bool { return role[code] }),
	}
}

// questionsOf is a batch of questions about a user.
func (f *fixture) questionsOf(user string) (all []question) {
	for _, code := range f.codes[:checksOfBatch] {
		all = append(all, f.question(user, code))
	}
	return all
}

// prepareModule gets the module its key, a person a token, and the module its
// connection.
func (f *fixture) prepareModule(ctx context.Context) error {
	key, err := kit.Call(ctx, f.core.Client, contract.CreateKey, &contract.CreateKeyRequest{Module: module, Environment: "dev", RateClass: "bulk"})
	if err != nil {
		return err
	}
	f.key, f.keyID = key.APIKey, key.ID
	if _, err := kit.Call(ctx, f.core.Client, contract.CreateUser, &contract.CreateUserRequest{
		TenantID: contract.ID(f.tenant), Email: f.email, Password: passwordOfTheAdmin,
	}); err != nil {
		return err
	}
	in, err := kit.Call(ctx, f.core.Client, contract.Login, &contract.LoginRequest{Email: f.email, Password: passwordOfTheAdmin})
	if err != nil {
		return err
	}
	f.token = in.AccessToken
	f.module, err = f.connect(ctx, f.core.NATSURL, nats.Token(f.key), nats.CustomInboxPrefix(natsconn.InboxPrefix(f.keyID)))
	return err
}

// connect makes a connection for each caller.
func (f *fixture) connect(ctx context.Context, url string, options ...nats.Option) ([]*nats.Conn, error) {
	all := make([]*nats.Conn, slices.Max(callers))
	for i := range all {
		var nc *nats.Conn
		var err error
		asCaller(ctx, func(context.Context) { nc, err = nats.Connect(url, options...) })
		if err != nil {
			return nil, err
		}
		f.stack.Push("caller", func(context.Context) error { nc.Close(); return nil })
		all[i] = nc
	}
	return all, nil
}

// startEcho runs a bare nats-server and a responder that reads and writes
// JSON and does nothing else.
func (f *fixture) startEcho(ctx context.Context) error {
	bare, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
	if err != nil {
		return err
	}
	go bare.Start()
	f.stack.Push("bare server", func(context.Context) error { bare.Shutdown(); return nil })
	if !bare.ReadyForConnections(5 * time.Second) {
		return errors.New("the bare nats-server does not start")
	}
	responder, err := nats.Connect(bare.ClientURL())
	if err != nil {
		return err
	}
	f.stack.Push("echo responder", func(context.Context) error { responder.Close(); return nil })
	for subject, answer := range map[string]func([]byte) []byte{"echo": echo, "echo.token": f.echoToken, "echo.batch": echoBatch} {
		if _, err := responder.Subscribe(subject, func(msg *nats.Msg) { _ = msg.Respond(answer(msg.Data)) }); err != nil {
			return err
		}
	}
	if err := responder.Flush(); err != nil {
		return err
	}
	f.echo, err = f.connect(ctx, bare.ClientURL())
	return err
}
