package webhooks

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/sealed"
)

func requireRefused(t *testing.T, code contract.Code, field string, err error) {
	t.Helper()
	var refused *contract.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, code, refused.Code, refused.Error())
	require.Equal(t, field, refused.Field, refused.Error())
}

// Exactly what somebody may hear arrives: a tenant's own, what a module is
// granted, of the types asked for.
func TestWhatMayBeHeardArrivesSignedAndNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ours, theirs := w.tenant(), w.tenant()
	all, users, theirAll, module, narrow := w.receiver(), w.receiver(), w.receiver(), w.receiver(), w.receiver()
	w.create(w.person(ours), all)
	w.create(w.person(ours), users, types("auth.user.*"))
	w.create(w.person(theirs), theirAll)
	w.create(w.module("crm", "crm-1"), module)
	w.create(w.module("crm", "crm-2", theirs), narrow)
	for _, tenant := range []string{ours, theirs} {
		w.grants.set(true, "crm", tenant, "auth.user.administered")
		w.grants.set(true, "crm", tenant, "tenant.unit.changed")
	}
	w.run(w.App)

	user := w.publish(events.UserAdministered, ours, events.UserChange{UserID: "u"})
	login := w.publish(events.LoginFailed, ours, events.Login{Reason: "password"})
	theirUser := w.publish(events.UserAdministered, theirs, events.UserChange{UserID: "u"})
	unit := w.publish(events.UnitChanged, theirs, contract.OrgUnit{ID: "u"})
	w.publish(events.TenantProvisioning, ours, events.TenantProvision{})                 // of no tenant's concern
	w.publish(events.SigningKeysChanged, "", events.SigningKeys{})                       // the platform's
	w.publish(events.UserAdministered, uuid.NewString(), events.UserChange{UserID: "u"}) // of a tenant that is not known
	last := []string{w.publish(events.UserAdministered, ours, events.UserChange{UserID: "u"}), w.publish(events.UserAdministered, theirs, events.UserChange{UserID: "u"})}

	for name, c := range map[string]struct {
		receiver *receiver
		want     []string
	}{
		"a tenant":           {all, []string{user, login, last[0]}},
		"a tenant's types":   {users, []string{user, last[0]}},
		"another tenant":     {theirAll, []string{theirUser, unit, last[1]}},
		"a module":           {module, []string{user, theirUser, unit, last[0], last[1]}},
		"a key for a tenant": {narrow, []string{theirUser, unit, last[1]}},
	} {
		got := c.receiver.takes(t, len(c.want))
		require.ElementsMatch(t, c.want, ids(got), name)
		for _, m := range got {
			require.Equal(t, "application/cloudevents+json; charset=utf-8", m.header.Get("Content-Type"))
			require.Equal(t, "Buildify-Webhooks/test", m.header.Get("User-Agent"))
		}
	}
	for _, r := range []*receiver{all, users, theirAll, module, narrow} {
		require.Empty(t, r.got)
	}
}

func TestAnEventArrivesAsItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant, r := w.tenant(), w.receiver()
	w.create(w.person(tenant), r)
	w.run(w.App)
	id := w.publish(events.LoginFailed, tenant, events.Login{Email: "ü<>&@example.com", Reason: "password"})
	got := r.takes(t, 1)[0]
	require.Equal(t, id, got.ID())
	require.Equal(t, events.LoginFailed.Type(), got.Type())
	require.Equal(t, "/core/auth", got.Source())
	require.Equal(t, tenant, events.Extension(got.Event, events.TenantID))
	login, err := events.Data[events.Login](got.Event)
	require.NoError(t, err)
	require.Equal(t, events.Login{Email: "ü<>&@example.com", Reason: "password"}, login)
}

func TestBothSecretsSignWhileARotationLasts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant, r := w.tenant(), w.receiver()
	ctx := w.person(tenant)
	webhook := w.create(ctx, r)
	w.run(w.App)
	first := slices.Clone(r.secrets)

	made, err := w.RotateSecret(ctx, &contract.RotateWebhookSecretRequest{WebhookID: contract.ID(webhook.ID)})
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(24*time.Hour), *made.Webhook.OldSecretUntil, time.Minute)
	w.publish(events.UserAdministered, tenant, events.UserChange{UserID: "u"})
	m := r.takes(t, 1)[0] // whose receiver knows the first alone
	require.Len(t, strings.Fields(m.header.Get("webhook-signature")), 2)
	r.secrets = []string{made.Secret}
	require.True(t, r.verifies(m), "the new one signs as well")

	ended, err := w.RotateSecret(ctx, &contract.RotateWebhookSecretRequest{WebhookID: contract.ID(webhook.ID), OverlapSeconds: new(int)})
	require.NoError(t, err)
	require.Nil(t, ended.Webhook.OldSecretUntil)
	r.trust(t, ended.Secret)
	w.publish(events.UserAdministered, tenant, events.UserChange{UserID: "u"})
	m = r.takes(t, 1)[0]
	require.Len(t, strings.Fields(m.header.Get("webhook-signature")), 1)
	r.secrets = append(first, made.Secret)
	require.False(t, r.verifies(m), "no old one signs")
	require.NotEqual(t, made.Secret, ended.Secret)
}

func TestSecretsAreSealedAndNeverShownAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, r := w.person(w.tenant()), w.receiver()
	made, err := w.Create(ctx, &contract.CreateWebhookRequest{URL: r.URL})
	require.NoError(t, err)
	key := strings.TrimPrefix(made.Secret, "whsec_")
	for _, table := range []string{"webhooks", "outbox"} {
		var rows string
		require.NoError(t, w.DB.In(bounded(t), database.Everything, func(tx pgx.Tx) error {
			return tx.QueryRow(bounded(t), "SELECT coalesce(string_agg(t::text, ''), '') FROM "+table+" t").Scan(&rows)
		}))
		require.NotEmpty(t, rows)
		require.NotContains(t, rows, key, table)
	}
	shown, err := json.Marshal([]any{w.get(ctx, made.Webhook.ID), w.told(events.WebhookChanged)})
	require.NoError(t, err)
	require.NotContains(t, string(shown), key)

	cfg := w.App.Config
	cfg.Secret, cfg.Metrics = []byte(strings.Repeat("t", 32)), prometheus.NewRegistry()
	_, err = New(bounded(t), cfg)
	require.ErrorIs(t, err, sealed.ErrSealed, "another installation's secret is told at the start")
}

func TestAWebhookIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ours, theirs, r := w.tenant(), w.tenant(), w.receiver()
	person, stranger := w.person(ours), w.person(theirs)
	wide, narrow, other := w.module("crm", "crm-1"), w.module("crm", "crm-2", ours), w.module("erp", "erp-1")
	tenants, wides := w.create(person, r), w.create(wide, r)
	narrows := w.create(narrow, r)
	require.Equal(t, []string{ours}, narrows.Tenants)
	seen := func(ctx context.Context) (ids []string) {
		page, err := w.List(ctx, &contract.ListWebhooksRequest{})
		require.NoError(t, err)
		for _, webhook := range page.Items {
			ids = append(ids, webhook.ID)
		}
		return ids
	}
	require.Equal(t, []string{tenants.ID}, seen(person))
	require.Equal(t, []string{wides.ID, narrows.ID}, seen(wide))
	require.Equal(t, []string{narrows.ID}, seen(narrow), "a key for some tenants sees none that hears of others")
	require.Empty(t, seen(stranger))
	require.Empty(t, seen(other))

	for who, c := range map[string]struct {
		ctx context.Context
		id  string
	}{
		"another tenant": {stranger, tenants.ID}, "a module of a tenant's": {wide, tenants.ID}, "a person of a module's": {person, wides.ID},
		"another module": {other, wides.ID}, "a key for some tenants": {narrow, wides.ID}, "nobody's": {person, uuid.NewString()},
	} {
		id := contract.ID(c.id)
		for op, call := range map[string]func() error{
			"get":    func() error { _, err := w.Get(c.ctx, &contract.WebhookRequest{WebhookID: id}); return err },
			"update": func() error { _, err := w.Update(c.ctx, &contract.UpdateWebhookRequest{WebhookID: id}); return err },
			"delete": func() error { _, err := w.Delete(c.ctx, &contract.DeleteWebhookRequest{WebhookID: id}); return err },
			"rotate": func() error {
				_, err := w.RotateSecret(c.ctx, &contract.RotateWebhookSecretRequest{WebhookID: id})
				return err
			},
			"test": func() error { _, err := w.Test(c.ctx, &contract.WebhookRequest{WebhookID: id}); return err },
			"deliveries": func() error {
				_, err := w.Deliveries(c.ctx, &contract.ListDeliveriesRequest{WebhookID: id})
				return err
			},
			"delivery": func() error {
				_, err := w.Delivery(c.ctx, &contract.DeliveryRequest{WebhookID: id, DeliveryID: id})
				return err
			},
			"retry": func() error {
				_, err := w.Retry(c.ctx, &contract.DeliveryRequest{WebhookID: id, DeliveryID: id})
				return err
			},
			"replay": func() error { _, err := w.Replay(c.ctx, &contract.ReplayWebhookRequest{WebhookID: id}); return err },
		} {
			err := call()
			require.Error(t, err, "%s by %s", op, who)
			requireRefused(t, contract.NotFound, "", err)
			require.Equal(t, contract.Missing("webhook").Error(), err.Error())
		}
	}
	require.Empty(t, r.got)
}

func TestWhoMayNameWhom(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ours, theirs, r := w.tenant(), w.tenant(), w.receiver()
	for what, c := range map[string]struct {
		ctx     context.Context
		request contract.CreateWebhookRequest
		code    contract.Code
		field   string
	}{
		"a person and another tenant":         {w.person(ours), contract.CreateWebhookRequest{TenantID: contract.ID(theirs)}, contract.NotFound, ""},
		"a person and a module":               {w.person(ours), contract.CreateWebhookRequest{Module: "crm"}, contract.PermissionDenied, "module"},
		"a person and tenants":                {w.person(ours), contract.CreateWebhookRequest{Tenants: []string{ours}}, contract.InvalidArgument, "tenants"},
		"a module and a tenant":               {w.module("crm", "k"), contract.CreateWebhookRequest{TenantID: contract.ID(ours)}, contract.InvalidArgument, "tenant_id"},
		"a module and another":                {w.module("crm", "k"), contract.CreateWebhookRequest{Module: "erp"}, contract.NotFound, ""},
		"a key and tenants it is no good for": {w.module("crm", "k", ours), contract.CreateWebhookRequest{Tenants: []string{ours, theirs}}, contract.NotFound, "tenants"},
	} {
		c.request.URL = r.URL
		_, err := w.Create(c.ctx, &c.request)
		require.Error(t, err, what)
		requireRefused(t, c.code, c.field, err)
	}
	made, err := w.Create(w.module("crm", "k"), &contract.CreateWebhookRequest{URL: r.URL, Module: "crm", Tenants: []string{strings.ToUpper(ours), ours}})
	require.NoError(t, err)
	require.Equal(t, []string{ours}, made.Webhook.Tenants)
	require.Equal(t, "crm", made.Webhook.OwnerID)
}

func TestAnOwnerHasSoManyWebhooks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant, r := w.tenant(), w.receiver()
	failures := make(chan error, contract.MaxWebhooks+5)
	for range cap(failures) {
		go func() {
			_, err := w.Create(w.person(tenant), &contract.CreateWebhookRequest{URL: r.URL})
			failures <- err
		}()
	}
	refused := 0
	for range cap(failures) {
		if err := <-failures; err != nil {
			requireRefused(t, contract.Conflict, "", err)
			refused++
		}
	}
	require.Equal(t, 5, refused)
	w.create(w.person(w.tenant()), r)

	var seen []string
	request := &contract.ListWebhooksRequest{Limit: 7}
	for more := true; more; more = request.Cursor != "" {
		page, err := w.List(w.person(tenant), request)
		require.NoError(t, err)
		for _, webhook := range page.Items {
			seen = append(seen, webhook.ID)
		}
		request.Cursor = page.NextCursor
	}
	require.Len(t, seen, contract.MaxWebhooks)
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(seen))), contract.MaxWebhooks)
	_, err := w.List(w.person(tenant), &contract.ListWebhooksRequest{Cursor: "x"})
	requireRefused(t, contract.InvalidArgument, "cursor", err)
}

func TestAChangeIsToldAndMindsTheRevision(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, r, other := w.person(w.tenant()), w.receiver(), w.receiver()
	webhook := w.create(ctx, r)
	id := contract.ID(webhook.ID)
	require.Equal(t, []string{"**"}, webhook.Types)
	changed, err := w.Update(ctx, &contract.UpdateWebhookRequest{
		WebhookID: id, URL: &other.URL, Types: &[]string{"auth.**"}, Description: ptr("d"), Revision: 1,
	})
	require.NoError(t, err)
	require.Equal(t, []any{other.URL, []string{"auth.**"}, "d", true, int64(2)},
		[]any{changed.URL, changed.Types, changed.Description, changed.Enabled, changed.Revision})
	_, err = w.Update(ctx, &contract.UpdateWebhookRequest{WebhookID: id, Revision: 1})
	requireRefused(t, contract.Conflict, "", err)
	_, err = w.RotateSecret(ctx, &contract.RotateWebhookSecretRequest{WebhookID: id, Revision: 1})
	requireRefused(t, contract.Conflict, "", err)
	_, err = w.Update(ctx, &contract.UpdateWebhookRequest{WebhookID: id, URL: ptr("ftp://example.com")})
	requireRefused(t, contract.InvalidArgument, "url", err)
	off, err := w.Update(ctx, &contract.UpdateWebhookRequest{WebhookID: id, Enabled: new(bool)})
	require.NoError(t, err)
	require.False(t, off.Enabled)
	require.NotNil(t, off.DisabledAt)
	require.NotEmpty(t, off.DisabledReason)
	_, err = w.Delete(ctx, &contract.DeleteWebhookRequest{WebhookID: id, Revision: 2})
	requireRefused(t, contract.Conflict, "", err)
	_, err = w.Delete(ctx, &contract.DeleteWebhookRequest{WebhookID: id, Revision: 3})
	require.NoError(t, err)
	_, err = w.Get(ctx, &contract.WebhookRequest{WebhookID: id})
	requireRefused(t, contract.NotFound, "", err)
	require.Equal(t, []events.WebhookChange{
		{ID: webhook.ID, Change: "created"},
		{ID: webhook.ID, Change: "updated", Fields: []string{"url", "types", "description"}},
		{ID: webhook.ID, Change: "updated", Fields: []string{"enabled"}},
		{ID: webhook.ID, Change: "deleted"},
	}, w.told(events.WebhookChanged))
}

func ptr[T any](v T) *T { return &v }

func TestATestTellsHowItWentAndIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant, r := w.tenant(), w.receiver()
	ctx := w.person(tenant)
	webhook := w.create(ctx, r, types("auth.user.administered"))
	id := contract.ID(webhook.ID)
	w.run(w.App)
	_, err := w.Update(ctx, &contract.UpdateWebhookRequest{WebhookID: id, Enabled: new(bool)})
	require.NoError(t, err)

	good, err := w.Test(ctx, &contract.WebhookRequest{WebhookID: id})
	require.NoError(t, err)
	require.Equal(t, "sent", good.Delivery.State)
	require.Equal(t, http.StatusNoContent, good.Attempts[0].Status)
	m := r.takes(t, 1)[0]
	require.Equal(t, events.WebhookTest.Type(), m.Type())
	require.Equal(t, good.Delivery.EventID, m.header.Get("webhook-id"))

	r.answers(func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, "no such hook", http.StatusGone) })
	bad, err := w.Test(ctx, &contract.WebhookRequest{WebhookID: id})
	require.NoError(t, err)
	require.Equal(t, "failed", bad.Delivery.State)
	require.Len(t, bad.Attempts, 1)
	require.Equal(t, http.StatusGone, bad.Attempts[0].Status)
	require.Equal(t, "no such hook\n", bad.Attempts[0].Answer)
	require.Equal(t, "somebody disabled it", w.get(ctx, webhook.ID).DisabledReason, "a test says nothing about its record")
	require.Len(t, r.takes(t, 1), 1)
	require.Empty(t, r.got)
}

func TestAnErasedTenantLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gone, stays, r := w.tenant(), w.tenant(), w.receiver()
	module := w.module("crm", "crm-1")
	webhook := w.create(module, r)
	w.create(w.person(gone), r)
	kept := w.create(w.person(stays), r)
	for _, tenant := range []string{gone, stays} {
		w.grants.set(true, "crm", tenant, "auth.user.administered")
	}
	w.run(w.App)
	for _, tenant := range []string{gone, stays} {
		w.publish(events.UserAdministered, tenant, events.UserChange{UserID: "u"})
	}
	r.takes(t, 4)
	w.settled(module, webhook.ID, 2)
	require.NoError(t, w.Erase(bounded(t), gone))
	page, err := w.List(w.person(gone), &contract.ListWebhooksRequest{})
	require.NoError(t, err)
	require.Empty(t, page.Items)
	left := w.settled(module, webhook.ID, 1)
	require.Len(t, left, 1, "what others were sent of it is gone too")
	require.Equal(t, stays, left[0].TenantID)
	require.Len(t, w.settled(w.person(stays), kept.ID, 1), 1)
}

func TestTheLogKeepsThirtyDays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant, r := w.tenant(), w.receiver()
	ctx := w.person(tenant)
	webhook, deleted := w.create(ctx, r), w.create(ctx, r)
	w.run(w.App)
	for range 3 {
		w.publish(events.UserAdministered, tenant, events.UserChange{UserID: "u"})
	}
	r.takes(t, 6)
	all := w.settled(ctx, webhook.ID, 3)
	w.settled(ctx, deleted.ID, 3)
	_, err := w.Delete(ctx, &contract.DeleteWebhookRequest{WebhookID: contract.ID(deleted.ID)})
	require.NoError(t, err)
	require.NoError(t, w.DB.In(bounded(t), tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(bounded(t), "UPDATE webhook_deliveries SET created_at = now() - interval '31 days' WHERE id = $1", all[1].ID)
		return err
	}))
	gone, err := w.Sweep(bounded(t))
	require.NoError(t, err)
	require.EqualValues(t, 1+3, gone, "what is old, and what a deleted webhook left")
	left := w.settled(ctx, webhook.ID, 2)
	require.Len(t, left, 2)
	var attempts int
	require.NoError(t, w.DB.In(bounded(t), database.Everything, func(tx pgx.Tx) error {
		return tx.QueryRow(bounded(t), "SELECT count(*) FROM webhook_attempts").Scan(&attempts)
	}))
	require.Equal(t, 2, attempts)
}
