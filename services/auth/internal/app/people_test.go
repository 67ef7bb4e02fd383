package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
)

// by is the context of a person's request.
func by(t testing.TB, user kit.User) context.Context {
	t.Helper()
	return kit.WithCaller(bounded(t), kit.Caller{Principal: kit.Principal{Kind: kit.KindAnonymous}, User: user})
}

// admin is an administrator of the world's tenant: what they may is not asked
// here.
func (w *world) admin(t testing.TB) context.Context {
	t.Helper()
	return by(t, kit.User{ID: kit.NewID(), TenantID: w.tenant})
}

// platform is a platform administrator who is in no tenant.
func platform(t testing.TB) context.Context {
	t.Helper()
	return by(t, kit.User{ID: kit.NewID(), Platform: true})
}

// tenantBeside makes another active tenant.
func (w *world) tenantBeside() string {
	id := kit.NewID()
	w.Directory.PutTenant(contract.Tenant{ID: id, Code: "OTHER", IsActive: true, Revision: 1})
	return id
}

func (w *world) create(t testing.TB, r contract.CreateUserRequest) *contract.UserDetail {
	t.Helper()
	detail, err := w.CreateUser(bounded(t), &r)
	require.NoError(t, err)
	return detail
}

// about names a user as whoever is in their tenant does.
func about(id string) *contract.UserRequest { return &contract.UserRequest{UserID: contract.ID(id)} }

func (w *world) read(t testing.TB, id string) *contract.UserDetail {
	t.Helper()
	detail, err := w.GetUser(bounded(t), about(id))
	require.NoError(t, err)
	return detail
}

func (w *world) count(t testing.TB, sql string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, w.DB.In(bounded(t), database.Everything, func(tx pgx.Tx) error {
		return tx.QueryRow(bounded(t), sql, args...).Scan(&n)
	}))
	return n
}

func pointer[T any](v T) *T { return &v }

func TestWhoIsCreatedIsAsAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	active, err := w.CreateUser(w.admin(t), &contract.CreateUserRequest{
		Email: " Zoë.Mustermann@BÜCHER.example", Name: " Zoe ", Password: goodPassword, MustChangePassword: true,
	})
	require.NoError(t, err)
	require.Equal(t, "zoë.mustermann@xn--bcher-kva.example", active.Email)
	require.Equal(t, "zoë.mustermann", active.Username)
	require.Equal(t, "Zoe", active.Name)
	require.Equal(t, "active", active.Status)
	require.Equal(t, w.tenant, active.TenantID)
	require.True(t, active.MustChangePassword)
	require.WithinDuration(t, time.Now(), active.CreatedAt, time.Minute)
	require.Equal(t, active, w.read(t, active.ID))

	invited := w.create(t, contract.CreateUserRequest{TenantID: contract.ID(w.tenant), Email: "ida@example.com", Username: "ida1"})
	require.Equal(t, "invited", invited.Status)
	require.Equal(t, "ida1", invited.Username)
	made := w.create(t, contract.CreateUserRequest{Platform: true, Email: "ops@example.com", Password: goodPassword})
	require.True(t, made.Platform)
	require.Empty(t, made.TenantID)
	require.True(t, w.Directory.Platform(made.ID), "applied at once")
	require.True(t, w.Directory.MayAct(invited.ID, w.tenant))

	changes := w.told(t, events.UserAdministered)
	require.Len(t, changes, 3)
	for i, id := range []string{active.ID, invited.ID, made.ID} {
		require.JSONEq(t, `{"user_id":"`+id+`","change":"created"}`, changes[i])
	}
	for _, e := range w.outbox(t) {
		require.NotContains(t, string(e.Data()), "example", "no personal data in events")
	}
}

func TestWhoCannotBeCreated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user(t, "ada@example.com")
	refused := func(ctx context.Context, code contract.Code, field string, r contract.CreateUserRequest) {
		t.Helper()
		_, err := w.CreateUser(ctx, &r)
		var refusal *contract.Error
		require.ErrorAs(t, err, &refusal, "%+v", r)
		require.Equal(t, code, refusal.Code, "%+v", r)
		require.Equal(t, field, refusal.Field, "%+v", r)
	}
	for _, email := range []string{
		"", "x", "@example.com", "a@", "a@b@example.com", "Ada <a@example.com>", "<a@example.com>", "a@example.com (Ada)",
		"a@exa mple.com", "a@example.com\nBcc: b@example.com", "a@[127.0.0.1]", "a@-.com", `"a b"@example.com`,
		strings.Repeat("a", 250) + "@example.com",
	} {
		refused(w.admin(t), contract.InvalidArgument, "email", contract.CreateUserRequest{Email: email})
	}
	refused(w.admin(t), contract.AlreadyExists, "email", contract.CreateUserRequest{Email: "ADA@example.com"})
	for _, weak := range []string{"short", "password2024", "aaaaaaaaaaaaaaaa", "adalovelace is me"} {
		refused(w.admin(t), contract.InvalidArgument, "password",
			contract.CreateUserRequest{Email: "b@example.com", Name: "Ada Lovelace", Username: "adalovelace", Password: weak})
	}
	refused(w.admin(t), contract.PermissionDenied, "", contract.CreateUserRequest{Email: "b@example.com", Platform: true})
	refused(platform(t), contract.InvalidArgument, "tenant_id",
		contract.CreateUserRequest{Email: "b@example.com", Platform: true, TenantID: contract.ID(w.tenant)})
	refused(platform(t), contract.InvalidArgument, "tenant_id", contract.CreateUserRequest{Email: "b@example.com"})
	refused(w.admin(t), contract.NotFound, "", contract.CreateUserRequest{Email: "b@example.com", TenantID: contract.ID(w.tenantBeside())})
	require.Equal(t, 1, w.count(t, "SELECT count(*) FROM users"))
	require.Zero(t, w.count(t, "SELECT count(*) FROM mails"))
}

// verbs are what is done with one person's account.
func (w *world) verbs() map[string]func(context.Context, *contract.UserRequest) error {
	detailed := func(op func(context.Context, *contract.UserRequest) (*contract.UserDetail, error)) func(context.Context, *contract.UserRequest) error {
		return func(ctx context.Context, r *contract.UserRequest) error {
			_, err := op(ctx, r)
			return err
		}
	}
	return map[string]func(context.Context, *contract.UserRequest) error{
		"get": detailed(w.GetUser), "disable": detailed(w.DisableUser), "enable": detailed(w.EnableUser), "unlock": detailed(w.UnlockUser),
		"invite": detailed(w.InviteUser), "reset password": detailed(w.ResetUserPassword),
		"end sessions": detailed(w.EndUserSessions), "reset factors": detailed(w.ResetUserFactors),
		"update": func(ctx context.Context, r *contract.UserRequest) error {
			_, err := w.UpdateUser(ctx, &contract.UpdateUserRequest{TenantID: r.TenantID, UserID: r.UserID, Name: pointer("Changed")})
			return err
		},
		"delete": func(ctx context.Context, r *contract.UserRequest) error {
			_, err := w.DeleteUser(ctx, r)
			return err
		},
	}
}

func TestATenantsAdministratorReachesNobodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.tenantBeside()
	foreign := w.create(t, contract.CreateUserRequest{TenantID: contract.ID(other), Email: "theirs@example.com"})
	ops := w.create(t, contract.CreateUserRequest{Platform: true, Email: "ops@example.com"})
	guest := w.create(t, contract.CreateUserRequest{TenantID: contract.ID(other), Email: "guest@example.com"})
	_, err := w.AddMembership(bounded(t), &contract.MembershipRequest{UserID: contract.ID(guest.ID), TenantID: contract.ID(w.tenant)})
	require.NoError(t, err)
	waiting := len(w.outbox(t))
	for name, do := range w.verbs() {
		absent := do(w.admin(t), about(kit.NewID()))
		require.ErrorIs(t, absent, is(contract.NotFound), name)
		for _, id := range []string{foreign.ID, ops.ID, guest.ID} {
			require.Equal(t, absent, do(w.admin(t), about(id)), "%s %s", name, id)
		}
		for _, tenant := range []string{other, kit.NewID()} {
			err := do(w.admin(t), &contract.UserRequest{TenantID: contract.ID(tenant), UserID: contract.ID(foreign.ID)})
			require.Equal(t, contract.Missing("tenant"), err, name)
		}
		err := do(platform(t), &contract.UserRequest{TenantID: contract.ID(w.tenant), UserID: contract.ID(foreign.ID)})
		require.Equal(t, absent, err, "%s: the platform administrator named another tenant", name)
		inTenant := by(t, kit.User{ID: kit.NewID(), TenantID: w.tenant, Platform: true})
		require.Equal(t, absent, do(inTenant, about(ops.ID)), "%s: a platform administrator acts in the tenant", name)
	}
	require.Len(t, w.outbox(t), waiting, "nothing happened")
	require.Equal(t, foreign, w.read(t, foreign.ID))

	for _, r := range []*contract.MembershipRequest{
		{UserID: contract.ID(foreign.ID), TenantID: contract.ID(w.tenant)}, {UserID: contract.ID(kit.NewID()), TenantID: contract.ID(w.tenant)},
	} {
		_, err := w.AddMembership(w.admin(t), r)
		require.ErrorIs(t, err, is(contract.PermissionDenied))
		_, err = w.RemoveMembership(w.admin(t), r)
		require.ErrorIs(t, err, is(contract.PermissionDenied))
	}
	_, err = w.ListUsers(w.admin(t), &contract.ListUsersRequest{Platform: true})
	require.ErrorIs(t, err, is(contract.PermissionDenied))
	_, err = w.ListUsers(w.admin(t), &contract.ListUsersRequest{TenantID: contract.ID(other)})
	require.ErrorIs(t, err, is(contract.NotFound))
	_, err = w.SetPasswordPolicy(w.admin(t), &contract.SetPasswordPolicyRequest{TenantID: contract.ID(other), MinLength: 12})
	require.ErrorIs(t, err, is(contract.NotFound))
}

func TestPlatformAdministratorsAndServicesActAnywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.tenantBeside()
	for who, ctx := range map[string]context.Context{
		"a platform administrator": platform(t), "a service": bounded(t),
	} {
		for name, do := range w.verbs() {
			for i, home := range []string{w.tenant, other, ""} {
				made := w.create(t, contract.CreateUserRequest{
					TenantID: contract.ID(home), Platform: home == "", Email: fmt.Sprintf("u%d-%s@example.com", i, kit.NewID()),
				})
				require.NoError(t, do(ctx, about(made.ID)), "%s: %s", who, name)
				if home != "" && name != "delete" {
					named := &contract.UserRequest{TenantID: contract.ID(home), UserID: contract.ID(made.ID)}
					require.NoError(t, do(ctx, named), "%s: %s, the tenant named", who, name)
				}
			}
		}
	}
}

func TestNobodyShutsThemselvesOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, made := range map[string]*contract.UserDetail{
		"a tenant's administrator": w.create(t, contract.CreateUserRequest{TenantID: contract.ID(w.tenant), Email: "ada@example.com"}),
		"a platform administrator": w.create(t, contract.CreateUserRequest{Platform: true, Email: "ops@example.com"}),
	} {
		me := by(t, kit.User{ID: made.ID, TenantID: made.TenantID, Platform: made.Platform})
		_, err := w.DisableUser(me, about(made.ID))
		require.ErrorIs(t, err, is(contract.Conflict), name)
		_, err = w.DeleteUser(me, about(made.ID))
		require.ErrorIs(t, err, is(contract.Conflict), name)
		require.Equal(t, made, w.read(t, made.ID))
		_, err = w.UpdateUser(me, &contract.UpdateUserRequest{UserID: contract.ID(made.ID), Name: pointer("Myself")})
		require.NoError(t, err, name)
	}
}

func TestUsersAreListedPageByPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create(t, contract.CreateUserRequest{TenantID: contract.ID(w.tenantBeside()), Email: "a-foreign@example.com"})
	ops := w.create(t, contract.CreateUserRequest{Platform: true, Email: "a-platform@example.com"})
	var want []string
	for i := range 7 {
		want = append(want, w.create(t, contract.CreateUserRequest{TenantID: contract.ID(w.tenant), Email: fmt.Sprintf("u%d@example.com", 6-i)}).ID)
	}
	slices.Reverse(want)
	var got []string
	request := &contract.ListUsersRequest{Limit: 3}
	for pages := 1; ; pages++ {
		page, err := w.ListUsers(w.admin(t), request)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.Items), 3)
		for _, item := range page.Items {
			got = append(got, item.ID)
		}
		if request.Cursor = page.NextCursor; request.Cursor == "" {
			require.Equal(t, 3, pages)
			break
		}
	}
	require.Equal(t, want, got, "by address")
	all, err := w.ListUsers(w.admin(t), &contract.ListUsersRequest{Limit: 7})
	require.NoError(t, err)
	require.Len(t, all.Items, 7)
	require.Empty(t, all.NextCursor, "a full page is the last one")
	admins, err := w.ListUsers(platform(t), &contract.ListUsersRequest{Platform: true})
	require.NoError(t, err)
	require.Equal(t, []contract.UserDetail{*ops}, admins.Items)
	for _, cursor := range []string{"nonsense", "AAAA", strings.Repeat("x", 200), "%00"} {
		_, err := w.ListUsers(w.admin(t), &contract.ListUsersRequest{Cursor: cursor})
		require.ErrorIs(t, err, is(contract.InvalidArgument), cursor)
	}
}

func TestUsersAreFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	add := func(email, username, name string) *contract.UserDetail {
		return w.create(t, contract.CreateUserRequest{TenantID: contract.ID(w.tenant), Email: email, Username: username, Name: name})
	}
	ada := add("ada@example.com", "countess", "Ada Lovelace")
	anna := add("anna_s@example.com", "anna", "Änna 100% Öztürk")
	bob := add("bob@other.example", `b\ob`, "Bob")
	found := func(search, status string) (ids []string) {
		t.Helper()
		page, err := w.ListUsers(w.admin(t), &contract.ListUsersRequest{Search: search, Status: status})
		require.NoError(t, err)
		for _, item := range page.Items {
			ids = append(ids, item.ID)
		}
		return ids
	}
	for search, want := range map[string][]string{
		"": {ada.ID, anna.ID, bob.ID}, "LOVE": {ada.ID}, "countess": {ada.ID}, "other.ex": {bob.ID}, " ada@ ": {ada.ID},
		"0%": {anna.ID}, "%": {anna.ID}, "_": {anna.ID}, `\`: {bob.ID}, "änna": {anna.ID}, "ÖZTÜRK": {anna.ID}, "öztü": {anna.ID}, "nobody": nil, "' OR 1=1 --": nil,
	} {
		require.Equal(t, want, found(search, ""), "%q", search)
	}
	w.exec(t, "UPDATE users SET password_hash = 'x' WHERE id = $1", ada.ID)
	_, err := w.DisableUser(w.admin(t), about(anna.ID))
	require.NoError(t, err)
	gone := add("gone@example.com", "", "")
	_, err = w.DeleteUser(w.admin(t), about(gone.ID))
	require.NoError(t, err)
	for status, want := range map[string][]string{
		"": {ada.ID, anna.ID, bob.ID}, "active": {ada.ID}, "disabled": {anna.ID}, "invited": {bob.ID}, "deleted": {gone.ID},
	} {
		require.Equal(t, want, found("", status), status)
	}
	require.Equal(t, []string{gone.ID}, found("gone", "deleted"))
	require.Empty(t, found("gone", ""))
}

func TestALostUpdateIsAConflict(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.create(t, contract.CreateUserRequest{TenantID: contract.ID(w.tenant), Email: "ada@example.com", Name: "Ada"})
	w.user(t, "taken@example.com")
	update := func(r contract.UpdateUserRequest) (*contract.UserDetail, error) {
		r.UserID = contract.ID(made.ID)
		return w.UpdateUser(w.admin(t), &r)
	}
	changed, err := update(contract.UpdateUserRequest{
		Revision: made.Revision, Email: pointer(" Countess@Example.com"), Username: pointer(" ada "), Name: pointer(""), MustChangePassword: pointer(true),
	})
	require.NoError(t, err)
	require.Equal(t, "countess@example.com", changed.Email)
	require.Equal(t, "ada", changed.Username)
	require.Empty(t, changed.Name)
	require.True(t, changed.MustChangePassword)
	require.Greater(t, changed.Revision, made.Revision)
	require.Equal(t, changed, w.read(t, made.ID))
	told := w.told(t, events.UserAdministered)
	require.JSONEq(t, `{"user_id":"`+made.ID+`","change":"updated","fields":["email","name","must_change_password"]}`, told[len(told)-1])

	_, err = update(contract.UpdateUserRequest{Revision: made.Revision, Name: pointer("Late")})
	require.ErrorIs(t, err, is(contract.Conflict))
	_, err = update(contract.UpdateUserRequest{Email: pointer("Taken@example.com")})
	require.ErrorIs(t, err, is(contract.AlreadyExists))
	for field, r := range map[string]contract.UpdateUserRequest{
		"email": {Email: pointer("nonsense")}, "username": {Username: pointer("  ")},
	} {
		_, err = update(r)
		require.ErrorContains(t, err, field)
		require.ErrorIs(t, err, is(contract.InvalidArgument))
	}
	require.Equal(t, changed, w.read(t, made.ID))
}

func TestAForcedChangeEndsSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.user(t, "ada@example.com")
	in := w.loggedIn(t, "ada@example.com", "")
	_, err := w.UpdateUser(w.admin(t), &contract.UpdateUserRequest{UserID: contract.ID(id), MustChangePassword: pointer(true)})
	require.NoError(t, err)
	require.Empty(t, w.sessions(t, in.AccessToken))
	again, err := w.login(t, "ada@example.com", goodPassword)
	require.NoError(t, err)
	require.Empty(t, again.AccessToken)
	require.Equal(t, []string{"new_password"}, again.Challenge.Methods)
}

func TestADisabledUserIsOutAndInAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.user(t, "ada@example.com")
	in := w.loggedIn(t, "ada@example.com", "")
	disabled, err := w.DisableUser(w.admin(t), about(id))
	require.NoError(t, err)
	require.Equal(t, "disabled", disabled.Status)
	require.False(t, w.Directory.MayAct(id, w.tenant), "at once")
	_, err = w.login(t, "ada@example.com", goodPassword)
	require.ErrorIs(t, err, is(contract.Unauthenticated))
	_, err = w.refreshed(t, in.RefreshToken)
	require.ErrorIs(t, err, is(contract.Unauthenticated))
	ended := w.told(t, events.SessionsEnded)
	require.Len(t, ended, 1)
	require.Contains(t, ended[0], in.SessionID)
	_, err = w.DisableUser(w.admin(t), about(id))
	require.NoError(t, err, "twice")

	enabled, err := w.EnableUser(w.admin(t), about(id))
	require.NoError(t, err)
	require.Equal(t, "active", enabled.Status)
	_, err = w.refreshed(t, in.RefreshToken)
	require.ErrorIs(t, err, is(contract.Unauthenticated), "what ended stays ended")
	w.loggedIn(t, "ada@example.com", "")
}

func TestSessionsEndedByAnAdministrator(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.user(t, "ada@example.com")
	w.user(t, "bob@example.com")
	bob := w.loggedIn(t, "bob@example.com", "")
	for range 3 {
		w.loggedIn(t, "ada@example.com", "")
	}
	_, err := w.EndUserSessions(w.admin(t), about(id))
	require.NoError(t, err)
	require.Len(t, w.sessions(t, bob.AccessToken), 1)
	require.Zero(t, w.count(t, "SELECT count(*) FROM sessions WHERE user_id = $1 AND ended_at IS NULL", id))
	w.loggedIn(t, "ada@example.com", "")
}

func TestAnUnlockedAccountNeedNotWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.user(t, "ada@example.com")
	for range 6 {
		_ = w.try(t, "ada@example.com", "wrong", "192.0.2.1")
	}
	require.ErrorIs(t, w.try(t, "ada@example.com", goodPassword, "192.0.2.1"), is(contract.RateLimited))
	_, err := w.UnlockUser(w.admin(t), about(id))
	require.NoError(t, err)
	require.NoError(t, w.try(t, "ada@example.com", goodPassword, "192.0.2.1"))
}

// credentials gives an account everything that could log in.
func (w *world) credentials(t testing.TB, id string) {
	t.Helper()
	w.exec(t, "INSERT INTO totp (user_id, tenant_id, sealed, confirmed_at) VALUES ($1, $2, 'x', now())", id, w.tenant)
	w.exec(t, "INSERT INTO recovery_codes (user_id, tenant_id, mac) VALUES ($1, $2, 'x')", id, w.tenant)
	w.exec(t, "INSERT INTO passkeys (id, user_id, tenant_id, name, credential) VALUES ($3, $1, $2, 'key', '{}')", id, w.tenant, []byte(id))
	w.exec(t, "INSERT INTO password_history (user_id, tenant_id, password_hash) VALUES ($1, $2, 'x')", id, w.tenant)
	w.exec(t, "INSERT INTO links (mac, user_id, tenant_id, purpose, expires_at) VALUES ($3, $1, $2, 'reset', now() + interval '1 h')", id, w.tenant, []byte(id))
}

func (w *world) left(t testing.TB, id string, tables ...string) (n int) {
	t.Helper()
	for _, table := range tables {
		n += w.count(t, "SELECT count(*) FROM "+table+" WHERE user_id = $1", id)
	}
	return n
}

func TestFactorsAreReset(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, other := w.user(t, "ada@example.com"), w.user(t, "bob@example.com")
	in := w.loggedIn(t, "ada@example.com", "")
	w.credentials(t, id)
	w.credentials(t, other)
	require.Equal(t, []string{"totp", "passkey"}, w.read(t, id).SecondFactors)
	detail, err := w.ResetUserFactors(w.admin(t), about(id))
	require.NoError(t, err)
	require.Empty(t, detail.SecondFactors)
	require.Zero(t, w.left(t, id, "totp", "recovery_codes", "passkeys"))
	require.Equal(t, 3, w.left(t, other, "totp", "recovery_codes", "passkeys"))
	require.Empty(t, w.sessions(t, in.AccessToken))
}

func TestADeletedUserIsATombstone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.create(t, contract.CreateUserRequest{TenantID: contract.ID(w.tenant), Email: "ada@example.com", Name: "Ada Lovelace", Password: goodPassword})
	in := w.loggedIn(t, "ada@example.com", "")
	w.credentials(t, made.ID)
	_, err := w.AddMembership(bounded(t), &contract.MembershipRequest{UserID: contract.ID(made.ID), TenantID: contract.ID(w.tenantBeside())})
	require.NoError(t, err)
	_, err = w.DeleteUser(w.admin(t), about(made.ID))
	require.NoError(t, err)

	tombstone, err := w.GetUser(w.admin(t), about(made.ID))
	require.NoError(t, err)
	require.Equal(t, "deleted", tombstone.Status)
	require.Equal(t, "Ada Lovelace", tombstone.Name)
	require.Equal(t, "ada@example.com", tombstone.Email)
	require.Empty(t, tombstone.SecondFactors)
	require.Zero(t, w.left(t, made.ID, "totp", "recovery_codes", "passkeys", "password_history", "links", "memberships"))
	require.Zero(t, w.count(t, "SELECT count(*) FROM users WHERE password_hash <> ''"))
	require.Zero(t, w.count(t, "SELECT count(*) FROM sessions WHERE ended_at IS NULL"))
	require.False(t, w.Directory.MayAct(made.ID, w.tenant))
	_, err = w.refreshed(t, in.RefreshToken)
	require.ErrorIs(t, err, is(contract.Unauthenticated))
	for name, do := range w.verbs() {
		if name != "get" {
			require.ErrorIs(t, do(w.admin(t), about(made.ID)), is(contract.NotFound), name)
		}
	}
	require.NotEqual(t, made.ID, w.user(t, "ada@example.com"), "the address is free")
}

func TestMembershipsOfFurtherTenants(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.tenantBeside()
	id := w.user(t, "ada@example.com")
	request := &contract.MembershipRequest{UserID: contract.ID(id), TenantID: contract.ID(other)}
	for range 2 {
		detail, err := w.AddMembership(platform(t), request)
		require.NoError(t, err)
		require.Equal(t, []string{other}, detail.Tenants)
	}
	require.True(t, w.Directory.MayAct(id, other))
	ours, err := w.GetUser(w.admin(t), about(id))
	require.NoError(t, err)
	require.Empty(t, ours.Tenants, "where else somebody belongs is not their tenant's to know")

	// Whatever is changed of them, and by whom, they stay members.
	_, err = w.UpdateUser(w.admin(t), &contract.UpdateUserRequest{UserID: contract.ID(id), Name: pointer("Ada")})
	require.NoError(t, err)
	require.True(t, w.Directory.MayAct(id, other))

	detail, err := w.RemoveMembership(platform(t), request)
	require.NoError(t, err)
	require.Empty(t, detail.Tenants)
	require.False(t, w.Directory.MayAct(id, other))
	_, err = w.RemoveMembership(platform(t), request)
	require.ErrorIs(t, err, is(contract.NotFound))
	for code, r := range map[contract.Code]*contract.MembershipRequest{
		contract.Conflict: {UserID: contract.ID(id), TenantID: contract.ID(w.tenant)},
		contract.NotFound: {UserID: contract.ID(kit.NewID()), TenantID: contract.ID(other)},
	} {
		_, err := w.AddMembership(platform(t), r)
		require.ErrorIs(t, err, is(code))
	}
	ops := w.create(t, contract.CreateUserRequest{Platform: true, Email: "ops@example.com"})
	_, err = w.AddMembership(platform(t), &contract.MembershipRequest{UserID: contract.ID(ops.ID), TenantID: contract.ID(other)})
	require.ErrorIs(t, err, is(contract.Conflict))
	ctx, cancel := context.WithTimeout(bounded(t), 100*time.Millisecond)
	defer cancel()
	_, err = w.AddMembership(ctx, &contract.MembershipRequest{UserID: contract.ID(id), TenantID: contract.ID(kit.NewID())})
	require.Error(t, err, "of no tenant")
}

// Whoever can change an account can take it over.
func TestNobodyAdministersAnAccountThatHoldsMore(t *testing.T) {
	t.Parallel()
	for verb := range newWorld(t).verbs() {
		if verb == "get" {
			continue
		}
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			victim := w.user(t, "victim@example.com")
			refusal := contract.Errorf(contract.PermissionDenied, "the user holds more")
			var asked []contract.MayAdministerRequest
			w.Authority = func(_ context.Context, r *contract.MayAdministerRequest) error {
				asked = append(asked, *r)
				return refusal
			}
			caller := w.admin(t)
			before := w.read(t, victim)
			require.ErrorIs(t, w.verbs()[verb](caller, about(victim)), refusal)
			require.Equal(t, before, w.read(t, victim), "nothing was done")
			leaving := verb == "disable" || verb == "delete"
			require.Equal(t, []contract.MayAdministerRequest{{
				TenantID: contract.ID(w.tenant), UserID: contract.ID(victim),
				ByUserID: contract.ID(kit.UserFrom(caller).ID), Leaving: leaving,
			}}, asked)
			require.NotErrorIs(t, w.verbs()[verb](platform(t), &contract.UserRequest{
				UserID: contract.ID(victim), TenantID: contract.ID(w.tenant),
			}), refusal, "the platform's own are not asked about")
		})
	}
}
