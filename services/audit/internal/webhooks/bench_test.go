package webhooks

import (
	"testing"

	"github.com/buildify/core/pkg/events"
)

// BenchmarkDelivery takes an event from the stream to an address and into the
// log, all on this machine.
func BenchmarkDelivery(b *testing.B) {
	w := newWorld(b)
	tenant := w.tenant()
	const addresses = 4
	receivers := make([]*receiver, addresses)
	for i := range receivers {
		receivers[i] = w.receiver()
		w.create(w.person(tenant), receivers[i])
	}
	for range (b.N + addresses - 1) / addresses {
		w.publish(events.UserAdministered, tenant, events.UserChange{UserID: "u"})
	}
	b.ResetTimer()
	w.run(w.App)
	for _, r := range receivers {
		r.takes(b, (b.N+addresses-1)/addresses)
	}
}
