package callout

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/natsconn"
)

func TestAModuleHearsItsOwnNewsAndNoOther(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	b.callout()
	tenant := b.user(natsconn.Tenant)
	all, err := b.module(b.keyring.addFeed("evil"))
	require.NoError(t, err)
	one, err := b.module(b.keyring.addFeed("evil", oneTenant))
	require.NoError(t, err)
	allHeard := hear(t, all, contract.NewsSubject("evil", "*"))
	oneHeard := hear(t, one, contract.NewsSubject("evil", oneTenant), contract.NewsSubject("evil", contract.NewsOfAll))
	var told []string
	for _, module := range []string{"victim", "evil"} {
		for _, of := range []string{oneTenant, otherTenant, contract.NewsOfAll} {
			told = append(told, contract.NewsSubject(module, of))
		}
	}
	tell(t, tenant, told...)
	assert.ElementsMatch(t, told[3:], drained(t, all, allHeard))
	assert.ElementsMatch(t, []string{told[3], told[5]}, drained(t, one, oneHeard))

	rawAll, rawOne := b.dialKey(b.keyring.addFeed("evil")), b.dialKey(b.keyring.addFeed("evil", oneTenant))
	for i, subject := range []string{
		"core.news.>", "core.news.*.*", "core.news.*.all", "core.news.*." + oneTenant, "core.news.evil", "*.news.evil.*",
		"core.news.victim.*", "core.news.victim.all", "core.news.victim." + oneTenant, "core.news.evilx.*",
	} {
		assert.Contains(t, rawAll.send(fmt.Sprintf("SUB %s %d", subject, i)), "Permissions Violation for Subscription", subject)
		assert.Contains(t, rawOne.send(fmt.Sprintf("SUB %s %d", subject, i)), "Permissions Violation for Subscription", subject)
	}
	for i, subject := range []string{"core.news.evil.*", "core.news.evil.>", "core.news.evil." + otherTenant} {
		assert.Empty(t, rawAll.send(fmt.Sprintf("SUB %s %d", subject, 100+i)))
		assert.Contains(t, rawOne.send(fmt.Sprintf("SUB %s %d", subject, 100+i)), "Permissions Violation for Subscription", subject)
	}
	for _, subject := range told {
		assert.Contains(t, rawAll.send(pub(subject, "", "{}")), "Permissions Violation for Publish", subject)
	}
}

func TestAStreamIsHeardByWhoseKeyGrantsIt(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	b.callout()
	for _, spec := range contract.Streams() {
		if spec == contract.GrantedEvents.Spec { // a durable consumer: see the tests of subscriptions
			continue
		}
		granted := b.dialKey(b.keyring.add("financial", spec.Name))
		for i, other := range contract.Streams() {
			answer := granted.send(fmt.Sprintf("SUB %s %d", contract.StreamSubject(other, "financial", "*"), i))
			if other == spec {
				assert.Empty(t, answer, other.Name)
			} else {
				assert.Contains(t, answer, "Permissions Violation for Subscription", other.Name)
			}
		}
	}
}

// As on a feed, an answer that a module had sent to another's news lacks the
// header.
func TestAnAnswerAmongNewsIsKnownForOne(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	b.callout()
	b.serve(natsconn.Tenant)
	victim, err := b.module(b.keyring.addFeed("victim"))
	require.NoError(t, err)
	heard := hear(t, victim, contract.NewsSubject("victim", "*"))
	evil := b.dialKey(b.keyring.addFeed("evil"))
	for _, subject := range []string{contract.NewsSubject("victim", oneTenant), contract.NewsSubject("victim", contract.NewsOfAll)} {
		evil.send(hpub("m.evil-00000000.core.tenant.get", subject, "{}", contract.HeaderFeed+": 1"))
		msg := <-heard
		assert.Equal(t, subject, msg.Subject)
		assert.Empty(t, msg.Header.Get(contract.HeaderFeed))
	}
}
