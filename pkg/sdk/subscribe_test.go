package sdk_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/sdk"
)

// granting is a core that streams a module's events. It is a transport to itself.
type granting struct {
	t testing.TB

	mu      sync.Mutex
	given   []string // events, whose places are their indexes and one
	begin   int      // where who has no place begins
	lost    int      // places up to here are not kept any more
	asked   []string // the places that were gone on from
	refuse  error
	changed chan struct{} // closed whenever something did
	cut     chan struct{}
}

func newGranting(t testing.TB) *granting {
	return &granting{t: t, changed: make(chan struct{}), cut: make(chan struct{})}
}

func (g *granting) client() *sdk.Client {
	c := sdk.NewWithTransport(g, "financial")
	g.t.Cleanup(func() { require.NoError(g.t, c.Close()) })
	return c
}

// change changes the core, and tells the streams.
func (g *granting) change(how func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	how()
	close(g.changed)
	g.changed = make(chan struct{})
}

// give gives an event of the tenant, which tells its number, and returns that.
func (g *granting) give(tenant string) string {
	var number string
	g.change(func() {
		number = strconv.Itoa(len(g.given) + 1)
		e, err := events.New(events.UnitChanged, tenant, 1, contract.OrgUnit{ID: number})
		require.NoError(g.t, err)
		data, err := json.Marshal(e)
		require.NoError(g.t, err)
		g.given = append(g.given, string(data))
	})
	return number
}

func (g *granting) giveRaw(data string) { g.change(func() { g.given = append(g.given, data) }) }

// breaks ends all streams.
func (g *granting) breaks() {
	g.change(func() {
		close(g.cut)
		g.cut = make(chan struct{})
	})
}

// until waits until the core holds.
func (g *granting) until(holds func() bool) {
	g.t.Helper()
	after := time.After(patience)
	for {
		g.mu.Lock()
		ok, changed := holds(), g.changed
		g.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-after:
			require.FailNow(g.t, "waited in vain")
		}
	}
}

func (g *granting) Stream(ctx context.Context, _ *contract.Spec, query url.Values, last string, opened func(), handle func(event, id string, data []byte)) error {
	g.mu.Lock()
	cut, at, err := g.cut, g.begin, g.refuse
	if from := cmp.Or(last, query.Get("after")); from != "" && err == nil {
		at, err = strconv.Atoi(from)
	}
	g.mu.Unlock()
	if err != nil {
		return err
	}
	opened()
	g.change(func() { g.asked = append(g.asked, last) })
	if last == "" {
		handle("", strconv.Itoa(at), nil)
	} else if at < g.lost {
		handle("gap", last, []byte(`{}`))
	}
	for {
		g.mu.Lock()
		changed, data := g.changed, ""
		at = max(at, g.lost)
		if at < len(g.given) {
			data = g.given[at]
			at++
		}
		g.mu.Unlock()
		if data != "" {
			handle("", strconv.Itoa(at), []byte(data))
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-cut:
			return errors.New("the line is cut")
		case <-changed:
		}
	}
}

func (g *granting) Call(context.Context, *contract.Spec, []byte) ([]byte, error) {
	return nil, errors.New("not asked")
}

func (g *granting) Close() error { return nil }

// savedPlace is an sdk.Place.
type savedPlace struct {
	mu    sync.Mutex
	place string
	fails error
	saves chan string
}

func newPlace(place string) *savedPlace {
	return &savedPlace{place: place, saves: make(chan string, 1000)}
}

func (p *savedPlace) Load(context.Context) (string, error) { return p.place, p.fails }

func (p *savedPlace) Save(_ context.Context, place string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.place = place
	p.saves <- place
	return nil
}

func (p *savedPlace) is() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.place
}

// until waits until a place is saved.
func (p *savedPlace) until(t testing.TB, place string) {
	t.Helper()
	for next(t, p.saves) != place {
	}
}

// subscribe subscribes until stop is called, which tells why it ended.
func subscribe(t testing.TB, c *sdk.Client, s sdk.Subscription, handle func(ctx context.Context, number string) error) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- c.Subscribe(ctx, s, func(ctx context.Context, e events.Event) error {
			unit, err := events.Data[contract.OrgUnit](e)
			if err != nil {
				return err
			}
			return handle(ctx, unit.ID)
		})
	}()
	stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(patience):
			return errors.New("the subscription goes on")
		}
	})
	t.Cleanup(func() { _ = stop() })
	return stop
}

func into(handled chan string) func(context.Context, string) error {
	return func(_ context.Context, number string) error {
		handled <- number
		return nil
	}
}

func TestARemoteSubscriptionGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	g, place, handled := newGranting(t), newPlace(""), make(chan string, 100)
	g.give(acme)
	g.begin = 1
	stop := subscribe(t, g.client(), sdk.Subscription{Place: place}, into(handled))
	g.until(func() bool { return len(g.asked) == 1 })
	second := g.give(acme)
	require.Equal(t, second, next(t, handled), "from now on")
	g.breaks()
	third := g.give(acme)
	require.Equal(t, third, next(t, handled))
	require.ErrorIs(t, stop(), context.Canceled)
	require.Equal(t, third, place.is())

	fourth := g.give(acme)
	subscribe(t, g.client(), sdk.Subscription{Place: place, FromStart: true}, into(handled))
	require.Equal(t, fourth, next(t, handled), "another process goes on")
	require.Empty(t, handled)

	fresh := make(chan string, 100)
	subscribe(t, g.client(), sdk.Subscription{FromStart: true}, into(fresh))
	require.Equal(t, "1", next(t, fresh), "without a place it begins at the start")
}

// A break before the first event must not move the beginning.
func TestWhatHappensDuringABreakBeforeTheFirstEventComes(t *testing.T) {
	t.Parallel()
	g, handled := newGranting(t), make(chan string, 100)
	subscribe(t, g.client(), sdk.Subscription{}, into(handled))
	g.until(func() bool { return len(g.asked) == 1 })
	refused := errors.New("down")
	g.change(func() { g.refuse = refused })
	g.breaks()
	first := g.give(acme)
	g.change(func() { g.refuse, g.begin = nil, 1 })
	require.Equal(t, first, next(t, handled))
}

// The last event of a burst is saved too, and not with the next one.
func TestThePlaceIsSavedSoonAndWithoutAnotherEvent(t *testing.T) {
	t.Parallel()
	g, place, handled := newGranting(t), newPlace(""), make(chan string, 100)
	subscribe(t, g.client(), sdk.Subscription{Place: place, FromStart: true}, into(handled))
	for range 10 {
		g.give(acme)
	}
	place.until(t, "10")
}

// Who stops in the middle has not tried: the event is another process's.
func TestAnEventIsNotGivenUpBecauseTheProcessStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // the handler has ten seconds
		g, place, begun := newGranting(t), newPlace("0"), make(chan struct{})
		g.give(acme)
		stop := subscribe(t, g.client(), sdk.Subscription{Place: place, MaxTries: 1}, func(ctx context.Context, _ string) error {
			close(begun)
			<-ctx.Done()
			return ctx.Err()
		})
		next(t, begun)
		require.ErrorIs(t, stop(), context.Canceled)
		require.Equal(t, "0", place.is())
	})
}

func TestWhatIsInWorkIsFinishedFirst(t *testing.T) {
	t.Parallel()
	g, place := newGranting(t), newPlace("0")
	begun, goOn := make(chan struct{}), make(chan struct{})
	g.give(acme)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- g.client().Subscribe(ctx, sdk.Subscription{Place: place}, func(ctx context.Context, _ events.Event) error {
			close(begun)
			<-goOn
			return ctx.Err()
		})
	}()
	next(t, begun)
	cancel()
	close(goOn)
	require.ErrorIs(t, next(t, ended), context.Canceled)
	require.Equal(t, "1", place.is())
}

// A tenant whose events cannot be handled holds up no other one: not beside it, and
// not when the stream breaks.
func TestAFailingKeyHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	g, handled, failed := newGranting(t), make(chan string, 1000), make(chan string, 1000)
	stuck := g.give(acme)
	subscribe(t, g.client(), sdk.Subscription{FromStart: true, Parallel: 2}, func(_ context.Context, number string) error {
		if number == stuck {
			failed <- number
			return errors.New("not now")
		}
		handled <- number
		return nil
	})
	next(t, failed)
	var want, got []string
	for n := range 40 {
		want = append(want, g.give("0190f5c2-0000-7000-8000-"+strconv.Itoa(100000000000+n)))
		got = append(got, next(t, handled))
	}
	require.Equal(t, want, got)
	behind := g.give(acme)
	g.breaks()
	require.Equal(t, g.give(umbrella), next(t, handled))
	require.NotContains(t, handled, behind)
}

// With Parallel the place is behind the oldest event that is not handled.
func TestThePlaceNeverPassesWhatIsNotHandled(t *testing.T) {
	t.Parallel()
	g, place, handled, goOn := newGranting(t), newPlace("0"), make(chan string, 100), make(chan struct{})
	slow := g.give(acme)
	stop := subscribe(t, g.client(), sdk.Subscription{Place: place, Parallel: 4}, func(ctx context.Context, number string) error {
		if number == slow {
			select {
			case <-goOn:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		handled <- number
		return nil
	})
	for range 3 {
		require.Equal(t, g.give(umbrella), next(t, handled))
	}
	require.Equal(t, "0", place.is())
	close(goOn)
	place.until(t, "4")
	require.ErrorIs(t, stop(), context.Canceled)
}

func TestWhatIsNoEventIsGivenUp(t *testing.T) {
	t.Parallel()
	g, handled, letters := newGranting(t), make(chan string, 100), make(keeper, 10)
	g.giveRaw(`{"specversion":"1.0"`)
	subscribe(t, g.client(), sdk.Subscription{FromStart: true, GivenUp: letters}, into(handled))
	require.Equal(t, g.give(acme), next(t, handled))
	letter := next(t, letters)
	require.Equal(t, []any{events.GrantedStream, uint64(1), `{"specversion":"1.0"`}, []any{letter.Stream, letter.Sequence, string(letter.Data)})
}

func TestWhatWasGivenUpCanBeHandledAgain(t *testing.T) {
	t.Parallel()
	g, letters := newGranting(t), make(keeper, 10)
	g.give(acme)
	number := g.give(acme)
	subscribe(t, g.client(), sdk.Subscription{FromStart: true, GivenUp: letters, MaxTries: 2}, func(_ context.Context, n string) error {
		if n == number {
			panic("a bug")
		}
		return nil
	})
	letter := next(t, letters)
	require.Equal(t, []any{2, uint64(2)}, []any{letter.Tries, letter.Sequence})
	require.Contains(t, letter.Reason, "a bug")
	e, err := letter.Event()
	require.NoError(t, err)
	unit, err := events.Data[contract.OrgUnit](e)
	require.NoError(t, err)
	require.Equal(t, number, unit.ID)
}

type keeper chan events.DeadLetter

func (k keeper) Put(_ context.Context, l events.DeadLetter) error {
	k <- l
	return nil
}

// Missed is the sign to read all: at the beginning, and after too long a time away.
func TestAModuleIsToldWhenItMayHaveMissedEvents(t *testing.T) {
	t.Parallel()
	g, missed, handled := newGranting(t), make(chan struct{}, 10), make(chan string, 100)
	place := newPlace("")
	s := sdk.Subscription{Place: place, Missed: func() { missed <- struct{}{} }}
	stop := subscribe(t, g.client(), s, into(handled))
	next(t, missed)
	g.breaks()
	g.give(acme)
	next(t, handled)
	require.ErrorIs(t, stop(), context.Canceled)
	require.Empty(t, missed, "a break is no gap")

	g.give(acme)
	g.lost = 2
	subscribe(t, g.client(), s, into(handled))
	next(t, missed)
}

func TestOnlyTheWantedTypesAreHandled(t *testing.T) {
	t.Parallel()
	g, handled := newGranting(t), make(chan string, 100)
	g.give(acme)
	place := newPlace("")
	subscribe(t, g.client(), sdk.Subscription{FromStart: true, Place: place, Types: []string{"auth.**"}}, into(handled))
	place.until(t, "1")
	require.Empty(t, handled)
}

func TestASubscriptionThatCannotWorkIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	g := newGranting(t)
	c, handle := g.client(), func(context.Context, events.Event) error { return nil }
	for _, types := range []string{"", "tenant", "tenant.unit", "tenant.un*.*", "**.changed", "Tenant.unit.*", "dev.buildify.tenant.unit.changed.v1", "a.b.c.**", "a,b.**"} {
		err := c.Subscribe(t.Context(), sdk.Subscription{Types: []string{"auth.**", types}}, handle)
		require.ErrorIs(t, err, sdk.ErrInvalidArgument, types)
	}
	for _, types := range []string{"**", "*.*.*", "tenant.**", "tenant.unit.**", "tenant.unit.changed"} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, c.Subscribe(ctx, sdk.Subscription{Types: []string{types}}, handle), context.Canceled, types)
	}
	require.ErrorIs(t, c.Subscribe(t.Context(), sdk.Subscription{}, nil), sdk.ErrInvalidArgument)
	broken := errors.New("no disk")
	require.ErrorIs(t, c.Subscribe(t.Context(), sdk.Subscription{Place: &savedPlace{fails: broken}}, handle), broken)
	g.refuse = contract.Invalid("Last-Event-ID", "is not an id of this stream")
	require.ErrorIs(t, c.Subscribe(t.Context(), sdk.Subscription{Place: newPlace("x")}, handle), sdk.ErrInvalidArgument)
}

func TestASubscriptionEndsWithItsClient(t *testing.T) {
	t.Parallel()
	g := newGranting(t)
	c, ended := g.client(), make(chan error, 1)
	go func() {
		ended <- c.Subscribe(t.Context(), sdk.Subscription{}, func(context.Context, events.Event) error { return nil })
	}()
	g.until(func() bool { return len(g.asked) == 1 })
	require.NoError(t, c.Close())
	require.ErrorIs(t, next(t, ended), sdk.ErrUnavailable)
}

// bus is a core on the bus, of which only the calls are of interest.
type bus struct {
	created  chan bool // what audit.subscribe answers
	consumes chan events.ConsumeConfig
}

func (b *bus) Call(_ context.Context, spec *contract.Spec, _ []byte) ([]byte, error) {
	if spec.Name != contract.Subscribe.Name {
		return nil, errors.New("not asked")
	}
	return json.Marshal(contract.SubscribeResponse{Stream: events.GrantedStream, Consumer: "mod_financial", Created: <-b.created})
}

func (b *bus) Consume(ctx context.Context, cfg events.ConsumeConfig, _ events.Handler, _ func(error)) error {
	if err := cfg.Provide(ctx); err != nil {
		return err
	}
	b.consumes <- cfg
	<-ctx.Done()
	return ctx.Err()
}

func (b *bus) Close() error { return nil }

// All processes of a module share its place on the bus, so two subscriptions would
// take each other's events.
func TestAClientHasOneSubscriptionOnTheBus(t *testing.T) {
	t.Parallel()
	b := &bus{created: make(chan bool, 10), consumes: make(chan events.ConsumeConfig, 10)}
	c := sdk.NewWithTransport(b, "financial")
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	missed, handled := make(chan struct{}, 10), make(chan string, 1)
	for _, created := range []bool{true, false} { // the second call finds it
		b.created <- created
	}
	stop := subscribe(t, c, sdk.Subscription{Missed: func() { missed <- struct{}{} }}, into(handled))
	cfg := next(t, b.consumes)
	require.Len(t, missed, 1, "a subscription that begins")
	require.ErrorContains(t, c.Subscribe(t.Context(), sdk.Subscription{}, func(context.Context, events.Event) error { return nil }), "one subscription")

	b.created <- true // it was gone meanwhile
	require.NoError(t, cfg.Provide(t.Context()))
	require.Len(t, missed, 2)
	require.ErrorIs(t, stop(), context.Canceled)

	for range 2 {
		b.created <- false
	}
	stop = subscribe(t, c, sdk.Subscription{Missed: func() { missed <- struct{}{} }}, into(handled))
	next(t, b.consumes)
	require.ErrorIs(t, stop(), context.Canceled)
	require.Len(t, missed, 2)
}
