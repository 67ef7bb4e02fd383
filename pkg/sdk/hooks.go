package sdk

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/buildify/core/pkg/contract"
)

// Hook is something that happened to this module in a tenant: Event is
// installed, enabled, disabled, upgraded, downgraded, uninstalled or configured;
// Version, From and EraseData say more of it.
type Hook = contract.Hook

const (
	// hooksPage is how many hooks are asked for at once.
	hooksPage = 500
	// maxFailed is how much of an error the core takes.
	maxFailed = 2000
)

// HandleHooks calls handle for each life cycle hook that this module's manifest
// asks for, in their order and one at a time: those that wait at the start, and
// then each as it comes. When handle returns nil the hook is acknowledged and
// gone; when it fails, the core is told why, and the hook comes again, later each
// time.
//
// A hook may be handled more than once: when the acknowledgement gets lost, and
// by each process of the module that handles hooks. So handle must be able to
// repeat what it does. A failed hook does not hold up those behind it.
//
// HandleHooks returns when ctx ends or the client is closed, with that as its
// error. Any other trouble is logged and tried again, with growing pauses. The
// API key must grant tenant.hooks, tenant.acknowledge_hook and tenant.news, as
// one does that was made without a list of operations.
func (c *Client) HandleHooks(ctx context.Context, handle func(context.Context, Hook) error) error {
	h := &hooks{client: c, handle: handle, failed: map[string]int{}, done: map[string]struct{}{}}
	return c.news.listen(ctx, func(m *contract.ModuleNewsMessage) bool {
		return m.Hook != nil || m.TenantID == "" && m.SettingsRevision == 0
	}, h.look)
}

// hooks is what one HandleHooks has done.
type hooks struct {
	client *Client
	handle func(context.Context, Hook) error
	failed map[string]int      // the attempt that failed, by id
	done   map[string]struct{} // by id; the core does not know yet
}

// look handles what waits.
func (h *hooks) look(ctx context.Context) error {
	for {
		list, err := Call(ctx, h.client.news.transport, contract.ListHooks, &contract.ListHooksRequest{Limit: hooksPage})
		if err != nil {
			return err
		}
		h.forget(list.Items)
		gone := 0
		for _, hook := range list.Items {
			if attempt, failed := h.failed[hook.ID]; failed && attempt == hook.Attempt {
				continue // until it is told again
			}
			acknowledged, err := h.do(ctx, hook)
			if err != nil {
				return err
			}
			if acknowledged {
				gone++
			}
		}
		if len(list.Items) < hooksPage || gone == 0 {
			return nil
		}
	}
}

// do handles one hook and tells the core how that went.
func (h *hooks) do(ctx context.Context, hook Hook) (acknowledged bool, err error) {
	reason := ""
	if _, done := h.done[hook.ID]; !done {
		err := h.handle(ctx, hook)
		if err != nil && ctx.Err() != nil {
			return false, ctx.Err() // that is why, perhaps
		}
		if err != nil {
			reason = clip(cmp.Or(err.Error(), "failed"))
			h.failed[hook.ID] = hook.Attempt
			h.client.log.Warn("a life cycle hook failed; it comes again", "event", hook.Event, "tenant_id", hook.TenantID, "reason", err)
		} else {
			delete(h.failed, hook.ID)
			h.done[hook.ID] = struct{}{}
		}
	}
	// What was done is said though ctx has ended meanwhile.
	_, err = Call(context.WithoutCancel(ctx), h.client.news.transport, contract.AcknowledgeHook, &contract.AcknowledgeHookRequest{
		HookID: contract.ID(hook.ID), Failed: reason,
	})
	if errors.Is(err, ErrNotFound) { // another process of the module was faster
		err = nil
	}
	if err == nil {
		delete(h.done, hook.ID)
	}
	return err == nil && reason == "", err
}

// forget what the core does not list any more.
func (h *hooks) forget(listed []Hook) {
	if len(listed) == hooksPage {
		return // there may be more
	}
	still := map[string]struct{}{}
	for _, hook := range listed {
		still[hook.ID] = struct{}{}
	}
	for id := range h.failed {
		if _, ok := still[id]; !ok {
			delete(h.failed, id)
		}
	}
	for id := range h.done {
		if _, ok := still[id]; !ok {
			delete(h.done, id)
		}
	}
}

// clip is as much of a reason as the core takes, without what no database
// stores.
func clip(reason string) string {
	reason = strings.ToValidUTF8(strings.ReplaceAll(reason, "\x00", ""), "?")
	if len(reason) > maxFailed {
		reason = strings.ToValidUTF8(reason[:maxFailed], "")
	}
	return reason
}
