// Package webhooks holds webhooks to what they promise, with everything real:
// the services as processes, the bus, the database, and receivers made with the
// SDK.
package webhooks

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/tests/stack"
)

func TestMain(m *testing.M) { stack.Main(m) }

// hook is a webhook of a tenant that leads to a receiver.
type hook struct {
	*receiver
	id contract.ID
}

func newHook(t testing.TB, s *stack.Stack, c *stack.Company, types ...string) *hook {
	t.Helper()
	r := newReceiver(t)
	made := stack.Do(t, s, contract.CreateWebhook, &contract.CreateWebhookRequest{TenantID: contract.ID(c.Tenant.ID), URL: r.url(), Types: types})
	r.signs(made.Secret)
	return &hook{r, contract.ID(made.Webhook.ID)}
}

// companies creates companies in a tenant's org tree; it returns their ids.
func companies(t testing.TB, s *stack.Stack, c *stack.Company, n int) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for range n {
		code := fmt.Sprintf("C%08x", rand.Uint32())
		unit := stack.Do(t, s, contract.CreateUnit, &contract.CreateUnitRequest{TenantID: contract.ID(c.Tenant.ID), Kind: contract.Company, Code: code, Name: code})
		all[unit.ID] = true
	}
	return all
}

// requireUnits holds that the events are of these units, one of each, in this
// tenant.
func requireUnits(t testing.TB, c *stack.Company, want map[string]bool, got map[string]events.Event) {
	t.Helper()
	require.Equal(t, want, unitsOf(t, c, got))
	require.Len(t, got, len(want))
}

// unitsOf are the units, by id, that events are of, all of one tenant.
func unitsOf(t testing.TB, c *stack.Company, got map[string]events.Event) map[string]bool {
	t.Helper()
	seen := map[string]bool{}
	for _, e := range got {
		require.True(t, events.UnitChanged.Is(e), e.Type())
		require.Equal(t, c.Tenant.ID, events.Extension(e, events.TenantID))
		unit, err := events.Data[contract.OrgUnit](e)
		require.NoError(t, err)
		seen[unit.ID] = true
	}
	return seen
}

// Service audit, which takes events in and sends them, is killed again and again
// while it does: before, between and after each of its steps.
func TestEachEventArrivesHoweverOftenTheSenderIsKilled(t *testing.T) {
	t.Parallel()
	s := stack.Processes(t)
	ours, theirs := s.Company(t), s.Company(t)
	h := newHook(t, s, ours, "tenant.unit.*")
	var changing sync.WaitGroup
	stop := make(chan struct{})
	want := map[string]bool{}
	changing.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			for id := range companies(t, s, ours, 1) {
				want[id] = true
			}
			companies(t, s, theirs, 1)
		}
	})
	const kills = 6
	for range kills {
		h.mu.Lock()
		then := h.times + 1 + rand.IntN(10) // some way into its work, another way each time
		h.mu.Unlock()
		h.await("some messages", func() bool { return h.times >= then })
		s.Processes["audit"].Kill()
		s.Processes["audit"].Start()
	}
	close(stop)
	changing.Wait()
	requireUnits(t, ours, want, h.has(len(want)))
	h.mu.Lock()
	defer h.mu.Unlock()
	require.Zero(t, h.refused, "each signature verifies")
	t.Logf("%d kills: %d events acknowledged, %d present, %d messages repeated", kills, len(want), len(h.got), h.times-len(h.got))
}

func TestAReceiverThatIsDownGetsAllWhenItIsBack(t *testing.T) {
	t.Parallel()
	s := stack.Processes(t)
	c := s.Company(t)
	h := newHook(t, s, c, "tenant.unit.*")
	h.stop()
	want := companies(t, s, c, 20)
	require.Eventually(t, func() bool {
		waiting := stack.Do(t, s, contract.ListDeliveries, &contract.ListDeliveriesRequest{
			TenantID: contract.ID(c.Tenant.ID), WebhookID: h.id, State: "waiting", Limit: 500,
		}).Items
		tried := 0
		for _, d := range waiting {
			if d.Attempts > 0 {
				tried++
			}
		}
		return tried == len(want)
	}, stack.Timeout, 20*time.Millisecond)
	h.start()
	requireUnits(t, c, want, h.has(len(want)))

	// One that is gone is disabled, which the tenant hears of elsewhere; what it
	// missed is replayed.
	other := newHook(t, s, c, "audit.webhook.disabled")
	h.answers(http.StatusGone)
	for id := range companies(t, s, c, 1) {
		want[id] = true
	}
	for _, e := range other.has(1) {
		told, err := events.Data[events.WebhookChange](e)
		require.NoError(t, err)
		require.Equal(t, string(h.id), told.ID)
		require.Contains(t, told.Reason, "410")
	}
	for id := range companies(t, s, c, 3) {
		want[id] = true
	}
	missed := func() []contract.Delivery {
		return stack.Do(t, s, contract.ListDeliveries, &contract.ListDeliveriesRequest{
			TenantID: contract.ID(c.Tenant.ID), WebhookID: h.id, State: "missed",
		}).Items
	}
	require.Eventually(t, func() bool { return len(missed()) == 3 }, stack.Timeout, 20*time.Millisecond)
	h.answers(0)
	enabled := true
	stack.Do(t, s, contract.UpdateWebhook, &contract.UpdateWebhookRequest{TenantID: contract.ID(c.Tenant.ID), WebhookID: h.id, Enabled: &enabled})
	replayed := stack.Do(t, s, contract.ReplayWebhook, &contract.ReplayWebhookRequest{TenantID: contract.ID(c.Tenant.ID), WebhookID: h.id})
	require.Equal(t, 3, replayed.Deliveries)
	requireUnits(t, c, want, h.has(len(want)))
}

// A module hears what its manifest subscribes to, in the tenants that consented,
// while they do.
func TestAModuleHearsWhatItIsGrantedAndNothingElse(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	ours, theirs, module := s.Company(t), s.Company(t), fmt.Sprintf("h%08x", rand.Uint32())
	manifest := stack.Scopes("events:tenant.unit.*")
	manifest["events"] = map[string]any{"subscribes": []string{"tenant.unit.*"}}
	ours.Publish(t, module, "1.0.0", manifest)
	ours.Install(t, module, "", "events:tenant.unit.*")
	key := stack.Do(t, s, contract.CreateKey, &contract.CreateKeyRequest{Module: module, Environment: "dev"}).APIKey

	r := newReceiver(t)
	out, refused := stack.HTTPCaller{URL: s.HTTPURL, APIKey: key}.Call(t, contract.CreateWebhook.Spec, `{"url":"`+r.url()+`"}`)
	require.Nil(t, refused)
	var made contract.WebhookSecret
	require.NoError(t, json.Unmarshal(out, &made))
	require.Equal(t, module, made.Webhook.OwnerID)
	r.signs(made.Secret)

	// The grant arrives by event, as all do.
	want := map[string]bool{}
	require.Eventually(t, func() bool {
		for id := range companies(t, s, ours, 1) {
			want[id] = true
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.got) > 0
	}, stack.Timeout, 50*time.Millisecond)
	companies(t, s, theirs, 3)
	for id := range companies(t, s, ours, 5) {
		want[id] = true
		r.await("each unit from then on", func() bool { return unitsOf(t, ours, r.got)[id] })
	}
	for id := range unitsOf(t, ours, r.has(1)) {
		require.True(t, want[id])
	}

	ours.EnableModule(t, module, false)
	tenants := newHook(t, s, ours, "tenant.unit.*")
	require.Eventually(t, func() bool { // until the services know
		r.mu.Lock()
		before := len(r.got)
		r.mu.Unlock()
		tenants.mu.Lock()
		heard := len(tenants.got)
		tenants.mu.Unlock()
		companies(t, s, ours, 1)
		tenants.has(heard + 1)
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.got) == before
	}, stack.Timeout, 50*time.Millisecond, "it hears on")
	require.Zero(t, r.refused)
}

func TestTheCommandLineAdministersWebhooks(t *testing.T) {
	t.Parallel()
	s := stack.Processes(t)
	c := s.Company(t)
	r := newReceiver(t)
	buildify := func(answer any, args ...string) {
		t.Helper()
		args = append(args, "--nats-url", s.NATSURL, "--credentials", s.Credentials, "--tenant", c.Tenant.Code, "--json")
		out, err := exec.CommandContext(stack.Context(t), stack.Build(t, "github.com/buildify/core/cmd/buildify"), append([]string{"webhook"}, args...)...).Output()
		require.NoError(t, err, "%v: %s", args, out)
		require.NoError(t, json.Unmarshal(out, answer), string(out))
	}
	var made contract.WebhookSecret
	buildify(&made, "create", r.url(), "--types", "tenant.unit.*", "--description", "the tests")
	r.signs(made.Secret)
	id := made.Webhook.ID

	var tried contract.DeliveryDetail
	buildify(&tried, "test", id)
	require.Equal(t, "sent", tried.Delivery.State)
	require.Equal(t, http.StatusNoContent, tried.Attempts[0].Status)
	want := companies(t, s, c, 2)
	r.has(3)

	var rotated contract.WebhookSecret
	buildify(&rotated, "rotate", id, "--overlap", "1h")
	require.NotEqual(t, made.Secret, rotated.Secret)
	for more := range companies(t, s, c, 1) {
		want[more] = true
	}
	r.has(4) // it knows the old secret alone
	r.signs(made.Secret + " " + rotated.Secret)

	var replayed contract.ReplayWebhookResponse
	buildify(&replayed, "replay", id, "--all", "--since", "1h")
	require.GreaterOrEqual(t, replayed.Deliveries, 1)
	var log contract.ListDeliveriesResponse
	buildify(&log, "deliveries", id)
	require.Len(t, log.Items, 4)

	var webhook contract.Webhook
	buildify(&webhook, "update", id, "--disable")
	require.False(t, webhook.Enabled)
	var all []contract.Webhook
	buildify(&all, "list")
	require.Len(t, all, 1)
	buildify(&webhook, "show", id)
	require.Equal(t, "the tests", webhook.Description)
	buildify(&struct{}{}, "delete", id)
	buildify(&all, "list")
	require.Empty(t, all)
	require.Zero(t, r.refused)
}
