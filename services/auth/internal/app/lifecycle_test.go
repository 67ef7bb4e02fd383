package app

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
)

// provision asks for the first administrator of a new tenant.
func (w *world) provision(t testing.TB, administrator contract.TenantAdministrator) (events.TenantProvision, events.Event) {
	t.Helper()
	p := events.TenantProvision{TenantID: kit.NewID(), UserID: kit.NewID(), Administrator: &administrator}
	w.Directory.PutTenant(contract.Tenant{ID: p.TenantID, Code: "NEW", State: contract.TenantProvisioning, Revision: 1})
	return p, w.event(t, events.TenantProvisioning, p.TenantID, p)
}

func (w *world) event(t testing.TB, kind events.Kind, tenant string, data any) events.Event {
	t.Helper()
	e, err := events.New(kind, tenant, 1, data)
	require.NoError(t, err)
	return e
}

// outcomes are what was told of the search for administrators.
func outcomes[T any](t testing.TB, w *world, kind events.Kind) (all []T) {
	t.Helper()
	for _, raw := range w.told(t, kind) {
		var one T
		require.NoError(t, json.Unmarshal([]byte(raw), &one))
		all = append(all, one)
	}
	return all
}

func TestTheFirstAdministratorIsInvitedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, e := w.provision(t, contract.TenantAdministrator{Email: "Root@Example.com", Name: " Root "})
	for range 3 { // delivered again and again
		require.NoError(t, w.FirstAdministrator(bounded(t), e))
	}
	ready := outcomes[events.TenantProvision](t, w, events.AdministratorReady)
	require.Len(t, ready, 3, "each question is answered")
	require.Equal(t, p.UserID, ready[0].UserID)
	require.Positive(t, ready[0].Revision)
	require.Nil(t, ready[0].Administrator, "an address is told once")
	require.Equal(t, ready[0], ready[2])

	detail, err := w.GetUser(bounded(t), &contract.UserRequest{TenantID: contract.ID(p.TenantID), UserID: contract.ID(p.UserID)})
	require.NoError(t, err)
	require.Equal(t, []string{"root@example.com", "root", "Root", "invited"}, []string{detail.Email, detail.Username, detail.Name, detail.Status})
	require.Equal(t, 1, w.count(t, "SELECT count(*) FROM users WHERE tenant_id = $1", p.TenantID))
	require.Equal(t, 1, w.count(t, "SELECT count(*) FROM mails"), "one invitation")
	require.Equal(t, 1, w.count(t, "SELECT count(*) FROM links WHERE user_id = $1", p.UserID))
}

func TestWhoHasAnAccountBecomesAMember(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.user(t, "ada@example.com")
	p, e := w.provision(t, contract.TenantAdministrator{Email: "ADA@example.com"})
	require.NoError(t, w.FirstAdministrator(bounded(t), e))
	require.NoError(t, w.FirstAdministrator(bounded(t), e))
	ready := outcomes[events.TenantProvision](t, w, events.AdministratorReady)
	require.Equal(t, ada, ready[0].UserID)
	member, _ := w.Directory.Member(ada)
	require.Equal(t, []string{p.TenantID}, member.Tenants)
	require.Equal(t, member.Revision, ready[0].Revision)
	require.Zero(t, w.count(t, "SELECT count(*) FROM mails"))
}

func TestWhoCannotBeTheFirstAdministrator(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create(t, contract.CreateUserRequest{Platform: true, Email: "ops@example.com", Password: goodPassword})
	off := w.user(t, "off@example.com")
	_, err := w.DisableUser(bounded(t), &contract.UserRequest{TenantID: contract.ID(w.tenant), UserID: contract.ID(off)})
	require.NoError(t, err)
	for email, code := range map[string]contract.Code{
		"ops@example.com": contract.Conflict, "off@example.com": contract.Conflict, "Anna <anna@example.com>": contract.InvalidArgument,
	} {
		before := len(outcomes[events.AdministratorRefusal](t, w, events.AdministratorRefused))
		p, e := w.provision(t, contract.TenantAdministrator{Email: email})
		require.NoError(t, w.FirstAdministrator(bounded(t), e), email)
		require.NoError(t, w.FirstAdministrator(bounded(t), e), email)
		refused := outcomes[events.AdministratorRefusal](t, w, events.AdministratorRefused)[before:]
		require.Len(t, refused, 2, email)
		require.Equal(t, refused[0], refused[1])
		require.Equal(t, p.TenantID, refused[0].TenantID)
		require.Equal(t, code, refused[0].Code, email)
		require.Equal(t, "administrator.email", refused[0].Field)
		require.NotEmpty(t, refused[0].Reason)
		require.NotContains(t, refused[0].Reason, email)
		require.Zero(t, w.count(t, "SELECT count(*) FROM users WHERE tenant_id = $1", p.TenantID))
	}
}

func TestATenantHasNoMorePeopleThanItMay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	limited := contract.Tenant{ID: w.tenant, Code: "ACME", IsActive: true, Limits: &contract.Limits{Users: 3}, Revision: 2}
	w.Directory.PutTenant(limited)
	beside := w.tenantBeside()
	guest := w.create(t, contract.CreateUserRequest{TenantID: contract.ID(beside), Email: "guest@example.com", Password: goodPassword}).ID
	other := w.create(t, contract.CreateUserRequest{TenantID: contract.ID(beside), Email: "other@example.com", Password: goodPassword}).ID
	join := func(user string) error {
		_, err := w.AddMembership(platform(t), &contract.MembershipRequest{UserID: contract.ID(user), TenantID: contract.ID(w.tenant)})
		return err
	}
	first := w.user(t, "first@example.com")
	w.user(t, "second@example.com")
	require.NoError(t, join(guest))
	full := func(err error) {
		t.Helper()
		var refused *contract.Error
		require.ErrorAs(t, err, &refused)
		require.Equal(t, []any{contract.Conflict, "limits.users"}, []any{refused.Code, refused.Field})
		require.Contains(t, refused.Message, "3 users")
	}
	_, err := w.CreateUser(w.admin(t), &contract.CreateUserRequest{Email: "third@example.com"})
	full(err)
	full(join(other))
	require.NoError(t, join(guest), "who is a member already")
	_, err = w.DeleteUser(bounded(t), &contract.UserRequest{TenantID: contract.ID(w.tenant), UserID: contract.ID(first)})
	require.NoError(t, err)
	w.user(t, "third@example.com")
	full(join(other))

	// However many come at once.
	limited.Limits, limited.Revision = &contract.Limits{Users: 5}, 3
	w.Directory.PutTenant(limited)
	made := make(chan error, 8)
	for i := range cap(made) {
		go func() {
			_, err := w.CreateUser(w.admin(t), &contract.CreateUserRequest{Email: string(rune('a'+i)) + "@crowd.example.com"})
			made <- err
		}()
	}
	done := 0
	for range cap(made) {
		if err := <-made; err == nil {
			done++
		} else {
			require.ErrorIs(t, err, is(contract.Conflict))
		}
	}
	require.Equal(t, 2, done)
}

// leftOf counts what there is of a tenant in every table that names one.
func (w *world) leftOf(t testing.TB, tenant string) map[string]int {
	t.Helper()
	left := map[string]int{}
	require.NoError(t, w.DB.In(bounded(t), database.Everything, func(tx pgx.Tx) error {
		rows, err := tx.Query(bounded(t), `SELECT table_name || '.' || column_name FROM information_schema.columns
			WHERE table_schema = 'auth' AND column_name IN ('tenant_id', 'acting_tenant')`)
		require.NoError(t, err)
		columns, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		require.Greater(t, len(columns), 10)
		for _, column := range columns {
			var n int
			table, name, _ := strings.Cut(column, ".")
			require.NoError(t, tx.QueryRow(bounded(t), "SELECT count(*) FROM "+table+" WHERE "+name+" = $1", tenant).Scan(&n))
			if n > 0 {
				left[column] = n
			}
		}
		return nil
	}))
	return left
}

func TestNothingIsLeftOfAnErasedTenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	beside := w.tenantBeside()
	ada := w.user(t, "ada@example.com")              // ours, and a guest of the other
	guest := w.create(t, contract.CreateUserRequest{ // the other's, and a guest of ours
		TenantID: contract.ID(beside), Email: "guest@example.com", Password: goodPassword,
	}).ID
	for user, tenant := range map[string]string{ada: beside, guest: w.tenant} {
		_, err := w.AddMembership(platform(t), &contract.MembershipRequest{UserID: contract.ID(user), TenantID: contract.ID(tenant)})
		require.NoError(t, err)
	}
	w.create(t, contract.CreateUserRequest{TenantID: contract.ID(w.tenant), Email: "invited@example.com"})
	for _, email := range []string{"ada@example.com", "guest@example.com"} {
		_, err := w.login(t, email, goodPassword)
		require.NoError(t, err)
	}
	exec := func(sql string, args ...any) {
		t.Helper()
		require.NoError(t, w.DB.In(bounded(t), database.Everything, func(tx pgx.Tx) error {
			_, err := tx.Exec(bounded(t), sql, args...)
			return err
		}))
	}
	exec("UPDATE sessions SET acting_tenant = $1", w.tenant)
	exec("INSERT INTO totp (user_id, tenant_id, sealed) VALUES ($1, $2, '')", ada, w.tenant)
	exec("INSERT INTO recovery_codes (user_id, tenant_id, mac) VALUES ($1, $2, '')", ada, w.tenant)
	exec("INSERT INTO passkeys (id, user_id, tenant_id, name, credential) VALUES ('x', $1, $2, '', '{}')", ada, w.tenant)
	exec("INSERT INTO policies (tenant_id) VALUES ($1), ($2)", w.tenant, beside)
	exec("INSERT INTO password_history (user_id, tenant_id, password_hash) VALUES ($1, $2, '')", ada, w.tenant)
	key := func(id string, tenants ...string) {
		exec("INSERT INTO api_keys (id, module, environment, secret_hmac, operations, tenants) VALUES ($1, 'crm', 'dev', '', '{}', $2)", id, append([]string{}, tenants...))
	}
	key("every")
	key("ours", w.tenant)
	key("both", w.tenant, beside)
	key("theirs", beside)
	exec("UPDATE api_keys SET rotated_from = 'ours' WHERE id = 'both'")

	erase := w.event(t, events.TenantErasing, "", events.TenantErasure{TenantID: w.tenant})
	for range 2 {
		require.NoError(t, w.EraseTenant(bounded(t), erase))
	}
	require.Equal(t, map[string]int{"tenants.tenant_id": 1}, w.leftOf(t, w.tenant), "only the mark that it is erased")
	require.Zero(t, w.count(t, "SELECT count(*) FROM users WHERE id = $1", ada))
	require.Zero(t, w.count(t, "SELECT count(*) FROM memberships"))
	require.Equal(t, 1, w.count(t, "SELECT count(*) FROM sessions WHERE user_id = $1 AND ended_at IS NULL", guest), "other tenants' people stay logged in")
	require.Equal(t, 1, w.count(t, "SELECT count(*) FROM policies"))
	require.Equal(t, 3, w.count(t, "SELECT count(*) FROM api_keys"))
	require.Equal(t, 1, w.count(t, "SELECT count(*) FROM api_keys WHERE id = 'both' AND tenants = $1", []string{beside}), "a key is good for no more than it was")
	require.Equal(t, []string{"ours"}, w.revoked)

	told := outcomes[events.TenantErasure](t, w, events.TenantErased("auth"))
	require.Len(t, told, 2, "each question is answered")
	require.Equal(t, told[0].Counts, told[1].Counts)
	require.EqualValues(t, 2, told[0].Counts["users"])
	guests := outcomes[events.TenantGuests](t, w, events.GuestsErased)
	require.Len(t, guests, 1)
	require.Len(t, guests[0].Guests, 1)
	require.Equal(t, []any{ada, []string{beside}}, []any{guests[0].Guests[0].UserID, guests[0].Guests[0].Tenants})
	require.False(t, w.Directory.MayAct(ada, beside), "gone from where they were guests too")
	member, _ := w.Directory.Member(guest)
	require.Empty(t, member.Tenants)

	// Nobody comes to it any more, not even the administrator whom it was to have.
	w.activate(true, 100)
	_, err := w.CreateUser(bounded(t), &contract.CreateUserRequest{TenantID: contract.ID(w.tenant), Email: "late@example.com", Password: goodPassword})
	require.ErrorIs(t, err, is(contract.NotFound))
	late := events.TenantProvision{TenantID: w.tenant, UserID: kit.NewID(), Administrator: &contract.TenantAdministrator{Email: "late@example.com"}}
	require.NoError(t, w.FirstAdministrator(context.Background(), w.event(t, events.TenantProvisioning, w.tenant, late)))
	require.Zero(t, w.count(t, "SELECT count(*) FROM users WHERE tenant_id = $1", w.tenant))
}
