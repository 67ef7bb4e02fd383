package limit

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var six = Class{6} // one each ten seconds

func TestAQuotaMayBeSpentAtOnceAndComesBackEvenly(t *testing.T) {
	t.Parallel()
	l := New[string](100)
	for left := 5; left >= 0; left-- {
		v := l.take("a", six, 0)
		require.Equal(t, Verdict{OK: true, Remaining: left, Whole: time.Duration(6-left) * 10 * time.Second}, v)
	}
	require.Equal(t, Verdict{Whole: time.Minute, Retry: 10 * time.Second}, l.take("a", six, 0))
	require.Equal(t, time.Second, l.take("a", six, 9*time.Second).Retry, "a refusal costs nothing")
	require.True(t, l.take("a", six, 10*time.Second).OK)
	require.False(t, l.take("a", six, 10*time.Second).OK)
	require.Equal(t, 5, l.take("a", six, 2*time.Minute).Remaining, "no more than the whole is saved up")
}

func TestEachKeyHasItsOwnQuota(t *testing.T) {
	t.Parallel()
	l := New[string](100)
	for range 7 {
		l.take("a", six, 0)
	}
	require.False(t, l.take("a", six, 0).OK)
	require.Equal(t, 5, l.take("b", six, 0).Remaining)
}

func TestTheQuotaHoldsAmongManyAtOnce(t *testing.T) {
	t.Parallel()
	l := New[int](100)
	var passed atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				if l.take(1, Class{600}, 0).OK {
					passed.Add(1)
				}
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 600, passed.Load())
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	const keys = 64 * shards
	l := New[int](keys)
	count := func() (n int) {
		for i := range l.shards {
			n += len(l.shards[i].whole)
		}
		return n
	}
	for i := range 10 * keys {
		require.True(t, l.take(i, six, 0).OK)
	}
	require.LessOrEqual(t, count(), keys)
	require.Greater(t, count(), keys/2, "others are forgotten only for want of room")
	for i := range 2 * keys { // all of the former are whole by now
		l.take(-i-1, six, time.Hour)
	}
	require.LessOrEqual(t, count(), keys)
}

func TestTheCallerIsToldTheQuota(t *testing.T) {
	t.Parallel()
	h := http.Header{}
	Verdict{OK: true, Remaining: 599, Whole: 100 * time.Millisecond}.Announce(h, "key", Class{600})
	require.Equal(t, `"key";q=600;w=60`, h.Get("RateLimit-Policy"))
	require.Equal(t, `"key";r=599;t=1`, h.Get("RateLimit"))
	require.Equal(t, 1, Verdict{Retry: time.Millisecond}.RetryAfter())
	require.Equal(t, 11, Verdict{Retry: 10*time.Second + 1}.RetryAfter())
}

func TestAKeysClassIsKnownByName(t *testing.T) {
	t.Parallel()
	for name, class := range map[string]Class{"standard": Standard, "high": High, "bulk": Bulk, "": Standard, "unheard of": Standard} {
		require.Equal(t, class, OfKey(name), name)
	}
}

func BenchmarkTake(b *testing.B) {
	l := New[string](100_000)
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = fmt.Sprintf("financial-%016d", i)
	}
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			l.Take(keys[i%len(keys)], Bulk)
		}
	})
}
