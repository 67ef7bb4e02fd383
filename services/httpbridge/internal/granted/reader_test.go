package granted

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
)

// A reader that comes from another bridge may be ahead of this one: what it had there
// is not given to it again.
func TestAReaderThatIsAheadIsNotGivenTheSameAgain(t *testing.T) {
	t.Parallel()
	h := &Hub{topics: map[string]*topic{}, ofKey: map[string]int{}, reads: true, through: 5}
	ahead := uint64(8)
	r, err := h.Open(&contract.VerifyKeyResponse{Module: "crm"}, &ahead, func(string, string) bool { return true }, func(error) {})
	require.NoError(t, err)
	for range 2 {
		frames, _, behind := r.take()
		require.False(t, behind)
		require.Empty(t, frames)
		require.Equal(t, ":\n\n", string(r.Beat()))
	}
	for sequence := uint64(6); sequence <= 9; sequence++ {
		h.topics["crm"].add(kept{sequence: sequence, frame: []byte{byte(sequence)}})
		h.through = sequence
	}
	frames, _, _ := r.take()
	require.Equal(t, [][]byte{{9}}, frames)
}
