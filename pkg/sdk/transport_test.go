package sdk_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/sdk"
)

// fake is a Transport that answers from a function.
type fake struct {
	answer func(ctx context.Context, spec *contract.Spec, request string) (string, error)
	calls  atomic.Int32
}

func (f *fake) Call(ctx context.Context, spec *contract.Spec, request []byte) ([]byte, error) {
	f.calls.Add(1)
	answer, err := f.answer(ctx, spec, string(request))
	return []byte(answer), err
}

func (f *fake) Close() error { return nil }

// script answers the n-th call with the n-th error, and with ok after the last.
func script(ok string, errs ...error) *fake {
	f := &fake{}
	f.answer = func(context.Context, *contract.Spec, string) (string, error) {
		if n := int(f.calls.Load()); n <= len(errs) {
			return "", errs[n-1]
		}
		return ok, nil
	}
	return f
}

func client(f *fake, opts ...sdk.Option) *sdk.Client {
	return sdk.NewWithTransport(f, "financial", opts...)
}

func TestReadsAndDecisionsAreRepeatedWhileUnavailable(t *testing.T) {
	t.Parallel()
	f := script(`{"allowed":true}`, sdk.ErrUnavailable, sdk.ErrUnavailable)
	allowed, err := client(f).Check(t.Context(), "u", "a:b")
	require.NoError(t, err)
	assert.True(t, allowed)
	assert.EqualValues(t, 3, f.calls.Load())

	f = script(``, sdk.ErrUnavailable, sdk.ErrUnavailable, sdk.ErrUnavailable)
	_, err = client(f).Permissions(t.Context(), "u")
	require.ErrorIs(t, err, sdk.ErrUnavailable)
	assert.EqualValues(t, 3, f.calls.Load())

	f = script(``, sdk.ErrUnavailable)
	_, err = client(f, sdk.WithoutRetries()).Permissions(t.Context(), "u")
	require.ErrorIs(t, err, sdk.ErrUnavailable)
	assert.EqualValues(t, 1, f.calls.Load())
}

func TestMutationsAndOtherErrorsAreNotRepeated(t *testing.T) {
	t.Parallel()
	f := script(`{"status":"logged"}`, sdk.ErrUnavailable)
	err := client(f).LogAudit(t.Context(), sdk.AuditEvent{UserID: "u", Action: "a", ResourceType: "r"})
	require.ErrorIs(t, err, sdk.ErrUnavailable)
	assert.EqualValues(t, 1, f.calls.Load())

	for code := range contract.Codes() {
		if code == contract.Unavailable {
			continue
		}
		f := script(`{}`, &sdk.Error{Code: code})
		_, err := client(f).Check(t.Context(), "u", "a:b")
		require.Error(t, err)
		assert.EqualValues(t, 1, f.calls.Load(), code)
	}
}

func TestRetryingKeepsToTheContext(t *testing.T) {
	t.Parallel()
	f := script(``, sdk.ErrUnavailable, sdk.ErrUnavailable)
	short, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err := client(f).Check(short, "u", "a:b")
	require.ErrorIs(t, err, sdk.ErrUnavailable, "no pause that ends after the deadline")
	assert.EqualValues(t, 1, f.calls.Load())

	f = &fake{}
	cancelled, cancel := context.WithCancel(t.Context())
	f.answer = func(context.Context, *contract.Spec, string) (string, error) {
		cancel()
		return "", sdk.ErrUnavailable
	}
	_, err = client(f).Check(cancelled, "u", "a:b")
	require.ErrorIs(t, err, context.Canceled)
	assert.EqualValues(t, 1, f.calls.Load())
}

func TestCallsWithoutADeadlineHaveTheOperations(t *testing.T) {
	t.Parallel()
	var left time.Duration
	f := &fake{answer: func(ctx context.Context, _ *contract.Spec, _ string) (string, error) {
		deadline, ok := ctx.Deadline()
		assert.True(t, ok)
		left = time.Until(deadline)
		return `{}`, nil
	}}
	_, err := sdk.Call(t.Context(), f, contract.CheckPermission, nil)
	require.NoError(t, err)
	assert.Greater(t, left, contract.CheckPermission.Timeout)
	assert.Less(t, left, 2*contract.CheckPermission.Timeout)

	short, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = sdk.Call(short, f, contract.CheckPermission, nil)
	require.NoError(t, err)
	assert.LessOrEqual(t, left, time.Second)
}

func TestRequestsThatCannotBeSentAreNot(t *testing.T) {
	t.Parallel()
	f := script(`{"status":"logged"}`)
	event := sdk.AuditEvent{UserID: "u", Action: "a", ResourceType: "r"}

	event.Details = strings.Repeat("x", contract.MaxBody)
	require.ErrorIs(t, client(f).LogAudit(t.Context(), event), sdk.ErrPayloadTooLarge)
	event.Details = func() {}
	require.ErrorIs(t, client(f).LogAudit(t.Context(), event), sdk.ErrInvalidArgument)
	event.Details = json.RawMessage(`{`)
	require.ErrorIs(t, client(f).LogAudit(t.Context(), event), sdk.ErrInvalidArgument)
	assert.Zero(t, f.calls.Load())
}

func TestSentinelsCoverEveryCode(t *testing.T) {
	t.Parallel()
	sentinels := []*sdk.Error{
		sdk.ErrInvalidArgument, sdk.ErrUnauthenticated, sdk.ErrPermissionDenied, sdk.ErrNotFound, sdk.ErrAlreadyExists,
		sdk.ErrConflict, sdk.ErrPayloadTooLarge, sdk.ErrUnsupportedMediaType, sdk.ErrMethodNotAllowed, sdk.ErrRateLimited,
		sdk.ErrUnavailable, sdk.ErrDeadlineExceeded, sdk.ErrInternal,
	}
	codes := contract.Codes()
	for _, s := range sentinels {
		assert.Contains(t, codes, s.Code)
		delete(codes, s.Code)
		assert.True(t, errors.Is(sdk.Errorf(s, "because %d", 1), s))
	}
	assert.Empty(t, codes, "codes without a sentinel")
}
