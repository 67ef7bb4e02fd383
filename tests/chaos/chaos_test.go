// Package chaos breaks the platform in every way that it must bear, while modules
// log and people change things, and then looks at what is left: whatever was
// acknowledged must be in the trail exactly once, in sequence and provably, and
// every change must have its event.
//
//	CHAOS=10m       how long; without it a short form of less than a minute
//	CHAOS_SEED=42   what the faults' moments and order are drawn from
package chaos

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/tests/stack"
)

func TestMain(m *testing.M) {
	if os.Getenv(moduleEnv) != "" {
		os.Exit(runModule())
	}
	stack.Main(m)
}

// long is how long a run takes, 0 for the short form.
func long(t testing.TB) time.Duration {
	t.Helper()
	wanted := os.Getenv("CHAOS")
	if wanted == "" {
		return 0
	}
	lasts, err := time.ParseDuration(wanted)
	require.NoError(t, err, "CHAOS is a duration, such as 10m")
	return lasts
}

func seed(t testing.TB) uint64 {
	t.Helper()
	wanted := os.Getenv("CHAOS_SEED")
	if wanted == "" {
		return rand.Uint64()
	}
	seed, err := strconv.ParseUint(wanted, 10, 64)
	require.NoError(t, err, "CHAOS_SEED is a number")
	return seed
}

// drawFor is what a fault's visit draws from: the same whichever faults ran before.
func drawFor(seed uint64, name string) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprint(h, name)
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// TestChaos lets one fault after the other happen to one platform. A long run
// has each at least once, then goes on in rounds until its time is up; each
// visit of a fault has a tenant of its own and is judged by itself.
func TestChaos(t *testing.T) {
	t.Parallel()
	lasts, seed := long(t), seed(t)
	end := time.Now().Add(lasts)
	all := &report{seed: seed}
	defer func() { t.Log("\n" + all.table()) }()
	t.Logf("CHAOS_SEED=%d", seed)
	w := newWorld(t, layout{})
	if lasts == 0 {
		for _, f := range inShort {
			visit(t, w, f, 0, all)
		}
		return
	}
	for round := 1; !t.Failed() && (round == 1 || time.Now().Before(end)); round++ {
		t.Run(fmt.Sprint("round ", round), func(t *testing.T) {
			for _, f := range faults {
				if round == 1 || !f.apart && time.Now().Before(end) {
					visit(t, w, f, round, all)
				}
			}
		})
	}
	if lasts >= 10*time.Minute && !t.Failed() {
		require.GreaterOrEqual(t, all.kills(), 100, "a run of this length kills a hundred times")
	}
}
