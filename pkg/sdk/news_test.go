package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/sdk"
	"github.com/buildify/core/pkg/sdk/internal/coretest"
)

// patience bounds every wait; nothing waits that long unless a test fails.
const patience = 20 * time.Second

// listening is a client of a core that tells news.
type listening struct {
	*sdk.Client
	t    testing.TB
	core *coretest.News
}

func newListening(t testing.TB) *listening {
	l := &listening{t: t, core: coretest.NewNews()}
	l.Client = sdk.NewWithTransport(l.core, "financial")
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

// until waits until the core has been called, or followed, as holds says.
func (l *listening) until(what string, holds func() bool) {
	l.t.Helper()
	timeout := time.After(patience)
	for {
		changed := l.core.Changed()
		if holds() {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			require.FailNow(l.t, "waited in vain", what)
		}
	}
}

func (l *listening) reads() int { return l.core.Calls(contract.GetModuleSettings.Name) }

// watch watches a tenant until stop, and tells what it sees and how it ends.
func (l *listening) watch(tenant string) (seen chan string, ended chan error, stop context.CancelFunc) {
	ctx, stop := context.WithCancel(context.Background())
	seen, ended = make(chan string, 1000), make(chan error, 1)
	go func() {
		ended <- l.WatchSettings(ctx, tenant, func(s *sdk.Settings) {
			var values struct{ Limit int }
			assert.NoError(l.t, s.Decode(&values))
			seen <- fmt.Sprint(s.TenantID == tenant, values.Limit)
		})
	}()
	l.t.Cleanup(stop)
	return seen, ended, stop
}

func next[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		require.FailNow(t, "nothing came")
		panic("unreachable")
	}
}

func TestSettingsAreDecodedAndNotPrinted(t *testing.T) {
	t.Parallel()
	l := newListening(t)
	l.core.Put(acme, "", `{"limit":3,"token":"s3cret"}`)
	l.core.Put(acme, anna, `{"limit":4}`)
	s, err := l.Settings(t.Context(), acme)
	require.NoError(t, err)
	var values struct {
		Limit int    `json:"limit"`
		Token string `json:"token"`
		Other string `json:"other"`
	}
	values.Other = "as before"
	require.NoError(t, s.Decode(&values))
	assert.Equal(t, []any{3, "s3cret", "as before", int64(1)}, []any{values.Limit, values.Token, values.Other, s.Revision})
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		assert.Equal(t, "settings of tenant "+acme+" at revision 1", fmt.Sprintf(format, s))
	}
	var wrong struct{ Limit string }
	require.ErrorContains(t, s.Decode(&wrong), "settings: ")

	s, err = l.UserSettings(t.Context(), acme, anna)
	require.NoError(t, err)
	require.NoError(t, s.Decode(&values))
	assert.Equal(t, 4, values.Limit)
	_, err = l.UserSettings(t.Context(), acme, "")
	require.ErrorIs(t, err, sdk.ErrInvalidArgument)
	_, err = l.Settings(t.Context(), umbrella)
	require.ErrorIs(t, err, sdk.ErrNotFound)
}

func TestAWatcherIsToldOfChangesWithoutAsking(t *testing.T) {
	t.Parallel()
	l := newListening(t)
	l.core.Put(acme, "", `{"limit":1}`)
	seen, ended, stop := l.watch(acme)
	require.Equal(t, "true 1", next(t, seen))
	l.until("the stream", func() bool { return l.core.Streams() == 1 })
	l.core.Set(acme, `{"limit":2}`)
	require.Equal(t, "true 2", next(t, seen))
	l.core.Put(acme, "", `{"limit":3}`)
	l.core.Tell(contract.ModuleNewsMessage{SettingsRevision: 9}) // the platform's
	require.Equal(t, "true 3", next(t, seen))
	l.core.Put(acme, "", `{"limit":4}`)
	l.core.Tell(contract.ModuleNewsMessage{TenantID: acme}) // another version
	require.Equal(t, "true 4", next(t, seen))
	l.core.Put(acme, "", `{"limit":5}`)
	l.core.TellRaw([]byte("whatever this is"))
	require.Equal(t, "true 5", next(t, seen))

	reads := l.reads()
	l.core.Set(umbrella, `{"limit":6}`)
	l.core.Tell(contract.ModuleNewsMessage{TenantID: acme, UserID: anna, SettingsRevision: 10})
	l.core.Happen(contract.Hook{ID: "h", TenantID: acme})
	l.core.Tell(contract.ModuleNewsMessage{TenantID: acme})
	l.until("one more read", func() bool { return l.reads() == reads+1 })
	l.core.Set(acme, `{"limit":7}`)
	require.Equal(t, "true 7", next(t, seen), "what was the same was not told again")
	stop()
	require.ErrorIs(t, next(t, ended), context.Canceled)
	l.until("its end", func() bool { return l.core.Streams() == 0 })
}

func TestWhatChangesWhileTheLineIsCutIsSeenAfterwards(t *testing.T) {
	t.Parallel()
	l := newListening(t)
	l.core.Put(acme, "", `{"limit":0}`)
	seen, _, _ := l.watch(acme)
	require.Equal(t, "true 0", next(t, seen))
	for limit := range 5 {
		l.until("the stream", func() bool { return l.core.Streams() == 1 })
		l.core.Refuse(contract.ModuleNews.Name, sdk.ErrUnavailable)
		l.core.Refuse(contract.GetModuleSettings.Name, sdk.ErrUnavailable)
		l.core.Cut()
		l.core.Set(acme, fmt.Sprintf(`{"limit":%d}`, limit+1)) // nobody hears it
		tried := l.core.Calls(contract.ListHooks.Name)
		l.until("another try", func() bool { return l.core.Calls(contract.ListHooks.Name) > tried })
		l.core.Refuse(contract.GetModuleSettings.Name, nil)
		l.core.Refuse(contract.ModuleNews.Name, nil)
		require.Equal(t, fmt.Sprintf("true %d", limit+1), next(t, seen))
	}
}

func TestATenantThatIsNotThereYetIsWaitedFor(t *testing.T) {
	t.Parallel()
	l := newListening(t)
	seen, _, _ := l.watch(acme)
	l.until("some tries", func() bool { return l.reads() > 3 })
	l.core.Set(acme, `{"limit":1}`)
	require.Equal(t, "true 1", next(t, seen))
	l.core.Refuse(contract.GetModuleSettings.Name, sdk.ErrPermissionDenied)
	l.core.Tell(contract.ModuleNewsMessage{TenantID: acme})
	reads := l.reads()
	l.until("being refused", func() bool { return l.reads() > reads })
	l.core.Refuse(contract.GetModuleSettings.Name, nil)
	l.core.Set(acme, `{"limit":2}`)
	require.Equal(t, "true 2", next(t, seen), "news end a pause")

	l.core.Refuse(contract.GetModuleSettings.Name, contract.Invalid("tenant_id", "is no UUID"))
	_, ended, _ := l.watch("acme")
	require.ErrorIs(t, next(t, ended), sdk.ErrInvalidArgument)
}

func TestAllShareOneStreamUntilTheClientCloses(t *testing.T) {
	t.Parallel()
	l := newListening(t)
	var ends []chan error
	for i := range 50 {
		l.core.Put(coretest.Tenant(i), "", `{"limit":1}`)
		seen, ended, _ := l.watch(coretest.Tenant(i))
		require.Equal(t, "true 1", next(t, seen))
		ends = append(ends, ended)
	}
	hooks := make(chan error, 1)
	go func() {
		hooks <- l.HandleHooks(context.Background(), func(context.Context, sdk.Hook) error { return nil })
	}()
	l.core.Happen(contract.Hook{ID: "h"})
	l.until("the hook", func() bool { return len(l.core.Hooks()) == 0 })
	l.until("the stream", func() bool { return l.core.Streams() == 1 })
	require.NoError(t, l.Close())
	require.Zero(t, l.core.Streams())
	for _, ended := range append(ends, hooks) {
		require.ErrorIs(t, next(t, ended), sdk.ErrUnavailable)
	}
	require.ErrorIs(t, l.WatchSettings(t.Context(), acme, func(*sdk.Settings) { t.Error("called") }), sdk.ErrUnavailable)
}

func TestWithoutAFollowerThereAreNoNews(t *testing.T) {
	t.Parallel()
	c := client(script("{}"))
	require.ErrorContains(t, c.WatchSettings(t.Context(), acme, func(*sdk.Settings) {}), "sdk.Follower")
	require.ErrorContains(t, c.HandleHooks(t.Context(), nil), "sdk.Follower")
}

// handle handles hooks until stop; each call is told, and returns what answer
// does.
func (l *listening) handle(answer func(sdk.Hook) error) (handled chan string, ended chan error, stop context.CancelFunc) {
	ctx, stop := context.WithCancel(context.Background())
	handled, ended = make(chan string, 1000), make(chan error, 1)
	go func() {
		ended <- l.HandleHooks(ctx, func(_ context.Context, h sdk.Hook) error {
			handled <- fmt.Sprint(h.Event, " ", h.Attempt)
			return answer(h)
		})
	}()
	l.t.Cleanup(stop)
	return handled, ended, stop
}

func TestHooksAreHandledInOrderAndAcknowledged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, testHooksInOrder)
}

func testHooksInOrder(t *testing.T) {
	l := newListening(t)
	for _, event := range []string{"installed", "enabled"} {
		l.core.Happen(contract.Hook{ID: event, TenantID: acme, Event: event})
	}
	handled, ended, stop := l.handle(func(sdk.Hook) error { return nil })
	require.Equal(t, "installed 1", next(t, handled))
	require.Equal(t, "enabled 1", next(t, handled))
	l.until("all", func() bool { return len(l.core.Hooks()) == 0 && l.core.Streams() == 1 })
	l.core.Happen(contract.Hook{ID: "c", TenantID: acme, Event: "configured"})
	require.Equal(t, "configured 1", next(t, handled))
	l.until("all", func() bool { return len(l.core.Hooks()) == 0 })

	l.core.Refuse(contract.ModuleNews.Name, sdk.ErrUnavailable)
	l.core.Cut()
	l.core.Happen(contract.Hook{ID: "d", TenantID: acme, Event: "disabled"}) // nobody hears it
	l.core.Refuse(contract.ModuleNews.Name, nil)
	require.Equal(t, "disabled 1", next(t, handled))
	l.until("all", func() bool { return len(l.core.Hooks()) == 0 && l.core.Streams() == 1 })

	synctest.Wait() // the opening of the stream asks too
	listed := l.core.Calls(contract.ListHooks.Name)
	l.core.Set(acme, `{}`)
	l.core.Tell(contract.ModuleNewsMessage{SettingsRevision: 4})
	l.core.Tell(contract.ModuleNewsMessage{}) // something may not have been told
	synctest.Wait()
	require.Equal(t, listed+1, l.core.Calls(contract.ListHooks.Name))
	stop()
	require.ErrorIs(t, next(t, ended), context.Canceled)
	require.Empty(t, handled)
}

func TestAHookThatFailsIsReportedAndComesAgain(t *testing.T) {
	t.Parallel()
	l := newListening(t)
	reason := strings.Repeat("é", 1500) + "\x00\xff"
	fails := true
	handled, _, _ := l.handle(func(h sdk.Hook) error {
		if fails && h.ID == "bad" {
			return errors.New(reason)
		}
		return nil
	})
	l.core.Happen(contract.Hook{ID: "bad", Event: "installed"})
	require.Equal(t, "installed 1", next(t, handled))
	l.until("the report", func() bool { return len(l.core.Failed("bad")) == 1 })
	require.Equal(t, strings.Repeat("é", 1000), l.core.Failed("bad")[0])
	l.core.Happen(contract.Hook{ID: "good", Event: "enabled"})
	require.Equal(t, "enabled 1", next(t, handled), "and not the one that waits to be told again")
	l.until("one", func() bool { return len(l.core.Hooks()) == 1 })
	fails = false
	l.core.Happen(contract.Hook{ID: "bad"})
	require.Equal(t, "installed 2", next(t, handled))
	l.until("all", func() bool { return len(l.core.Hooks()) == 0 })
	require.Empty(t, handled)
}

func TestAnAcknowledgementThatIsLostIsSentAgain(t *testing.T) {
	t.Parallel()
	l := newListening(t)
	l.core.Refuse(contract.AcknowledgeHook.Name, sdk.ErrUnavailable)
	handled, ended, stop := l.handle(func(sdk.Hook) error { return nil })
	l.core.Happen(contract.Hook{ID: "h", Event: "installed"})
	require.Equal(t, "installed 1", next(t, handled))
	l.until("tries", func() bool { return l.core.Calls(contract.AcknowledgeHook.Name) > 2 })
	l.core.Refuse(contract.AcknowledgeHook.Name, nil)
	l.until("all", func() bool { return len(l.core.Hooks()) == 0 })
	require.Empty(t, handled)
	stop()
	require.ErrorIs(t, next(t, ended), context.Canceled)
}

func TestWhatWasDoneAsTheContextEndedIsAcknowledged(t *testing.T) {
	t.Parallel()
	l := newListening(t)
	var stop context.CancelFunc
	begin := make(chan struct{})
	_, ended, stop := l.handle(func(h sdk.Hook) error {
		<-begin
		stop()
		if h.ID == "done" {
			return nil
		}
		return context.Canceled
	})
	l.core.Happen(contract.Hook{ID: "done"})
	close(begin)
	require.ErrorIs(t, next(t, ended), context.Canceled)
	require.Empty(t, l.core.Hooks())

	_, ended, stop = l.handle(func(sdk.Hook) error {
		stop()
		return context.Canceled
	})
	l.core.Happen(contract.Hook{ID: "undone"})
	require.ErrorIs(t, next(t, ended), context.Canceled)
	require.Len(t, l.core.Hooks(), 1)
	require.Empty(t, l.core.Failed("undone"), "it did not fail by itself")
}
