package callout

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/natsconn"
)

const (
	tenantA = "0190f5c2-0000-7000-8000-00000000000a"
	tenantB = "0190f5c2-0000-7000-8000-00000000000b"
	oneMore = `{"batch":1,"no_wait":true,"group":"lanes"}`
)

// subscribed is a stage with subscriptions of victim and evil, and an event each
// in tenants A and B.
type subscribed struct {
	*stage
	js jetstream.JetStream
}

func newSubscribed(t *testing.T) *subscribed {
	t.Helper()
	s := &subscribed{stage: newStage(t)}
	var err error
	s.js, err = jetstream.New(s.user(natsconn.Audit))
	require.NoError(t, err)
	require.NoError(t, events.Ensure(t.Context(), s.js, events.GrantedStream, 1))
	for _, module := range []string{"victim", "evil"} {
		_, _, err := events.EnsureGrantedConsumer(t.Context(), s.js, module, nil, true)
		require.NoError(t, err)
		_, _, err = events.EnsureGrantedConsumer(t.Context(), s.js, module, []string{tenantA}, true)
		require.NoError(t, err)
		s.give(module, tenantA)
		s.give(module, tenantB)
	}
	return s
}

// give puts an event for a module into the stream.
func (s *subscribed) give(module, tenant string) {
	e, err := events.New(events.UnitChanged, tenant, 1, nil)
	require.NoError(s.t, err)
	msg, err := events.Encode(e)
	require.NoError(s.t, err)
	msg.Header.Set(nats.MsgIdHdr, e.ID())
	require.NoError(s.t, events.PublishCopies(s.t.Context(), s.js, []*nats.Msg{events.Copy(module, msg.Subject, 1, msg.Header, []byte(module+" "+tenant))}))
}

func (s *subscribed) key(module string, tenants ...string) contract.APIKey {
	key := s.keyring.add(module, "tenant.get", contract.GrantedEvents.Name)
	s.keyring.set(func() {
		grant := s.keyring.grants[key.Reveal()]
		grant.Tenants = tenants
		s.keyring.grants[key.Reveal()] = grant
	})
	return key
}

func (s *subscribed) consumer(key contract.APIKey, name string) (jetstream.Consumer, error) {
	nc, err := s.module(key)
	require.NoError(s.t, err)
	js, err := jetstream.NewWithAPIPrefix(nc, contract.BusAPI)
	require.NoError(s.t, err)
	ctx, cancel := context.WithTimeout(s.t.Context(), limit)
	defer cancel()
	return js.Consumer(ctx, events.GrantedStream, name)
}

func (s *subscribed) read(key contract.APIKey, name string, n int) (all []string) {
	consumer, err := s.consumer(key, name)
	require.NoError(s.t, err)
	for range n {
		batch, err := consumer.Fetch(1, jetstream.FetchMaxWait(limit), jetstream.FetchPriorityGroup("lanes"))
		require.NoError(s.t, err)
		for msg := range batch.Messages() {
			all = append(all, string(msg.Data()))
			require.NoError(s.t, msg.DoubleAck(s.t.Context()))
		}
		require.NoError(s.t, batch.Error())
	}
	return all
}

func TestAModuleReadsItsOwnEvents(t *testing.T) {
	t.Parallel()
	s := newSubscribed(t)
	require.Equal(t, []string{"victim " + tenantA, "victim " + tenantB}, s.read(s.key("victim"), "mod_victim", 2))
	only := events.GrantedConsumer("victim", []string{tenantA})
	require.Equal(t, []string{"victim " + tenantA}, s.read(s.key("victim", tenantA), only, 1))
	info, err := s.js.Consumer(t.Context(), events.GrantedStream, only)
	require.NoError(t, err)
	require.Zero(t, info.CachedInfo().NumPending+uint64(info.CachedInfo().NumAckPending))
}

func TestAModuleReachesNothingButItsOwnConsumer(t *testing.T) {
	t.Parallel()
	s := newSubscribed(t)
	own, others := events.GrantedConsumer("evil", []string{tenantA}), events.GrantedConsumer("victim", []string{tenantA})
	evil := s.dialKey(s.key("evil", tenantA))
	var subjects []string
	for _, prefix := range []string{contract.BusAPI, "$JS.API"} {
		for _, consumer := range []string{"mod_evil", "mod_victim", others, "*", ">", "x"} {
			subjects = append(subjects, prefix+".CONSUMER.INFO.GRANTED."+consumer, prefix+".CONSUMER.MSG.NEXT.GRANTED."+consumer)
		}
		for _, call := range []string{
			"INFO", "STREAM.NAMES", "STREAM.LIST", "STREAM.INFO.GRANTED", "STREAM.PURGE.GRANTED", "STREAM.DELETE.GRANTED", "STREAM.MSG.GET.GRANTED",
			"DIRECT.GET.GRANTED", "DIRECT.GET.GRANTED.core.granted.victim." + tenantA + ".tenant.unit.changed", "CONSUMER.NAMES.GRANTED", "CONSUMER.LIST.GRANTED",
			"CONSUMER.CREATE.GRANTED", "CONSUMER.CREATE.GRANTED." + own, "CONSUMER.CREATE.GRANTED." + own + ".core.granted.>", "CONSUMER.DURABLE.CREATE.GRANTED." + own,
			"CONSUMER.DELETE.GRANTED." + own, "CONSUMER.PAUSE.GRANTED." + own, "CONSUMER.UNPIN.GRANTED." + own, "CONSUMER.RESET.GRANTED." + own,
			"CONSUMER.INFO.EVENTS." + own, "CONSUMER.MSG.NEXT.EVENTS." + own,
		} {
			subjects = append(subjects, prefix+"."+call)
		}
	}
	for _, consumer := range []string{"mod_evil", "mod_victim", others} {
		subjects = append(subjects, "$JS.ACK.GRANTED."+consumer+".1.1.1.1.0")
	}
	for _, subject := range append(subjects,
		"$JS.API.CONSUMER.MSG.NEXT.GRANTED."+own, "$JS.ACK.EVENTS."+own+".1.1.1.1.0", "$JS.ACK.GRANTED.>",
		"core.granted.evil."+tenantA+".tenant.unit.changed", "core.granted.victim."+tenantA+".gone") {
		assert.Contains(t, evil.send(pub(subject, "_INBOX_evil-00000001.x", oneMore)), "Permissions Violation for Publish", subject)
	}
	for i, subject := range []string{"core.granted.>", "core.granted.evil.>", "core.granted.victim.*.*.*.*", "$JS.ACK.>", "CORE.API.>"} {
		assert.Contains(t, evil.send(fmt.Sprintf("SUB %s %d", subject, i)), "Permissions Violation for Subscription", subject)
	}
	require.Equal(t, []string{"victim " + tenantA, "victim " + tenantB}, s.read(s.key("victim"), "mod_victim", 2), "nothing of it happened")
}

// Whatever a module names as the reply subject of a request for its events, or of an
// acknowledgement: the core says nothing else, no request in its or another's name
// is made of the answer, and another's events stay where they are.
func TestChosenReplyOfASubscription(t *testing.T) {
	t.Parallel()
	s := newSubscribed(t)
	// Without turns, so that each request is answered.
	require.NoError(t, s.js.DeleteConsumer(t.Context(), events.GrantedStream, "mod_evil"))
	_, err := s.js.CreateConsumer(t.Context(), events.GrantedStream, jetstream.ConsumerConfig{
		Durable: "mod_evil", FilterSubjects: events.GrantedSubjects("evil"), DeliverPolicy: jetstream.DeliverNewPolicy, AckPolicy: jetstream.AckExplicitPolicy,
	})
	require.NoError(t, err)
	evil := s.dialKey(s.key("evil"))
	s.settle()
	given := 0
	for _, reply := range []string{
		"core.tenant.create", "core.tenant.get", "core.events." + tenantA + ".tenant.tenant.changed", "core.granted.victim." + tenantA + ".gone",
		"m.victim-00000000.core.tenant.get", "m.evil-00000001.core.tenant.get", "m.evil-00000001.core.tenant.create",
		contract.BusAPI + ".CONSUMER.MSG.NEXT.GRANTED.mod_victim", contract.BusAPI + ".CONSUMER.MSG.NEXT.GRANTED.mod_evil",
		"$JS.API.CONSUMER.DELETE.GRANTED.mod_victim", "$JS.API.STREAM.PURGE.GRANTED", "$SYS.REQ.SERVER.PING", "$SRV.PING",
		"_INBOX_httpbridge.x", "_INBOX_audit.x", "_INBOX_evil-00000001.r", "core.feed.evil." + tenantA, ">", "m.>", "*.*", "a..b",
	} {
		for _, request := range []struct{ subject, body string }{
			{contract.BusAPI + ".CONSUMER.MSG.NEXT.GRANTED.mod_evil", `{"batch":1,"no_wait":true}`},
			{contract.BusAPI + ".CONSUMER.INFO.GRANTED.mod_evil", ""},
			{"$JS.ACK.GRANTED.mod_evil.1.1.1.1.0", `+NXT {"batch":1,"no_wait":true}`},
			{"$JS.ACK.GRANTED.mod_evil.1.1.1.1.0", "-NAK"},
		} {
			s.give("evil", tenantA)
			given++
			s.settle()
			assert.Empty(t, evil.send(pub(request.subject, reply, request.body)))
			core, modules := s.settle()
			asked := strings.Replace(request.subject, contract.BusAPI, "$JS.API", 1)
			for _, msg := range core {
				switch {
				case msg.Subject == asked:
					assert.Regexp(t, `^_R_\.[A-Za-z0-9]+\.[A-Za-z0-9]+$`, msg.Reply)
				case strings.HasPrefix(msg.Subject, "core.granted.evil."): // on its way to _R_
					assert.Regexp(t, `^\$JS\.ACK\.GRANTED\.mod_evil\.`, msg.Reply)
				default:
					assert.Regexp(t, `^(_R_\.[A-Za-z0-9]+\.[A-Za-z0-9]+|\$JS\.EVENT\.ADVISORY\..+)$`, msg.Subject, "%s %s", request.subject, reply)
					assert.Empty(t, msg.Reply)
				}
			}
			for _, msg := range modules {
				assert.Contains(t, []string{request.subject, reply, "core.granted.evil." + tenantA + ".tenant.unit.changed"}, msg.Subject)
			}
		}
	}
	for _, reply := range []string{"$JS.ACK.GRANTED.mod_victim.1.1.1.1.0", "$JS.ACK.GRANTED.mod_evil.1.1.1.1.0", "_R_.x", "_GR_.x.y.z"} {
		assert.Contains(t, evil.send(pub(contract.BusAPI+".CONSUMER.MSG.NEXT.GRANTED.mod_evil", reply, "{}")), "Permissions Violation for Publish with Reply", reply)
	}
	stream, err := s.js.Stream(t.Context(), events.GrantedStream)
	require.NoError(t, err)
	require.EqualValues(t, 4+given, stream.CachedInfo().State.Msgs)
	consumer, err := s.js.Consumer(t.Context(), events.GrantedStream, "mod_victim")
	require.NoError(t, err)
	require.EqualValues(t, 2, consumer.CachedInfo().NumPending)
	require.Zero(t, consumer.CachedInfo().NumAckPending)
	require.Empty(t, s.inbox)
}

// An answer that a module has sent to another's subjects is no event of theirs: it
// comes with the subject and the acknowledgement of the module that asked.
func TestEventsSentToAnothersInboxSayWhoseTheyAre(t *testing.T) {
	t.Parallel()
	s := newSubscribed(t)
	evil := s.dialKey(s.key("evil"))
	assert.Empty(t, evil.send(pub(contract.BusAPI+".CONSUMER.MSG.NEXT.GRANTED.mod_evil", "_INBOX_victim-00000000.guessed", oneMore)))
	select {
	case msg := <-s.inbox:
		require.True(t, strings.HasPrefix(msg.Subject, "core.granted.evil."), msg.Subject)
	case <-time.After(limit):
		t.Fatal("nothing came")
	}
}
