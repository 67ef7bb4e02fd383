package callout

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/natsconn"
)

const (
	oneTenant   = "0197f2aa-0000-7000-8000-000000000001"
	otherTenant = "0197f2aa-0000-7000-8000-000000000002"
)

// addFeed makes a key that may hear both streams, of the tenants only if there
// are any.
func (k *keyring) addFeed(module string, tenants ...string) contract.APIKey {
	key := k.add(module, contract.PolicyFeed.Name, contract.ModuleNews.Name, "tenant.get")
	k.set(func() {
		grant := k.grants[key.Reveal()]
		grant.Tenants = tenants
		k.grants[key.Reveal()] = grant
	})
	return key
}

// tell publishes on feeds as rbac does.
func tell(t *testing.T, rbac *nats.Conn, subjects ...string) {
	t.Helper()
	for _, subject := range subjects {
		require.NoError(t, rbac.PublishMsg(&nats.Msg{Subject: subject, Data: []byte(subject), Header: nats.Header{contract.HeaderFeed: {"1"}}}))
	}
	require.NoError(t, rbac.Flush())
}

// hear subscribes and returns what comes.
func hear(t *testing.T, nc *nats.Conn, subjects ...string) chan *nats.Msg {
	t.Helper()
	heard := make(chan *nats.Msg, 1000)
	for _, subject := range subjects {
		_, err := nc.ChanSubscribe(subject, heard)
		require.NoError(t, err)
	}
	require.NoError(t, nc.Flush())
	return heard
}

func everything() []string {
	return []string{
		contract.FeedSubject("victim", oneTenant), contract.FeedSubject("victim", otherTenant), contract.FeedSubject("victim", contract.FeedBeats),
		contract.FeedSubject("evil", oneTenant), contract.FeedSubject("evil", otherTenant), contract.FeedSubject("evil", contract.FeedBeats),
	}
}

// drained returns what was heard, once the server has sent all of it.
func drained(t *testing.T, nc *nats.Conn, heard chan *nats.Msg) (subjects []string) {
	t.Helper()
	require.NoError(t, nc.Flush())
	for {
		select {
		case msg := <-heard:
			assert.NotEmpty(t, msg.Header.Get(contract.HeaderFeed))
			subjects = append(subjects, msg.Subject)
		default:
			return subjects
		}
	}
}

func TestAModuleHearsItsOwnFeedAndNoOther(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	b.callout()
	rbac := b.user(natsconn.RBAC)
	all, err := b.module(b.keyring.addFeed("evil"))
	require.NoError(t, err)
	one, err := b.module(b.keyring.addFeed("evil", oneTenant))
	require.NoError(t, err)
	allHeard := hear(t, all, contract.FeedSubject("evil", "*"))
	oneHeard := hear(t, one, contract.FeedSubject("evil", oneTenant), contract.FeedSubject("evil", contract.FeedBeats))
	tell(t, rbac, everything()...)
	assert.ElementsMatch(t, everything()[3:], drained(t, all, allHeard))
	assert.ElementsMatch(t, []string{everything()[3], everything()[5]}, drained(t, one, oneHeard))

	rawAll, rawOne := b.dialKey(b.keyring.addFeed("evil")), b.dialKey(b.keyring.addFeed("evil", oneTenant))
	for i, subject := range []string{
		">", "core.>", "core.feed.>", "core.feed.*.*", "core.feed.*.beat", "core.feed.*." + oneTenant, "core.feed.evil", "*.feed.evil.*",
		"core.feed.victim.*", "core.feed.victim.beat", "core.feed.victim." + oneTenant, "core.feed.evilx.*", "core.beat.rbac",
	} {
		for _, form := range []string{"SUB %s %d", "SUB %s q %d"} {
			assert.Contains(t, rawAll.send(fmt.Sprintf(form, subject, i)), "Permissions Violation for Subscription", subject)
			assert.Contains(t, rawOne.send(fmt.Sprintf(form, subject, i)), "Permissions Violation for Subscription", subject)
		}
	}
	// To the server > is a token that * matches; there is no more to hear by it.
	for i, subject := range []string{"core.feed.evil.*", "core.feed.evil.>", "core.feed.evil." + otherTenant} {
		assert.Empty(t, rawAll.send(fmt.Sprintf("SUB %s %d", subject, 100+i)))
		assert.Contains(t, rawOne.send(fmt.Sprintf("SUB %s %d", subject, 100+i)), "Permissions Violation for Subscription", subject)
	}
	assert.Contains(t, rawAll.send("SUB core.rbac.feed 1", pub("m.evil-00000002.core.rbac.feed", "", "{}")), "Permissions Violation for Publish")
}

func TestNobodyInModulesTellsAFeedOrABeat(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	b.callout()
	victim, err := b.module(b.keyring.addFeed("victim"))
	require.NoError(t, err)
	heard := hear(t, victim, contract.FeedSubject("victim", "*"))
	core := b.spy("CORE")
	evil := b.dialKey(b.keyring.addFeed("evil"))
	for _, subject := range append(everything(), "core.feed.*.*", "core.feed.victim.*", "core.feed.>", "core.beat.rbac", "core.beat.auth") {
		assert.Contains(t, evil.send(pub(subject, "", "{}")), "Permissions Violation for Publish", subject)
	}
	assert.Empty(t, drained(t, victim, heard))
	assert.Empty(t, core.heard())
}

// The answer to a module's request goes, in the account that modules share, to
// whatever subject the module names. On a feed it is known by the header that
// it has not got, and nothing that a module sends makes a service set it.
func TestAnAnswerOnAFeedIsKnownForOne(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	b.callout()
	b.serve(natsconn.Tenant)
	victim, err := b.module(b.keyring.addFeed("victim"))
	require.NoError(t, err)
	heard := hear(t, victim, contract.FeedSubject("victim", "*"))
	core := b.spy("CORE")
	evil := b.dialKey(b.keyring.addFeed("evil"))
	for _, subject := range everything()[:3] {
		evil.send(hpub("m.evil-00000000.core.tenant.get", subject, "{}", contract.HeaderFeed+": 1"))
		msg := <-heard
		assert.Equal(t, subject, msg.Subject)
		assert.Equal(t, "answer to m.evil-00000000.core.tenant.get", string(msg.Data))
		assert.Empty(t, msg.Header.Get(contract.HeaderFeed))
	}
	for _, msg := range core.heard() {
		assert.False(t, strings.HasPrefix(msg.Subject, "core.feed."), "%s in CORE, where the bridge listens", msg.Subject)
	}
}

func TestAKeyOfAHundredTenantsHearsThemAll(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	b.callout()
	var tenants, policies, news []string
	for i := range 100 { // as many as a key may name
		tenants = append(tenants, fmt.Sprintf("0197f2aa-0000-7000-8000-%012d", i))
		policies = append(policies, contract.FeedSubject("financial", tenants[i]))
		news = append(news, contract.NewsSubject("financial", tenants[i]))
	}
	nc, err := b.module(b.keyring.addFeed("financial", tenants...))
	require.NoError(t, err)
	policies = append(policies, contract.FeedSubject("financial", contract.FeedBeats))
	news = append(news, contract.NewsSubject("financial", contract.NewsOfAll))
	heard := hear(t, nc, append(slices.Concat(policies, news), "_INBOX_financial-00000000.>")...)
	tell(t, b.user(natsconn.RBAC), policies...)
	assert.ElementsMatch(t, policies, drained(t, nc, heard))
	tell(t, b.user(natsconn.Tenant), news...)
	assert.ElementsMatch(t, news, drained(t, nc, heard))
}

func TestStreamsAreNothingToPublishOn(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	b.callout()
	for _, spec := range contract.Streams() {
		only := b.dialKey(b.keyring.add("financial", spec.Name))
		for _, subject := range []string{spec.Subject(), spec.ModuleSubject("financial-00000000"), "anything"} {
			assert.Contains(t, only.send(pub(subject, "", "{}")), "Permissions Violation for Publish", subject)
		}
	}
}

func TestAFeedOfWhatIsNoTenantIsNotGranted(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	r := b.callout()
	for _, tenant := range []string{"", "*", ">", "beat", oneTenant + ".x", oneTenant + " ", "*." + oneTenant, strings.ToUpper(oneTenant)} {
		_, err := b.module(b.keyring.addFeed("financial", tenant))
		require.ErrorIs(t, err, nats.ErrAuthorization, "%q", tenant)
	}
	assert.EqualValues(t, 8, r.Stats().Faulty)
}
