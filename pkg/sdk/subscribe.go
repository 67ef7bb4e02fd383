package sdk

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
)

// Subscription says which events a module handles, and how. The zero value handles
// all that it may hear, in their order, from now on.
type Subscription struct {
	// Types are patterns of events' names, such as "tenant.unit.*": * stands for one
	// segment, ** at the end for all that follow. Without any all are handled.
	Types []string
	// FromStart has a new subscription begin with what the core still keeps, the last
	// three days, in place of what comes.
	FromStart bool
	// Parallel is how many events are handled at once, those of one Key in order; one
	// after the other when less than two.
	Parallel int
	// Key is whose order matters; the tenant's when nil.
	Key func(events.Event) string
	// MaxTries is after how many tries an event is given up; 0 never gives up, and
	// those behind it wait.
	MaxTries int
	// GivenUp keeps what was given up; what it does not take is tried again. Without
	// it such events are logged and lost.
	GivenUp interface {
		Put(ctx context.Context, l events.DeadLetter) error
	}
	// Missed is called when events may have been missed, because the module was away
	// for longer than they are kept: it is time to read anew what they tell of.
	Missed func()
	// Place keeps over HTTPS how far the module has come. Without it a process begins
	// anew, and goes on by itself only as long as it lives. Over the bus the core
	// keeps it, for all processes together.
	Place Place
}

// Place keeps how far a module has come in its events.
type Place interface {
	// Load returns what was saved last, "" when nothing was.
	Load(ctx context.Context) (string, error)
	Save(ctx context.Context, place string) error
}

// Subscribe calls handle for the events that this module may hear: of tenants where
// it is enabled, of the types that its manifest subscribes to and that they
// consented to. [events.Mux] spreads them over typed handlers.
//
// Each is handled at least once, so handle must be able to repeat what it does
// ([events.Idempotent] helps). When it fails, or panics, the event comes again after
// a pause that grows; those behind it wait, with Parallel those of its Key.
//
// Over the bus all processes of the module share one subscription, whose place the
// core keeps; one of them works, and another one takes over some seconds after it is
// gone. A module has one, so call Subscribe once in a process. Over HTTPS each
// process hears all events, from its Place on.
//
// Subscribe returns when ctx ends or the client is closed, with that as its error;
// what is in work is finished first. Any other trouble is logged and tried again,
// with growing pauses, but for a Place that cannot be loaded. The API key must grant audit.subscribe and audit.granted, as
// one does that was made without a list of operations.
func (c *Client) Subscribe(ctx context.Context, s Subscription, handle events.Handler) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.news.closed, cancel)()
	wanted := func(ctx context.Context, e events.Event) error {
		if len(s.Types) > 0 && !events.Matches(s.Types, events.NameOf(e)) {
			return nil
		}
		return handle(ctx, e)
	}
	transport := c.news.transport // without retries: the pauses are here
	var once func() (worked bool, err error)
	switch t := transport.(type) {
	case Consumer:
		once = func() (bool, error) { return c.consume(ctx, t, s, wanted) }
	case Streamer:
		r := &remote{client: c, transport: t, s: s, handle: wanted}
		if err := r.begin(ctx); err != nil {
			return err
		}
		once = func() (bool, error) { return r.read(ctx) }
	default:
		return errors.New("sdk: the transport is no sdk.Consumer and no sdk.Streamer")
	}
	pause := pauses{log: c.log, of: "the subscription"}
	for {
		worked, err := once()
		if over := c.news.over(ctx); over != nil {
			return over
		}
		if worked {
			pause.over()
		}
		pause.take(ctx, err, nil)
	}
}

// consume reads the durable consumer that the core makes for the module.
func (c *Client) consume(ctx context.Context, transport Consumer, s Subscription, handle events.Handler) (worked bool, err error) {
	request := &contract.SubscribeRequest{From: "new"}
	if s.FromStart {
		request.From = "all"
	}
	made, err := Call(ctx, c.news.transport, contract.Subscribe, request)
	if err != nil {
		return false, err
	}
	provide := func(ctx context.Context) error {
		again, err := Call(ctx, c.news.transport, contract.Subscribe, request)
		if err == nil && again.Created {
			c.missed(s)
		}
		return err
	}
	start := time.Now()
	err = transport.Consume(ctx, events.ConsumeConfig{
		Stream: made.Stream, Durable: made.Consumer, Provide: provide,
		Parallel: s.Parallel, Key: s.Key, MaxTries: s.MaxTries, GivenUp: s.GivenUp,
	}, handle, func(err error) {
		if ctx.Err() == nil {
			c.log.Warn("an event was not handled, or the subscription has trouble", "error", err)
		}
	})
	return time.Since(start) > longestPause, err
}

func (c *Client) missed(s Subscription) {
	c.log.Warn("events may have been missed: this module was away for longer than they are kept")
	if s.Missed != nil {
		s.Missed()
	}
}

// query is what a remote module asks for.
func (s Subscription) query(last string) url.Values {
	query := url.Values{}
	if len(s.Types) > 0 {
		query.Set("types", strings.Join(s.Types, ","))
	}
	if s.FromStart && last == "" {
		query.Set("after", "0")
	}
	return query
}
