package events

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// GrantedFor is for how long modules' copies of events are kept.
	GrantedFor = 72 * time.Hour
	// HeaderSource is the header of a message of GrantedStream that has the
	// sequence of the event in EventsStream.
	HeaderSource = "Buildify-Source-Sequence"

	granted = "core.granted."
	stored  = "core.events."
	anyKind = ".*.*.*" // the tokens of a Kind in a subject
	gone    = ".gone"
)

// A subscription's bounds: what a module cannot handle is its own trouble.
const (
	grantedAckWait = ackWait
	grantedTurn    = 5 * time.Second // after it another process may take over
	grantedPending = 2 * waitingLanes
	grantedWaiting = 64
	grantedBatch   = 500
	grantedExpires = time.Minute
)

// GrantedSubject is where a module is given the event that EventsStream has under
// the subject.
func GrantedSubject(module, subject string) string {
	return granted + module + "." + strings.TrimPrefix(subject, stored)
}

// GrantedSubjects match what a module is given of the tenants, of all without any;
// "*" as module matches all modules.
func GrantedSubjects(module string, tenants ...string) []string {
	if len(tenants) == 0 {
		tenants = []string{"*"}
	}
	subjects := make([]string, len(tenants))
	for i, tenant := range tenants {
		subjects[i] = granted + module + "." + tenant + anyKind
	}
	return subjects
}

// GoneSubject is where it is told, in GrantedStream, that a module does not hear
// all of a tenant any more that it was given: what is kept elsewhere is to be
// forgotten. GrantedSubjects do not match it.
func GoneSubject(module, tenant string) string { return granted + module + "." + tenant + gone }

// SplitGranted takes a subject of GrantedStream apart: whose it is, and the event's
// name such as "tenant.unit.changed", none for a GoneSubject.
func SplitGranted(subject string) (module, tenant, name string, ok bool) {
	rest, ok := strings.CutPrefix(subject, granted)
	parts := strings.SplitN(rest, ".", 3)
	if !ok || len(parts) != 3 {
		return "", "", "", false
	}
	if "."+parts[2] == gone {
		return parts[0], parts[1], "", true
	}
	return parts[0], parts[1], parts[2], true
}

// SplitSubject takes a subject of EventsStream apart: the tenant and the event's
// name such as "tenant.unit.changed".
func SplitSubject(subject string) (tenant, name string, ok bool) {
	rest, ok := strings.CutPrefix(subject, stored)
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, ".")
}

// GrantedConsumer is the name of the durable consumer of GrantedStream that all
// processes of a module share whose API keys are good for the same tenants, all of
// the module's for none. On the bus each key reaches its own, and no other.
func GrantedConsumer(module string, tenants []string) string {
	if len(tenants) == 0 {
		return "mod_" + module
	}
	tenants = slices.Clone(tenants)
	slices.Sort(tenants)
	sum := sha256.Sum256([]byte(strings.Join(slices.Compact(tenants), ",")))
	return "mod_" + module + "_" + hex.EncodeToString(sum[:8])
}

// EnsureGrantedConsumer makes the GrantedConsumer unless it exists, and tells whether
// it did. It begins with
// all that is kept, or with what comes; what it was once made with stays.
func EnsureGrantedConsumer(ctx context.Context, js jetstream.JetStream, module string, tenants []string, all bool) (name string, created bool, err error) {
	name = GrantedConsumer(module, tenants)
	_, err = js.Consumer(ctx, GrantedStream, name)
	if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return name, false, err
	}
	from := jetstream.DeliverNewPolicy
	if all {
		from = jetstream.DeliverAllPolicy
	}
	_, err = js.CreateConsumer(ctx, GrantedStream, jetstream.ConsumerConfig{
		Durable: name, FilterSubjects: GrantedSubjects(module, tenants...), DeliverPolicy: from,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: grantedAckWait, MaxAckPending: grantedPending,
		MaxWaiting: grantedWaiting, MaxRequestBatch: grantedBatch, MaxRequestExpires: grantedExpires,
		InactiveThreshold: GrantedFor,
		// As Consume wants it that works on many keys at once: one process at a time.
		PriorityPolicy: jetstream.PriorityPolicyPinned, PriorityGroups: []string{lanesGroup}, PinnedTTL: grantedTurn,
	})
	if err != nil {
		return name, false, fmt.Errorf("consumer %s: %w", name, err)
	}
	return name, true, nil
}

// Copy makes the message that gives a module what EventsStream has at a sequence.
func Copy(module, subject string, sequence uint64, header nats.Header, data []byte) *nats.Msg {
	msg := &nats.Msg{Subject: GrantedSubject(module, subject), Header: nats.Header{}, Data: data}
	for name, values := range header {
		if !strings.HasPrefix(name, "Nats-") {
			msg.Header[name] = values
		}
	}
	msg.Header.Set(nats.MsgIdHdr, module+"/"+header.Get(nats.MsgIdHdr))
	msg.Header.Set(HeaderSource, strconv.FormatUint(sequence, 10))
	return msg
}

// PublishCopies stores the messages that Copy made, in their order. One that is
// stored already, within the last two minutes, is not stored again.
func PublishCopies(ctx context.Context, js jetstream.JetStream, msgs []*nats.Msg) error {
	for len(msgs) > 0 {
		n, size := 0, 0
		for n < min(len(msgs), maxBatch) && (n == 0 || size+msgs[n].Size() <= maxBatchBytes) {
			size += msgs[n].Size()
			n++
		}
		if _, err := inOrder(ctx, js, msgs[:n]); err != nil {
			return err
		}
		msgs = msgs[n:]
	}
	return nil
}
