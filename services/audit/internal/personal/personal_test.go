package personal

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/kittest"
	"github.com/buildify/core/pkg/trail"
	"github.com/buildify/core/services/audit/internal/record"
	"github.com/buildify/core/services/audit/internal/store/db"
	"github.com/buildify/core/services/audit/internal/trailtest"
)

func TestMain(m *testing.M) { kittest.Main(m) }

type world struct {
	*trailtest.World
	*Personal
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{World: trailtest.New(t)}
	w.Personal = w.replica("s")
	return w
}

func (w *world) replica(secret string) *Personal {
	w.T.Helper()
	p, err := New(w.DB, bytes.Repeat([]byte(secret), 32))
	require.NoError(w.T, err)
	return p
}

// logged is an event that a module logged about a person.
func logged(t testing.TB, tenant, user string) (*db.AuditEvent, *trail.Entry) {
	t.Helper()
	data, err := json.Marshal(record.Data{
		Actor: record.Actor{UserID: user}, Action: "a", Request: record.Request{ID: "request-1", Address: "203.0.113.7", Agent: "Firefox"},
		Details: json.RawMessage(`{"b":1.50,"a":"x"}`),
	})
	require.NoError(t, err)
	return &db.AuditEvent{TenantID: tenant, UserID: &user, Address: "203.0.113.7", Agent: "Firefox"},
		&trail.Entry{TenantID: tenant, ID: uuid.NewString(), Type: record.Type, Time: time.Now(), Data: data}
}

func (w *world) open(p *Personal, e *db.AuditEvent, entry *trail.Entry) (db.AuditEvent, string) {
	w.T.Helper()
	row, copied := *e, *entry
	ctx := trailtest.Bounded(w.T)
	require.NoError(w.T, w.DB.Read(ctx, e.TenantID, func(tx pgx.Tx) error { return p.Open(ctx, db.New(tx), &row, &copied) }))
	return row, string(copied.Data)
}

func TestWhatIsPersonalIsReadUntilItIsShredded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant, user, other := w.Tenant(), uuid.NewString(), uuid.NewString()
	e, entry := logged(t, tenant, user)
	before := string(entry.Data)
	require.NoError(t, w.Seal(trailtest.Bounded(t), nil, e, entry))
	for _, secret := range []string{"203.0.113.7", "Firefox"} {
		require.NotContains(t, string(entry.Data), secret)
		require.NotContains(t, e.Address+e.Agent, secret)
	}
	require.Contains(t, string(entry.Data), `{"b":1.50,"a":"x"}`, "every other byte stays")
	line := entry.Encode()

	again, second := logged(t, tenant, user)
	require.NoError(t, w.Seal(trailtest.Bounded(t), nil, again, second))
	require.Equal(t, e.Address, again.Address, "equal addresses are known as equal")
	elsewhere, third := logged(t, w.Tenant(), user)
	require.NoError(t, w.Seal(trailtest.Bounded(t), nil, elsewhere, third))
	require.NotEqual(t, e.Address, elsewhere.Address, "but not from tenant to tenant")
	theirs, fourth := logged(t, tenant, other)
	require.NoError(t, w.replica("s").Seal(trailtest.Bounded(t), nil, theirs, fourth))

	reader := w.replica("s")
	row, data := w.open(reader, e, entry)
	require.Equal(t, []string{"203.0.113.7", "Firefox", before}, []string{row.Address, row.Agent, data})

	committed := 0
	shred := func() bool {
		done, err := w.Shred(trailtest.As(t, tenant), tenant, &contract.ShredPersonRequest{PersonID: contract.ID(strings.ToUpper(user)), Reason: "asked"}, func() { committed++ })
		require.NoError(t, err)
		return done.Shredded
	}
	require.True(t, shred())
	require.False(t, shred())
	for _, p := range []*Personal{w.Personal, reader} {
		row, data = w.open(p, e, entry)
		require.Empty(t, row.Address+row.Agent)
		require.Contains(t, data, `"address":{"shredded":true},"agent":{"shredded":true}`)
	}
	require.Equal(t, string(line), string(entry.Encode()), "what was hashed is as it was")
	_, data = w.open(reader, theirs, fourth)
	require.Contains(t, data, "203.0.113.7", "others' is readable")
	_, data = w.open(reader, elsewhere, third)
	require.Contains(t, data, "203.0.113.7", "theirs in another tenant too")
	told := w.Told(events.PersonShredded)
	require.Len(t, told, 1)
	require.Contains(t, string(told[0].Data()), "asked")

	// What happens later is under a new key, which opens nothing from before.
	later, fifth := logged(t, tenant, user)
	require.NoError(t, w.Seal(trailtest.Bounded(t), nil, later, fifth))
	_, data = w.open(reader, later, fifth)
	require.Contains(t, data, "203.0.113.7")
	_, data = w.open(reader, e, entry)
	require.NotContains(t, data, "203.0.113.7")
}

func TestWhatIsSealedOpensInItsPlaceAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant, user := w.Tenant(), uuid.NewString()
	e, entry := logged(t, tenant, user)
	require.NoError(t, w.Seal(trailtest.Bounded(t), nil, e, entry))
	moved := *entry
	moved.ID = uuid.NewString()
	_, data := w.open(w.Personal, e, &moved)
	require.NotContains(t, data, "203.0.113.7", "in another entry")
	foreign := *e
	foreign.TenantID = w.Tenant()
	_, data = w.open(w.Personal, &foreign, entry)
	require.NotContains(t, data, "203.0.113.7", "in another tenant")
	ctx := trailtest.Bounded(t)
	require.Error(t, w.DB.Read(ctx, tenant, func(tx pgx.Tx) error {
		return w.replica("x").Open(ctx, db.New(tx), e, entry)
	}), "under another installation's secret")
}

func TestDomainEventsAreSealedAsTheCatalogueSays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant, user, admin := w.Tenant(), uuid.NewString(), uuid.NewString()
	data, err := json.Marshal(events.Login{UserID: user, Email: "a@example.com", Address: "203.0.113.7", Agent: "Firefox", Reason: "password"})
	require.NoError(t, err)
	e := &db.AuditEvent{TenantID: tenant, UserID: &admin}
	entry := &trail.Entry{ID: uuid.NewString(), Type: events.LoginFailed.Type(), Data: data}
	require.NoError(t, w.Seal(trailtest.Bounded(t), nil, e, entry))
	require.NotContains(t, string(entry.Data), "example.com")
	require.Contains(t, string(entry.Data), `"person":"`+user+`"`, "whom it is about, not who acted")
	_, opened := w.open(w.Personal, e, entry)
	require.Equal(t, string(data), opened)

	// Of nobody known, and of events without anything personal, all stays.
	for _, c := range []struct{ kind, data string }{
		{events.LoginFailed.Type(), `{"email":"a@example.com"}`},
		{events.PolicyChanged.Type(), `{"email":"a@example.com","user_id":"` + user + `"}`},
		{"dev.buildify.other.v1", `{"address":"x"}`},
		{events.LoginFailed.Type(), `[1`},
		{events.LoginFailed.Type(), ``},
	} {
		entry := &trail.Entry{ID: uuid.NewString(), Type: c.kind, Data: []byte(c.data)}
		require.NoError(t, w.Seal(trailtest.Bounded(t), nil, &db.AuditEvent{TenantID: tenant}, entry))
		require.Equal(t, c.data, string(entry.Data))
	}
}

func TestRewritingLeavesEveryOtherByte(t *testing.T) {
	t.Parallel()
	by := func(path string, _ []byte) ([]byte, error) { return []byte("<" + path + ">"), nil }
	for _, c := range []struct{ data, want string }{
		{` { "a" : 1 , "b":{"c": [1, 2],"d" :"x"}, "e":[{"f":1},{"g":2,"f":null} ] , "a":2} `, ` { "a" : <a> , "b":{"c": [1, 2],"d" :<b.d>}, "e":[{"f":<e[].f>},{"g":2,"f":<e[].f>} ] , "a":<a>} `},
		{`{}`, `{}`}, {`[]`, `[]`}, {`1`, `1`}, {``, ``}, {`{"a":`, `{"a":`}, {`{"\u0061":1}`, `{"\u0061":<a>}`},
	} {
		got, err := rewrite([]byte(c.data), []string{"a", "b.d", "e[].f"}, by)
		require.NoError(t, err)
		require.Equal(t, c.want, string(got))
	}
}
