package app

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/revocation"
)

// sessions is a list of ended sessions that is fresh, unless it is stale: then
// it asks.
type sessions struct {
	app   *App
	ended map[string]bool
	stale bool
}

func (s *sessions) Fresh() bool                 { return !s.stale }
func (s *sessions) Revoked(session string) bool { return s.ended[session] }

func (s *sessions) Put(ended events.EndedSessions) {
	for _, id := range ended.SessionIDs {
		s.ended[id] = true
	}
}

func (s *sessions) Check(ctx context.Context, session, tenant string) error {
	switch {
	case s.ended[session]:
		return revocation.ErrEnded
	case !s.stale:
		return nil
	}
	_, err := s.app.CheckSession(ctx, &contract.CheckSessionRequest{SessionID: contract.ID(session), TenantID: contract.ID(tenant)})
	return err
}

// as is a request of that caller.
func as(t testing.TB, p kit.Principal) context.Context {
	return kit.WithCaller(bounded(t), kit.Caller{Principal: p})
}

var service = kit.Principal{Kind: kit.KindService}

func module(name string) kit.Principal {
	return kit.Principal{Kind: kit.KindModule, Module: name, KeyID: name + "-0123456789ab"}
}

// session opens a session of a user as it stands in the database.
func (w *world) session(t testing.TB, user, tenant string) (id string) {
	t.Helper()
	id = kit.NewID()
	w.sql(t, `INSERT INTO sessions (id, user_id, tenant_id, acting_tenant, methods, address, agent, expires_at, absolute_until)
		SELECT $1, $2, u.tenant_id, $3, '{password}', '', '', now() + interval '1 day', now() + interval '1 day' FROM users u WHERE id = $2`,
		id, user, nullable(tenant))
	return id
}

// sql changes one or more rows, of whatever tenant.
func (w *world) sql(t testing.TB, query string, args ...any) {
	t.Helper()
	require.NoError(t, w.DB.In(bounded(t), database.Everything, func(tx pgx.Tx) error {
		tag, err := tx.Exec(bounded(t), query, args...)
		if err == nil && tag.RowsAffected() == 0 {
			return pgx.ErrNoRows
		}
		return err
	}))
}

func (w *world) endRow(t testing.TB, session string, until time.Time) {
	t.Helper()
	w.sql(t, "UPDATE sessions SET ended_at = now(), revoked_until = $2 WHERE id = $1", session, until)
}

func (w *world) enable(names ...string) {
	for _, name := range names {
		w.Directory.PutActivation(contract.Activation{TenantID: w.tenant, Module: name, Enabled: true, Revision: 1})
	}
}

func TestATokenIsVerifiedForWhomItWasMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enable("crm", "billing")
	id := w.user(t, "ada@example.com")
	session := w.session(t, id, w.tenant)
	access, err := w.Signer.Sign(id, w.tenant, session)
	require.NoError(t, err)
	crm, err := w.Signer.SignFor("crm", id, w.tenant, session, "crm:accounts:read")
	require.NoError(t, err)
	unheard, err := w.Signer.SignFor("hr", id, w.tenant, session, "")
	require.NoError(t, err)
	for _, c := range []struct {
		name      string
		raw       string
		principal kit.Principal
		want      contract.Code
	}{
		{"a module's token by the module", crm, module("crm"), ""},
		{"a module's token by another", crm, module("billing"), contract.Unauthenticated},
		{"a module's token by a service", crm, service, contract.Unauthenticated},
		{"a token of a module that is not enabled", unheard, module("hr"), contract.NotFound},
		{"an access token by a service", access, service, ""},
		{"an access token by nobody", access, kit.Principal{Kind: kit.KindAnonymous}, contract.NotFound},
		{"an access token by a module that is not enabled", access, module("hr"), contract.NotFound},
		{"an access token by a key of another tenant", access, kit.Principal{Kind: kit.KindModule, Module: "crm", Tenants: []string{kit.NewID()}}, contract.NotFound},
		{"nonsense", "nonsense", module("crm"), contract.Unauthenticated},
	} {
		for range 2 { // the second time, from memory
			response, err := w.verify(t, c.principal, c.raw)
			if c.want != "" {
				require.ErrorIs(t, err, is(c.want), c.name)
				continue
			}
			require.NoError(t, err, c.name)
			require.Equal(t, contract.UserInfo{ID: id, Email: "ada@example.com", Username: "ada", TenantID: w.tenant, TenantCode: "ACME"}, response.User)
			require.Equal(t, session, response.SessionID)
			require.NotNil(t, response.ExpiresAt)
		}
	}
	response, err := w.verify(t, module("crm"), crm)
	require.NoError(t, err)
	require.Equal(t, "crm:accounts:read", response.Scope)
}

// verify asks as the server does: first from memory.
func (w *world) verify(t testing.TB, p kit.Principal, raw string) (*contract.VerifyResponse, error) {
	t.Helper()
	ctx, request := as(t, p), &contract.VerifyRequest{Token: raw}
	if response, done, err := w.VerifyFast(ctx, request); done {
		return response, err
	}
	return w.Verify(ctx, request)
}

func TestVerifyingAgainAsksNoDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enable("crm")
	id := w.user(t, "ada@example.com")
	raw, err := w.Signer.SignFor("crm", id, w.tenant, w.session(t, id, w.tenant), "")
	require.NoError(t, err)
	request := &contract.VerifyRequest{Token: raw}
	ctx := as(t, module("crm"))
	_, done, err := w.VerifyFast(ctx, request)
	require.NoError(t, err)
	require.False(t, done, "not known yet")
	_, err = w.Verify(ctx, request)
	require.NoError(t, err)
	w.DB.Close()
	response, done, err := w.VerifyFast(ctx, request)
	require.NoError(t, err)
	require.True(t, done)
	require.Equal(t, id, response.User.ID)
	w.Changed(id)
	_, done, _ = w.VerifyFast(ctx, request)
	require.False(t, done, "asked again after a change")
}

func TestATokenOfAnEndedSessionIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.user(t, "ada@example.com")
	session := w.session(t, id, w.tenant)
	raw, err := w.Signer.Sign(id, w.tenant, session)
	require.NoError(t, err)
	list, _ := w.Sessions.(*sessions)
	_, err = w.verify(t, service, raw)
	require.NoError(t, err)
	list.Put(events.EndedSessions{SessionIDs: []string{session}})
	_, err = w.verify(t, service, raw)
	require.ErrorIs(t, err, is(contract.Unauthenticated), "by the list")
	clear(list.ended)
	_, err = w.verify(t, service, raw)
	require.NoError(t, err)

	list.stale = true
	_, err = w.verify(t, service, raw)
	require.NoError(t, err, "by the database")
	w.endRow(t, session, time.Now().Add(time.Minute))
	_, err = w.verify(t, service, raw)
	require.ErrorIs(t, err, is(contract.Unauthenticated), "by the database")
	w.DB.Close()
	_, err = w.verify(t, service, raw)
	require.Error(t, err)
	require.NotErrorIs(t, err, is(contract.Unauthenticated), "nobody can tell")
}

func TestATokenShowsThePersonInTheTenantItActsIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.user(t, "ada@example.com")
	second, foreign := kit.NewID(), kit.NewID()
	for _, tenant := range []contract.Tenant{{ID: second, Code: "SECOND"}, {ID: foreign, Code: "FOREIGN"}} {
		tenant.IsActive, tenant.Revision = true, 1
		w.Directory.PutTenant(tenant)
	}
	w.Directory.PutMember(contract.Member{UserID: id, TenantID: w.tenant, Tenants: []string{second}, Active: true, Revision: 1 << 40})
	sign := func(tenant string) string {
		raw, err := w.Signer.Sign(id, tenant, kit.NewID())
		require.NoError(t, err)
		return raw
	}
	for tenant, code := range map[string]string{w.tenant: "ACME", second: "SECOND"} {
		response, err := w.verify(t, service, sign(tenant))
		require.NoError(t, err)
		require.Equal(t, []string{tenant, code}, []string{response.User.TenantID, response.User.TenantCode})
	}
	for name, tenant := range map[string]string{"foreign": foreign, "unknown": kit.NewID(), "none": ""} {
		_, err := w.verify(t, service, sign(tenant))
		require.ErrorIs(t, err, is(contract.NotFound), name)
	}
	w.Directory.PutMember(contract.Member{UserID: id, Platform: true, Active: true, Revision: 1 << 41})
	for tenant, code := range map[string]string{"": "", foreign: "FOREIGN"} {
		response, err := w.verify(t, service, sign(tenant))
		require.NoError(t, err)
		require.Equal(t, []string{tenant, code}, []string{response.User.TenantID, response.User.TenantCode})
	}
	_, err := w.verify(t, module("crm"), sign(""))
	require.ErrorIs(t, err, is(contract.NotFound), "in no tenant, there is no module")
}

func TestASessionIsOpenForActivePeopleInActiveTenants(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.user(t, "ada@example.com")
	session := w.session(t, id, w.tenant)
	check := func(session, tenant string) error {
		_, err := w.CheckSession(bounded(t), &contract.CheckSessionRequest{SessionID: contract.ID(session), TenantID: contract.ID(tenant)})
		return err
	}
	require.NoError(t, check(session, w.tenant))
	require.NoError(t, check(strings.ToUpper(session), strings.ToUpper(w.tenant)))
	require.ErrorIs(t, check(kit.NewID(), w.tenant), is(contract.Unauthenticated), "unknown")
	require.ErrorIs(t, check(session, kit.NewID()), is(contract.Unauthenticated), "in a tenant that is not theirs")
	require.ErrorIs(t, check(session, ""), is(contract.Unauthenticated), "in none")
	w.activate(false, 2)
	require.ErrorIs(t, check(session, w.tenant), is(contract.Unauthenticated), "the tenant is suspended")
	w.activate(true, 3)
	require.NoError(t, check(session, w.tenant))
	w.endRow(t, session, time.Now())
	require.ErrorIs(t, check(session, w.tenant), is(contract.Unauthenticated), "ended")
	w.DB.Close()
	err := check(session, w.tenant)
	require.Error(t, err)
	require.NotErrorIs(t, err, is(contract.Unauthenticated))
}

func TestRevocationsAreListedWhileTheirTokensLive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.user(t, "ada@example.com")
	until := time.Now().Add(time.Minute).UTC().Truncate(time.Microsecond)
	w.session(t, id, w.tenant) // open
	w.endRow(t, w.session(t, id, w.tenant), time.Now().Add(-time.Second))
	var want, got []contract.Revocation
	for range 7 {
		session := w.session(t, id, w.tenant)
		w.endRow(t, session, until)
		want = append(want, contract.Revocation{SessionID: session, Until: until})
	}
	request := &contract.SnapshotRequest{Limit: 3}
	for {
		page, err := w.ListRevocations(bounded(t), request)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.Items), 3)
		got = append(got, page.Items...)
		if request.Cursor = page.NextCursor; request.Cursor == "" {
			break
		}
	}
	require.Equal(t, want, got)
}

func TestTheOldestRevocationThatWaitsIsFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	oldest := func() int64 {
		n, err := w.OldestRevocation(bounded(t))
		require.NoError(t, err)
		return n
	}
	add := func(kind events.Kind, n int) {
		_, err := w.DB.Exec(bounded(t), "INSERT INTO outbox (event) SELECT jsonb_build_object('type', $1::text) FROM generate_series(1, $2)", kind.Type(), n)
		require.NoError(t, err)
	}
	require.Zero(t, oldest())
	add(events.LoginSucceeded, 10)
	require.Zero(t, oldest())
	add(events.SessionsEnded, 2)
	require.EqualValues(t, 11, oldest())
	_, err := w.DB.Exec(bounded(t), "DELETE FROM outbox WHERE id <= 11")
	require.NoError(t, err)
	require.EqualValues(t, 12, oldest())
	_, err = w.DB.Exec(bounded(t), "DELETE FROM outbox")
	require.NoError(t, err)
	add(events.LoginSucceeded, oldestLook+5)
	require.NotZero(t, oldest(), "there may be one behind so many")
	w.DB.Close()
	_, err = w.OldestRevocation(bounded(t))
	require.Error(t, err)
}

// What a change ended is refused here before the change is answered.
func TestACommittedEventIsAnnounced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var told []events.Event
	w.Announce = func(e events.Event) { told = append(told, e) }
	w.user(t, "ada@example.com")
	require.Len(t, told, len(w.outbox(t)))
	require.NotEmpty(t, told)
	before := len(told)
	_, err := w.CreateUser(bounded(t), &contract.CreateUserRequest{TenantID: contract.ID(w.tenant), Email: "ada@example.com", Password: goodPassword})
	require.Error(t, err)
	require.Len(t, told, before, "what is rolled back is not")
}

func TestAScopeIsWhatIsHeldWithinTheModule(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ held, want []string }{
		"none":                {nil, nil},
		"another module's":    {[]string{"billing:invoices:read", "users:create:tenant", "crm2:x:y", "cr:m:x", "crm"}, nil},
		"its own":             {[]string{"crm:b:read", "crm:a:read", "crm:a:read"}, []string{"crm:a:read", "crm:b:read"}},
		"any module's":        {[]string{"*:accounts:read"}, []string{"crm:accounts:read"}},
		"everything":          {[]string{"*:**"}, []string{"crm:**"}},
		"everything at once":  {[]string{"**"}, []string{"crm:**"}},
		"all of it, and more": {[]string{"crm:**", "crm:a:read", "x:y"}, []string{"crm:**"}},
		"wildcards within":    {[]string{"crm:*:read", "crm:accounts:**"}, []string{"crm:*:read", "crm:accounts:**"}},
	} {
		require.Equal(t, c.want, within("crm", c.held), name)
	}
}

func TestTheDiscoveryDocumentNamesWhatThereIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var err error
	w.PublicURL, err = url.Parse("https://core.example/buildify")
	require.NoError(t, err)
	d, err := w.Discovery(bounded(t), &contract.DiscoveryRequest{})
	require.NoError(t, err)
	require.Equal(t, "https://core.example/buildify/.well-known/jwks.json", d.JWKSURI)
	require.Equal(t, "buildify", d.Issuer)
	require.Equal(t, 900, d.AccessTokenLifetime)
	require.Equal(t, []string{"EdDSA"}, d.SigningAlgorithms)
	for _, endpoint := range []string{d.TokenEndpoint, d.UserinfoEndpoint, d.EndSessionEndpoint} {
		require.Regexp(t, `^https://core\.example/buildify/api/v1/auth/[a-z]+$`, endpoint)
	}
}
