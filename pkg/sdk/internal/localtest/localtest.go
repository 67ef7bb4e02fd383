// Package localtest holds what local decisions must do over any transport.
package localtest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/sdk"
	"github.com/buildify/core/pkg/sdk/internal/coretest"
)

// Module is the module that decides, Read a permission of its own.
const (
	Module = "financial"
	Read   = "financial:accounts:read"
	limit  = 20 * time.Second
)

// RemoteRevision is what the answers of a core under test must tell as their
// revision: no local decision has it.
const RemoteRevision = 1 << 40

var (
	one, two = coretest.Tenant(1), coretest.Tenant(2)
	user     = coretest.User(1)
)

// NewCore returns a core with two tenants, in the first of which user 1 holds
// all of the module's permissions. It beats until the test ends.
func NewCore(t *testing.T) *coretest.Core {
	core := coretest.New(Module)
	core.SetPageSize(3)
	without := coretest.Grant(1) // user 1 is known, whatever else is revoked
	without.Binding.ID, without.Binding.RoleID = coretest.Binding(1000), coretest.Role(2)
	core.Commit(one, append(core.Basics(Module+":**"), coretest.Grant(1), without)...)
	core.Commit(two, core.Basics(Module+":**")...)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		core.BeatEvery(ctx, 50*time.Millisecond)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return core
}

// Play holds a client with local decisions, at the start of whose connection to
// the core nothing was told yet, to what they promise. cut breaks its
// connections, which may come back at once; quiet reports whether nobody follows
// the core.
func Play(t *testing.T, core *coretest.Core, client *sdk.Client, cut func(), quiet func() bool) {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	require.NoError(t, client.AwaitLocal(ctx))
	decide := func(options ...sdk.About) sdk.Decision {
		t.Helper()
		d, err := client.Decide(ctx, user, Read, options...)
		require.NoError(t, err)
		assert.Equal(t, !d.Local, d.Revision == RemoteRevision)
		return d
	}
	locally := func(allowed bool) {
		t.Helper()
		require.Eventually(t, func() bool {
			d := decide(sdk.InTenant(one))
			return d.Local && d.Allowed == allowed
		}, limit, time.Millisecond)
	}

	assert.Equal(t, sdk.Decision{Allowed: true, Revision: 1, Local: true}, decide(sdk.InTenant(one)))
	assert.Equal(t, 2, client.LocalState().Tenants)
	assert.False(t, decide(sdk.InTenant(one), sdk.AtLeast(2)).Local, "not there yet")

	revision := core.Change(one, coretest.Revoke(1))
	locally(false)
	assert.True(t, decide(sdk.InTenant(one), sdk.AtLeast(revision)).Local)
	core.Change(one, coretest.Grant(1))
	locally(true)

	core.Commit(one, coretest.Revoke(1)) // a step that gets lost
	core.Repeat(one)
	locally(false)
	core.Tell(contract.PolicyFeedMessage{TenantID: one, Revision: core.Commit(one, coretest.Grant(1)), Reset: true})
	locally(true)

	core.Show(one, false)
	require.Eventually(t, func() bool { return !decide(sdk.InTenant(one)).Local }, limit, time.Millisecond)
	core.Show(one, true)
	locally(true)

	for range 3 {
		cut()
		require.Eventually(t, func() bool { // it may be down for a moment
			d, err := client.Decide(ctx, user, Read, sdk.InTenant(one))
			return err == nil && !d.Local || err != nil
		}, limit, time.Microsecond)
		core.Change(one, coretest.Revoke(1))
		require.NoError(t, client.AwaitLocal(ctx))
		locally(false)
		core.Change(one, coretest.Grant(1))
		locally(true)
	}

	require.NoError(t, client.Close())
	_, err := client.Decide(ctx, user, Read, sdk.InTenant(one))
	require.ErrorIs(t, err, sdk.ErrUnavailable)
	require.Eventually(t, quiet, limit, time.Millisecond)
}
