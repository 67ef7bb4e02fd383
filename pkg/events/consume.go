package events

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ConsumeConfig says which events a service's replicas work off together.
type ConsumeConfig struct {
	// Stream holds the events; it is waited for until the context of Consume ends.
	Stream string
	// Durable names the consumer: what has been handled under this name, by
	// whichever process, is not handled again. It begins with the service's name.
	Durable string
	// Subjects select the events, as Kind.Subject makes them.
	Subjects []string
	// AckWait is after how long an event that a killed process had in work is
	// given to another one; 5 s when zero. A handler may take longer than that.
	AckWait time.Duration
}

const (
	// ackWait is the default of ConsumeConfig.AckWait.
	ackWait = 5 * time.Second
	// firstRetry and lastRetry bound the pause after a failure, which doubles.
	firstRetry = 100 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// Consumer works off a stream's events. It is made by Consume.
type Consumer struct {
	js      jetstream.JetStream
	cfg     ConsumeConfig
	handle  func(context.Context, Event) error
	onError func(error)

	working context.Context // ends when a running handle is to give up
	giveUp  context.CancelFunc
	stop    context.CancelFunc
	done    chan struct{}
}

// Consume calls handle for every event of the stream that the consumer has not
// handled yet, those before its first start included: in stream order, one at a
// time over all processes that share Durable, each at least once.
//
//	stored ──▶ handle ──nil──▶ acknowledged, the next one
//	  ▲          │ error, or the process is killed
//	  └─ pause ──┘
//
// An event is acknowledged after handle returned nil, so handle must be
// idempotent: it sees an event again when the process is killed between its
// commit and the acknowledgement. An error is told to onError and the event
// comes again after a growing pause; it is never given up, and the ones behind
// it wait, for they may build on it. What can never succeed is therefore no
// error but an outcome that handle settles. A message that is no event, or of
// which handle says ErrMalformed, is told to onError and taken out.
//
// Consume returns once the consumer exists; handle runs until Stop.
func Consume(ctx context.Context, js jetstream.JetStream, cfg ConsumeConfig,
	handle func(context.Context, Event) error, onError func(error),
) (*Consumer, error) {
	if cfg.AckWait == 0 {
		cfg.AckWait = ackWait
	}
	c := &Consumer{js: js, cfg: cfg, handle: handle, onError: onError, done: make(chan struct{})}
	if _, err := awaitStream(ctx, js, cfg.Stream); err != nil {
		return nil, fmt.Errorf("consume %s as %s: %w", cfg.Stream, cfg.Durable, err)
	}
	consumer, err := c.ensure(ctx)
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(context.Background())
	c.stop = stop
	c.working, c.giveUp = context.WithCancel(context.Background())
	go c.run(running, consumer)
	return c, nil
}

// Stop takes no more events, lets a running handle finish until ctx ends, cancels
// it then, and waits for it. What was not finished comes again. It is idempotent.
func (c *Consumer) Stop(ctx context.Context) {
	if c == nil {
		return
	}
	c.stop()
	select {
	case <-c.done:
	case <-ctx.Done():
	}
	c.giveUp()
	<-c.done
}

// ensure makes the consumer, or finds it.
func (c *Consumer) ensure(ctx context.Context) (jetstream.Consumer, error) {
	consumer, err := c.js.CreateOrUpdateConsumer(ctx, c.cfg.Stream, jetstream.ConsumerConfig{
		Durable: c.cfg.Durable, FilterSubjects: c.cfg.Subjects, AckPolicy: jetstream.AckExplicitPolicy,
		AckWait:       c.cfg.AckWait,
		MaxAckPending: 1, // the order is kept over all replicas
	})
	if err != nil {
		return nil, fmt.Errorf("consume %s as %s: %w", c.cfg.Stream, c.cfg.Durable, err)
	}
	return consumer, nil
}

func (c *Consumer) run(running context.Context, consumer jetstream.Consumer) {
	defer close(c.done)
	for running.Err() == nil {
		msg, err := next(running, consumer)
		switch {
		case err == nil && msg != nil:
			c.work(running, msg)
			continue
		case err == nil || running.Err() != nil:
			continue
		}
		c.onError(fmt.Errorf("consume %s as %s: %w", c.cfg.Stream, c.cfg.Durable, err))
		select {
		case <-running.Done():
			return
		case <-time.After(time.Second):
		}
		// A bus that lost its data lost the consumer too.
		if again, err := c.ensure(running); err == nil {
			consumer = again
		}
	}
}

// next waits some seconds for an event; nil is none.
func next(running context.Context, consumer jetstream.Consumer) (jetstream.Msg, error) {
	waiting, cancel := context.WithTimeout(running, 5*time.Second)
	defer cancel()
	batch, err := consumer.Fetch(1, jetstream.FetchContext(waiting))
	if err != nil {
		return nil, err
	}
	msg := <-batch.Messages()
	err = batch.Error()
	if msg != nil || errors.Is(err, nats.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		err = nil
	}
	return msg, err
}

// work handles one message and settles it with the bus. A settlement that does
// not arrive brings the message again.
func (c *Consumer) work(running context.Context, msg jetstream.Msg) {
	if running.Err() != nil { // stopped meanwhile: another replica's
		_ = msg.Nak()
		return
	}
	e, err := Decode(msg.Headers(), msg.Data())
	if err == nil {
		err = c.handleOne(msg, e)
	}
	if errors.Is(err, ErrMalformed) {
		c.onError(fmt.Errorf("%s: taken out: %w", msg.Subject(), err))
		_ = msg.TermWithReason("malformed")
		return
	}
	if err != nil {
		c.onError(fmt.Errorf("%s %s: %w", e.Type(), e.ID(), err))
		_ = msg.NakWithDelay(pause(msg))
		return
	}
	settling, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := msg.DoubleAck(settling); err != nil {
		c.onError(fmt.Errorf("%s %s: handled and not acknowledged: %w", e.Type(), e.ID(), err))
	}
}

// handleOne runs the handler, and tells the bus that it is at work as long as
// it is. A panic is an error.
func (c *Consumer) handleOne(msg jetstream.Msg, e Event) (err error) {
	finished := make(chan struct{})
	var atWork sync.WaitGroup
	atWork.Go(func() {
		ticker := time.NewTicker(c.cfg.AckWait / 3)
		defer ticker.Stop()
		for {
			select {
			case <-finished:
				return
			case <-ticker.C:
				_ = msg.InProgress()
			}
		}
	})
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
		close(finished)
		atWork.Wait()
	}()
	return c.handle(c.working, e)
}

// pause grows with each delivery.
func pause(msg jetstream.Msg) time.Duration {
	meta, err := msg.Metadata()
	if err != nil {
		return lastRetry
	}
	return min(firstRetry<<min(meta.NumDelivered-1, 16), lastRetry)
}
