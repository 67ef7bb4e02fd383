package parity

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

// hookReceiver takes whatever webhooks bring, for all stacks.
var hookReceiver = sync.OnceValue(func() string {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })).URL
})

// webhookSamples are of webhooks: people's are their tenant's, modules' their
// own.
func webhookSamples() map[string]sample {
	return map[string]sample{
		"audit.create_webhook": {own: true, regardless: true, request: func(*testing.T, *fixture) request {
			return fields{"url": hookReceiver(), "types": []string{"auth.user.*"}}.request()
		}},
		"audit.list_webhooks": {
			own: true, regardless: true, varies: "next_cursor",
			request: func(t *testing.T, f *fixture) request {
				f.webhook(t, contract.ID(f.ours.Tenant.ID), "")
				return fields{"limit": 500}.request()
			},
			byModule: func(t *testing.T, f *fixture) request {
				f.webhook(t, "", f.ours.Module)
				return fields{"limit": 500}.request()
			},
			want: func(t *testing.T, _ *fixture, got map[string]any) { require.NotEmpty(t, got["items"]) },
		},
		"audit.get_webhook":           aboutWebhook(nil, false),
		"audit.update_webhook":        aboutWebhook(fields{"description": "d", "types": []string{"auth.**"}}, false),
		"audit.delete_webhook":        aboutWebhook(nil, false),
		"audit.rotate_webhook_secret": aboutWebhook(fields{"overlap_seconds": 60}, false),
		"audit.test_webhook":          aboutWebhook(nil, false),
		"audit.list_deliveries":       aboutWebhook(nil, true),
		"audit.get_delivery":          aboutDelivery(),
		"audit.retry_delivery":        aboutDelivery(),
		"audit.replay_webhook":        aboutWebhook(nil, true),
	}
}

// webhook makes one of a tenant's, or of a module's for ours, by the operator.
func (f *fixture) webhook(t *testing.T, tenant contract.ID, module string) contract.Webhook {
	t.Helper()
	r := &contract.CreateWebhookRequest{TenantID: tenant, Module: module, URL: hookReceiver(), Types: []string{"auth.nothing.*"}}
	if module != "" {
		r.Tenants = []string{f.ours.Tenant.ID}
	}
	made := stack.Do(t, f.s, contract.CreateWebhook, r).Webhook
	t.Cleanup(func() { // an owner may have so many; some are gone already
		page := stack.Do(t, f.s, contract.ListWebhooks, &contract.ListWebhooksRequest{TenantID: tenant, Module: module, Limit: 500})
		for _, w := range page.Items {
			if w.ID == made.ID {
				stack.Do(t, f.s, contract.DeleteWebhook, &contract.DeleteWebhookRequest{TenantID: tenant, Module: module, WebhookID: contract.ID(w.ID)})
			}
		}
	})
	return made
}

// tried is a webhook with a delivery, sent.
func (f *fixture) tried(t *testing.T, tenant contract.ID, module string) contract.Delivery {
	t.Helper()
	w := f.webhook(t, tenant, module)
	return stack.Do(t, f.s, contract.TestWebhook, &contract.WebhookRequest{TenantID: tenant, Module: module, WebhookID: contract.ID(w.ID)}).Delivery
}

// aboutWebhook samples what is done with a webhook, one that was tried.
func aboutWebhook(more fields, tried bool) sample {
	with := func(id string) request {
		r := fields{"webhook_id": id}
		for name, value := range more {
			r[name] = value
		}
		return r.request()
	}
	of := func(t *testing.T, f *fixture, tenant contract.ID, module string) request {
		if tried {
			return with(f.tried(t, tenant, module).WebhookID)
		}
		return with(f.webhook(t, tenant, module).ID)
	}
	return sample{
		regardless: true,
		request:    func(t *testing.T, f *fixture) request { return of(t, f, contract.ID(f.ours.Tenant.ID), "") },
		byModule:   func(t *testing.T, f *fixture) request { return of(t, f, "", f.ours.Module) },
		foreign:    func(t *testing.T, f *fixture) request { return of(t, f, contract.ID(f.theirs.Tenant.ID), "") },
		absent:     func(*testing.T, *fixture) request { return with(uuid.NewString()) },
	}
}

// aboutDelivery samples what is done with a delivery.
func aboutDelivery() sample {
	of := func(t *testing.T, f *fixture, tenant contract.ID, module string) request {
		d := f.tried(t, tenant, module)
		return fields{"webhook_id": d.WebhookID, "delivery_id": d.ID}.request()
	}
	return sample{
		regardless: true,
		request:    func(t *testing.T, f *fixture) request { return of(t, f, contract.ID(f.ours.Tenant.ID), "") },
		byModule:   func(t *testing.T, f *fixture) request { return of(t, f, "", f.ours.Module) },
		foreign:    func(t *testing.T, f *fixture) request { return of(t, f, contract.ID(f.theirs.Tenant.ID), "") },
		absent: func(*testing.T, *fixture) request {
			return fields{"webhook_id": uuid.NewString(), "delivery_id": uuid.NewString()}.request()
		},
	}
}
