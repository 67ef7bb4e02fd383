package sdk

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
)

// Subscription says which events a module handles, and how. The zero value handles
// all that it may hear, in their order, from now on.
type Subscription struct {
	// Types are patterns of events' names, such as "tenant.unit.*": * stands for one
	// of their three segments, ** at the end for all that follow. Without any all are
	// handled.
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
	// Missed is called when there may be events that are never given: before a
	// subscription that begins, and when the module was away for longer than they are
	// kept. It is time to read anew what they tell of. Those that are there already
	// may be handled meanwhile.
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
// what is in work has ten seconds to finish first. A subscription that is not valid,
// and a Place that cannot be loaded, end it at once. Any other trouble is logged and
// tried again, with growing pauses. The API key must grant audit.subscribe and
// audit.granted, as one does that was made without a list of operations.
func (c *Client) Subscribe(ctx context.Context, s Subscription, handle events.Handler) error {
	if err := s.check(handle); err != nil {
		return err
	}
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
		if !c.subscribed.CompareAndSwap(false, true) {
			return errors.New("sdk: on the bus a client has one subscription at a time; events.Mux spreads its events")
		}
		defer c.subscribed.Store(false)
		once = func() (bool, error) { return c.consume(ctx, t, s, wanted) }
	case Streamer:
		r, err := c.remote(ctx, t, s, wanted)
		if err != nil {
			return err
		}
		defer r.finish()
		once = r.follow
	default:
		return errors.New("sdk: the transport is no sdk.Consumer and no sdk.Streamer")
	}
	pause := pauses{log: c.log, of: "the subscription"}
	for {
		worked, err := once()
		if over := c.news.over(ctx); over != nil {
			return over
		}
		if errors.Is(err, ErrInvalidArgument) {
			return err
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
	if made.Created {
		c.missed(s)
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
	c.log.Info("the subscription begins, or was away for too long: events before it are not given")
	if s.Missed != nil {
		s.Missed()
	}
}

// typePattern is a pattern that can match a name, which has three segments.
var typePattern = regexp.MustCompile(`^(([a-z0-9_-]+|\*)[.]){2}([a-z0-9_-]+|\*)$|^(([a-z0-9_-]+|\*)[.]){0,2}\*\*$`)

// check finds what would never work.
func (s Subscription) check(handle events.Handler) error {
	if handle == nil {
		return contract.Invalid("handle", "is required")
	}
	for _, pattern := range s.Types {
		if !typePattern.MatchString(pattern) {
			return contract.Invalid("types", "%q matches no event: name three segments, such as tenant.unit.*, or end with **", pattern)
		}
	}
	return nil
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
