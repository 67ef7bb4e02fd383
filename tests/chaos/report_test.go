package chaos

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// report is what a run found, a line a visit.
type report struct {
	seed uint64

	mu    sync.Mutex
	lines []line
}

// line is one visit of a fault: the events that modules logged, and the rows
// that changes made, against what the trail has of them.
type line struct {
	fault string
	kills int
	figures
	took, settled time.Duration
	failed        bool
}

const header = "fault                                    kills   sent  acked present  dupl  unacked-present    rows  row-events   trail  reordered  settled   took"

func (l line) String() string {
	verdict := ""
	if l.failed {
		verdict = "  FAILED"
	}
	return fmt.Sprintf("%-40s %5d %6d %6d %7d %5d %16d %7d %11d %7d %10d %8v %6v%s",
		l.fault, l.kills, l.sent, l.acked, l.present, l.duplicates, l.unackedPresent, l.rows, l.rowEvents, l.trail, l.reordered,
		l.settled.Round(10*time.Millisecond), l.took.Round(100*time.Millisecond), verdict)
}

func (r *report) add(l line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, l)
}

func (r *report) kills() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.lines {
		n += l.kills
	}
	return n
}

// table is the end of the run.
func (r *report) table() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	sum := line{fault: "all"}
	var b strings.Builder
	fmt.Fprintf(&b, "CHAOS_SEED=%d\n%s\n", r.seed, header)
	for _, l := range r.lines {
		fmt.Fprintln(&b, l)
		sum.kills += l.kills
		sum.figures.add(l.figures)
		sum.took += l.took
		sum.settled = max(sum.settled, l.settled)
		sum.failed = sum.failed || l.failed
	}
	fmt.Fprintln(&b, sum)
	return b.String()
}
