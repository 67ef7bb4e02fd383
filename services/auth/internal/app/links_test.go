package app

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/auth/internal/mail"
)

var linkIn = regexp.MustCompile(`https://core\.example\.com/account/set-password#token=(\S+)`)

// letter waits for the latest e-mail to an address, of n in all.
func (w *world) letter(t testing.TB, to string, n int) mail.Message {
	t.Helper()
	w.sending.Do(func() {
		w.Mail.Start()
		t.Cleanup(w.Mail.Stop)
	})
	w.Mail.Notify()
	var found []mail.Message
	require.Eventually(t, func() bool {
		found = nil
		for _, m := range w.letters.Messages() {
			if m.To == to {
				found = append(found, m.Message)
			}
		}
		return len(found) == n
	}, limit, 5*time.Millisecond, "%d e-mails to %s", n, to)
	return found[0]
}

// link is the token of a link in an e-mail.
func link(t testing.TB, m mail.Message) string {
	t.Helper()
	match := linkIn.FindStringSubmatch(m.Text)
	require.NotNil(t, match, m.Text)
	return match[1]
}

func (w *world) confirm(ctx context.Context, token, password string) error {
	_, err := w.ConfirmPasswordReset(ctx, &contract.ConfirmPasswordResetRequest{Token: token, NewPassword: password})
	return err
}

// forgot asks for a link and waits until all that follows is done.
func (w *world) forgot(t testing.TB, email, address string) error {
	t.Helper()
	answer, err := w.RequestPasswordReset(from(t, address), &contract.RequestPasswordResetRequest{Email: email})
	if err == nil {
		require.Equal(t, &contract.Empty{}, answer)
	}
	w.Finish()
	return err
}

func TestAnInvitationIsGoodForOnePassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.create(t, contract.CreateUserRequest{TenantID: contract.ID(w.tenant), Email: "ida@example.com", Name: "Ida Invited"})
	require.ErrorIs(t, w.try(t, "ida@example.com", "", ""), is(contract.Unauthenticated), "no password yet")
	m := w.letter(t, "ida@example.com", 1)
	token := link(t, m)
	require.Contains(t, m.Text, "72 hours")
	require.Zero(t, w.count(t, "SELECT count(*) FROM links WHERE links::text LIKE '%' || $1 || '%'", token))
	require.Equal(t, 1, w.count(t, "SELECT count(*) FROM links WHERE expires_at BETWEEN now() + interval '71 h' AND now() + interval '72 h'"))

	for _, weak := range []string{"short", "password2024!", "ida invited herself"} {
		err := w.confirm(from(t, ""), token, weak)
		require.ErrorIs(t, err, is(contract.InvalidArgument), weak)
		require.ErrorContains(t, err, "new_password")
	}
	require.NoError(t, w.confirm(from(t, ""), token, newGoodPassword), "a weak one did not use it up")
	require.Equal(t, "active", w.read(t, made.ID).Status)
	require.Equal(t, error(errLink), w.confirm(from(t, ""), token, otherGoodPassword), "used once")
	require.NoError(t, w.try(t, "ida@example.com", newGoodPassword, ""))
	told := w.told(t, events.UserAdministered)
	require.JSONEq(t, `{"user_id":"`+made.ID+`","change":"password_set_by_link"}`, told[len(told)-1])
	for _, e := range w.outbox(t) {
		require.NotContains(t, string(e.Data()), token)
	}
}

func TestALinkThatIsNoneOpensNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.create(t, contract.CreateUserRequest{TenantID: contract.ID(w.tenant), Email: "ida@example.com"})
	token := link(t, w.letter(t, "ida@example.com", 1))
	refused := func(token, why string) {
		t.Helper()
		require.Equal(t, error(errLink), w.confirm(from(t, ""), token, newGoodPassword), why)
		require.Equal(t, error(errLink), w.confirm(from(t, ""), token, "x"), "%s: nothing is told of the password either", why)
	}
	refused("", "nothing")
	refused(strings.Repeat("0", 64), "invented")
	refused(token+"0", "longer")
	refused(strings.ToUpper(token), "capitals")
	w.exec(t, "UPDATE links SET expires_at = now()")
	refused(token, "expired")
	require.NoError(t, w.sweep(bounded(t)))
	require.Zero(t, w.left(t, made.ID, "links"))

	_, err := w.InviteUser(w.admin(t), about(made.ID))
	require.NoError(t, err)
	second := link(t, w.letter(t, "ida@example.com", 2))
	_, err = w.InviteUser(w.admin(t), about(made.ID))
	require.NoError(t, err)
	third := link(t, w.letter(t, "ida@example.com", 3))
	refused(second, "a newer one was sent")
	_, err = w.UpdateUser(w.admin(t), &contract.UpdateUserRequest{UserID: contract.ID(made.ID), Email: pointer("new@example.com")})
	require.NoError(t, err)
	refused(third, "it was sent to an address of before")
	_, err = w.InviteUser(w.admin(t), about(made.ID))
	require.NoError(t, err)
	fourth := link(t, w.letter(t, "new@example.com", 1))
	_, err = w.DisableUser(w.admin(t), about(made.ID))
	require.NoError(t, err)
	refused(fourth, "disabled")
	_, err = w.InviteUser(w.admin(t), about(made.ID))
	require.ErrorIs(t, err, is(contract.Conflict))
	w.user(t, "ada@example.com")
	_, err = w.InviteUser(w.admin(t), about(w.user(t, "bob@example.com")))
	require.ErrorIs(t, err, is(contract.Conflict), "has a password")
}

func TestALinkIsUsedOnceByWhoeverComesAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create(t, contract.CreateUserRequest{TenantID: contract.ID(w.tenant), Email: "ida@example.com"})
	token := link(t, w.letter(t, "ida@example.com", 1))
	var good atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			switch err := w.confirm(bounded(t), token, newGoodPassword); {
			case err == nil:
				good.Add(1)
			case !errors.Is(err, errLink) && !errors.Is(err, is(contract.InvalidArgument)): // the one set a moment ago
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 1, good.Load())
}

func TestAForgottenPasswordIsSetAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.user(t, "ada@example.com")
	in := w.loggedIn(t, "ada@example.com", "192.0.2.1")
	for range 6 { // they tried before they asked
		_ = w.try(t, "ada@example.com", "forgotten", "192.0.2.1")
	}
	require.NoError(t, w.forgot(t, " ADA@example.com", "192.0.2.1"))
	m := w.letter(t, "ada@example.com", 1)
	require.Contains(t, m.Text, "60 minutes")
	require.NotContains(t, m.Text, goodPassword)
	_, err := w.refreshed(t, in.RefreshToken)
	require.NoError(t, err, "whoever asks for a link ends nothing")
	require.ErrorContains(t, w.confirm(from(t, "192.0.2.1"), link(t, m), goodPassword), "new_password", "it is the current one")

	require.NoError(t, w.confirm(from(t, "192.0.2.1"), link(t, m), newGoodPassword))
	require.Empty(t, w.sessions(t, in.AccessToken), "whoever else was in is out")
	require.NoError(t, w.try(t, "ada@example.com", newGoodPassword, "192.0.2.1"), "the failures of before are forgotten")
	require.ErrorIs(t, w.try(t, "ada@example.com", goodPassword, "192.0.2.1"), is(contract.Unauthenticated))
	var changes []string
	for _, told := range w.told(t, events.UserAdministered) {
		require.Contains(t, told, id)
		changes = append(changes, told)
	}
	require.Contains(t, changes[len(changes)-2], "password_reset_requested")
}

func TestARequestDoesNotTellWhetherAnAccountExists(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user(t, "ada@example.com")
	w.create(t, contract.CreateUserRequest{TenantID: contract.ID(w.tenant), Email: "invited@example.com"})
	disabled := w.user(t, "disabled@example.com")
	_, err := w.DisableUser(w.admin(t), about(disabled))
	require.NoError(t, err)
	answers := map[string][]error{}
	for i, email := range []string{"ada@example.com", "invited@example.com", "disabled@example.com", "nobody@example.com"} {
		for range 8 {
			err := w.forgot(t, email, "192.0.2."+string(rune('1'+i)))
			var refused *contract.Error
			if errors.As(err, &refused) {
				require.Equal(t, contract.RateLimited, refused.Code)
				require.Positive(t, refused.RetryAfter)
			}
			answers[email] = append(answers[email], err)
		}
	}
	for email, got := range answers {
		require.Len(t, got, 8)
		for i := range got {
			require.Equal(t, answers["nobody@example.com"][i] == nil, got[i] == nil, "%s, request %d", email, i)
		}
	}
	require.Error(t, answers["nobody@example.com"][7], "nobody floods a mailbox")
	link(t, w.letter(t, "invited@example.com", 1+sent(answers["invited@example.com"])))
	link(t, w.letter(t, "ada@example.com", sent(answers["ada@example.com"])))
	for _, m := range w.letters.Messages() {
		require.NotContains(t, []string{"disabled@example.com", "nobody@example.com"}, m.To)
	}
	require.NoError(t, w.try(t, "ada@example.com", goodPassword, "192.0.2.1"), "requests are no failed logins of the account")
}

func sent(answers []error) (n int) {
	for _, err := range answers {
		if err == nil {
			n++
		}
	}
	return n
}

func TestAnAdministratorResetsAPassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.user(t, "ada@example.com")
	in := w.loggedIn(t, "ada@example.com", "")
	admin := kit.NewID()
	detail, err := w.ResetUserPassword(by(t, kit.User{ID: admin, TenantID: w.tenant}), about(id))
	require.NoError(t, err)
	require.Equal(t, "active", detail.Status, "not invited: they were here before")
	require.Empty(t, w.sessions(t, in.AccessToken))
	require.ErrorIs(t, w.try(t, "ada@example.com", goodPassword, ""), is(contract.Unauthenticated))
	token := link(t, w.letter(t, "ada@example.com", 1))
	require.ErrorContains(t, w.confirm(from(t, ""), token, goodPassword), "new_password", "what was reset is not set again")
	require.NoError(t, w.confirm(from(t, ""), token, newGoodPassword))
	require.NoError(t, w.try(t, "ada@example.com", newGoodPassword, ""))
	for _, e := range w.outbox(t) {
		if events.UserAdministered.Is(e) && contains(e, "password_reset") {
			require.Equal(t, admin, e.Extensions()[events.ActorID])
			require.Equal(t, w.tenant, e.Extensions()[events.TenantID])
		}
	}
}
