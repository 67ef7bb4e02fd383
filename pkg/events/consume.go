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
	// Parallel is how many events are handled at once; one, in stream order, when
	// less than two. With more, those of one Key are handled in order, one at a
	// time, and hold up no others.
	Parallel int
	// Key is whose order matters; the tenant's when nil.
	Key func(Event) string
	// MaxTries is after how many tries an event is given up: it goes to
	// GivenUp and the next ones are handled. 0 never gives up.
	MaxTries int
	// GivenUp keeps what was given up, and what is no event: DeadLetters, or the
	// consumer's own. What it does not take comes again. Without it such messages
	// are told to onError and lost.
	GivenUp interface {
		Put(ctx context.Context, l DeadLetter) error
	}
	// Provide has somebody else make the consumer, as the core does for modules
	// (contract.Subscribe), unless it exists: Subjects, AckWait and what Parallel asks
	// of it are then theirs. It is called again when the consumer is gone.
	Provide func(context.Context) error
}

const (
	// ackWait is the default of ConsumeConfig.AckWait.
	ackWait = 5 * time.Second
	// fetchWait is for how long a process asks for events at least.
	fetchWait = time.Second
	// firstRetry and lastRetry bound the pause after a failure, which doubles.
	firstRetry = 100 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// Consumer works off a stream's events. It is made by Consume.
type Consumer struct {
	js      jetstream.JetStream
	cfg     ConsumeConfig
	handle  Handler
	onError func(error)
	lanes   *lanes // with Parallel

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
// comes again after a growing pause, and the ones behind it wait, for they may
// build on it: until MaxTries, or for ever. What can never succeed is therefore
// no error but an outcome that handle settles. A message that is no event, or of
// which handle says ErrMalformed, is told to onError and taken out.
//
// With Parallel a key's events are what waits for one another. One process at a
// time works, so that their order holds over all of them; another one takes over
// some seconds after it is gone.
//
// The context of handle has the event's trace context: see TraceparentFrom.
// Consume returns once the consumer exists; handle runs until Stop.
func Consume(ctx context.Context, js jetstream.JetStream, cfg ConsumeConfig, handle Handler, onError func(error)) (*Consumer, error) {
	if cfg.AckWait == 0 {
		cfg.AckWait = ackWait
	}
	if cfg.Parallel < 2 {
		cfg.Key = func(Event) string { return "" } // all are one key's
	}
	if cfg.Key == nil {
		cfg.Key = func(e Event) string { return Extension(e, TenantID) }
	}
	c := &Consumer{js: js, cfg: cfg, handle: handle, onError: onError, done: make(chan struct{})}
	if cfg.Provide == nil {
		if _, err := awaitStream(ctx, js, cfg.Stream); err != nil {
			return nil, fmt.Errorf("consume %s as %s: %w", cfg.Stream, cfg.Durable, err)
		}
	}
	consumer, err := c.ensure(ctx)
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(context.Background())
	c.stop = stop
	c.working, c.giveUp = context.WithCancel(context.Background())
	if cfg.Parallel > 1 || cfg.Provide != nil {
		c.lanes = newLanes(running, c)
	}
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
func (c *Consumer) ensure(ctx context.Context) (consumer jetstream.Consumer, err error) {
	if c.cfg.Provide != nil {
		if err := c.cfg.Provide(ctx); err != nil {
			return nil, fmt.Errorf("consume %s as %s: %w", c.cfg.Stream, c.cfg.Durable, err)
		}
		consumer, err = c.js.Consumer(ctx, c.cfg.Stream, c.cfg.Durable)
	} else {
		consumer, err = c.js.CreateOrUpdateConsumer(ctx, c.cfg.Stream, c.wanted())
	}
	if err != nil {
		return nil, fmt.Errorf("consume %s as %s: %w", c.cfg.Stream, c.cfg.Durable, err)
	}
	return consumer, nil
}

func (c *Consumer) wanted() jetstream.ConsumerConfig {
	cfg := jetstream.ConsumerConfig{
		Durable: c.cfg.Durable, FilterSubjects: c.cfg.Subjects, AckPolicy: jetstream.AckExplicitPolicy,
		AckWait:       c.cfg.AckWait,
		MaxAckPending: 1, // the order is kept over all replicas
	}
	if c.cfg.Parallel > 1 {
		cfg.MaxAckPending = waitingLanes + c.cfg.Parallel
		cfg.PriorityPolicy, cfg.PriorityGroups = jetstream.PriorityPolicyPinned, []string{lanesGroup}
		cfg.PinnedTTL = c.cfg.AckWait + fetchWait // a process asks more often than that
	}
	return cfg
}

func (c *Consumer) run(running context.Context, consumer jetstream.Consumer) {
	defer close(c.done)
	for running.Err() == nil {
		err := c.fetch(running, consumer)
		if err == nil || running.Err() != nil {
			continue
		}
		c.onError(fmt.Errorf("consume %s as %s: %w", c.cfg.Stream, c.cfg.Durable, err))
		select {
		case <-running.Done():
		case <-time.After(time.Second):
			// A bus that lost its data lost the consumer too.
			if again, err := c.ensure(running); err == nil {
				consumer = again
			}
		}
	}
	if c.lanes != nil {
		c.lanes.stop()
	}
}

// fetch waits some time for events and works them off, or hands them to their
// lanes.
func (c *Consumer) fetch(running context.Context, consumer jetstream.Consumer) error {
	wait, most, options := 5*fetchWait, 1, []jetstream.FetchOpt{}
	if c.lanes != nil {
		wait, most = fetchWait, waitingLanes // asks often: that keeps this process the one that works
		options = append(options, jetstream.FetchPriorityGroup(lanesGroup))
	}
	waiting, cancel := context.WithTimeout(running, wait)
	defer cancel()
	batch, err := consumer.Fetch(most, append(options, jetstream.FetchContext(waiting))...)
	if err != nil {
		return err
	}
	for msg := range batch.Messages() {
		if c.lanes != nil {
			c.lanes.take(msg)
		} else {
			c.work(running, msg)
		}
	}
	err = batch.Error()
	if errors.Is(err, nats.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		err = nil
	}
	return err
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
	if c.settled(msg, e, err, deliveries(msg)) {
		return
	}
	_ = msg.NakWithDelay(RetryPause(deliveries(msg)))
}

// settled ends the work on a message, if that is possible after so many tries:
// it was handled, or it is given up.
func (c *Consumer) settled(msg jetstream.Msg, e Event, err error, tries int) bool {
	settling, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	switch {
	case err == nil:
		// A settlement that does not arrive brings the message again.
		if err := msg.DoubleAck(settling); err != nil {
			c.onError(fmt.Errorf("%s %s: handled and not acknowledged: %w", e.Type(), e.ID(), err))
		}
		return true
	case errors.Is(err, ErrMalformed):
		err = fmt.Errorf("%s: taken out: %w", msg.Subject(), err)
	case c.cfg.MaxTries > 0 && tries >= c.cfg.MaxTries && c.working.Err() == nil:
		err = fmt.Errorf("%s %s: given up after %d tries: %w", e.Type(), e.ID(), tries, err)
	default:
		c.onError(fmt.Errorf("%s %s: %w", e.Type(), e.ID(), err))
		return false
	}
	c.onError(err)
	if c.cfg.GivenUp != nil {
		if err := c.cfg.GivenUp.Put(settling, c.letter(msg, tries, err)); err != nil {
			c.onError(err)
			return false
		}
	}
	_ = msg.TermWithReason("given up")
	return true
}

func (c *Consumer) letter(msg jetstream.Msg, tries int, reason error) DeadLetter {
	l := DeadLetter{
		Consumer: c.cfg.Durable, Stream: c.cfg.Stream, Subject: msg.Subject(), Tries: tries, Reason: reason.Error(),
		Time: time.Now(), Header: msg.Headers(), Data: msg.Data(),
	}
	if meta, err := msg.Metadata(); err == nil {
		l.Sequence = meta.Sequence.Stream
	}
	return l
}

// handleOne runs the handler, and tells the bus that it is at work as long as
// it is.
func (c *Consumer) handleOne(msg jetstream.Msg, e Event) error {
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
		close(finished)
		atWork.Wait()
	}()
	return Try(c.working, c.handle, e)
}

// deliveries is how often a message was delivered, to processes that were killed
// too.
func deliveries(msg jetstream.Msg) int {
	meta, err := msg.Metadata()
	if err != nil {
		return 1
	}
	return int(meta.NumDelivered)
}

// RetryPause is how long to wait after a failed try: it doubles, from 0.1 s to 30 s.
func RetryPause(tries int) time.Duration {
	return min(firstRetry<<min(max(tries-1, 0), 16), lastRetry)
}
