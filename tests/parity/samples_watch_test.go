package parity

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

// watchSamples are of following trails, alerts, retention and holds.
func watchSamples() map[string]sample {
	elsewhere := &contract.Error{Code: contract.PermissionDenied, Field: "tenant_id"}
	rule := fields{"actions": []string{"auth.login.*"}, "outcome": "failure", "count": 5, "window_seconds": 60, "per": "address"}
	return map[string]sample{
		"audit.follow": {
			request: func(_ *testing.T, f *fixture) request {
				return fields{"tenant_id": f.ours.Tenant.ID, "after": 0, "action": "company.*", "outcome": "success", "limit": 1}.request()
			},
			elsewhere: elsewhere,
			want: func(t *testing.T, f *fixture, got map[string]any) {
				require.Equal(t, f.ours.Tenant.ID, got["tenant_id"])
				one(t, f, got)
			},
		},
		"audit.create_alert": {request: func(*testing.T, *fixture) request {
			return fields{"name": fresh(), "rule": rule, "disabled": true}.request()
		}, want: has("enabled", false)},
		"audit.list_alerts": {request: func(t *testing.T, f *fixture) request {
			return fields{"search": newAlert(t, f, f.ours).Name, "limit": 5}.request()
		}, want: one},
		"audit.get_alert": aboutAlert(nil, nil),
		"audit.update_alert": aboutAlert(func(*testing.T, *fixture, *contract.AuditAlert) fields {
			return fields{"rule": rule, "enabled": false}
		}, has("revision", 2.)),
		"audit.delete_alert": aboutAlert(func(_ *testing.T, _ *fixture, made *contract.AuditAlert) fields {
			if made == nil {
				return fields{}
			}
			return fields{"revision": made.Revision}
		}, nil),
		"audit.test_alert": {request: func(*testing.T, *fixture) request {
			return fields{"rule": rule, "events": 10}.request()
		}},
		"audit.get_retention": {
			request: func(_ *testing.T, f *fixture) request {
				return fields{"tenant_id": f.ours.Tenant.ID}.request()
			},
			elsewhere: elsewhere,
			want:      has("keep_days", 0.),
		},
		"audit.set_retention": {request: func(_ *testing.T, f *fixture) request {
			return fields{"tenant_id": f.theirs.Tenant.ID, "keep_days": 36500, "reason": "made by the table"}.request()
		}, want: has("own", true)},
		"audit.apply_retention": {request: func(*testing.T, *fixture) request {
			return fields{"dry_run": true}.request()
		}, want: has("complete", true)},
		"audit.place_hold": {request: func(_ *testing.T, f *fixture) request {
			return fields{"tenant_id": f.theirs.Tenant.ID, "user_id": f.theirs.Reader.ID, "reason": "made by the table"}.request()
		}},
		"audit.release_hold": {request: func(t *testing.T, f *fixture) request {
			return fields{"hold_id": newHold(t, f).ID, "reason": "made by the table"}.request()
		}, want: has("release_reason", "made by the table")},
		"audit.list_holds": {request: func(t *testing.T, f *fixture) request {
			newHold(t, f)
			return fields{"of": f.theirs.Tenant.ID, "limit": 1}.request()
		}, want: one},
	}
}

// aboutAlert samples what is done with an alert.
func aboutAlert(more func(*testing.T, *fixture, *contract.AuditAlert) fields, want func(*testing.T, *fixture, map[string]any)) sample {
	return aboutMade("alert_id", newAlert, func(a contract.AuditAlert) string { return a.ID }, more, want)
}

// newAlert makes one that counts nothing, in place of the one made before: a
// tenant has only so many.
func newAlert(t *testing.T, f *fixture, c *stack.Company) contract.AuditAlert {
	t.Helper()
	tenant := contract.ID(c.Tenant.ID)
	made := *stack.Do(t, f.s, contract.CreateAlert, &contract.CreateAlertRequest{TenantID: tenant, Name: fresh(), Disabled: true})
	t.Cleanup(func() {
		_, _ = stack.BusCaller{Conn: f.s.Operator}.Call(t, contract.DeleteAlert.Spec, fields{"tenant_id": tenant, "alert_id": made.ID}.body())
	})
	return made
}

func newHold(t *testing.T, f *fixture) *contract.LegalHold {
	t.Helper()
	return stack.Do(t, f.s, contract.PlaceHold, &contract.PlaceHoldRequest{
		TenantID: contract.ID(f.theirs.Tenant.ID), ResourceType: "made", ResourceID: contract.ID(fresh()), Reason: "made for the table",
	})
}

// testTailDenials holds that nobody follows a trail but who may read it.
func testTailDenials(t *testing.T, f *fixture, spec *contract.Spec) {
	refuse := func(t *testing.T, key, bearer, query string) *contract.Error {
		t.Helper()
		request := streamRequest(stack.Context(t), t, f.s, spec, key, query)
		if bearer != "" {
			request.Header.Set("Authorization", "Bearer "+bearer)
		}
		_, refused := stack.Answer(t, request)
		return refused
	}
	t.Run("no token", func(t *testing.T) { requireCode(t, contract.Unauthenticated, "Authorization", refuse(t, "", "", "")) })
	t.Run("a module's key", func(t *testing.T) {
		requireCode(t, contract.Unauthenticated, "Authorization", refuse(t, f.module.key, "", ""))
	})
	for name, token := range f.badTokens {
		t.Run(name, func(t *testing.T) {
			requireCode(t, contract.Unauthenticated, "Authorization", refuse(t, "", token, ""))
		})
	}
	t.Run("a person without the permission", func(t *testing.T) {
		requireCode(t, contract.PermissionDenied, "", refuse(t, "", f.tokens.nobody, ""))
	})
	t.Run("another tenant's trail", func(t *testing.T) {
		requireCode(t, contract.PermissionDenied, "tenant_id", refuse(t, "", f.tokens.master, "?tenant_id="+f.theirs.Tenant.ID))
	})
	t.Run("an unknown parameter", func(t *testing.T) {
		requireCode(t, contract.InvalidArgument, "unheard_of", refuse(t, "", f.tokens.master, "?unheard_of=x"))
	})
	t.Run("no module hears that a trail grows", func(t *testing.T) {
		for _, tenant := range []string{"*", f.ours.Tenant.ID} {
			f.module.requireNoSubscription(t, contract.TrailSubject(tenant))
		}
		f.module.requireViolation(t, contract.TrailSubject(f.ours.Tenant.ID), "1")
	})
	require.Equal(t, contract.User, spec.Access)
}
