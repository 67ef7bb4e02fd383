package events

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// DeadLetter is a message that a consumer gave up.
type DeadLetter struct {
	ID       uint64 // its place in DeadStream
	Consumer string // the durable that gave it up
	Stream   string
	Sequence uint64
	Subject  string
	Tries    int
	Reason   string
	Time     time.Time
	Header   nats.Header // of the message, as it was
	Data     []byte
}

// Event reads the message; one that is no event is ErrMalformed.
func (l DeadLetter) Event() (Event, error) { return Decode(l.Header, l.Data) }

// DeadSubject is where the letters of a durable are kept. A durable's name begins
// with its service's.
func DeadSubject(durable string) string {
	service, _, _ := strings.Cut(durable, "_")
	return "core.dead." + token(service) + "." + token(durable)
}

// Headers in which DeadLetters keeps what it knows of a message.
const (
	deadPrefix   = "Buildify-Dead-"
	deadConsumer = deadPrefix + "Consumer"
	deadStream   = deadPrefix + "Stream"
	deadSequence = deadPrefix + "Sequence"
	deadSubject  = deadPrefix + "Subject"
	deadTries    = deadPrefix + "Tries"
	deadReason   = deadPrefix + "Reason"
)

// DeadLetters keeps letters in DeadStream, where they can be listed and handled
// again.
type DeadLetters struct{ js jetstream.JetStream }

// NewDeadLetters needs DeadStream to exist: see Ensure.
func NewDeadLetters(js jetstream.JetStream) *DeadLetters { return &DeadLetters{js} }

// Put keeps a letter. The same one again is kept once.
func (d *DeadLetters) Put(ctx context.Context, l DeadLetter) error {
	msg := &nats.Msg{Subject: DeadSubject(l.Consumer), Header: nats.Header{}, Data: l.Data}
	for name, values := range l.Header {
		if !strings.HasPrefix(name, "Nats-") { // what the stream read or wrote
			msg.Header[name] = values
		}
	}
	for name, value := range map[string]string{
		deadConsumer: l.Consumer, deadStream: l.Stream, deadSubject: l.Subject, deadReason: headerText(l.Reason),
		deadSequence: strconv.FormatUint(l.Sequence, 10), deadTries: strconv.Itoa(l.Tries),
		nats.MsgIdHdr: fmt.Sprintf("%s/%s/%d", l.Consumer, l.Stream, l.Sequence),
	} {
		msg.Header[name] = []string{value}
	}
	if _, err := d.js.PublishMsg(ctx, msg); err != nil {
		return fmt.Errorf("dead letter of %s: %w", l.Consumer, err)
	}
	return nil
}

// headerText is a reason that fits on one line.
func headerText(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, s)
	return strings.ToValidUTF8(s[:min(len(s), 1000)], "")
}

// List returns up to limit letters of a durable with a higher id than after, the
// oldest first.
func (d *DeadLetters) List(ctx context.Context, durable string, after uint64, limit int) ([]DeadLetter, error) {
	stream, err := d.js.Stream(ctx, DeadStream)
	if err != nil {
		return nil, fmt.Errorf("dead letters of %s: %w", durable, err)
	}
	var all []DeadLetter
	for len(all) < limit {
		raw, err := stream.GetMsg(ctx, after+1, jetstream.WithGetMsgSubject(DeadSubject(durable)))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			break
		}
		if err != nil {
			return all, fmt.Errorf("dead letters of %s: %w", durable, err)
		}
		all, after = append(all, letter(raw)), raw.Sequence
	}
	return all, nil
}

func letter(raw *jetstream.RawStreamMsg) DeadLetter {
	l := DeadLetter{
		ID: raw.Sequence, Time: raw.Time, Data: raw.Data, Header: nats.Header{},
		Consumer: raw.Header.Get(deadConsumer), Stream: raw.Header.Get(deadStream),
		Subject: raw.Header.Get(deadSubject), Reason: raw.Header.Get(deadReason),
	}
	l.Sequence, _ = strconv.ParseUint(raw.Header.Get(deadSequence), 10, 64)
	l.Tries, _ = strconv.Atoi(raw.Header.Get(deadTries))
	for name, values := range raw.Header {
		if !strings.HasPrefix(name, deadPrefix) && !strings.HasPrefix(name, "Nats-") {
			l.Header[name] = values
		}
	}
	return l
}

// Remove forgets a letter.
func (d *DeadLetters) Remove(ctx context.Context, id uint64) error {
	stream, err := d.js.Stream(ctx, DeadStream)
	if err == nil {
		err = stream.DeleteMsg(ctx, id)
	}
	if err != nil {
		return fmt.Errorf("dead letter %d: %w", id, err)
	}
	return nil
}

// Replay calls handle for the durable's letters that are there now, the oldest
// first, and forgets those of which it returns nil. It tells how many those are,
// and the errors of the others.
func (d *DeadLetters) Replay(ctx context.Context, durable string, handle func(context.Context, Event) error) (done int, err error) {
	var failed []error
	for after := uint64(0); ; {
		page, err := d.List(ctx, durable, after, 100)
		if err != nil || len(page) == 0 {
			return done, errors.Join(append(failed, err)...)
		}
		for _, l := range page {
			after = l.ID
			e, err := l.Event()
			if err == nil {
				err = Try(ctx, handle, e)
			}
			if err == nil {
				err = d.Remove(ctx, l.ID)
			}
			if err != nil {
				failed = append(failed, fmt.Errorf("%d: %w", l.ID, err))
				continue
			}
			done++
		}
	}
}
