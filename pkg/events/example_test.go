package events_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
)

// Handlers of typed data, once each event.
func ExampleOn() {
	mux := events.NewMux()
	events.On(mux, events.TenantChanged, func(_ context.Context, _ events.Event, tenant contract.Tenant) error {
		fmt.Println(tenant.Code, "is", tenant.State)
		return nil
	})
	handle := events.Idempotent(events.NewRecent(10_000), mux.Handle)

	e, err := events.New(events.TenantChanged, "0190f5c2-0000-7000-8000-000000000001", 7,
		contract.Tenant{Code: "ACME001", State: "suspended", Revision: 7})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 { // it was delivered twice
		if err := handle(context.Background(), e); err != nil {
			fmt.Println(err)
		}
	}
	// Output: ACME001 is suspended
}

// A program works off events by a durable consumer, eight tenants at a time, each
// tenant's in order. Modules do the same by sdk.Client.Subscribe.
func ExampleConsume() {
	work := func(ctx context.Context, js jetstream.JetStream, mux *events.Mux) error {
		consumer, err := events.Consume(ctx, js, events.ConsumeConfig{
			Stream: events.EventsStream, Durable: "crm_main", Subjects: mux.Subjects("*"),
			Parallel: 8,
			MaxTries: 10, GivenUp: giveUp(func(l events.DeadLetter) { fmt.Println("given up:", l.Subject, l.Reason) }),
		}, mux.Handle, func(err error) { fmt.Println("will try again:", err) })
		if err != nil {
			return err
		}
		<-ctx.Done()
		consumer.Stop(context.Background()) // what is in work is finished
		return nil
	}
	_ = work
}

// giveUp keeps dead letters where the module keeps its own data.
type giveUp func(events.DeadLetter)

// Put implements what ConsumeConfig.GivenUp asks for.
func (g giveUp) Put(_ context.Context, l events.DeadLetter) error {
	g(l)
	return nil
}

// Which kinds there are, and what is said of them.
func ExampleLookup() {
	e, err := events.New(events.LoginFailed, "", 0, events.Login{Email: "ada@example.com"})
	if err != nil {
		fmt.Println(err)
		return
	}
	d, known := events.Lookup(e.Type())
	fmt.Println(known, d.Name, d.Audience.Includes(events.ForModules), d.Personal)
	_, err = events.Data[[]string](e)
	fmt.Println(errors.Is(err, events.ErrMalformed))
	// Output:
	// true auth.login.failed false [email address agent]
	// true
}
