package password

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAHashOfAnotherCostIsToBeRenewed(t *testing.T) {
	t.Parallel()
	hash, err := NewHasher(1).Hash(context.Background(), "password")
	require.NoError(t, err)
	require.False(t, NeedsRehash(hash))
	for _, other := range []string{"m=8192,t=2,p=1", "m=19456,t=1,p=1", "m=19456,t=2,p=4", "m=194560,t=2,p=1"} {
		require.True(t, NeedsRehash(strings.Replace(hash, "m=19456,t=2,p=1", other, 1)), other)
	}
}
