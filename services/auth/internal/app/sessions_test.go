package app

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/refresh"
	"github.com/buildify/core/services/auth/internal/secret"
)

// from is the context of an anonymous request from an address.
func from(t testing.TB, address string) context.Context {
	t.Helper()
	client := kit.ClientInfo{Agent: "a browser"}
	if address != "" {
		client.Address = netip.MustParseAddr(address)
	}
	return kit.WithCaller(bounded(t), kit.Caller{Principal: kit.Principal{Kind: kit.KindAnonymous}, Client: client})
}

// as is the context of a request with an access token.
func (w *world) as(t testing.TB, access string) context.Context {
	t.Helper()
	claims, err := w.Verifier.Verify(bounded(t), access)
	require.NoError(t, err)
	return kit.WithCaller(bounded(t), kit.Caller{
		Principal: kit.Principal{Kind: kit.KindAnonymous},
		User: kit.User{
			ID: claims.Subject, TenantID: claims.TenantID, SessionID: claims.SessionID, Platform: w.Directory.Platform(claims.Subject),
		},
	})
}

// loggedIn is the tokens of a new session, begun from an address.
func (w *world) loggedIn(t testing.TB, email, address string) *contract.LoginResponse {
	t.Helper()
	answer, err := w.Login(from(t, address), &contract.LoginRequest{Email: email, Password: goodPassword})
	require.NoError(t, err)
	require.Nil(t, answer.Challenge)
	return answer
}

func (w *world) refreshed(t testing.TB, raw string) (*contract.LoginResponse, error) {
	t.Helper()
	return w.Refresh(from(t, "192.0.2.99"), &contract.RefreshRequest{RefreshToken: raw})
}

func (w *world) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	require.NoError(t, w.DB.In(bounded(t), database.Everything, func(tx pgx.Tx) error {
		_, err := tx.Exec(bounded(t), sql, args...)
		return err
	}))
}

// told is the data of the waiting events of a kind.
func (w *world) told(t testing.TB, kind events.Kind) (data []string) {
	t.Helper()
	for _, e := range w.outbox(t) {
		if kind.Is(e) {
			data = append(data, string(e.Data()))
		}
	}
	return data
}

// sessions is the open sessions of the person behind an access token.
func (w *world) sessions(t testing.TB, access string) []contract.Session {
	t.Helper()
	list, err := w.ListSessions(w.as(t, access), &contract.ListSessionsRequest{})
	require.NoError(t, err)
	return list.Items
}

func TestARefreshYieldsTheNextTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.user(t, "ada@example.com")
	first := w.loggedIn(t, "ada@example.com", "192.0.2.1")
	require.Equal(t, 14*24*3600, first.RefreshExpiresIn)
	second, err := w.refreshed(t, first.RefreshToken)
	require.NoError(t, err)
	require.NotEqual(t, first.RefreshToken, second.RefreshToken)
	require.NotEqual(t, first.AccessToken, second.AccessToken)
	require.Equal(t, first.SessionID, second.SessionID)
	require.Equal(t, first.User, second.User)
	claims, err := w.Verifier.Verify(bounded(t), second.AccessToken)
	require.NoError(t, err)
	require.Equal(t, id, claims.Subject)
	require.Equal(t, w.tenant, claims.TenantID)
	require.Equal(t, first.SessionID, claims.SessionID)
	_, err = w.refreshed(t, second.RefreshToken)
	require.NoError(t, err)
	open := w.sessions(t, second.AccessToken)
	require.Len(t, open, 1)
	require.Equal(t, "192.0.2.99", open[0].Address, "where it was last used")

	var stored string
	require.NoError(t, w.DB.In(bounded(t), database.Everything, func(tx pgx.Tx) error {
		return tx.QueryRow(bounded(t), "SELECT string_agg(r::text, '') || (SELECT string_agg(s::text, '') FROM sessions s) FROM refresh_tokens r").Scan(&stored)
	}))
	for _, token := range []string{first.RefreshToken, second.RefreshToken} {
		require.NotContains(t, stored, token[40:80])
	}
}

func TestRacingRefreshesAllGetTheSameSuccessor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user(t, "ada@example.com")
	first := w.loggedIn(t, "ada@example.com", "192.0.2.1")
	const racers = 32
	var all sync.WaitGroup
	answers, failures := make([]*contract.LoginResponse, racers), make([]error, racers)
	for i := range racers {
		all.Go(func() {
			answers[i], failures[i] = w.Refresh(bounded(t), &contract.RefreshRequest{RefreshToken: first.RefreshToken})
		})
	}
	all.Wait()
	for i := range racers {
		require.NoError(t, failures[i])
		require.Equal(t, answers[0].RefreshToken, answers[i].RefreshToken)
		_, err := w.Verifier.Verify(bounded(t), answers[i].AccessToken)
		require.NoError(t, err)
	}
	_, err := w.refreshed(t, answers[0].RefreshToken)
	require.NoError(t, err)
	require.Empty(t, w.told(t, events.RefreshReused))
}

// The slowest of those who raced must not be left with a token that is spent
// already: it would log them out next time.
func TestALateRacerIsGivenTheNewestToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user(t, "ada@example.com")
	tokens := []string{w.loggedIn(t, "ada@example.com", "").RefreshToken}
	for range 5 {
		next, err := w.refreshed(t, tokens[len(tokens)-1])
		require.NoError(t, err)
		tokens = append(tokens, next.RefreshToken)
	}
	for _, earlier := range tokens[:5] {
		late, err := w.refreshed(t, earlier)
		require.NoError(t, err)
		require.Equal(t, tokens[5], late.RefreshToken)
	}
}

func TestASpentRefreshTokenEndsItsSession(t *testing.T) {
	t.Parallel()
	for name, age := range map[string]string{
		"spent longer ago than the grace":        "UPDATE refresh_tokens SET spent_at = spent_at - interval '11 seconds' WHERE spent_at IS NOT NULL",
		"spent so long ago that it is forgotten": "DELETE FROM refresh_tokens WHERE spent_at IS NOT NULL",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id := w.user(t, "ada@example.com")
			other := w.loggedIn(t, "ada@example.com", "")
			first := w.loggedIn(t, "ada@example.com", "")
			second, err := w.refreshed(t, first.RefreshToken)
			require.NoError(t, err)
			w.exec(t, age)
			_, err = w.refreshed(t, first.RefreshToken)
			require.Equal(t, error(errRefresh), err)
			_, err = w.refreshed(t, second.RefreshToken)
			require.Equal(t, error(errRefresh), err, "the family is over, whoever has its newest token")
			_, err = w.refreshed(t, other.RefreshToken)
			require.NoError(t, err, "another session goes on")

			reused := w.told(t, events.RefreshReused)
			require.Len(t, reused, 1, "once")
			require.Contains(t, reused[0], first.SessionID)
			require.Contains(t, reused[0], id)
			require.Contains(t, reused[0], "192.0.2.99", "who came with it")
			ended := w.told(t, events.SessionsEnded)
			require.Len(t, ended, 1)
			require.Contains(t, ended[0], first.SessionID)
			require.NotContains(t, ended[0], other.SessionID)
		})
	}
}

func TestSpentTokensAreForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user(t, "ada@example.com")
	raw := w.loggedIn(t, "ada@example.com", "").RefreshToken
	for range 5 {
		w.exec(t, "UPDATE refresh_tokens SET spent_at = spent_at - interval '1 day'")
		next, err := w.refreshed(t, raw)
		require.NoError(t, err)
		raw = next.RefreshToken
	}
	var n int
	require.NoError(t, w.DB.In(bounded(t), database.Everything, func(tx pgx.Tx) error {
		return tx.QueryRow(bounded(t), "SELECT count(*) FROM refresh_tokens").Scan(&n)
	}))
	require.LessOrEqual(t, n, 2)
}

func TestASessionExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user(t, "ada@example.com")
	in := w.loggedIn(t, "ada@example.com", "")
	w.exec(t, "UPDATE sessions SET expires_at = now() + interval '1 hour'")
	next, err := w.refreshed(t, in.RefreshToken)
	require.NoError(t, err)
	require.Equal(t, 14*24*3600, next.RefreshExpiresIn, "use keeps it open")
	w.exec(t, "UPDATE sessions SET absolute_until = now() + interval '1 hour'")
	next, err = w.refreshed(t, next.RefreshToken)
	require.NoError(t, err)
	require.InDelta(t, 3600, next.RefreshExpiresIn, 30, "but not for ever")
	w.exec(t, "UPDATE sessions SET expires_at = now()")
	_, err = w.refreshed(t, next.RefreshToken)
	require.Equal(t, error(errRefresh), err)
	require.Empty(t, w.told(t, events.RefreshReused))
	require.Empty(t, w.sessions(t, next.AccessToken))
	_, err = w.SwitchTenant(w.as(t, next.AccessToken), &contract.SwitchTenantRequest{TenantID: contract.ID(w.tenant)})
	require.ErrorIs(t, err, is(contract.Unauthenticated), "no new token of an expired session")
}

func TestWhoMayNotRefresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.user(t, "ada@example.com")
	in := w.loggedIn(t, "ada@example.com", "")
	refused := func(raw, why string) {
		t.Helper()
		answer, err := w.refreshed(t, raw)
		require.Equal(t, error(errRefresh), err, why)
		require.Nil(t, answer)
	}
	forged, err := refresh.New(newBox(t, "b"), in.SessionID, secret.Random(32))
	require.NoError(t, err)
	invented, err := refresh.New(w.Box, kit.NewID(), secret.Random(32))
	require.NoError(t, err)
	refused("", "nothing")
	refused("bfr_", "no token")
	refused(in.AccessToken, "an access token")
	refused(in.RefreshToken+"0", "longer")
	refused(strings.ToUpper(in.RefreshToken), "capitals")
	refused(forged.Reveal(), "made under another secret")
	refused(invented.Reveal(), "of no session")
	require.Empty(t, w.told(t, events.RefreshReused), "an invented token ends nobody's session")

	w.activate(false, 2)
	refused(in.RefreshToken, "the tenant is suspended")
	w.activate(true, 3)
	in, err = w.refreshed(t, in.RefreshToken)
	require.NoError(t, err, "the tenant was resumed")
	w.exec(t, "UPDATE users SET disabled_at = now() WHERE id = $1", id)
	refused(in.RefreshToken, "disabled")
	w.exec(t, "UPDATE users SET disabled_at = NULL, deleted_at = now() WHERE id = $1", id)
	refused(in.RefreshToken, "deleted")
	w.exec(t, "UPDATE users SET deleted_at = NULL WHERE id = $1", id)
	_, err = w.Logout(w.as(t, in.AccessToken), &contract.LogoutRequest{})
	require.NoError(t, err)
	refused(in.RefreshToken, "logged out")
	_, err = w.Logout(w.as(t, in.AccessToken), &contract.LogoutRequest{})
	require.NoError(t, err, "logged out twice")
	require.Len(t, w.told(t, events.SessionsEnded), 1)
}

func TestSessionsAreListedAndEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user(t, "ada@example.com")
	w.user(t, "bob@example.com")
	var in []*contract.LoginResponse
	for i := range 4 {
		in = append(in, w.loggedIn(t, "ada@example.com", fmt.Sprintf("192.0.2.%d", i)))
	}
	stranger := w.loggedIn(t, "bob@example.com", "")
	me := w.as(t, in[0].AccessToken)
	open := w.sessions(t, in[0].AccessToken)
	require.Len(t, open, 4)
	for i, s := range open {
		require.Equal(t, in[3-i].SessionID, s.ID, "last used first")
		require.Equal(t, i == 3, s.Current)
		require.Equal(t, fmt.Sprintf("192.0.2.%d", 3-i), s.Address)
		require.Equal(t, "a browser", s.Agent)
		require.Equal(t, []string{"password"}, s.Methods)
		require.WithinDuration(t, time.Now(), s.CreatedAt, time.Minute)
		require.WithinDuration(t, s.LastUsedAt.Add(14*24*time.Hour), s.ExpiresAt, time.Second)
	}

	end := func(session string) error {
		_, err := w.EndSession(me, &contract.EndSessionRequest{SessionID: contract.ID(session)})
		return err
	}
	require.NoError(t, end(strings.ToUpper(in[1].SessionID)))
	for _, none := range []string{in[1].SessionID, stranger.SessionID, kit.NewID()} {
		require.ErrorIs(t, end(none), is(contract.NotFound))
	}
	_, err := w.refreshed(t, in[1].RefreshToken)
	require.Equal(t, error(errRefresh), err)
	w.exec(t, "UPDATE sessions SET expires_at = now() WHERE id = $1", in[2].SessionID)
	require.ErrorIs(t, end(in[2].SessionID), is(contract.NotFound), "expired")

	ended, err := w.EndOtherSessions(me, &contract.EndOtherSessionsRequest{})
	require.NoError(t, err)
	require.Equal(t, 1, ended.Ended)
	last := w.told(t, events.SessionsEnded)[1]
	require.Contains(t, last, in[3].SessionID)
	require.Contains(t, last, in[2].SessionID, "what expired may have a token left")
	require.NotContains(t, last, in[0].SessionID)
	ended, err = w.EndOtherSessions(me, &contract.EndOtherSessionsRequest{})
	require.NoError(t, err)
	require.Zero(t, ended.Ended)
	require.Len(t, w.told(t, events.SessionsEnded), 2, "nothing ended, nothing told")
	require.Len(t, w.sessions(t, in[0].AccessToken), 1)
	_, err = w.refreshed(t, stranger.RefreshToken)
	require.NoError(t, err)
}

func TestEndedSessionsAreRevokedUntilTheirLastTokenExpired(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user(t, "ada@example.com")
	in := w.loggedIn(t, "ada@example.com", "")
	_, err := w.Logout(w.as(t, in.AccessToken), &contract.LogoutRequest{})
	require.NoError(t, err)
	claims, err := w.Verifier.Verify(bounded(t), in.AccessToken)
	require.NoError(t, err)
	var until time.Time
	require.NoError(t, w.DB.In(bounded(t), database.Everything, func(tx pgx.Tx) error {
		return tx.QueryRow(bounded(t), "SELECT revoked_until FROM sessions").Scan(&until)
	}))
	require.True(t, until.After(claims.ExpiresAt.Time))
	require.Contains(t, w.told(t, events.SessionsEnded)[0], `"until":"`+until.UTC().Format(time.RFC3339Nano))
	require.Contains(t, w.told(t, events.SessionsEnded)[0], `"reason":"logout"`)
}

func TestAPersonHasOnlySoManySessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.user(t, "ada@example.com")
	oldest := w.loggedIn(t, "ada@example.com", "")
	w.exec(t, "UPDATE sessions SET last_used_at = now() - interval '1 day'")
	w.exec(t, `INSERT INTO sessions (id, user_id, tenant_id, methods, address, agent, expires_at, absolute_until)
		SELECT gen_random_uuid(), $1, $2, '{password}', '', '', now() + interval '1 day', now() + interval '1 day'
		FROM generate_series(1, $3)`, id, w.tenant, maxSessions-1)
	newest := w.loggedIn(t, "ada@example.com", "")
	require.Len(t, w.sessions(t, newest.AccessToken), maxSessions)
	_, err := w.refreshed(t, oldest.RefreshToken)
	require.Equal(t, error(errRefresh), err)
	ended := w.told(t, events.SessionsEnded)
	require.Len(t, ended, 1)
	require.Contains(t, ended[0], oldest.SessionID)
	_, err = w.refreshed(t, newest.RefreshToken)
	require.NoError(t, err)
}

// second gives the world another tenant, which a user belongs to as well.
func (w *world) second(t testing.TB, user string) string {
	t.Helper()
	id := kit.NewID()
	w.Directory.PutTenant(contract.Tenant{ID: id, Code: "OTHER", Name: "The other", IsActive: true, Revision: 1})
	if user != "" {
		w.exec(t, "INSERT INTO memberships (user_id, tenant_id) VALUES ($1, $2)", user, id)
		member, _ := w.Directory.Member(user)
		member.Tenants, member.Revision = append(member.Tenants, id), member.Revision+1
		w.Directory.PutMember(member)
	}
	return id
}

func TestAPersonSwitchesBetweenTheirTenants(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.user(t, "ada@example.com")
	other, foreign := w.second(t, id), w.second(t, "")
	in := w.loggedIn(t, "ada@example.com", "")
	mine, err := w.MyTenants(w.as(t, in.AccessToken), &contract.MyTenantsRequest{})
	require.NoError(t, err)
	require.Equal(t, []contract.MyTenant{
		{ID: w.tenant, Code: "ACME", Home: true, Current: true}, {ID: other, Code: "OTHER", Name: "The other"},
	}, mine.Items)

	switchTo := func(access, tenant string) (*contract.AccessTokenResponse, error) {
		return w.SwitchTenant(w.as(t, access), &contract.SwitchTenantRequest{TenantID: contract.ID(tenant)})
	}
	for _, none := range []string{foreign, kit.NewID()} {
		_, err = switchTo(in.AccessToken, none)
		require.ErrorIs(t, err, is(contract.NotFound))
	}
	switched, err := switchTo(in.AccessToken, strings.ToUpper(other))
	require.NoError(t, err)
	require.Equal(t, other, switched.TenantID)
	claims, err := w.Verifier.Verify(bounded(t), switched.AccessToken)
	require.NoError(t, err)
	require.Equal(t, []string{id, other, in.SessionID}, []string{claims.Subject, claims.TenantID, claims.SessionID})
	told := w.outbox(t)
	last := told[len(told)-1]
	require.True(t, events.TenantSwitched.Is(last))
	require.Equal(t, other, events.Extension(last, events.TenantID), "in the trail of the tenant that they come to")
	require.Equal(t, id, events.Extension(last, events.ActorID))
	me, err := w.Me(w.as(t, switched.AccessToken), &contract.MeRequest{})
	require.NoError(t, err)
	require.Equal(t, []string{other, "OTHER", w.tenant}, []string{me.TenantID, me.TenantCode, me.User.TenantID})

	next, err := w.refreshed(t, in.RefreshToken)
	require.NoError(t, err)
	require.Equal(t, other, next.User.TenantID, "a refresh stays in the tenant")
	w.exec(t, "DELETE FROM memberships")
	next, err = w.refreshed(t, next.RefreshToken)
	require.NoError(t, err)
	require.Equal(t, w.tenant, next.User.TenantID, "not a member any more: at home again")
	_, err = switchTo(next.AccessToken, other)
	require.ErrorIs(t, err, is(contract.NotFound))
	w.exec(t, "INSERT INTO memberships (user_id, tenant_id) VALUES ($1, $2)", id, other)
	next, err = w.refreshed(t, next.RefreshToken)
	require.NoError(t, err)
	require.Equal(t, w.tenant, next.User.TenantID, "and stays there")

	w.Directory.PutTenant(contract.Tenant{ID: other, Code: "OTHER", Revision: 2})
	_, err = switchTo(next.AccessToken, other)
	require.ErrorIs(t, err, is(contract.NotFound), "suspended")
	mine, err = w.MyTenants(w.as(t, next.AccessToken), &contract.MyTenantsRequest{})
	require.NoError(t, err)
	require.Len(t, mine.Items, 1)
}

// platformAdministrator makes one, who can log in.
func (w *world) platformAdministrator(t testing.TB, email string) string {
	t.Helper()
	hash, err := w.Hasher.Hash(bounded(t), goodPassword)
	require.NoError(t, err)
	id := kit.NewID()
	w.exec(t, "INSERT INTO users (id, platform, email, username, password_hash) VALUES ($1, true, $2, 'root', $3)", id, email, hash)
	w.Directory.PutMember(contract.Member{UserID: id, Platform: true, Active: true, Revision: 1})
	return id
}

// Where a tenant requires a second factor, a session that began with a password
// alone comes in at no door.
func TestATenantThatRequiresASecondFactorIsNotEnteredByPasswordAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.user(t, "ada@example.com")
	other := w.second(t, id)
	_, err := w.SetSignInPolicy(bounded(t), &contract.SetSignInPolicyRequest{
		TenantID: contract.ID(other), SecondFactor: "required", AcceptAccessTokens: true,
	})
	require.NoError(t, err)
	in := w.loggedIn(t, "ada@example.com", "")
	request := &contract.SwitchTenantRequest{TenantID: contract.ID(other)}
	_, err = w.SwitchTenant(w.as(t, in.AccessToken), request)
	require.ErrorIs(t, err, is(contract.PermissionDenied))
	for _, methods := range []string{"{password,totp}", "{passkey}"} {
		require.NoError(t, w.DB.In(bounded(t), database.Everything, func(tx pgx.Tx) error {
			_, err := tx.Exec(bounded(t), "UPDATE sessions SET methods = $2 WHERE id = $1", in.SessionID, methods)
			return err
		}))
		switched, err := w.SwitchTenant(w.as(t, in.AccessToken), request)
		require.NoError(t, err, methods)
		require.Equal(t, other, switched.TenantID)
	}
}

func TestAPlatformAdministratorActsInNoTenantUntilTheySwitch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.platformAdministrator(t, "root@example.com")
	in := w.loggedIn(t, "root@example.com", "")
	require.Empty(t, in.User.TenantID)
	next, err := w.refreshed(t, in.RefreshToken)
	require.NoError(t, err)
	require.Empty(t, next.User.TenantID)
	caller := kit.WithCaller(bounded(t), kit.Caller{User: kit.User{ID: id, SessionID: in.SessionID, Platform: true}})
	switched, err := w.SwitchTenant(caller, &contract.SwitchTenantRequest{TenantID: contract.ID(w.tenant)})
	require.NoError(t, err)
	require.Equal(t, w.tenant, switched.TenantID)
	mine, err := w.MyTenants(w.as(t, switched.AccessToken), &contract.MyTenantsRequest{})
	require.NoError(t, err)
	require.Equal(t, []contract.MyTenant{{ID: w.tenant, Code: "ACME", Current: true}}, mine.Items)
	next, err = w.refreshed(t, next.RefreshToken)
	require.NoError(t, err)
	require.Equal(t, w.tenant, next.User.TenantID)
	w.activate(false, 2)
	next, err = w.refreshed(t, next.RefreshToken)
	require.NoError(t, err)
	require.Empty(t, next.User.TenantID, "a suspended tenant keeps no platform administrator out of the platform")
	_, err = w.Logout(caller, &contract.LogoutRequest{})
	require.NoError(t, err)
	_, err = w.refreshed(t, next.RefreshToken)
	require.Equal(t, error(errRefresh), err)
}

func TestAPersonEditsTheirProfile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.user(t, "ada@example.com")
	in := w.loggedIn(t, "ada@example.com", "")
	ctx := w.as(t, in.AccessToken)
	me, err := w.Me(ctx, &contract.MeRequest{})
	require.NoError(t, err)
	require.Equal(t, id, me.User.ID)
	require.Equal(t, "active", me.User.Status)
	require.Equal(t, in.SessionID, me.SessionID)
	require.Equal(t, "ACME", me.TenantCode)
	require.WithinDuration(t, time.Now(), *me.User.LastLoginAt, time.Minute)

	name, username, blank := " Ada Lovelace ", "countess", " "
	changed, err := w.UpdateMe(ctx, &contract.UpdateMeRequest{Name: &name, Username: &username, Revision: me.User.Revision})
	require.NoError(t, err)
	require.Equal(t, []string{"Ada Lovelace", "countess"}, []string{changed.User.Name, changed.User.Username})
	require.Greater(t, changed.User.Revision, me.User.Revision)
	again, err := w.Me(ctx, &contract.MeRequest{})
	require.NoError(t, err)
	require.Equal(t, changed, again)
	require.JSONEq(t, `{"user_id":"`+id+`","change":"updated","fields":["username","name"]}`, w.told(t, events.UserAdministered)[1])

	before := len(w.outbox(t))
	_, err = w.UpdateMe(ctx, &contract.UpdateMeRequest{Name: &username, Revision: me.User.Revision})
	require.ErrorIs(t, err, is(contract.Conflict))
	_, err = w.UpdateMe(ctx, &contract.UpdateMeRequest{Username: &blank})
	require.ErrorIs(t, err, is(contract.InvalidArgument))
	same, err := w.UpdateMe(ctx, &contract.UpdateMeRequest{Name: &name})
	require.NoError(t, err)
	require.Equal(t, again, same, "what changes nothing makes no revision")
	require.Len(t, w.outbox(t), before)
	empty := ""
	changed, err = w.UpdateMe(ctx, &contract.UpdateMeRequest{Name: &empty})
	require.NoError(t, err)
	require.Empty(t, changed.User.Name)
}

// Nobody's session is anybody else's, whatever the account's scope in SQL.
func TestAPersonWhoIsGoneHasNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := kit.WithCaller(bounded(t), kit.Caller{User: kit.User{ID: kit.NewID(), TenantID: w.tenant, SessionID: kit.NewID()}})
	_, err := w.Me(ctx, &contract.MeRequest{})
	require.ErrorIs(t, err, is(contract.NotFound))
	_, err = w.UpdateMe(ctx, &contract.UpdateMeRequest{})
	require.ErrorIs(t, err, is(contract.NotFound))
	_, err = w.EndOtherSessions(ctx, &contract.EndOtherSessionsRequest{})
	require.ErrorIs(t, err, is(contract.NotFound))
	_, err = w.EndSession(ctx, &contract.EndSessionRequest{SessionID: contract.ID(kit.NewID())})
	require.ErrorIs(t, err, is(contract.NotFound))
	_, err = w.SwitchTenant(ctx, &contract.SwitchTenantRequest{TenantID: contract.ID(w.tenant)})
	require.ErrorIs(t, err, is(contract.Unauthenticated))
	_, err = w.Logout(ctx, &contract.LogoutRequest{})
	require.NoError(t, err)
	list, err := w.ListSessions(ctx, &contract.ListSessionsRequest{})
	require.NoError(t, err)
	require.Empty(t, list.Items)
	require.Empty(t, w.outbox(t))
}

func TestOldSessionsAreSweptAndOpenOnesStay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user(t, "ada@example.com")
	for range 3 {
		w.loggedIn(t, "ada@example.com", "")
	}
	w.exec(t, "UPDATE sessions SET expires_at = now() - interval '32 days'")
	ended := w.loggedIn(t, "ada@example.com", "")
	_, err := w.Logout(w.as(t, ended.AccessToken), &contract.LogoutRequest{})
	require.NoError(t, err)
	open := w.loggedIn(t, "ada@example.com", "")
	_ = w.try(t, "nobody@example.com", "a guess", "192.0.2.1")
	require.NoError(t, w.sweep(bounded(t)))
	counts := func() (sessions, tokens, throttles int) {
		require.NoError(t, w.DB.In(bounded(t), database.Everything, func(tx pgx.Tx) error {
			return tx.QueryRow(bounded(t), "SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM refresh_tokens), (SELECT count(*) FROM throttles)").
				Scan(&sessions, &tokens, &throttles)
		}))
		return sessions, tokens, throttles
	}
	sessions, tokens, throttles := counts()
	require.Equal(t, []int{2, 2}, []int{sessions, tokens}, "what ended lately makes its source known")
	require.Positive(t, throttles)
	_, err = w.refreshed(t, open.RefreshToken)
	require.NoError(t, err)
	w.exec(t, "UPDATE throttles SET last_at = now() - interval '25 hours'")
	require.NoError(t, w.sweep(bounded(t)))
	_, _, throttles = counts()
	require.Zero(t, throttles)
}
