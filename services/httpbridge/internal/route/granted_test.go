package route

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/natsconn"
)

const (
	grantedA = "0190f5c2-0000-7000-8000-00000000000a"
	grantedB = "0190f5c2-0000-7000-8000-00000000000b"
)

// granting is a stage with stream GRANTED.
type granting struct {
	*stage
	audit jetstream.JetStream
}

func newGranting(t *testing.T) *granting {
	t.Helper()
	s := &granting{stage: newStage(t)}
	var err error
	s.audit, err = jetstream.New(s.user(natsconn.Audit))
	require.NoError(t, err)
	require.NoError(t, events.Ensure(t.Context(), s.audit, events.GrantedStream, 1))
	key := s.key("probe-aaaaaaaa")
	require.Eventually(t, func() bool { // the hub found the stream
		return s.ask(key, "", "").StatusCode == http.StatusOK
	}, patience, patience/1000)
	return s
}

func (s *granting) key(id string, tenants ...string) string {
	return s.issue(id, func(k *contract.VerifyKeyResponse) {
		k.Operations, k.Tenants = []string{contract.GrantedEvents.Name}, tenants
	})
}

// give gives a module an event, whose name is of kind, and returns its id.
func (s *granting) give(module, tenant string, kind events.Kind, revision int) string {
	s.t.Helper()
	msg, id := s.granted(module, tenant, kind, revision)
	require.NoError(s.t, events.PublishCopies(s.t.Context(), s.audit, []*nats.Msg{msg}))
	return id
}

func (s *granting) granted(module, tenant string, kind events.Kind, revision int) (msg *nats.Msg, id string) {
	s.t.Helper()
	e, err := events.New(kind, tenant, int64(revision), map[string]string{"filler": strings.Repeat("x", 200)})
	require.NoError(s.t, err)
	msg, err = events.Encode(e)
	require.NoError(s.t, err)
	msg.Header.Set(nats.MsgIdHdr, e.ID())
	return events.Copy(module, msg.Subject, 1, msg.Header, msg.Data), e.ID()
}

func (s *granting) ask(key, query, last string) *http.Response {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.server.URL+contract.GrantedEvents.Path+query, nil)
	require.NoError(s.t, err)
	r.Header.Set(contract.HeaderAPIKey, key)
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	response, err := s.server.Client().Do(r)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

func (s *granting) read(key, query, last string) *reader {
	s.t.Helper()
	response := s.ask(key, query, last)
	require.Equal(s.t, http.StatusOK, response.StatusCode)
	r := newReader(s.t, response)
	require.Equal(s.t, ": open", r.line())
	require.Empty(s.t, r.line())
	if last == "" && !strings.Contains(query, "after=") {
		r.begins()
	}
	return r
}

// begins reads the place where a reader begins that named none.
func (r *reader) begins() (place string) {
	r.t.Helper()
	place, ok := strings.CutPrefix(r.line(), "id: ")
	require.True(r.t, ok)
	require.Empty(r.t, r.line())
	return place
}

// event reads the next one: the stream's id, and the event's.
func (r *reader) event() (place, id string) {
	r.t.Helper()
	place, ok := strings.CutPrefix(r.line(), "id: ")
	require.True(r.t, ok)
	data, ok := strings.CutPrefix(r.line(), "data: ")
	require.True(r.t, ok)
	require.Empty(r.t, r.line())
	var e events.Event
	require.NoError(r.t, json.Unmarshal([]byte(data), &e))
	return place, e.ID()
}

func (r *reader) events(n int) (place string, ids []string) {
	r.t.Helper()
	for range n {
		var id string
		place, id = r.event()
		ids = append(ids, id)
	}
	return place, ids
}

func TestAModuleReadsItsEventsAndNoOthers(t *testing.T) {
	t.Parallel()
	s := newGranting(t)
	all, one := s.read(s.key("crm-aaaaaaaa"), "", ""), s.read(s.key("crm-bbbbbbbb", grantedB), "", "")
	units, ofB := s.read(s.key("crm-cccccccc"), "?types=auth.**,tenant.unit.*", ""), s.read(s.key("crm-dddddddd"), "?tenant_id="+strings.ToUpper(grantedB), "")
	s.give("hr", grantedA, events.UnitChanged, 1)
	first := s.give("crm", grantedA, events.TenantChanged, 1)
	second := s.give("crm", grantedB, events.UnitChanged, 1)
	third := s.give("crm", grantedA, events.UnitChanged, 2)
	_, got := all.events(3)
	require.Equal(t, []string{first, second, third}, got)
	_, got = one.events(1)
	require.Equal(t, []string{second}, got)
	_, got = units.events(2)
	require.Equal(t, []string{second, third}, got)
	_, got = ofB.events(1)
	require.Equal(t, []string{second}, got)
}

// Who was away goes on behind the last id: from what is kept, and from the stream
// where that does not reach back.
func TestAReaderGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	s := newGranting(t)
	key := s.key("crm-aaaaaaaa")
	witness := s.read(s.key("hr-aaaaaaaa"), "", "")
	before := s.give("crm", grantedA, events.UnitChanged, 0) // before anybody reads
	s.give("hr", grantedA, events.UnitChanged, 0)
	witness.events(1) // the hub is past it
	r := s.read(key, "", "")
	first := s.give("crm", grantedA, events.UnitChanged, 1)
	place, got := r.events(1)
	require.Equal(t, []string{first}, got)
	require.NoError(t, r.body.Close())
	var missed []string
	var all []*nats.Msg
	for n := range 3000 { // more than is kept
		if n == 2990 {
			other, _ := s.granted("hr", grantedA, events.UnitChanged, n)
			all = append(all, other)
		}
		msg, id := s.granted("crm", grantedA, events.UnitChanged, n)
		all, missed = append(all, msg), append(missed, id)
	}
	require.NoError(t, events.PublishCopies(t.Context(), s.audit, all))
	_, got = s.read(key, "", place).events(len(missed))
	require.Equal(t, missed, got)
	_, got = s.read(key, "?after=0", "").events(3)
	require.Equal(t, []string{before, first, missed[0]}, got)
	_, got = s.read(key, "?after=0&types=tenant.unit.changed", place).events(1)
	require.Equal(t, missed[:1], got, "the header wins")

	// What is taken back does not come from memory either.
	stream, err := s.audit.Stream(t.Context(), events.GrantedStream)
	require.NoError(t, err)
	for _, module := range []string{"crm", "hr"} {
		require.NoError(t, stream.Purge(t.Context(), jetstream.WithPurgeSubject(events.GrantedSubjects(module, grantedA)[0])))
	}
	_, err = s.audit.Publish(t.Context(), events.GoneSubject("crm", grantedA), nil)
	require.NoError(t, err)
	last := s.give("crm", grantedB, events.UnitChanged, 1)
	r = s.read(key, "", place)
	require.Equal(t, "event: gap", r.line(), "the stream does not reach back")
	require.True(t, strings.HasPrefix(r.line(), fmt.Sprintf(`data: {"after":%s,"before":`, place)))
	require.Empty(t, r.line())
	_, got = r.events(1)
	require.Equal(t, []string{last}, got)
}

// A reader that breaks before anything came knows where it began.
func TestAReaderIsToldWhereItBegins(t *testing.T) {
	t.Parallel()
	s := newGranting(t)
	key := s.key("crm-aaaaaaaa")
	place := func() string {
		response := s.ask(key, "", "")
		r := newReader(t, response)
		require.Equal(t, ": open", r.line())
		require.Empty(t, r.line())
		defer func() { require.NoError(t, response.Body.Close()) }()
		return r.begins()
	}
	require.Equal(t, "0", place(), "nothing was given to anybody")
	first := s.give("crm", grantedA, events.UnitChanged, 1)
	_, got := s.read(key, "", "0").events(1)
	require.Equal(t, []string{first}, got)
	began := place()
	second := s.give("crm", grantedA, events.UnitChanged, 2)
	_, got = s.read(key, "", began).events(1)
	require.Equal(t, []string{second}, got)
}

func TestAStreamOfEventsRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	s := newGranting(t)
	key := s.key("crm-aaaaaaaa")
	for query, field := range map[string]string{
		"?types=A": "types", "?types=": "types", "?tenant_id=1": "tenant_id", "?after=-1": "after", "?after=x": "after", "?unheard=1": "unheard",
	} {
		response := s.ask(key, query, "")
		var problem contract.Error
		require.NoError(t, json.NewDecoder(response.Body).Decode(&problem))
		require.Equal(t, []any{http.StatusBadRequest, field}, []any{response.StatusCode, problem.Field}, query)
	}
	for _, last := range []string{"x", "-1", "1.5", "99999999999999999999"} {
		require.Equal(t, http.StatusBadRequest, s.ask(key, "", last).StatusCode, last)
	}
	require.Equal(t, http.StatusForbidden, s.ask(s.issue("crm-bbbbbbbb"), "", "").StatusCode, "a key without the stream")
	require.Equal(t, http.StatusUnauthorized, s.ask("", "", "").StatusCode)
}

func TestAStreamOfEventsEndsWithItsKey(t *testing.T) {
	t.Parallel()
	s := newGranting(t)
	key := s.key("crm-aaaaaaaa")
	r := s.read(key, "", "")
	s.end(key, events.KeyEnded, events.KeyChange{ID: "crm-aaaaaaaa", Module: "crm"})
	r.ended()
}
