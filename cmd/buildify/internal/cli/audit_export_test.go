package cli

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
)

// An export that broke off goes on where it was, with the times that it began
// with, when it is asked for by the same flags; by others it is refused.
func TestAnExportGoesOnByTheSameFlags(t *testing.T) {
	t.Parallel()
	output := filepath.Join(t.TempDir(), "trail.jsonl")
	asked := func(from, action string) *auditExport {
		at, err := moment("from", from)
		require.NoError(t, err)
		x := &auditExport{output: output, log: io.Discard, request: contract.ExportAuditRequest{Action: action, From: at}}
		x.filter.from = from
		return x
	}
	x := asked("24h", "a")
	state, err := x.begun()
	require.NoError(t, err)
	began := *state.Request.From
	file, err := os.Create(output + ".part")
	require.NoError(t, err)
	_, err = file.WriteString("one\ntwo\nhalf of thr")
	require.NoError(t, err)
	state.Bytes, state.Events, state.Request.Cursor = 8, 2, "2.0.9"
	require.NoError(t, x.save(file, state))
	require.NoError(t, file.Close())

	again, err := asked("24h", "a").begun()
	require.NoError(t, err)
	require.WithinDuration(t, began, *again.Request.From, time.Microsecond)
	require.Equal(t, "2.0.9", again.Request.Cursor)
	require.EqualValues(t, 8, again.Bytes)
	for _, other := range []*auditExport{asked("24h", "b"), asked("25h", "a")} {
		_, err = other.begun()
		require.ErrorContains(t, err, "other flags")
	}
	require.NoError(t, os.Truncate(output+".part", 3)) // what was written is not there
	again, err = asked("24h", "a").begun()
	require.NoError(t, err)
	require.Zero(t, again.Bytes)
	require.Empty(t, again.Request.Cursor)
}
