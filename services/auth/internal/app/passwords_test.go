package app

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
)

const (
	newGoodPassword   = "a stapler in the pond"
	otherGoodPassword = "nine green kettles"
)

// changed changes a person's own password.
func (w *world) changed(ctx context.Context, current, wanted string) error {
	_, err := w.ChangePassword(ctx, &contract.ChangePasswordRequest{CurrentPassword: current, NewPassword: wanted})
	return err
}

func (w *world) passwordRules(t testing.TB, p contract.SetPasswordPolicyRequest) {
	t.Helper()
	_, err := w.SetPasswordPolicy(w.admin(t), &p)
	require.NoError(t, err)
}

func TestWhoeverChangesTheirPasswordStaysAndTheirOtherSessionsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.user(t, "ada@example.com")
	w.user(t, "bob@example.com")
	bob := w.loggedIn(t, "bob@example.com", "")
	here, elsewhere := w.loggedIn(t, "ada@example.com", ""), w.loggedIn(t, "ada@example.com", "")
	w.credentials(t, id)
	require.NoError(t, w.changed(w.as(t, here.AccessToken), goodPassword, newGoodPassword))
	open := w.sessions(t, here.AccessToken)
	require.Len(t, open, 1)
	require.True(t, open[0].Current)
	_, err := w.refreshed(t, elsewhere.RefreshToken)
	require.ErrorIs(t, err, is(contract.Unauthenticated))
	_, err = w.refreshed(t, here.RefreshToken)
	require.NoError(t, err)
	require.Len(t, w.sessions(t, bob.AccessToken), 1)
	require.Zero(t, w.left(t, id, "links"), "a link that was sent before")
	require.NoError(t, w.try(t, "bob@example.com", goodPassword, ""))
	require.ErrorIs(t, w.try(t, "ada@example.com", goodPassword, ""), is(contract.Unauthenticated))
	require.NoError(t, w.try(t, "ada@example.com", newGoodPassword, ""))
	told := w.told(t, events.UserAdministered)
	require.JSONEq(t, `{"user_id":"`+id+`","change":"password_changed"}`, told[len(told)-1])
}

func TestAPasswordIsNotChangedWithout(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.user(t, "ada.lovelace@example.com")
	in := w.loggedIn(t, "ada.lovelace@example.com", "")
	me := w.as(t, in.AccessToken)
	refused := func(code contract.Code, field, current, wanted string) {
		t.Helper()
		err := w.changed(me, current, wanted)
		var refusal *contract.Error
		require.ErrorAs(t, err, &refusal)
		require.Equal(t, code, refusal.Code)
		require.Equal(t, field, refusal.Field)
	}
	refused(contract.PermissionDenied, "current_password", "wrong", newGoodPassword)
	refused(contract.InvalidArgument, "new_password", goodPassword, "short")
	refused(contract.InvalidArgument, "new_password", goodPassword, "lovelace was here")
	refused(contract.InvalidArgument, "new_password", goodPassword, "password2024!")
	refused(contract.InvalidArgument, "new_password", goodPassword, goodPassword)
	refused(contract.InvalidArgument, "new_password", goodPassword, strings.Repeat("Ab3d", 33))
	require.Len(t, w.sessions(t, in.AccessToken), 1)
	require.Empty(t, w.told(t, events.SessionsEnded))
	for range 10 { // whoever found an open browser guesses
		_ = w.changed(me, "guess", newGoodPassword)
	}
	refused(contract.RateLimited, "", goodPassword, newGoodPassword)
	_, err := w.UnlockUser(w.admin(t), about(id))
	require.NoError(t, err)
	require.NoError(t, w.changed(me, goodPassword, newGoodPassword))
}

func TestAPolicyIsATenantsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.tenantBeside()
	read := func(tenant string) contract.PasswordPolicy {
		t.Helper()
		p, err := w.GetPasswordPolicy(by(t, kit.User{ID: kit.NewID(), TenantID: tenant}), &contract.GetPasswordPolicyRequest{})
		require.NoError(t, err)
		return *p
	}
	standard := contract.PasswordPolicy{MinLength: 12, RefuseCommon: true}
	require.Equal(t, standard, read(w.tenant))
	require.Equal(t, standard, read(""))
	w.passwordRules(t, contract.SetPasswordPolicyRequest{MinLength: 20, History: 3, MaxAgeDays: 90})
	strict := contract.PasswordPolicy{MinLength: 20, History: 3, MaxAgeDays: 90}
	require.Equal(t, strict, read(w.tenant))
	require.Equal(t, standard, read(other))
	told := w.told(t, events.AuthPolicyChanged)
	require.Len(t, told, 1)
	require.JSONEq(t, `{"tenant_id":"`+w.tenant+`","policy":"password",
		"before":{"min_length":12,"refuse_common":true,"history":0,"max_age_days":0},
		"after":{"min_length":20,"refuse_common":false,"history":3,"max_age_days":90}}`, told[0])

	create := func(tenant, password string) error {
		_, err := w.CreateUser(bounded(t), &contract.CreateUserRequest{
			TenantID: contract.ID(tenant), Platform: tenant == "", Email: kit.NewID() + "@example.com", Password: password,
		})
		return err
	}
	require.ErrorContains(t, create(w.tenant, "nineteen characters"), "at least 20")
	require.NoError(t, create(other, "nineteen characters"))
	require.NoError(t, create("", "nineteen characters"))
	_, err := w.SetPasswordPolicy(platform(t), &contract.SetPasswordPolicyRequest{TenantID: contract.ID(other), MinLength: 14})
	require.NoError(t, err)
	require.Equal(t, 14, read(other).MinLength)
	_, err = w.SetPasswordPolicy(platform(t), &contract.SetPasswordPolicyRequest{MinLength: 14})
	require.ErrorIs(t, err, is(contract.InvalidArgument), "whose?")
}

func TestEarlierPasswordsAreNotUsedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user(t, "ada@example.com")
	me := w.as(t, w.loggedIn(t, "ada@example.com", "").AccessToken)
	require.NoError(t, w.changed(me, goodPassword, newGoodPassword))
	require.NoError(t, w.changed(me, newGoodPassword, goodPassword), "the platform's policy remembers none but the current one")
	w.passwordRules(t, contract.SetPasswordPolicyRequest{MinLength: 12, History: 2})
	require.ErrorContains(t, w.changed(me, goodPassword, newGoodPassword), "last 2")
	require.NoError(t, w.changed(me, goodPassword, otherGoodPassword))
	require.NoError(t, w.changed(me, otherGoodPassword, "the third of them all"))
	require.ErrorContains(t, w.changed(me, "the third of them all", goodPassword), "last 2")
	require.NoError(t, w.changed(me, "the third of them all", newGoodPassword), "long ago")
}

func TestAnOldPasswordIsToBeChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.user(t, "ada@example.com")
	w.passwordRules(t, contract.SetPasswordPolicyRequest{MinLength: 12, MaxAgeDays: 30})
	w.loggedIn(t, "ada@example.com", "")
	w.exec(t, "UPDATE users SET password_changed_at = now() - interval '31 days' WHERE id = $1", id)
	answer, err := w.login(t, "ada@example.com", goodPassword)
	require.NoError(t, err)
	require.Empty(t, answer.AccessToken)
	require.Equal(t, []string{"new_password"}, answer.Challenge.Methods)
	answer, err = w.CompleteLogin(from(t, ""), &contract.CompleteLoginRequest{
		Challenge: answer.Challenge.Token, Method: "new_password", NewPassword: newGoodPassword,
	})
	require.NoError(t, err)
	require.NotEmpty(t, answer.AccessToken)
	require.WithinDuration(t, time.Now(), w.passwordSet(t, id), time.Minute)
}

func (w *world) passwordSet(t testing.TB, id string) (at time.Time) {
	t.Helper()
	seconds := w.count(t, "SELECT extract(epoch FROM password_changed_at)::bigint FROM users WHERE id = $1", id)
	return time.Unix(int64(seconds), 0)
}
