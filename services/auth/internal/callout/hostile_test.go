package callout

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/kit/natsconn"
)

// stage is a bus with service tenant, a module victim, and a module evil on a
// raw socket.
type stage struct {
	*bus
	victim  *nats.Conn
	inbox   chan *nats.Msg // what reaches the victim
	evil    *raw
	barrier *nats.Conn
	core    *spy
	modules *spy
}

// apart is a second account for modules, made like MODULES.
var apart = strings.NewReplacer(
	"accounts: [MODULES]", "accounts: [MODULES, APART]",
	"  MODULES {\n", "  APART { imports: [{ service: { account: CORE, subject: \"m.*.core.>\" } }] }\n  MODULES {\n",
)

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{bus: newBus(t, apart), inbox: make(chan *nats.Msg, 100)}
	s.callout()
	s.serve(natsconn.Tenant)
	var err error
	s.victim, err = s.module(s.keyring.add("victim", "tenant.get"))
	require.NoError(t, err)
	_, err = s.victim.ChanSubscribe("_INBOX_victim-00000000.>", s.inbox)
	require.NoError(t, err)
	require.NoError(t, s.victim.Flush())
	s.barrier = s.moduleApart("barrier", "tenant.list")
	s.evil = s.dialKey(s.keyring.add("evil", "tenant.get", "rbac.check"))
	s.core, s.modules = s.spy("CORE"), s.spy("MODULES")
	return s
}

func (s *stage) moduleApart(name string, operations ...string) *nats.Conn {
	s.t.Helper()
	key := s.keyring.add(name, operations...)
	s.keyring.set(func() {
		grant := s.keyring.grants[key.Reveal()]
		grant.Account = "APART"
		s.keyring.grants[key.Reveal()] = grant
	})
	nc, err := s.module(key)
	require.NoError(s.t, err)
	return nc
}

// settle returns what was heard in CORE and in MODULES since it was last
// called, once all has arrived that evil sent and that tenant answered to it:
// tenant works in order, so a request behind evil's is answered after it.
func (s *stage) settle() (core, modules []*nats.Msg) {
	s.t.Helper()
	_, err := s.barrier.Request("m.barrier-00000000.core.tenant.list", nil, limit)
	require.NoError(s.t, err)
	require.NoError(s.t, s.victim.Flush())
	own := ""
	for _, msg := range s.core.heard() {
		switch msg.Subject {
		case "m.barrier-00000000.core.tenant.list":
			own = msg.Reply
		case own:
		default:
			core = append(core, msg)
		}
	}
	return core, s.modules.heard()
}

func TestModuleMayPublishOnItsOwnOperationsOnly(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for _, subject := range []string{
		"m.victim-00000000.core.tenant.get", "m.evil-00000000.core.tenant.create", "m.evil-00000000.core.tenant.get.x", "m.evil-00000000.core.tenant",
		"m.evil-00000000.core.tenant.*", "m.evil-00000000.core.>", "m.*.core.tenant.get", "m.>", ">", "*",
		"m..core.tenant.get", "m.evil-00000000.core.tenant.get.", ".m.evil-00000000.core.tenant.get",
		"core.tenant.get", "core.tenant.create", "core.events.t1.tenant.tenant.changed", "core.audit.events.t1.tenant.x",
		"core.beat.rbac", "core.beat.auth", "core.feed.victim.beat", "core.feed.evil.beat", "core.feed.victim.t1", "core.feed.*.*",
		"core.news.victim.all", "core.news.evil.all", "core.news.victim.t1", "core.news.*.*",
		"_INBOX_victim-00000000.x", "_INBOX_evil-00000000.x", "_INBOX_httpbridge.x", "_R_.x", "_GR_.x.y.z", "$GR.x",
		"$JS.API.INFO", "$JS.API.STREAM.DELETE.EVENTS", "$JS.API.CONSUMER.MSG.NEXT.EVENTS.x", "$JS.ACK.EVENTS.c.1.1.1.1.1",
		"$SRV.PING", "$NRG.x",
		"$SYS.REQ.SERVER.PING", "$SYS.REQ.USER.AUTH", "$SYS.REQ.USER.INFO", "$SYS.REQ.ACCOUNT.PING.CONNZ",
		"$SYS.REQ.ACCOUNT.CORE.CONNZ", "$SYS._INBOX.x",
	} {
		assert.Contains(t, s.evil.send(pub(subject, "_INBOX_evil-00000000.x", "x")), "Permissions Violation for Publish", subject)
	}
	core, modules := s.settle()
	assert.Empty(t, core)
	assert.Empty(t, modules)
	assert.Empty(t, s.inbox)
}

func TestModuleMaySubscribeToItsInboxOnly(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for i, subject := range []string{
		">", "*", "*.>", "*.*", "_INBOX.>", "_INBOX_*.>", "_INBOX_victim-00000000.>", "_INBOX_victim-00000000.x", "_INBOX_evil-00000000", "m.>", "m.evil-00000000.>",
		"m.*.core.>", "m.*.core.tenant.get", "m.victim-00000000.core.tenant.get", "m.evil-00000000.core.tenant.get", "core.>", "core.tenant.get",
		"core.events.>", "core.beat.rbac", "core.feed.>", "core.feed.*.*", "core.feed.victim.*", "core.feed.evil.*", "core.feed.evil.beat",
		"core.news.>", "core.news.*.*", "core.news.victim.*", "core.news.evil.*", "core.news.evil.all",
		"$SYS.>", "$SYS.REQ.USER.AUTH", "$JS.>", "$JS.API.>", "$JS.EVENT.>", "$SRV.>", "_R_.>", "$KV.>",
	} {
		assert.Contains(t, s.evil.send(fmt.Sprintf("SUB %s %d", subject, 2*i)), "Permissions Violation for Subscription", subject)
		assert.Contains(t, s.evil.send(fmt.Sprintf("SUB %s core %d", subject, 2*i+1)), "Permissions Violation for Subscription", subject)
	}
	reply, err := s.victim.Request("m.victim-00000000.core.tenant.get", nil, limit)
	require.NoError(t, err)
	assert.Equal(t, "answer to m.victim-00000000.core.tenant.get", string(reply.Data))
	assert.Empty(t, s.evil.send())

	assert.Empty(t, s.evil.send("SUB _INBOX_evil-00000000.> 900"))
}

// The limit of the user JWT has no effect with a configuration file.
func TestModuleMayNotHoardSubscriptions(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	var lines []string
	for i := range maxSubscriptions {
		lines = append(lines, fmt.Sprintf("SUB _INBOX_evil-00000000.%d %d", i, i))
	}
	assert.Empty(t, s.evil.send(lines...))
	assert.Contains(t, s.evil.send("SUB _INBOX_evil-00000000.more 999"), "maximum subscriptions exceeded")
}

func TestModuleMayNotSendMoreThanThePayloadLimit(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	assert.Contains(t, s.evil.send(fmt.Sprintf("PUB m.evil-00000000.core.tenant.get %d", maxPayload+1)), "Maximum Payload Violation")
}

// Whatever evil says in headers, a responder sees evil in token 2.
func TestHeadersAreNoIdentity(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	forged := []string{
		`Nats-Request-Info: {"acc":"CORE","user":"victim-abcdefgh","svc":"CORE","name":"tenant"}`,
		"Buildify-Principal: service  ", "Buildify-Principal: module victim victim-abcdefgh",
		"X-API-Key: whatever", "Nats-Msg-Id: 1", "Nats-Expected-Stream: EVENTS",
	}
	s.evil.send("SUB _INBOX_evil-00000000.> 1")
	for _, header := range forged {
		s.evil.send(hpub("m.evil-00000000.core.tenant.get", "_INBOX_evil-00000000.r", "{}", header))
	}
	core, _ := s.settle()
	requests := 0
	for _, msg := range core {
		if !strings.HasPrefix(msg.Subject, "_R_.") {
			requests++
			assert.Equal(t, "m.evil-00000000.core.tenant.get", msg.Subject)
			assert.True(t, strings.HasPrefix(msg.Reply, "_R_."), msg.Reply)
		}
	}
	assert.Equal(t, len(forged), requests)
	assert.Contains(t, s.evil.send(), "answer to m.evil-00000000.core.tenant.get")
}

// Message tracing publishes where the sender says.
func TestTracingLeadsNowhere(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for _, dest := range []string{
		"_INBOX_victim-00000000.trace", "m.victim-00000000.core.tenant.get", "core.feed.victim.beat", "core.beat.rbac", "core.tenant.create", "$JS.API.STREAM.DELETE.EVENTS", "$SYS.REQ.SERVER.PING",
	} {
		for _, only := range []string{"true", "false"} {
			s.evil.send(hpub("m.evil-00000000.core.tenant.get", "_INBOX_evil-00000000.r", "{}", "Nats-Trace-Dest: "+dest, "Nats-Trace-Only: "+only))
		}
	}
	core, modules := s.settle()
	for _, msg := range append(core, modules...) {
		if msg.Subject != "_INBOX_evil-00000000.r" && !strings.HasPrefix(msg.Subject, "_R_.") {
			assert.Equal(t, "m.evil-00000000.core.tenant.get", msg.Subject)
		}
	}
	assert.Empty(t, s.inbox)
}

// A module may name any reply subject. The responder only ever sees, and
// publishes on, a one-time subject of the server's, whose far end is in the
// module's account: CORE says nothing else, and nothing in it changes.
func TestChosenReplyMakesCoreSayNothingElse(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	js, err := jetstream.New(s.user(natsconn.Audit))
	require.NoError(t, err)
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "EVENTS", Subjects: []string{"core.events.>"}})
	require.NoError(t, err)
	_, err = s.user(natsconn.Tenant).Request("core.events.t1.tenant.tenant.changed", []byte("1"), limit)
	require.NoError(t, err)
	durable, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "projection", AckPolicy: jetstream.AckExplicitPolicy})
	require.NoError(t, err)
	batch, err := durable.FetchNoWait(1)
	require.NoError(t, err)
	pending := <-batch.Messages()
	s.settle()

	for _, reply := range []string{
		"core.tenant.create", "core.tenant.get", "core.events.t1.tenant.tenant.changed", "core.audit.events.t1.x.y",
		"m.victim-00000000.core.tenant.get", "m.victim-00000000.core.tenant.create", "m.evil-00000000.core.tenant.create", "m.evil-00000000.core.rbac.check", "m.evil-00000000.core.tenant.get",
		"$JS.API.STREAM.DELETE.EVENTS", "$JS.API.STREAM.PURGE.EVENTS", "$JS.API.CONSUMER.DELETE.EVENTS.projection", "$JS.ACK", "$JS.FC.EVENTS.x",
		"$SYS.REQ.SERVER.PING", "$SYS.REQ.USER.AUTH", "$SYS.REQ.ACCOUNT.CORE.CONNZ", "$SRV.PING", "_R", "x.$FI",
		"_INBOX_httpbridge.x", "_INBOX_tenant.x", "_INBOX_victim-00000000.x", "_INBOX_evil-00000000.r",
		">", "*", "*.*", "m.>", "_INBOX_victim-00000000.>", "_INBOX_victim-00000000.*", "_INBOX_victim-00000000.*.*", "a..b", ".a", "a.",
	} {
		assert.Empty(t, s.evil.send(pub("m.evil-00000000.core.tenant.get", reply, "{}")), reply)
		core, modules := s.settle()
		require.Len(t, core, 2, reply)
		assert.Equal(t, "m.evil-00000000.core.tenant.get", core[0].Subject)
		assert.Regexp(t, `^_R_\.[A-Za-z0-9]+\.[A-Za-z0-9]+$`, core[0].Reply)
		assert.Equal(t, core[0].Reply, core[1].Subject)
		for _, msg := range modules { // the request itself, and the answer to it
			assert.Contains(t, []string{"m.evil-00000000.core.tenant.get", reply}, msg.Subject)
			assert.Contains(t, []string{"{}", "answer to m.evil-00000000.core.tenant.get"}, string(msg.Data))
		}
	}
	for _, reply := range []string{pending.Reply(), "$JS.ACK.x", "_R_.x", "_GR_.x.y.z", "$GR.x.y.z"} {
		assert.Contains(t, s.evil.send(pub("m.evil-00000000.core.tenant.get", reply, "{}")), "Permissions Violation for Publish with Reply", reply)
		core, _ := s.settle()
		assert.Empty(t, core, reply)
	}
	info, err := stream.Info(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 1, info.State.Msgs)
	state, err := durable.Info(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, state.NumAckPending)
}

// Without a reply subject there is nobody to answer: the responder sees an
// empty one and has to refuse.
func TestMissingReplyIsSeenAsMissing(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	assert.Empty(t, s.evil.send(pub("m.evil-00000000.core.tenant.get", "", "{}")))
	core, _ := s.settle()
	require.Len(t, core, 1)
	assert.Empty(t, core[0].Reply)
}

// In the account that they share, a module's answer does go where the module
// says. What protects the victim is that nobody can know its reply subjects:
// wildcards do not match them.
func TestChosenReplyDoesNotAnswerTheVictimsRequests(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	asked, release := make(chan struct{}), make(chan struct{})
	slow := s.user(natsconn.RBAC)
	_, err := slow.Subscribe("m.*.core.rbac.check", func(msg *nats.Msg) {
		close(asked)
		<-release
		_ = msg.Respond([]byte("for the victim"))
	})
	require.NoError(t, err)
	require.NoError(t, slow.Flush())
	victim, err := s.module(s.keyring.add("victim", "rbac.check"))
	require.NoError(t, err)
	answer := make(chan string, 1)
	go func() {
		reply, err := victim.Request("m.victim-00000001.core.rbac.check", nil, limit)
		if assert.NoError(t, err) {
			answer <- string(reply.Data)
		}
		close(answer)
	}()
	<-asked
	for _, reply := range []string{"_INBOX_victim-00000001.x", "_INBOX_victim-00000001.x.y", "_INBOX_victim-00000001.x.*"} {
		s.evil.send(pub("m.evil-00000000.core.tenant.get", reply, "{}"))
	}
	s.settle()
	close(release)
	assert.Equal(t, "for the victim", <-answer)
}

// A wildcard as reply subject makes the server forget the replies it matches,
// those of other modules too: their requests time out. Only an account of its
// own protects a module from that, and from strangers in its inbox.
func TestModulesOfTwoAccountsCannotDisturbEachOther(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	victim := s.moduleApart("victim", "rbac.check")
	inbox := make(chan *nats.Msg, 10)
	_, err := victim.ChanSubscribe("_INBOX_victim-00000001.>", inbox)
	require.NoError(t, err)
	asked, release := make(chan struct{}), make(chan struct{})
	slow := s.user(natsconn.RBAC)
	_, err = slow.Subscribe("m.*.core.rbac.check", func(msg *nats.Msg) {
		close(asked)
		<-release
		_ = msg.Respond([]byte("for the victim"))
	})
	require.NoError(t, err)
	require.NoError(t, slow.Flush())
	require.NoError(t, victim.PublishRequest("m.victim-00000001.core.rbac.check", "_INBOX_victim-00000001.r", nil))
	<-asked
	for _, reply := range []string{"_INBOX_victim-00000001.r", ">", "*.*", "_INBOX_victim-00000001.>", "_INBOX_victim-00000001.*"} {
		s.evil.send(pub("m.evil-00000000.core.tenant.get", reply, "{}"))
	}
	s.settle()
	close(release)
	select {
	case msg := <-inbox:
		assert.Equal(t, "for the victim", string(msg.Data))
	case <-time.After(limit):
		t.Error("the answer was lost")
	}
	assert.Empty(t, inbox)
}
