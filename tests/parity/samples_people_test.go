package parity

import (
	"crypto/rand"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

// peopleSamples are of accounts, memberships and passwords.
func peopleSamples() map[string]sample {
	member := func(t *testing.T, f *fixture) string { return f.ours.AddUser(t).ID }
	return map[string]sample{
		"auth.create_user": {request: func(*testing.T, *fixture) request {
			return fields{"email": fresh() + "@example.com", "name": "Made by the table"}.request()
		}},
		"auth.get_user": aboutPerson(func(_ *testing.T, f *fixture) string { return f.ours.Reader.ID }, nil),
		"auth.list_users": {
			request: func(_ *testing.T, f *fixture) request { return fields{"search": f.ours.Reader.Email}.request() },
			want:    func(t *testing.T, _ *fixture, got map[string]any) { require.Len(t, got["items"], 1) },
		},
		"auth.update_user": aboutPerson(invited, func() fields {
			return fields{"name": "Changed by the table", "username": fresh()}
		}),
		"auth.disable_user":        aboutPerson(member, nil),
		"auth.enable_user":         aboutPerson(disabled, nil),
		"auth.unlock_user":         aboutPerson(invited, nil),
		"auth.invite_user":         aboutPerson(invited, nil),
		"auth.reset_user_password": aboutPerson(member, nil),
		"auth.end_user_sessions":   aboutPerson(member, nil),
		"auth.reset_user_factors":  aboutPerson(member, nil),
		"auth.delete_user":         aboutPerson(invited, nil),
		"auth.add_membership":      {request: func(t *testing.T, f *fixture) request { return f.membership(t, false) }},
		"auth.remove_membership":   {request: func(t *testing.T, f *fixture) request { return f.membership(t, true) }},
		"auth.change_password": {request: func(t *testing.T, f *fixture) request {
			u, in := f.person(t)
			return request{fields{"current_password": u.Password, "new_password": rand.Text()}.body(), in.AccessToken}
		}},
		"auth.request_password_reset": {request: func(*testing.T, *fixture) request {
			return fields{"email": fresh() + "@example.com"}.request()
		}},
		"auth.confirm_password_reset": {request: func(t *testing.T, f *fixture) request {
			return fields{"token": f.s.LinkToken(t, f.invite(t, f.ours).Email), "new_password": rand.Text()}.request()
		}},
		"auth.password_policy": {request: asMaster},
		"auth.set_password_policy": {request: func(*testing.T, *fixture) request {
			return fields{"min_length": 12, "refuse_common": true, "history": 0, "max_age_days": 0}.request()
		}},
	}
}

// aboutPerson samples what an administrator does with the account that id
// makes.
func aboutPerson(id func(*testing.T, *fixture) string, more func() fields) sample {
	of := func(id string) request {
		r := fields{}
		if more != nil {
			r = more()
		}
		r["user_id"] = id
		return r.request()
	}
	return sample{
		request: func(t *testing.T, f *fixture) request { return of(id(t, f)) },
		foreign: func(_ *testing.T, f *fixture) request { return of(f.theirs.Reader.ID) },
		absent:  func(*testing.T, *fixture) request { return of(uuid.NewString()) },
	}
}

// asMaster is a request without parameters about oneself.
func asMaster(_ *testing.T, f *fixture) request { return request{"{}", f.tokens.master} }

// invite adds somebody who has no password yet.
func (f *fixture) invite(t *testing.T, c *stack.Company) *contract.UserDetail {
	t.Helper()
	return stack.Do(t, f.s, contract.CreateUser, &contract.CreateUserRequest{
		TenantID: contract.ID(c.Tenant.ID), Email: fresh() + "@example.com",
	})
}

func invited(t *testing.T, f *fixture) string {
	t.Helper()
	return f.invite(t, f.ours).ID
}

func disabled(t *testing.T, f *fixture) string {
	t.Helper()
	id := f.ours.AddUser(t).ID
	stack.Do(t, f.s, contract.DisableUser, &contract.UserRequest{TenantID: contract.ID(f.ours.Tenant.ID), UserID: contract.ID(id)})
	return id
}

// membership is of somebody of theirs in ours, made already or not.
func (f *fixture) membership(t *testing.T, made bool) request {
	t.Helper()
	user := f.invite(t, f.theirs).ID
	if made {
		stack.Do(t, f.s, contract.AddMembership, &contract.MembershipRequest{
			UserID: contract.ID(user), TenantID: contract.ID(f.ours.Tenant.ID),
		})
	}
	return fields{"user_id": user, "tenant_id": f.ours.Tenant.ID}.request()
}
