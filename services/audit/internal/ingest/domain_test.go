package ingest

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/natsconn"
	"github.com/buildify/core/services/audit/internal/record"
)

// domainEvent is an event as its service makes it.
func domainEvent(t testing.TB, kind events.Kind, tenant string, data any, change ...func(*events.Event)) events.Event {
	t.Helper()
	e, err := events.New(kind, tenant, 1, data)
	require.NoError(t, err)
	for _, f := range change {
		f(&e)
	}
	return e
}

// tell publishes as the outbox of the event's service does.
func (w *world) tell(e events.Event) {
	w.t.Helper()
	w.tellAs(e, e.ID())
}

func (w *world) tellAs(e events.Event, messageID string) {
	w.t.Helper()
	service := strings.Split(e.Subject(), ".")[3]
	js, ok := w.publishers[service]
	if !ok {
		js = w.jetStreamOf(service)
		w.publishers[service] = js
	}
	require.NoError(w.t, events.Publish(bounded(w.t), js, e, messageID))
	w.told++
}

// stored is a record of the trail.
type stored struct {
	Tenant, ID                 string
	User                       *string
	Source, Action             string
	ResourceType, ResourceID   string
	RequestID, Outcome, Stream string
	Received                   []byte
	OccurredAt                 time.Time
}

// record reads the one record with an event's id.
func (w *world) record(id string) (s stored) {
	w.t.Helper()
	require.NoError(w.t, w.db.Read(bounded(w.t), database.Everything, func(tx pgx.Tx) error {
		rows, err := tx.Query(bounded(w.t), `SELECT tenant_id::text, id::text, user_id::text, source, action, resource_type, resource_id,
			request_id, outcome, stream, entry, occurred_at FROM events WHERE id = $1`, id)
		if err != nil {
			return err
		}
		s, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[stored])
		return err
	}))
	s.Received = received(w.t, s.Received)
	return s
}

func actor(id string) func(*events.Event) {
	return func(e *events.Event) { e.SetExtension(events.ActorID, id) }
}

// Every kind of event that a service publishes becomes one record that says
// who did what to which resource.
func TestEveryDomainEventIsOneRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant, user, session, admin := uuid.NewString(), uuid.NewString(), uuid.NewString(), uuid.NewString()
	cases := []struct {
		kind                   events.Kind
		data                   any
		actor                  string
		action, resource, user string
	}{
		{events.TenantChanged, contract.Tenant{ID: tenant, Code: "T"}, "", "tenant.tenant.changed", tenant, ""},
		{events.ModuleChanged, contract.Activation{TenantID: tenant, Module: "crm"}, "", "tenant.module.changed", "crm", ""},
		{events.PolicyChanged, events.PolicyStep{TenantID: tenant, Revision: 7}, admin, "rbac.policy.changed", tenant, admin},
		{events.UserChanged, contract.Member{UserID: user, TenantID: tenant}, admin, "auth.user.changed", user, admin},
		{events.UserAdministered, events.UserChange{UserID: user, Change: "disabled"}, admin, "auth.user.administered", user, admin},
		{events.AuthPolicyChanged, events.AuthPolicy{TenantID: tenant, Policy: "password"}, admin, "auth.policy.changed", tenant, admin},
		{events.LoginSucceeded, events.Login{UserID: user, SessionID: session}, "", "auth.login.succeeded", session, user},
		{events.LoginFailed, events.Login{UserID: user, Reason: "password"}, "", "auth.login.failed", user, user},
		{events.LoginFailed, events.Login{Email: "nobody@example.com"}, "", "auth.login.failed", "", ""},
		{events.LoginChallenged, events.Login{UserID: user, Methods: []string{"password"}}, "", "auth.login.challenged", user, user},
		{events.RefreshReused, events.Login{UserID: user, SessionID: session}, "", "auth.refresh.reused", session, user},
		{events.SessionsEnded, events.EndedSessions{UserID: user, SessionIDs: []string{session}}, admin, "auth.session.ended", user, admin},
		{events.TenantSwitched, events.Login{UserID: user, SessionID: session, TenantID: tenant}, user, "auth.session.switched", session, user},
		{events.FactorChanged, events.FactorChange{UserID: user, Factor: "totp"}, user, "auth.factor.changed", user, user},
		{events.KeyCreated, events.KeyChange{ID: "crm-a1", Module: "crm"}, admin, "auth.key.created", "crm-a1", admin},
		{events.KeyExpiring, events.KeyChange{ID: "crm-a1"}, "", "auth.key.expiring", "crm-a1", ""},
		{events.KeyEnded, events.KeyChange{ID: "crm-a1"}, "crm-b2", "auth.key.revoked", "crm-a1", ""},
		{events.SigningKeysChanged, events.SigningKeys{KeyIDs: []string{"k"}}, admin, "auth.signing-key.changed", "", admin},
		{events.BusRefused, events.BusRefusal{Reason: "subject", Count: 3}, "", "auth.bus.refused", "", ""},
		// What is not known yet is recorded all the same.
		{events.Kind{Service: "rbac", Entity: "role", Verb: "made"}, map[string]any{"id": 42, "user_id": "x"}, "", "rbac.role.made", "42", ""},
		{events.Kind{Service: "rbac", Entity: "role", Verb: "made"}, map[string]any{"id": map[string]int{}, "module": "crm"}, "", "rbac.role.made", "crm", ""},
		{events.Kind{Service: "rbac", Entity: "role", Verb: "made"}, []int{1}, "", "rbac.role.made", "", ""},
		{events.Kind{Service: "rbac", Entity: "role", Verb: "made"}, nil, "", "rbac.role.made", "", ""},
	}
	var sent []events.Event
	for _, c := range cases {
		e := domainEvent(t, c.kind, tenant, c.data, func(e *events.Event) {
			e.SetExtension(events.RequestID, "request-1")
			e.SetExtension(events.Outcome, "denied")
			if c.actor != "" {
				e.SetExtension(events.ActorID, c.actor)
			}
		})
		w.tell(e)
		sent = append(sent, e)
	}
	w.ingester()
	w.done()
	require.Equal(t, len(cases), w.gapFree(tenant))
	for i, c := range cases {
		got := w.record(sent[i].ID())
		require.Equal(t, string(sent[i].Data()), string(got.Received), c.action)
		require.WithinDuration(t, sent[i].Time(), got.OccurredAt, time.Microsecond, c.action)
		var user *string
		if c.user != "" {
			user = &c.user
		}
		want := stored{
			Tenant: tenant, ID: sent[i].ID(), User: user, Source: c.kind.Service, Action: c.action, ResourceType: c.kind.Entity,
			ResourceID: c.resource, RequestID: "request-1", Outcome: "denied", Stream: events.EventsStream,
			Received: got.Received, OccurredAt: got.OccurredAt,
		}
		require.Equal(t, want, got)
	}
	require.Empty(t, w.deadLetters())
}

func TestEventsOfNoTenantAreInThePlatformsTrailOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant := uuid.NewString()
	mine := domainEvent(t, events.KeyCreated, tenant, events.KeyChange{ID: "k"})
	w.tell(mine)
	w.tell(domainEvent(t, events.KeyCreated, "", events.KeyChange{ID: "k"}))
	w.tell(domainEvent(t, events.KeyCreated, events.Platform, events.KeyChange{ID: "k"}))
	w.tell(domainEvent(t, events.KeyCreated, "", events.KeyChange{ID: "k"}, func(e *events.Event) { e.SetExtension(events.TenantID, nil) }))
	w.ingester()
	w.done()
	require.Equal(t, 3, w.gapFree(record.PlatformTenant))
	require.Equal(t, 1, w.gapFree(tenant))
	require.Equal(t, mine.ID(), w.trail(tenant)[0].ID)
	require.Empty(t, w.trail(uuid.NewString()), "of somebody else's tenant")
	require.Empty(t, w.deadLetters())
}

func TestADomainEventDeliveredTwiceIsStoredOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant := uuid.NewString()
	first := domainEvent(t, events.TenantChanged, tenant, contract.Tenant{ID: tenant})
	second := domainEvent(t, events.TenantChanged, tenant, contract.Tenant{ID: tenant})
	// A relay that died after publishing publishes again, here when the stream
	// has forgotten that.
	for _, e := range []events.Event{first, first, second} {
		w.tellAs(e, uuid.NewString())
	}
	w.ingester()
	w.done()
	w.tellAs(first, uuid.NewString())
	w.done()
	require.Equal(t, 2, w.gapFree(tenant))
	require.Empty(t, w.deadLetters())
}

// Both ingesters were killed between commit and acknowledgement.
func TestADomainEventThatWasStoredAndNotAcknowledgedIsStoredOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant := uuid.NewString()
	const each = 30
	for range each {
		w.tell(domainEvent(t, events.LoginFailed, tenant, events.Login{Email: "a@example.com"}))
		w.send(event(t, tenant))
	}
	for _, stream := range []string{events.AuditStream, events.EventsStream} {
		dying := w.readerByHand(stream)
		var messages []jetstream.Msg
		var times atomic.Int32
		for len(messages) < each {
			fetched, err := dying.fetch(bounded(t))
			require.NoError(t, err)
			for _, msg := range fetched {
				messages = append(messages, lostAck{msg, &times})
			}
		}
		require.Error(t, dying.ingest(bounded(t), messages))
		require.Positive(t, times.Load())
		for _, msg := range messages { // its death, for the server
			_ = msg.Nak()
		}
	}
	require.Equal(t, 2*each, w.gapFree(tenant), "committed before they died")
	w.ingester()
	w.done()
	require.Equal(t, 2*each, w.gapFree(tenant))
	require.Empty(t, w.deadLetters())
}

func TestBothStreamsOverTwoReplicasKeepEachTrailWithoutGaps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenants := []string{uuid.NewString(), uuid.NewString(), ""}
	const each = 60
	w.ingester()
	w.ingester()
	var all sync.WaitGroup
	failures := make(chan error, 2*each*len(tenants))
	for _, tenant := range tenants {
		auth, audit := w.jetStreamOf(natsconn.Auth), w.jetStream()
		all.Go(func() {
			for range each {
				e := domainEvent(t, events.LoginSucceeded, tenant, events.Login{UserID: uuid.NewString()})
				failures <- events.Publish(bounded(t), auth, e, e.ID())
			}
		})
		if tenant == "" {
			continue
		}
		all.Go(func() {
			for range each {
				failures <- events.Publish(bounded(t), audit, event(t, tenant), uuid.NewString())
			}
		})
	}
	all.Wait()
	close(failures)
	for err := range failures {
		require.NoError(t, err)
	}
	w.told, w.sent = 3*each, 2*each
	w.done()
	for _, tenant := range tenants[:2] {
		require.Equal(t, 2*each, w.gapFree(tenant))
	}
	require.Equal(t, each, w.gapFree(record.PlatformTenant))
	require.Empty(t, w.deadLetters())
}

func TestAMessageThatIsNoDomainEventIsKeptApartAndTheRestIsStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant := uuid.NewString()
	poison := 0
	good := func() { w.tell(domainEvent(t, events.KeyCreated, tenant, events.KeyChange{ID: "k"})) }
	auth := w.jetStreamOf(natsconn.Auth)
	raw := func(msg *nats.Msg) {
		msg.Header.Set(nats.MsgIdHdr, uuid.NewString())
		_, err := auth.PublishMsg(bounded(t), msg)
		require.NoError(t, err)
		w.told++
		poison++
		good()
	}
	spoilt := func(change func(*nats.Msg)) {
		msg, err := events.Encode(domainEvent(t, events.KeyCreated, tenant, events.KeyChange{ID: "k"}))
		require.NoError(t, err)
		change(msg)
		raw(msg)
	}
	header := func(name, value string) func(*nats.Msg) {
		return func(msg *nats.Msg) { msg.Header[name] = []string{value} }
	}
	// One message of AUDIT has the stream sequence of one of EVENTS.
	w.sendRaw(nil, "not an event")
	poison++
	raw(&nats.Msg{Subject: "core.events.t.auth.x.y", Header: nats.Header{}})
	for _, change := range []func(*nats.Msg){
		func(msg *nats.Msg) { msg.Data = []byte("{") },
		func(msg *nats.Msg) { msg.Data = []byte(`{"a":1}{}`) },
		func(msg *nats.Msg) { msg.Data = []byte("\x00\xff") },
		header("ce-id", "1"),
		header("ce-tenantid", "*"),
		header("ce-tenantid", uuid.NewString()), // not the subject's
		header("ce-type", record.Type),
		header("ce-type", "dev.buildify.auth.key.v1"),
		header("ce-type", "dev.buildify.auth.key.created.v1.more"),
		header("ce-type", "dev.buildify.auth.k%00y.created.v1"),
		// A service that passes itself off as another: the bus holds it to its
		// own subjects, and the subject must say what the type says.
		header("ce-type", events.PolicyChanged.Type()),
		header("ce-type", events.KeyEnded.Type()),
		func(msg *nats.Msg) {
			msg.Subject = events.KeyCreated.Subject("not-a-tenant")
			header("ce-tenantid", "not-a-tenant")(msg)
		},
	} {
		spoilt(change)
	}
	// Only the database finds fault with an action that no index entry holds.
	long := events.Kind{Service: "auth", Entity: "key", Verb: strings.ReplaceAll(randomText(3500), "-", "")}
	w.tell(domainEvent(t, long, tenant, nil))
	poison++
	good()
	w.ingester()
	w.done()
	require.Equal(t, w.told-(poison-1), w.gapFree(tenant), "a good one after each bad one")
	letters := w.deadLetters()
	require.Len(t, letters, poison)
	for _, reason := range letters {
		require.NotEmpty(t, reason)
	}
	var streams int
	require.NoError(t, w.db.QueryRow(bounded(t), "SELECT count(DISTINCT stream) FROM dead_letter WHERE stream_seq = 1").Scan(&streams))
	require.Equal(t, 2, streams)
}

// Nobody keeps an event out of the trail by what a request may contain.
func TestWhatPeopleChooseCannotKeepAnEventOutOfTheTrail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant := uuid.NewString()
	e := domainEvent(t, events.LoginFailed, tenant, map[string]any{
		"id": "a\x00b", "user_id": "\x00", "email": "a\x00\ud7ff\u2028<script>@example.com", "agent": strings.Repeat("x", 100_000),
	}, func(e *events.Event) {
		e.SetExtension(events.RequestID, "a\x00b\xff")
		e.SetExtension(events.Outcome, "something new")
		e.SetExtension(events.ActorID, "somebody")
		e.SetTime(time.Time{})
	})
	w.tell(e)
	w.ingester()
	w.done()
	require.Empty(t, w.deadLetters())
	got := w.record(e.ID())
	require.Equal(t, "a\ufffdb", got.ResourceID)
	require.Nil(t, got.User)
	require.Empty(t, got.Outcome)
	require.WithinDuration(t, time.Now(), got.OccurredAt, time.Minute, "when its id was made")
	require.True(t, json.Valid(got.Received))
}

// Only who is of the platform may tell events; a service only its own.
func TestNoServiceTellsTheEventsOfAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := domainEvent(t, events.KeyEnded, "", events.KeyChange{ID: "k"})
	ctx, cancel := context.WithTimeout(bounded(t), 200*time.Millisecond)
	defer cancel()
	require.Error(t, events.Publish(ctx, w.jetStreamOf(natsconn.RBAC), e, e.ID()))
	w.ingester()
	w.done()
	require.Empty(t, w.trail(record.PlatformTenant))
}

func BenchmarkIngestOfDomainEvents(b *testing.B) {
	w := newWorld(b)
	r := w.readerByHand(events.EventsStream)
	tenant := uuid.NewString()
	for range b.N {
		w.tell(domainEvent(b, events.LoginSucceeded, tenant, events.Login{
			UserID: uuid.NewString(), SessionID: uuid.NewString(), Email: "a@example.com", Address: "192.0.2.1",
		}, actor(tenant)))
	}
	b.ResetTimer()
	for stored := 0; stored < b.N; {
		messages, err := r.fetch(bounded(b))
		require.NoError(b, err)
		require.NoError(b, r.ingest(bounded(b), messages))
		stored += len(messages)
	}
}
