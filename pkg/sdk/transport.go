package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/sdk/internal/fault"
)

// Transport carries one call to the core and its answer back. The SDK brings
// two, packages natstransport and httptransport; a test may bring its own.
//
// Implementations are safe for concurrent use and keep these promises:
//   - request is the JSON object of spec.Request and is not changed or kept.
//   - A successful answer is the JSON object of spec.Response.
//   - Every failure but a cancellation is an *Error for errors.As, the core's
//     own or one of this side: [ErrUnavailable] when request or answer got
//     lost, [ErrPermissionDenied] when the operation is not open to modules.
//   - When ctx ends, Call returns promptly: at the deadline with an error that
//     is both [ErrDeadlineExceeded] and [context.DeadlineExceeded], on
//     cancellation with one that is [context.Canceled].
//   - Call sends the request once: repeating is the Client's business.
//   - Answers are bounded in size.
//   - Close is idempotent; calls in flight and later ones end with
//     [ErrUnavailable].
type Transport interface {
	Call(ctx context.Context, spec *contract.Spec, request []byte) ([]byte, error)
	Close() error
}

// Follower is what a Transport may be as well: one that can follow a stream of
// the contract. [WithLocalDecisions], [Client.WatchSettings] and
// [Client.HandleHooks] need it.
//
// Follow calls opened once, when nothing that is told from then on can be missed
// any more, and then handle for each message, one at a time and in their order;
// both must return soon. subjects are where the bus tells the stream; a
// transport that knows another way needs none. It returns when ctx ends, or as
// soon as a message may have been lost, with an error as [Transport] promises
// them.
type Follower interface {
	Follow(ctx context.Context, spec *contract.Spec, subjects []string, opened func(), handle func(message []byte)) error
}

// Consumer is what a Transport may be as well: one that reads a module's events from
// the durable consumer that the core makes for it. [Client.Subscribe] needs it, or a
// [Streamer].
//
// Consume calls handle as [events.Consume] does until ctx ends or the transport is
// closed, finishes what is in work, and returns why it ended.
type Consumer interface {
	Consume(ctx context.Context, cfg events.ConsumeConfig, handle events.Handler, onError func(error)) error
}

// Streamer is what a Transport may be as well: one that can go on with a stream of
// the contract where it was.
//
// Stream calls opened once the stream is open behind the message with the id last,
// and then handle for each message, one at a time and in their order, which may
// take its time; data is nil when there is a newer id alone. It returns when ctx
// ends, or as soon as the stream breaks, with an error as [Transport] promises
// them.
type Streamer interface {
	Stream(ctx context.Context, spec *contract.Spec, query url.Values, last string, opened func(), handle func(event, id string, data []byte)) error
}

// answerSlack is how much longer than the operation may take we wait, so that
// the core's own word on a timeout arrives before ours.
const answerSlack = time.Second

// Call calls any operation of the contract, typed; the methods of [Client] are
// short forms of it. A ctx without a deadline is bounded by the operation's own
// timeout. Nil request stands for the zero request.
//
// Errors are those that [Transport] promises.
func Call[Req, Resp any](
	ctx context.Context, transport Transport, op contract.Operation[Req, Resp], request *Req,
) (*Resp, error) {
	if request == nil {
		request = new(Req)
	}
	body, err := json.Marshal(request)
	if err != nil {
		return nil, contract.Invalid("", "%s: the request is not valid JSON: %v", op.Name, err)
	}
	if len(body) > contract.MaxBody {
		return nil, fault.TooLarge()
	}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, op.Timeout+answerSlack)
		defer cancel()
	}
	answer, err := transport.Call(ctx, op.Spec, body)
	if errors.Is(err, ErrDeadlineExceeded) && !errors.Is(err, context.DeadlineExceeded) {
		err = fault.Deadline(err)
	}
	if err != nil {
		return nil, err
	}
	response := new(Resp)
	if !bytes.HasPrefix(bytes.TrimLeft(answer, " \t\r\n"), []byte("{")) {
		return nil, fault.Unreadable(op.Spec, "the answer is not a JSON object")
	}
	if err := json.Unmarshal(answer, response); err != nil {
		return nil, fault.Unreadable(op.Spec, "the answer cannot be read: %v", err)
	}
	return response, nil
}
