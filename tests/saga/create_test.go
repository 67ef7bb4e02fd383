// Package saga kills services, each at every step of what makes and what ends a
// tenant, and holds them to the same end.
package saga

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/tests/stack"
)

func TestMain(m *testing.M) { stack.Main(m) }

// step is one service's part of a saga: it ends with the event that it tells.
type step struct {
	service string
	tells   events.Kind
	what    string // part of the data, where the kind alone says too little
	// after is the step whose event begins this one.
	after *step
}

var (
	begins = &step{service: "tenant", tells: events.TenantProvisioning}
	makes  = &step{service: "auth", tells: events.AdministratorReady, after: begins}
	binds  = &step{service: "rbac", tells: events.AdministratorBound, after: makes}
	ends   = &step{service: "tenant", tells: events.TenantAdministered, what: "activated", after: binds}
)

// crash kills the step's service somewhere in its step while begin, which starts
// the saga, is under way.
type crash struct {
	name string
	run  func(t *testing.T, s *stack.Stack, at *step, begin func())
}

var crashes = []crash{
	{"before the step", func(t *testing.T, s *stack.Stack, at *step, begin func()) {
		h := newHold(t, s, written, at.after.tells, at.after.what)
		go begin()
		h.reached()
		s.Processes[at.service].Kill()
		h.release()
		awaitWork(t, s, at.service)
		s.Processes[at.service].Start()
	}},
	{"in the step", func(t *testing.T, s *stack.Stack, at *step, begin func()) {
		killAt(t, s, at, written, begin)
	}},
	{"after the commit, before the acknowledgement", func(t *testing.T, s *stack.Stack, at *step, begin func()) {
		killAt(t, s, at, committing, begin)
	}},
	{"after the acknowledgement, before the event is published", func(t *testing.T, s *stack.Stack, at *step, begin func()) {
		h := newHold(t, s, committing, at.tells, at.what)
		go begin()
		h.reached()
		speak := h.silence()
		h.open()
		if at.after != nil {
			awaitIdle(t, s, at.service)
		}
		s.Processes[at.service].Kill()
		speak()
		h.remove()
		s.Processes[at.service].Start()
	}},
	{"after the event is published", func(t *testing.T, s *stack.Stack, at *step, begin func()) {
		killAt(t, s, at, published, begin)
	}},
}

func killAt(t *testing.T, s *stack.Stack, at *step, moment when, begin func()) {
	t.Helper()
	h := newHold(t, s, moment, at.tells, at.what)
	go begin()
	h.reached()
	s.Processes[at.service].Kill()
	h.release()
	s.Processes[at.service].Start()
}

// consumer is the state of the consumer by which a service does its steps.
func consumer(t *testing.T, s *stack.Stack, service string) *jetstream.ConsumerInfo {
	t.Helper()
	js, err := jetstream.New(s.Operator)
	require.NoError(t, err)
	c, err := js.Consumer(stack.Context(t), events.EventsStream, service+"_lifecycle")
	require.NoError(t, err)
	info, err := c.Info(stack.Context(t))
	require.NoError(t, err)
	return info
}

// awaitWork waits until there is something for the service to do.
func awaitWork(t *testing.T, s *stack.Stack, service string) {
	t.Helper()
	require.Eventually(t, func() bool {
		info := consumer(t, s, service)
		return info.NumPending+uint64(info.NumAckPending) > 0
	}, stack.Timeout, 10*time.Millisecond)
}

// awaitIdle waits until the service has acknowledged all that there was to do.
func awaitIdle(t *testing.T, s *stack.Stack, service string) {
	t.Helper()
	require.Eventually(t, func() bool {
		info := consumer(t, s, service)
		return info.NumPending+uint64(info.NumAckPending) == 0
	}, stack.Timeout, 10*time.Millisecond)
}

// wanted is a tenant that is asked for.
type wanted struct{ code, email string }

func want() wanted {
	name := rand.Text()[:10]
	return wanted{"T" + name, strings.ToLower(name) + "@example.com"}
}

func (w wanted) request() *contract.CreateTenantRequest {
	return &contract.CreateTenantRequest{Code: w.code, Name: "Made by a saga", Administrator: &contract.TenantAdministrator{Email: w.email}}
}

// awaitState waits until the tenant of the code is in the state.
func (w wanted) awaitState(t *testing.T, s *stack.Stack, state string) (found contract.Tenant) {
	t.Helper()
	require.Eventually(t, func() bool {
		page, err := kit.Call(stack.Context(t), s.Core, contract.ListAllTenants, &contract.ListAllTenantsRequest{Search: w.code})
		if err != nil || len(page.Items) != 1 {
			return false
		}
		found = page.Items[0]
		return found.State == state
	}, 3*stack.Timeout, 20*time.Millisecond, "%s of %+v", state, found)
	return found
}

// isWhole holds a new tenant to what was asked for.
func (w wanted) isWhole(t *testing.T, s *stack.Stack) {
	t.Helper()
	tenant := w.awaitState(t, s, contract.TenantActive)
	require.Equal(t, 1, one[int](t, s, "SELECT count(*) FROM auth.users WHERE tenant_id = $1", tenant.ID), "one user")
	require.Equal(t, 1, one[int](t, s, "SELECT count(*) FROM auth.users WHERE email = $1", w.email))
	require.Equal(t, 1, one[int](t, s, "SELECT count(*) FROM rbac.bindings WHERE tenant_id = $1", tenant.ID), "one binding")
	user := one[string](t, s, "SELECT id::text FROM auth.users WHERE email = $1", w.email)
	require.Equal(t, user, one[string](t, s, "SELECT user_id::text FROM rbac.bindings WHERE tenant_id = $1", tenant.ID))
	require.Equal(t, 1, one[int](t, s, "SELECT count(*) FROM tenant.tenants WHERE code = $1", w.code))

	// The administrator comes in by the invitation, and may do everything.
	password := rand.Text()
	require.Eventually(t, func() bool {
		return slices.ContainsFunc(s.Mails(t), func(m stack.Mail) bool { return m.To == w.email })
	}, 3*time.Minute, 20*time.Millisecond, "an e-mail that a killed process had in work waits for its lease")
	link := s.LinkToken(t, w.email)
	eventually(t, func() error {
		_, err := kit.Call(stack.Context(t), s.Core, contract.ConfirmPasswordReset,
			&contract.ConfirmPasswordResetRequest{Token: link, NewPassword: password})
		return err
	})
	var in *contract.LoginResponse
	eventually(t, func() (err error) {
		in, err = kit.Call(stack.Context(t), s.Core, contract.Login, &contract.LoginRequest{Email: w.email, Password: password})
		return err
	})
	require.Equal(t, tenant.ID, in.User.TenantID)
	for _, permission := range []string{"users:delete:tenant", "tenants:update:tenant"} {
		eventually(t, func() error {
			answer, err := kit.Call(stack.Context(t), s.Core, contract.CheckPermission,
				&contract.CheckRequest{UserID: contract.ID(user), TenantID: contract.ID(tenant.ID), Permission: permission})
			if err == nil && !answer.Allowed {
				err = fmt.Errorf("%s is denied", permission)
			}
			return err
		})
	}
	over := stack.HTTPCaller{URL: s.HTTPURL, Bearer: in.AccessToken}
	eventually(t, func() error {
		out, refused := over.Call(t, contract.ReadTenant.Spec, `{"tenant_id":"`+tenant.ID+`"}`)
		if refused != nil {
			return refused
		}
		var detail contract.TenantDetail
		require.NoError(t, json.Unmarshal(out, &detail))
		if detail.Usage.Users != 1 {
			return fmt.Errorf("%d users", detail.Usage.Users)
		}
		require.Nil(t, detail.Progress)
		return nil
	})
}

// eventually waits for what travels by event, and for services that return.
func eventually(t *testing.T, try func() error) {
	t.Helper()
	var last error
	require.Eventually(t, func() bool {
		last = try()
		return last == nil
	}, 2*stack.Timeout, 20*time.Millisecond, "%v", last)
}

func TestATenantIsMadeWhateverIsKilled(t *testing.T) {
	t.Parallel()
	s := stack.Processes(t)
	for _, at := range []*step{begins, makes, binds, ends} {
		for _, c := range crashes {
			if t.Failed() {
				return // what is broken stays so
			}
			if at.after == nil && c.name == "before the step" {
				continue // it begins with a request
			}
			t.Run(at.service+" tells "+at.tells.Type()+", killed "+c.name, func(t *testing.T) {
				w := want()
				ctx := stack.Context(t)
				c.run(t, s, at, func() {
					_, _ = kit.Call(ctx, s.Core, contract.CreateTenant, w.request()) // whoever asks may hear nothing
				})
				if at == begins && c.name == "in the step" { // nothing was made
					require.Zero(t, one[int](t, s, "SELECT count(*) FROM tenant.tenants WHERE code = $1", w.code))
					eventually(t, func() error {
						_, err := kit.Call(stack.Context(t), s.Core, contract.CreateTenant, w.request())
						return err
					})
				}
				w.isWhole(t, s)
			})
		}
	}
}
