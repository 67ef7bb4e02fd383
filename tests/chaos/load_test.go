package chaos

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/sdk"
	"github.com/buildify/core/tests/stack"
)

// load is a tenant whose modules log and whose people change things, without
// pause, and what became of each try.
type load struct {
	world   *world
	company *stack.Company

	mu     sync.Mutex
	logs   map[string]*attempt // what modules logged, by the resource's id
	rows   map[string]*attempt // rows that changes make, by "<kind> <name>"
	errors map[string]int

	acked   atomic.Int64 // logs
	changed atomic.Int64 // rows
	stop    context.CancelFunc
	writing sync.WaitGroup
}

// attempt is one call. When acked, id is the event's or the row's.
type attempt struct {
	writer string
	n      int
	acked  bool
	id     string
}

// chaosAction is what the load logs.
const chaosAction = "chaos.logged"

// startLoad makes a tenant and starts to write in it.
func startLoad(t *testing.T, w *world) *load {
	t.Helper()
	l := &load{world: w, company: w.Company(t), logs: map[string]*attempt{}, rows: map[string]*attempt{}, errors: map[string]int{}}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	t.Cleanup(l.finish)
	for name, cfg := range map[string]sdk.Config{
		"http": {APIURL: w.HTTPURL, APIKey: l.company.APIKey}, "nats": {NATSURL: w.NATSURL, APIKey: l.company.APIKey},
	} {
		client, err := sdk.New(stack.Context(t), cfg)
		require.NoError(t, err)
		t.Cleanup(func() { _ = client.Close() })
		for i := range 2 {
			l.write(ctx, fmt.Sprint(name, i), func(ctx context.Context, writer string, n int) { l.log(ctx, client, writer, n) })
		}
	}
	for kind, make := range map[string]func(context.Context, string) (string, error){"unit": l.makeUnit, "role": l.makeRole, "user": l.makeUser} {
		l.write(ctx, kind, func(ctx context.Context, writer string, n int) { l.change(ctx, kind, make, n) })
	}
	return l
}

// write tries again and again until the load is stopped.
func (l *load) write(ctx context.Context, writer string, try func(ctx context.Context, writer string, n int)) {
	l.writing.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			// What is in work when the load ends is finished: its answer counts.
			bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
			try(bounded, writer, n)
			cancel()
		}
	})
}

func (l *load) log(ctx context.Context, client *sdk.Client, writer string, n int) {
	resource := fmt.Sprintf("%s-%d", writer, n)
	l.note(l.logs, resource, attempt{writer: writer, n: n})
	answer, err := sdk.Call(ctx, client.Transport(), contract.LogAudit, &contract.LogAuditRequest{
		UserID: contract.ID(l.company.Reader.ID), Action: chaosAction, ResourceType: "thing", ResourceID: contract.ID(resource),
	})
	if err != nil {
		l.refused("audit.log", err)
		return
	}
	l.note(l.logs, resource, attempt{writer: writer, n: n, acked: true, id: answer.ID})
	l.acked.Add(1)
}

func (l *load) change(ctx context.Context, kind string, make func(context.Context, string) (string, error), n int) {
	name := "x" + strings.ToLower(rand.Text())
	key := kind + " " + name
	l.note(l.rows, key, attempt{writer: kind, n: n})
	id, err := make(ctx, name)
	if err != nil {
		l.refused(kind, err)
		return
	}
	l.note(l.rows, key, attempt{writer: kind, n: n, acked: true, id: id})
	l.changed.Add(1)
	select { // the trail is what is to be busy, not PostgreSQL
	case <-time.After(15 * time.Millisecond):
	case <-ctx.Done():
	}
}

func (l *load) makeUnit(ctx context.Context, name string) (string, error) {
	made, err := kit.Call(ctx, l.world.Core, contract.CreateUnit, &contract.CreateUnitRequest{
		TenantID: contract.ID(l.company.Tenant.ID), Kind: "company", Code: name[:12], Name: name,
	})
	if err != nil {
		return "", err
	}
	return made.ID, nil
}

func (l *load) makeRole(ctx context.Context, name string) (string, error) {
	made, err := kit.Call(ctx, l.world.Core, contract.CreateRole, &contract.CreateRoleRequest{
		TenantID: contract.ID(l.company.Tenant.ID), Name: name, Permissions: []string{l.company.Module + ":a:b"},
	})
	if err != nil {
		return "", err
	}
	return made.ID, nil
}

func (l *load) makeUser(ctx context.Context, name string) (string, error) {
	made, err := kit.Call(ctx, l.world.Core, contract.CreateUser, &contract.CreateUserRequest{
		TenantID: contract.ID(l.company.Tenant.ID), Email: name + "@example.com",
	})
	if err != nil {
		return "", err
	}
	return made.ID, nil
}

func (l *load) note(in map[string]*attempt, key string, a attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	in[key] = &a
}

// refused counts an error by its code, and takes it easy.
func (l *load) refused(what string, err error) {
	code := "no code"
	var e *contract.Error
	if errors.As(err, &e) {
		code = string(e.Code)
	}
	passing := []string{string(contract.Unavailable), string(contract.DeadlineExceeded)}
	if !slices.Contains(passing, code) {
		code += ": " + err.Error()
	}
	l.mu.Lock()
	l.errors[what+" "+code]++
	l.mu.Unlock()
	<-time.After(5 * time.Millisecond)
}

// progress waits until some more events were acknowledged and rows made: that
// needs no hands, whatever happened before.
func (l *load) progress(t *testing.T, logs, rows int) {
	t.Helper()
	acked, changed := l.acked.Load()+int64(logs), l.changed.Load()+int64(rows)
	require.Eventually(t, func() bool { return l.acked.Load() >= acked && l.changed.Load() >= changed },
		patience, time.Millisecond, "the platform takes no more: %v", l)
}

// String tells how far the load is.
func (l *load) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Sprintf("%d logs and %d rows acknowledged, errors %v", l.acked.Load(), l.changed.Load(), l.errors)
}

// finish ends the writing and waits for the last answers. It is idempotent.
func (l *load) finish() {
	l.stop()
	l.writing.Wait()
}
