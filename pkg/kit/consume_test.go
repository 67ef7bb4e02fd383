package kit

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/natsconn"
)

// consume works off all events of service tenant as one of several replicas.
func consume(t testing.TB, js jetstream.JetStream, handle func(context.Context, events.Event) error, onError func(error)) *events.Consumer {
	t.Helper()
	c, err := events.Consume(bounded(t), js, events.ConsumeConfig{
		Stream: events.EventsStream, Durable: "rbac_test", Subjects: []string{events.TenantChanged.Subject("*")}, AckWait: time.Second,
	}, handle, onError)
	require.NoError(t, err)
	t.Cleanup(func() { c.Stop(bounded(t)) })
	return c
}

func TestReplicasWorkOffTheStreamTogetherAndInOrder(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	js := stream(t, b.user(natsconn.Tenant))
	require.NoError(t, events.Ensure(bounded(t), js, events.EventsStream, 1))
	publish(t, js, 1, 10) // before there is a consumer
	r := &reader{}
	handle := func(_ context.Context, e events.Event) error {
		r.take(e)
		return nil
	}
	first := consume(t, stream(t, b.user(natsconn.RBAC)), handle, r.fail)
	consume(t, stream(t, b.user(natsconn.RBAC)), handle, r.fail)
	publish(t, js, 11, 20)
	r.awaits(t, upTo(1, 20))
	first.Stop(bounded(t))
	first.Stop(bounded(t))
	publish(t, js, 21, 30)
	r.awaits(t, upTo(1, 30))
	require.Zero(t, r.troubles())
}

func TestAnEventThatFailsComesAgainBeforeTheNext(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	js := stream(t, b.user(natsconn.Tenant))
	require.NoError(t, events.Ensure(bounded(t), js, events.EventsStream, 1))
	publish(t, js, 1, 3)
	r := &reader{}
	var tries atomic.Int32
	consume(t, stream(t, b.user(natsconn.RBAC)), func(_ context.Context, e events.Event) error {
		if events.Extension(e, events.Revision) == "2" {
			switch tries.Add(1) {
			case 1:
				return errors.New("not now")
			case 2:
				panic("nor now")
			}
		}
		r.take(e)
		return nil
	}, r.fail)
	r.awaits(t, upTo(1, 3))
	require.Equal(t, 2, r.troubles())
}

func TestWhatIsNoEventIsTakenOutAndTold(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	js := stream(t, b.user(natsconn.Tenant))
	require.NoError(t, events.Ensure(bounded(t), js, events.EventsStream, 1))
	_, err := js.PublishMsg(bounded(t), &nats.Msg{Subject: events.TenantChanged.Subject("t1"), Data: []byte("poison")})
	require.NoError(t, err)
	publish(t, js, 1, 2)
	r := &reader{}
	consume(t, stream(t, b.user(natsconn.RBAC)), func(_ context.Context, e events.Event) error {
		if events.Extension(e, events.Revision) == "1" {
			_, err := events.Data[[]string](e)
			return err
		}
		r.take(e)
		return nil
	}, r.fail)
	r.awaits(t, upTo(2, 2))
	require.Equal(t, 2, r.troubles())
}

// A process that is killed neither acknowledges nor says goodbye.
func TestWhatAKilledProcessHadInWorkIsAnothers(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	js := stream(t, b.user(natsconn.Tenant))
	require.NoError(t, events.Ensure(bounded(t), js, events.EventsStream, 1))
	publish(t, js, 1, 2)
	dying, begun := b.user(natsconn.RBAC), make(chan struct{})
	killed := consume(t, stream(t, dying), func(ctx context.Context, _ events.Event) error {
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	}, func(error) {})
	<-begun
	dying.Close()
	r := &reader{}
	consume(t, stream(t, b.user(natsconn.RBAC)), func(_ context.Context, e events.Event) error {
		r.take(e)
		return nil
	}, r.fail)
	r.awaits(t, upTo(1, 2))
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	killed.Stop(ended) // cancels the handler, which waits for nothing else
}

// A handler may take longer than AckWait.
func TestWhatIsInWorkIsNobodyElses(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	js := stream(t, b.user(natsconn.Tenant))
	require.NoError(t, events.Ensure(bounded(t), js, events.EventsStream, 1))
	publish(t, js, 1, 2)
	r := &reader{}
	var atOnce atomic.Int32
	handle := func(_ context.Context, e events.Event) error {
		if atOnce.Add(1) > 1 {
			r.fail(errors.New("two at once"))
		}
		defer atOnce.Add(-1)
		if events.Extension(e, events.Revision) == "1" {
			<-time.After(2500 * time.Millisecond) // the time itself is what is tested
		}
		r.take(e)
		return nil
	}
	consume(t, stream(t, b.user(natsconn.RBAC)), handle, r.fail)
	consume(t, stream(t, b.user(natsconn.RBAC)), handle, r.fail)
	r.awaits(t, upTo(1, 2))
	require.Zero(t, r.troubles())
}

func TestAConsumerWaitsForItsStream(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	js := stream(t, b.user(natsconn.Tenant))
	ctx, cancel := context.WithTimeout(bounded(t), 100*time.Millisecond)
	defer cancel()
	_, err := events.Consume(ctx, stream(t, b.user(natsconn.RBAC)), events.ConsumeConfig{Stream: events.EventsStream, Durable: "x"}, nil, nil)
	require.ErrorContains(t, err, "x")
	require.NoError(t, events.Ensure(bounded(t), js, events.EventsStream, 1))
	(*events.Consumer)(nil).Stop(ctx)
}
