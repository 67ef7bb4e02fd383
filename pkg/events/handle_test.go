package events

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
)

func made(t *testing.T, kind Kind, data any) Event {
	t.Helper()
	e, err := New(kind, "t1", 1, data)
	require.NoError(t, err)
	return e
}

func TestAMuxCallsTheHandlerOfTheKindWithItsData(t *testing.T) {
	t.Parallel()
	m, ctx := NewMux(), context.Background()
	var tenants []string
	On(m, TenantChanged, func(_ context.Context, e Event, tenant contract.Tenant) error {
		require.True(t, TenantChanged.Is(e))
		tenants = append(tenants, tenant.Code)
		return nil
	})
	failure := errors.New("failure")
	On(m, MenuChanged, func(context.Context, Event, MenuChange) error { return failure })
	require.NoError(t, m.Handle(ctx, made(t, TenantChanged, contract.Tenant{Code: "ACME"})))
	require.NoError(t, m.Handle(ctx, made(t, UnitChanged, nil)), "nobody asked for it")
	require.Equal(t, []string{"ACME"}, tenants)
	require.ErrorIs(t, m.Handle(ctx, made(t, MenuChanged, MenuChange{})), failure)
	require.ErrorIs(t, m.Handle(ctx, made(t, TenantChanged, []int{1})), ErrMalformed)
	require.Equal(t, []string{"core.events.*.tenant.menu.changed", "core.events.*.tenant.tenant.changed"}, m.Subjects("*"))
	require.Panics(t, func() { On(m, MenuChanged, func(context.Context, Event, MenuChange) error { return nil }) })
}

func TestWhatWasHandledIsPassedOver(t *testing.T) {
	t.Parallel()
	ctx, calls := context.Background(), 0
	failing := true
	handle := Idempotent(NewRecent(10), func(context.Context, Event) error {
		if calls++; failing {
			return errors.New("not now")
		}
		return nil
	})
	e := made(t, TenantChanged, nil)
	require.Error(t, handle(ctx, e))
	failing = false
	require.NoError(t, handle(ctx, e), "what failed is no done thing")
	require.NoError(t, handle(ctx, e))
	require.Equal(t, 2, calls)
	other := e.Clone()
	other.SetSource("/core/other")
	require.NoError(t, handle(ctx, other))
	require.Equal(t, 3, calls, "ids are their source's")
}

func TestRecentForgetsTheOldest(t *testing.T) {
	t.Parallel()
	r, ctx := NewRecent(3), context.Background()
	for i := range 5 {
		require.NoError(t, r.Remember(ctx, fmt.Sprint(i)))
		require.NoError(t, r.Remember(ctx, fmt.Sprint(i)))
		known, err := r.Handled(ctx, "0") // asked for, and so not the oldest
		require.NoError(t, err)
		require.True(t, known)
	}
	for key, want := range map[string]bool{"0": true, "1": false, "2": false, "3": true, "4": true} {
		known, err := r.Handled(ctx, key)
		require.NoError(t, err)
		require.Equal(t, want, known, key)
	}
}

func TestAStructuredEventIsReadBack(t *testing.T) {
	t.Parallel()
	e := made(t, TenantChanged, map[string]string{"name": "Grüße \"<\" \n"})
	e.SetExtension(Traceparent, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	for name, encode := range map[string]func(Event) (read Event, err error){
		"structured": func(e Event) (Event, error) {
			msg, err := EncodeStructured(e)
			require.NoError(t, err)
			require.Empty(t, msg.Header.Get("ce-id"))
			return Decode(msg.Header, msg.Data)
		},
		"binary": func(e Event) (Event, error) {
			msg, err := Encode(e)
			require.NoError(t, err)
			return Decode(msg.Header, msg.Data)
		},
	} {
		read, err := encode(e)
		require.NoError(t, err, name)
		require.Equal(t, e.ID(), read.ID(), name)
		require.JSONEq(t, string(e.Data()), string(read.Data()), name)
		require.Equal(t, Extension(e, Traceparent), Extension(read, Traceparent), name)
		require.Equal(t, e.Subject(), read.Subject(), name)
	}
	e.SetID("")
	_, err := EncodeStructured(e)
	require.ErrorIs(t, err, ErrMalformed)
}

func TestAPanicOfAHandlerIsAnError(t *testing.T) {
	t.Parallel()
	e := made(t, TenantChanged, nil)
	e.SetExtension(Traceparent, "00-x")
	err := Try(context.Background(), func(ctx context.Context, _ Event) error {
		require.Equal(t, "00-x", TraceparentFrom(ctx))
		panic("oh")
	}, e)
	require.ErrorContains(t, err, "oh")
	require.Empty(t, TraceparentFrom(WithTraceparent(context.Background(), "")))
}

func TestADeadLettersSubjectIsItsServices(t *testing.T) {
	t.Parallel()
	require.Equal(t, "core.dead.rbac.rbac_lifecycle", DeadSubject("rbac_lifecycle"))
	require.Equal(t, "core.dead.a_b.a_b", DeadSubject("a.b"))
	require.Equal(t, "core.dead._._", DeadSubject(""))
	require.Equal(t, "a b", headerText("a\nb"))
}
