package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/tests/stack"
)

// fault is something that breaks for a while. begin breaks it and returns what
// heals it; when that returns all is whole again.
type fault struct {
	family family
	name   string
	lasts  time.Duration
	slow   bool // not for a short run
	begin  func(t *testing.T) (heal func())
}

// family is what breaks. Of two faults at once they differ; the later one in
// this order comes and goes within the other, as a process cannot start without
// the bus and the database.
type family int

const (
	replica family = iota
	lines
	bus
	postgres
)

// resume is how long a client may take to decide locally again after a fault.
const resume = 20 * time.Second

// faults lists what may break.
func (s *soak) faults() (all []fault) {
	for i, p := range s.replicas {
		all = append(all,
			fault{replica, fmt.Sprintf("rbac %d killed", i+1), 500 * time.Millisecond, false, func(*testing.T) func() {
				p.Kill()
				return p.Start
			}},
			fault{replica, fmt.Sprintf("rbac %d stopped", i+1), 500 * time.Millisecond, false, func(*testing.T) func() {
				p.Terminate()
				return p.Start
			}},
			fault{replica, fmt.Sprintf("rbac %d frozen", i+1), 6 * time.Second, true, func(*testing.T) func() {
				p.Freeze()
				return p.Thaw
			}},
		)
	}
	for _, a := range s.askers {
		all = append(all,
			fault{lines, a.name + " cut", time.Second, false, func(*testing.T) func() {
				a.line.Cut(true)
				return a.line.Heal
			}},
			fault{lines, a.name + " cut for a moment", 0, false, func(*testing.T) func() {
				a.line.Cut(true)
				return a.line.Heal
			}},
			fault{lines, a.name + " hung", 2500 * time.Millisecond, false, func(*testing.T) func() {
				a.line.Hang()
				return a.line.Heal
			}},
			fault{lines, a.name + " hung for long", 4 * time.Second, true, func(*testing.T) func() {
				a.line.Hang()
				return a.line.Heal
			}},
		)
	}
	return append(all,
		fault{bus, "nats-server killed", 200 * time.Millisecond, false, func(*testing.T) func() {
			s.stack.Bus.Kill()
			return s.stack.Bus.Start
		}},
		fault{replica, "both rbac killed", 500 * time.Millisecond, false, func(*testing.T) func() {
			s.replicas[0].Kill()
			s.replicas[1].Kill()
			return func() {
				s.replicas[0].Start()
				s.replicas[1].Start()
			}
		}},
		fault{postgres, "PostgreSQL's revisions locked", 2500 * time.Millisecond, false, s.lockRevisions},
		fault{postgres, "PostgreSQL lost all connections", 1200 * time.Millisecond, false, func(t *testing.T) func() {
			s.sql(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
			return func() {}
		}},
	)
}

// lockRevisions has every question to the revisions wait, so that nobody can
// commit a change or see whether there is one.
func (s *soak) lockRevisions(t *testing.T) func() {
	conn, err := pgx.Connect(stack.Context(t), s.stack.DatabaseURL)
	require.NoError(t, err)
	tx, err := conn.Begin(stack.Context(t))
	require.NoError(t, err)
	_, err = tx.Exec(stack.Context(t), "LOCK TABLE rbac.revisions IN ACCESS EXCLUSIVE MODE")
	require.NoError(t, err)
	return func() {
		require.NoError(t, tx.Rollback(stack.Context(t)))
		require.NoError(t, conn.Close(stack.Context(t)))
	}
}

func (s *soak) sql(t *testing.T, statement string) {
	conn, err := pgx.Connect(stack.Context(t), s.stack.DatabaseURL)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	_, err = conn.Exec(stack.Context(t), statement)
	require.NoError(t, err)
}

// breakSome lets a fault happen, perhaps with one of another family in the midst
// of it, and waits until everybody decides locally again by themselves.
func (s *soak) breakSome(t *testing.T, draw *rand.Rand, f fault, also ...fault) {
	t.Helper()
	name := f.name
	if len(also) > 0 && also[0].family < f.family {
		f, also[0] = also[0], f
	}
	heal, left := f.begin(t), f.lasts
	if len(also) > 0 {
		other := also[0]
		name = f.name + " + " + other.name
		offset := time.Duration(draw.Int64N(int64(f.lasts + time.Millisecond)))
		<-time.After(offset)
		healOther := other.begin(t)
		<-time.After(other.lasts)
		healOther()
		left -= offset + other.lasts
	}
	if left > 0 {
		<-time.After(left)
	}
	heal()
	healed := time.Now()
	s.awaitLocal(t, healed, "after "+name)
	s.report.fault(name, time.Since(healed))
}

// shuffled is all faults in an order of the seed's.
func shuffled(r *rand.Rand, all []fault) []fault {
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}
