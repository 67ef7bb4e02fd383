// Package limit paces callers of the bridge, each by a quota of their own.
package limit

import (
	"hash/maphash"
	"sync"
	"time"
)

const shards = 64

// Limiter counts requests by key with the generic cell rate algorithm (GCRA):
// of each key it keeps one number, the time at which its quota is whole again.
// A key whose time has come needs no memory. It is safe for concurrent use.
type Limiter[K comparable] struct {
	start  time.Time
	seed   maphash.Seed
	room   int // keys a shard remembers
	shards [shards]shard[K]
}

type shard[K comparable] struct {
	mu    sync.Mutex
	whole map[K]time.Duration // since start
	swept time.Duration
	_     [64]byte // apart from the next shard's lock
}

// New returns a Limiter that remembers about as many keys. When there are more
// at once, one of them is forgotten for each that comes, and begins anew.
func New[K comparable](keys int) *Limiter[K] {
	l := &Limiter[K]{start: time.Now(), seed: maphash.MakeSeed(), room: max(keys/shards, 1)}
	for i := range l.shards {
		l.shards[i].whole = map[K]time.Duration{}
	}
	return l
}

// Verdict is what became of a request.
type Verdict struct {
	OK bool
	// Remaining requests may follow at once.
	Remaining int
	// Whole is how long until the quota is whole again, Retry how long until
	// the next request can pass after one that was refused.
	Whole, Retry time.Duration
}

// Take takes one request from the key's quota, if there is one left.
func (l *Limiter[K]) Take(key K, class Class) Verdict {
	return l.take(key, class, time.Since(l.start))
}

func (l *Limiter[K]) take(key K, class Class, now time.Duration) Verdict {
	each := window / time.Duration(class.Requests)
	s := &l.shards[maphash.Comparable(l.seed, key)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	was, known := s.whole[key]
	whole := max(was, now) + each
	if used := whole - now; used > window {
		return Verdict{Whole: used - each, Retry: used - window}
	}
	if !known {
		s.makeRoom(l.room, now)
	}
	s.whole[key] = whole
	return Verdict{OK: true, Remaining: int((window - (whole - now)) / each), Whole: whole - now}
}

// makeRoom forgets the keys whose quota is whole, or else any one. It looks at
// all of them once a second at most.
func (s *shard[K]) makeRoom(room int, now time.Duration) {
	if len(s.whole) < room {
		return
	}
	if now-s.swept >= time.Second {
		s.swept = now
		for key, whole := range s.whole {
			if whole <= now {
				delete(s.whole, key)
			}
		}
	}
	for key := range s.whole {
		if len(s.whole) < room {
			return
		}
		delete(s.whole, key)
	}
}
