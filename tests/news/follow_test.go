package news

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/sdk"
	"github.com/buildify/core/pkg/sdk/httptransport"
	"github.com/buildify/core/pkg/sdk/natstransport"
	"github.com/buildify/core/tests/stack"
)

// heard is what a key hears, message by message.
type heard struct {
	messages chan contract.ModuleNewsMessage

	mu  sync.Mutex
	all strings.Builder
}

// follow reads all that a key hears, until the test ends.
func follow(t *testing.T, m *module, c *stack.Company, key string) *heard {
	t.Helper()
	hooks, err := sdk.Call(stack.Context(t), m.client.Transport(), contract.ListHooks, nil)
	require.NoError(t, err)
	require.Equal(t, []string{contract.NewsSubject(c.Module, contract.NewsOfAll), contract.NewsSubject(c.Module, c.Tenant.ID)}, hooks.News)
	var transport interface {
		sdk.Transport
		sdk.Follower
	}
	if strings.HasPrefix(m.line.URL, "http") {
		transport, err = httptransport.New(httptransport.Config{URL: m.line.URL, APIKey: key})
	} else {
		transport, err = natstransport.New(stack.Context(t), natstransport.Config{URL: m.line.URL, APIKey: key})
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, transport.Close()) })
	h := &heard{messages: make(chan contract.ModuleNewsMessage, 1000)}
	ctx, stop := context.WithCancel(context.Background())
	opened, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- transport.Follow(ctx, contract.ModuleNews.Spec, hooks.News, func() { close(opened) }, func(message []byte) {
			h.mu.Lock()
			h.all.Write(message)
			h.mu.Unlock()
			var m contract.ModuleNewsMessage
			if err := json.Unmarshal(message, &m); err != nil {
				t.Error(err)
			}
			h.messages <- m
		})
	}()
	t.Cleanup(func() {
		stop()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
	select {
	case <-opened:
	case <-time.After(stack.Timeout):
		require.FailNow(t, "the stream did not open")
	}
	return h
}

// next is the next message about settings or hooks that were changed; that the
// module was installed shortly before may be told late.
func (h *heard) next(t *testing.T) contract.ModuleNewsMessage {
	t.Helper()
	timeout := time.After(stack.Timeout)
	for {
		select {
		case m := <-h.messages:
			if m.SettingsRevision > 0 || m.Hook != nil && m.Hook.Event != "installed" {
				return m
			}
		case <-timeout:
			require.FailNow(t, "nothing was told")
		}
	}
}

func (h *heard) raw() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.all.String()
}
