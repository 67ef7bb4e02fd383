package chaos

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/natsconn"
	"github.com/buildify/core/pkg/kit/natsserver"
	"github.com/buildify/core/tests/stack"
)

// as connects to the bus as one of the platform's own users.
func (w *world) as(t *testing.T, user string) jetstream.JetStream {
	t.Helper()
	nc, err := natsconn.Connect(stack.Context(t), natsconn.Config{
		URL: w.NATSURL, User: user, SeedFile: natsserver.SeedFile(w.Credentials, user),
	})
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return js
}

// forget shortens how long a stream remembers the ids of its messages, and
// returns what brings that back.
func (w *world) forget(t *testing.T, stream string) (remember func()) {
	t.Helper()
	set := func(window time.Duration) {
		s, err := w.js.Stream(stack.Context(t), stream)
		require.NoError(t, err)
		cfg := s.CachedInfo().Config
		cfg.Duplicates = window
		_, err = w.js.UpdateStream(stack.Context(t), cfg)
		require.NoError(t, err)
	}
	set(100 * time.Millisecond)
	set(110 * time.Millisecond) // the server may look through its ids before the first one holds
	return func() { set(2 * time.Minute) }
}

// deliverAgain publishes everything that the tenant's streams hold once more,
// under the same ids and in another order, after the streams forgot the ids: as
// an outbox does that could not delete what it had published.
func deliverAgain(t *testing.T, v *visitor) {
	v.repeated = true
	publishers := map[string]jetstream.JetStream{}
	for _, service := range services {
		publishers[service] = v.world.as(t, service)
	}
	for _, stream := range []string{events.AuditStream, events.EventsStream} {
		remember := v.world.forget(t, stream)
		filter, publisher := "core.audit.events."+v.load.company.Tenant.ID+".>", func(string) string { return natsconn.Audit }
		if stream == events.EventsStream {
			filter = "core.events." + v.load.company.Tenant.ID + ".>"
			publisher = func(subject string) string { return strings.Split(subject, ".")[3] }
		}
		all := v.world.stream(t, stream, filter)
		v.draw.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for _, m := range all {
			begun := time.Now()
			for duplicate := true; duplicate; { // until its id is forgotten
				ack, err := publishers[publisher(m.subject)].PublishMsg(stack.Context(t), m.again())
				require.NoError(t, err, m.subject)
				if duplicate = ack.Duplicate; duplicate {
					require.Less(t, time.Since(begun), stack.Timeout, "%s takes nothing a second time", stream)
					<-time.After(20 * time.Millisecond)
				}
			}
		}
		remember()
	}
}

// again is the message as it was.
func (m *message) again() *nats.Msg {
	msg := nats.NewMsg(m.subject)
	msg.Header, msg.Data = nats.Header{}, m.data
	for name, values := range m.header {
		msg.Header[name] = values
	}
	msg.Header.Set(nats.MsgIdHdr, m.dedup)
	return msg
}

const poisonPrefix = "poison-"

// poison has services publish what is no event, or not theirs to tell.
func poison(t *testing.T, v *visitor) {
	tenant, user := v.load.company.Tenant.ID, v.load.company.Reader.ID
	logged := func(change func(e *events.Event, data map[string]any)) func(*nats.Msg) {
		return func(msg *nats.Msg) {
			data := loggedData(v.load, "poison")
			e, err := events.Make(loggedType, "/modules/x", msg.Subject, map[string]string{events.TenantID: tenant, events.ActorID: user}, data)
			require.NoError(t, err)
			change(&e, data)
			encoded, err := events.Encode(e)
			require.NoError(t, err)
			msg.Header, msg.Data = encoded.Header, encoded.Data
		}
	}
	garbage := func(text string) func(*nats.Msg) { return func(msg *nats.Msg) { msg.Data = []byte(text) } }
	audit := events.AuditSubject(tenant, "chaos", "poison")
	for i, p := range []struct {
		publisher, subject string
		make               func(*nats.Msg)
	}{
		{natsconn.Audit, audit, garbage("")},
		{natsconn.Audit, audit, garbage("{")},
		{natsconn.Audit, audit, garbage(strings.Repeat("\xff\x00", 100_000))},
		{natsconn.Audit, audit, func(msg *nats.Msg) {
			msg.Header.Set("content-type", "application/cloudevents+json")
			msg.Data = []byte(`{"specversion":"1.0","id":7,"type":[]}`)
		}},
		{natsconn.Audit, audit, logged(func(e *events.Event, _ map[string]any) { e.SetType("dev.buildify.audit.event.forged.v1") })},
		{natsconn.Audit, audit, logged(func(e *events.Event, _ map[string]any) { e.SetExtension(events.TenantID, "everybody") })},
		{natsconn.Audit, audit, logged(func(e *events.Event, _ map[string]any) { e.SetID("1") })},
		{natsconn.RBAC, events.PolicyChanged.Subject(tenant), garbage("no event")},
		{natsconn.RBAC, events.PolicyChanged.Subject(tenant), garbage("")},
		{natsconn.Tenant, events.UnitChanged.Subject(tenant), func(msg *nats.Msg) { // another one's event
			e, err := events.New(events.PolicyChanged, tenant, 1, events.PolicyStep{TenantID: tenant})
			require.NoError(t, err)
			encoded, err := events.Encode(e)
			require.NoError(t, err)
			msg.Header, msg.Data = encoded.Header, encoded.Data
		}},
	} {
		v.sometime(t)
		msg := nats.NewMsg(p.subject)
		p.make(msg)
		id := fmt.Sprintf("%s%d-%s", poisonPrefix, i, tenant)
		msg.Header.Set(nats.MsgIdHdr, id)
		_, err := v.world.as(t, p.publisher).PublishMsg(stack.Context(t), msg)
		require.NoError(t, err)
		v.poison[id] = true
	}
}

// loggedType is the type of what modules log.
const loggedType = "dev.buildify.audit.event.logged.v1"

// loggedData is the data of an event as the ingress makes it.
func loggedData(l *load, resource string) map[string]any {
	return map[string]any{
		"user_id": l.company.Reader.ID, "source": l.company.Module, "action": chaosAction, "resource_type": "thing",
		"resource_id": resource, "request_id": kit.NewID(),
	}
}

// skewClocks publishes events that happened, by their sender's clock, years ago
// or years from now, and some of them once more when the stream forgot them.
func skewClocks(t *testing.T, v *visitor) {
	tenant := v.load.company.Tenant.ID
	asAudit, asTenant := v.world.as(t, natsconn.Audit), v.world.as(t, natsconn.Tenant)
	publish := func(js jetstream.JetStream, e events.Event) {
		require.NoError(t, events.Publish(stack.Context(t), js, e, e.ID()))
	}
	for _, stream := range []string{events.AuditStream, events.EventsStream} {
		defer v.world.forget(t, stream)()
	}
	var sent []func()
	for i, at := range clocks() {
		e, err := events.Make(loggedType, "/modules/chaos", events.AuditSubject(tenant, "chaos", chaosAction),
			map[string]string{events.TenantID: tenant, events.ActorID: v.load.company.Reader.ID, events.Outcome: "success"},
			loggedData(v.load, fmt.Sprint("skew-", i)))
		require.NoError(t, err)
		e.SetTime(at)
		changed, err := events.New(events.SettingsChanged, tenant, 0, events.SettingsChange{TenantID: tenant})
		require.NoError(t, err)
		changed.SetTime(at)
		both := func() {
			publish(asAudit, e)
			publish(asTenant, changed)
		}
		both()
		sent = append(sent, both)
		v.load.note(v.load.logs, fmt.Sprint("skew-", i), attempt{writer: "skew", n: i, acked: true, id: e.ID()})
	}
	v.sometime(t)
	<-time.After(200 * time.Millisecond) // until the ids are forgotten
	for _, again := range sent {
		again()
	}
	// Those that happened now, as far as anybody can tell, once more by
	// themselves: what they are stored with must not tell them apart.
	for range 3 {
		v.sometime(t)
		<-time.After(200 * time.Millisecond)
		sent[0]()
	}
	v.repeated = true
}

// clocks are times that some clock may show.
func clocks() []time.Time {
	now := time.Now().UTC()
	return []time.Time{
		{}, // none: what has no time gets the stream's
		time.Unix(0, 0).UTC(),
		time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2000, 2, 29, 23, 59, 59, 999999999, time.UTC),
		now.AddDate(-10, 0, 0), now.AddDate(0, 0, -1), now.AddDate(0, 1, 0), now.AddDate(10, 0, 0),
		time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		now.In(time.FixedZone("far east", 14*3600)),
	}
}
