package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// A stream that syncs each write takes a few hundred single publishes a second.
// An atomic batch (ADR-50 of NATS) is synced once, whatever its size.
const (
	// maxBatch and maxBatchBytes bound a batch; the server takes 1,000 messages.
	maxBatch      = 500
	maxBatchBytes = 4 << 20
	// minBatch is from which size on a batch is cheaper than its messages one by
	// one: it is written twice, first aside.
	minBatch = 8

	batchID       = "Nats-Batch-Id"
	batchSequence = "Nats-Batch-Sequence"
	batchCommit   = "Nats-Batch-Commit"
)

// errRefused says that the server took nothing of a batch and would not take it
// again, such as for one of its messages that it knows already.
var errRefused = errors.New("the batch was refused")

// Outgoing is an event on its way into a stream, with its message id.
type Outgoing struct {
	Event Event
	ID    string
}

// PublishBatch is Publish for many events of one stream, in their order. It
// returns the stream sequences of those that are stored, which are the first
// ones, and why the next one is not. After an error there may be more stored
// than it knows of: publishing them again, under the same ids, stores nothing
// twice.
func PublishBatch(ctx context.Context, js jetstream.JetStream, all []Outgoing) ([]uint64, error) {
	sequences := make([]uint64, 0, len(all))
	for len(all) > 0 {
		var msgs []*nats.Msg
		size := 0
		var failed error
		for _, o := range all[:min(len(all), maxBatch)] {
			msg, err := message(js, o.Event, o.ID)
			if err != nil {
				failed = err
				break
			}
			if size += msg.Size(); size > maxBatchBytes && len(msgs) > 0 {
				break
			}
			msgs = append(msgs, msg)
		}
		stored, err := inOrder(ctx, js, msgs)
		sequences, all = append(sequences, stored...), all[len(stored):]
		if err == nil {
			err = failed
		}
		if err != nil {
			return sequences, fmt.Errorf("publish %s: %w", all[0].Event.Type(), err)
		}
	}
	return sequences, nil
}

// message is the event as it is published. One that the bus would not take is
// nats.ErrMaxPayload.
func message(js jetstream.JetStream, e Event, id string) (*nats.Msg, error) {
	msg, err := Encode(e)
	if err != nil {
		return nil, err
	}
	msg.Header.Set(nats.MsgIdHdr, id)
	if most := js.Conn().MaxPayload(); most > 0 && int64(msg.Size()-len(msg.Subject)) > most {
		return nil, nats.ErrMaxPayload
	}
	return msg, nil
}

// inOrder stores the messages, together if the server takes them so.
func inOrder(ctx context.Context, js jetstream.JetStream, msgs []*nats.Msg) ([]uint64, error) {
	if len(msgs) >= minBatch {
		sequences, err := atomically(ctx, js, msgs)
		if !errors.Is(err, errRefused) {
			return sequences, err
		}
	}
	sequences := make([]uint64, 0, len(msgs))
	for _, msg := range msgs {
		ack, err := js.PublishMsg(ctx, msg)
		if err != nil {
			return sequences, err
		}
		sequences = append(sequences, ack.Sequence)
	}
	return sequences, nil
}

// atomically stores all of the messages or none, next to one another.
func atomically(ctx context.Context, js jetstream.JetStream, msgs []*nats.Msg) ([]uint64, error) {
	answer, id, err := commit(ctx, js, msgs)
	for _, msg := range msgs { // they may be sent again, one by one
		for _, header := range []string{batchID, batchSequence, batchCommit} {
			msg.Header.Del(header)
		}
	}
	if errors.Is(err, nats.ErrMaxPayload) { // for the batch's headers; without them it fits
		return nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	if err != nil {
		return nil, err
	}
	var ack struct {
		Error    *jetstream.APIError `json:"error"`
		Sequence uint64              `json:"seq"`
		Batch    string              `json:"batch"`
		Count    int                 `json:"count"`
	}
	if err := json.Unmarshal(answer.Data, &ack); err != nil {
		return nil, fmt.Errorf("acknowledgement of a batch: %w", err)
	}
	if ack.Error != nil {
		return nil, fmt.Errorf("%w: %w", errRefused, ack.Error)
	}
	// A server that knows no batches stores the last message.
	if ack.Batch != id || ack.Count != len(msgs) {
		return nil, errRefused
	}
	sequences := make([]uint64, len(msgs))
	for i := range sequences {
		sequences[i] = ack.Sequence - uint64(len(msgs)-1-i)
	}
	return sequences, nil
}

func commit(ctx context.Context, js jetstream.JetStream, msgs []*nats.Msg) (answer *nats.Msg, id string, err error) {
	for try := 0; try < 3; try++ {
		id = nuid.Next()
		for i, msg := range msgs {
			msg.Header.Set(batchID, id)
			msg.Header.Set(batchSequence, strconv.Itoa(i+1))
			if i < len(msgs)-1 {
				if err := js.Conn().PublishMsg(msg); err != nil {
					return nil, id, err
				}
			}
		}
		last := msgs[len(msgs)-1]
		last.Header.Set(batchCommit, "1")
		answer, err = js.Conn().RequestMsgWithContext(ctx, last)
		if !errors.Is(err, nats.ErrNoResponders) {
			break
		}
		select { // as the client does it with single ones: the stream has no leader yet
		case <-ctx.Done():
			return nil, id, err
		case <-time.After(250 * time.Millisecond):
		}
	}
	return answer, id, err
}
