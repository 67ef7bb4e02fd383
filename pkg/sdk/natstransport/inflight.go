package natstransport

import (
	"context"
	"sync"
)

// inflight knows the calls that wait for an answer, so that what the server
// says beside the answers (a violation, a broken connection) ends them at once
// and not at their deadline.
type inflight struct {
	mu   sync.Mutex
	next uint64
	// by subject, then by number
	waiting map[string]map[uint64]context.CancelCauseFunc
}

func newInflight() *inflight {
	return &inflight{waiting: map[string]map[uint64]context.CancelCauseFunc{}}
}

// add registers a call; the function it returns takes it out again.
func (f *inflight) add(subject string, abort context.CancelCauseFunc) (done func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	number := f.next
	if f.waiting[subject] == nil {
		f.waiting[subject] = map[uint64]context.CancelCauseFunc{}
	}
	f.waiting[subject][number] = abort
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.waiting[subject], number)
	}
}

// abort ends the calls on a subject, or all when it is empty.
func (f *inflight) abort(subject string, cause error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s, calls := range f.waiting {
		if subject != "" && s != subject {
			continue
		}
		for _, abort := range calls {
			abort(cause)
		}
	}
}
