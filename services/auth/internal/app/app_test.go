package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/directory"
	"github.com/buildify/core/pkg/kit/kittest"
	"github.com/buildify/core/pkg/kit/token"
	"github.com/buildify/core/services/auth/internal/mail"
	"github.com/buildify/core/services/auth/internal/passkey"
	"github.com/buildify/core/services/auth/internal/password"
	"github.com/buildify/core/services/auth/internal/secret"
)

func TestMain(m *testing.M) { kittest.Main(m) }

// limit bounds every wait; nothing waits that long unless a test fails.
const limit = 20 * time.Second

func migrate(ctx context.Context, url string) error { return database.Migrate(ctx, url, nil) }

func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

func open(t testing.TB, url string) *database.DB {
	t.Helper()
	db, err := database.Open(bounded(t), url, "auth", 4)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return db
}

func newBox(t testing.TB, letter string) *secret.Box {
	t.Helper()
	box, err := secret.NewBox([]byte(strings.Repeat(letter, secret.MinLength)))
	require.NoError(t, err)
	return box
}

// world is the operations on a database of their own, with one tenant.
// cheap is what a hash costs here: these tests are about what is done with it.
var cheap = password.Cost{Memory: 64, Passes: 1, Lanes: 1}

type world struct {
	*App
	tenant    string
	letters   *mail.Outbox
	sending   sync.Once // of what the queue holds
	committed atomic.Int64
	revoked   []string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	db, box := open(t, kittest.Database(t, migrate)), newBox(t, "a")
	signer, err := NewSigner(bounded(t), db, box)
	require.NoError(t, err)
	public := &url.URL{Scheme: "https", Host: "core.example.com"}
	passkeys, err := passkey.New(public)
	require.NoError(t, err)
	w := &world{tenant: kit.NewID(), App: &App{
		DB: db, Directory: directory.New(nil), Box: box, Signer: signer, Hasher: password.NewHasher(2, cheap),
		Keys: SigningKeys{KeySet: keySet(db), Signer: signer}, Log: slog.New(slog.DiscardHandler),
		PublicURL: public, Passkeys: passkeys,
		Authority: func(context.Context, *contract.MayAdministerRequest) error { return nil },
	}}
	w.letters = mail.NewOutbox(w.Log)
	w.Mail = mail.NewQueue(db, box, w.letters, w.Log, prometheus.NewRegistry())
	t.Cleanup(w.Finish)
	w.Verifier = token.NewVerifier(w.Keys.KeySet)
	w.Sessions = &sessions{app: w.App, ended: map[string]bool{}}
	w.Committed = func() { w.committed.Add(1) }
	w.KeyRevoked = func(_ context.Context, id string) { w.revoked = append(w.revoked, id) }
	w.activate(true, 1)
	return w
}

func keySet(db *database.DB) *token.KeySet {
	return &token.KeySet{Fetch: func(ctx context.Context) (*contract.JWKSResponse, error) { return PublicKeys(ctx, db) }}
}

func (w *world) activate(active bool, revision int64) {
	w.Directory.PutTenant(contract.Tenant{ID: w.tenant, Code: "ACME", IsActive: active, Revision: revision})
}

const goodPassword = "correct horse battery"

func (w *world) user(t testing.TB, email string) string {
	t.Helper()
	r, err := w.CreateUser(bounded(t), &contract.CreateUserRequest{TenantID: contract.ID(w.tenant), Email: email, Password: goodPassword})
	require.NoError(t, err)
	return r.ID
}

func (w *world) login(t testing.TB, email, password string) (*contract.LoginResponse, error) {
	t.Helper()
	return w.Login(bounded(t), &contract.LoginRequest{Email: email, Password: password})
}

// outbox is the events that wait.
func (w *world) outbox(t testing.TB) (waiting []events.Event) {
	t.Helper()
	rows, err := w.DB.Query(bounded(t), "SELECT event FROM outbox ORDER BY id")
	require.NoError(t, err)
	raw, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	require.NoError(t, err)
	for _, data := range raw {
		var e events.Event
		require.NoError(t, e.UnmarshalJSON(data))
		waiting = append(waiting, e)
	}
	return waiting
}

func is(code contract.Code) error { return &contract.Error{Code: code} }

func TestAPersonWhoChangedMeanwhileIsNotRemembered(t *testing.T) {
	t.Parallel()
	var p people
	user := contract.UserInfo{ID: "u", Email: "old"}
	mark := p.mark()
	p.forget("u") // told while the row was being read
	p.put(user, mark)
	_, ok := p.get("u")
	require.False(t, ok, "a put after the forget brings the old state back")

	p.put(user, p.mark())
	got, ok := p.get("u")
	require.True(t, ok)
	require.Equal(t, user, got)
	p.forget("other")
	_, ok = p.get("u")
	require.True(t, ok)
	p.forget("u")
	_, ok = p.get("u")
	require.False(t, ok)

	p.known = make(map[string]contract.UserInfo, maxRemembered)
	for i := range maxRemembered {
		p.known[fmt.Sprint(i)] = contract.UserInfo{}
	}
	p.put(user, p.mark())
	require.LessOrEqual(t, len(p.known), maxRemembered)
	_, ok = p.get("u")
	require.True(t, ok)
}

func TestWhoMayLogIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.user(t, "  Ada@Example.com ")
	answer, err := w.login(t, "ADA@example.COM", goodPassword)
	require.NoError(t, err)
	require.Equal(t, &contract.UserInfo{ID: id, Email: "ada@example.com", Username: "ada", TenantID: w.tenant, TenantCode: "ACME"}, answer.User)
	require.Equal(t, "Bearer", answer.TokenType)
	require.Equal(t, 900, answer.ExpiresIn)
	claims, err := w.Verifier.Verify(bounded(t), answer.AccessToken)
	require.NoError(t, err)
	require.Equal(t, id, claims.Subject)

	var refusals []error
	refused := func(email, password, why string) {
		t.Helper()
		answer, err := w.login(t, email, password)
		require.ErrorIs(t, err, is(contract.Unauthenticated), why)
		require.Nil(t, answer)
		refusals = append(refusals, err)
	}
	refused("ada@example.com", goodPassword+"x", "a wrong password")
	refused("ada@example.com", strings.ToUpper(goodPassword), "capitals")
	refused("ada@example.com", "", "no password")
	refused("nobody@example.com", goodPassword, "nobody")
	refused("nobody@example.com", "", "nobody, without a password")
	refused("ada@example.com' OR '1'='1", goodPassword, "SQL")
	refused("%@example.com", goodPassword, "a pattern")
	w.activate(false, 2)
	refused("ada@example.com", goodPassword, "the tenant is suspended")
	w.activate(true, 3)
	_, err = w.login(t, "ada@example.com", goodPassword)
	require.NoError(t, err)
	_, err = w.DeleteUser(bounded(t), &contract.UserRequest{TenantID: contract.ID(w.tenant), UserID: contract.ID(id)})
	require.NoError(t, err)
	refused("ada@example.com", goodPassword, "deleted")
	for _, err := range refusals {
		require.Equal(t, refusals[0], err, "an answer tells why")
	}
}

func TestAUserIsMadeOnceAndTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.user(t, "ada@example.com")
	require.EqualValues(t, 1, w.committed.Load())
	waiting := w.outbox(t)
	require.Len(t, waiting, 2)
	require.True(t, events.UserChanged.Is(waiting[0]), "the state, for projections")
	require.True(t, events.UserAdministered.Is(waiting[1]), "what was done, for the audit trail")
	for _, e := range waiting {
		require.NotContains(t, string(e.Data()), "ada", "no personal data in events")
		require.Contains(t, string(e.Data()), id)
	}

	for _, email := range []string{"ada@example.com", "ADA@EXAMPLE.COM", " ada@example.com"} {
		_, err := w.CreateUser(bounded(t), &contract.CreateUserRequest{TenantID: contract.ID(w.tenant), Email: email, Password: goodPassword})
		require.ErrorIs(t, err, is(contract.AlreadyExists), email)
	}
	require.Len(t, w.outbox(t), 2, "what failed is not told")
	require.EqualValues(t, 1, w.committed.Load())

	remove := &contract.UserRequest{TenantID: contract.ID(strings.ToUpper(w.tenant)), UserID: contract.ID(strings.ToUpper(id))}
	foreign := &contract.UserRequest{TenantID: contract.ID(kit.NewID()), UserID: contract.ID(id)}
	_, err := w.DeleteUser(bounded(t), foreign)
	require.ErrorIs(t, err, is(contract.NotFound), "of another tenant")
	_, err = w.DeleteUser(bounded(t), remove)
	require.NoError(t, err, "an id in capitals is the same id")
	_, err = w.DeleteUser(bounded(t), remove)
	require.ErrorIs(t, err, is(contract.NotFound), "twice")
	require.Len(t, w.outbox(t), 4)
	require.NotEqual(t, id, w.user(t, "ada@example.com"), "a tombstone frees its address")

	members, err := w.ListMembers(bounded(t), &contract.SnapshotRequest{})
	require.NoError(t, err)
	require.Len(t, members.Items, 2, "the deleted one too")
	require.Equal(t, contract.Member{UserID: id, TenantID: w.tenant, Tenants: []string{}, Deleted: true, Revision: members.Items[0].Revision}, members.Items[0])
}

func TestMembersAreListedPageByPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var want, got []string
	for i := range 7 {
		want = append(want, w.user(t, fmt.Sprintf("u%d@example.com", i)))
	}
	request := &contract.SnapshotRequest{Limit: 3}
	for {
		page, err := w.ListMembers(bounded(t), request)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.Items), 3)
		for _, m := range page.Items {
			got = append(got, m.UserID)
		}
		if request.Cursor = page.NextCursor; request.Cursor == "" {
			break
		}
	}
	require.Equal(t, want, got)
	_, err := w.ListMembers(bounded(t), &contract.SnapshotRequest{Cursor: "nonsense"})
	require.ErrorIs(t, err, is(contract.InvalidArgument))
}

// A database that is away must not log everybody out.
func TestADatabaseThatIsAwayIsNoRefusal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	raw, err := w.Signer.Sign(kit.NewID(), w.tenant, kit.NewID())
	require.NoError(t, err)
	w.DB.Close()
	_, err = w.Verify(bounded(t), &contract.VerifyRequest{Token: raw})
	require.Error(t, err)
	require.NotErrorIs(t, err, is(contract.Unauthenticated))
	require.NotErrorIs(t, err, is(contract.NotFound))
	_, err = w.VerifyKey(bounded(t), &contract.VerifyKeyRequest{APIKey: contract.NewAPIKey("dev", "crm-abcdefgh", strings.Repeat("0", 64)).Reveal()})
	require.Error(t, err)
	require.NotErrorIs(t, err, is(contract.Unauthenticated))
	_, err = w.login(t, "ada@example.com", goodPassword)
	require.Error(t, err)
	require.NotErrorIs(t, err, is(contract.Unauthenticated))
}
