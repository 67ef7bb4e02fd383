package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/kit"
)

// Growth is how deciding grows with the number of users, each with 5 bindings.
type Growth struct {
	Users   int     `json:"users"`
	Tenants int     `json:"tenants"`
	Hot     float64 `json:"engine_hot_ns"`       // about 10 tenants, again and again
	Cold    float64 `json:"engine_everybody_ns"` // about anybody
	Heap    float64 `json:"engine_mb"`           // of the engine alone
	Fill    float64 `json:"fill_s"`
	Start   float64 `json:"replica_ready_s"` // from the start of the process
	RSS     float64 `json:"replica_rss_mb"`
	Limited float64 `json:"replica_rss_mb_with_memory_limit"`
	Bus     Figure  `json:"bus"`
}

// sizes are the numbers of users; there are up to 10,000 tenants of 100.
var sizes = []int{1_000, 10_000, 100_000, 1_000_000}

func growthOnly(largest int) error {
	fmt.Println(growthHead)
	for _, users := range sizes {
		if users > largest {
			break
		}
		g := Growth{Users: users, Tenants: max(1, users/usersOfOffice)}
		g.engine()
		if err := g.system(context.Background()); err != nil {
			return fmt.Errorf("%d users: %w", users, err)
		}
		g.print()
	}
	return nil
}

const growthHead = `| users | tenants | engine, 10 tenants, ns | engine, anybody, ns | engine MB | filled in s | replica ready in s | replica RSS MB | with GOMEMLIMIT=1200MiB | bus p50 µs | bus p99 µs |
|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|`

func (g *Growth) print() {
	fmt.Printf("| %d | %d | %.0f | %.0f | %.0f | %.0f | %.1f | %.0f | %.0f | %.0f | %.0f |\n", g.Users, g.Tenants, g.Hot, g.Cold, g.Heap,
		g.Fill, g.Start, g.RSS, g.Limited, g.Bus.P50, g.Bus.P99)
}

// engine measures the engine alone: what it takes of memory, and its answers.
func (g *Growth) engine() {
	type asked struct {
		tenant   string
		question decision.Question
	}
	before := inUse()
	e, questions := decision.NewEngine(), make([]asked, 0, 1<<17)
	random := rand.New(rand.NewPCG(8, 8))
	every := max(1, g.Users/cap(questions))
	for range g.Tenants {
		t := newTown(random)
		e.Put(t.id, decision.New().Apply(1, t.changes()))
		for i := 0; i < len(t.users); i += every {
			questions = append(questions, asked{strings.Clone(t.id), decision.Question{
				User: strings.Clone(t.users[i]), Permission: townCodes[random.IntN(len(townCodes))], Unit: strings.Clone(t.units[random.IntN(len(t.units))]),
			}})
		}
	}
	ask := func(among []asked) float64 {
		random.Shuffle(len(among), func(i, j int) { among[i], among[j] = among[j], among[i] })
		m, _ := timed("", "", func(n int) error { // it does not fail
			q := &among[n%len(among)]
			e.Policy(q.tenant).Check(q.question, decision.Now)
			return nil
		})
		return m.Nanos
	}
	few := slices.Clone(questions[:min(1000/every, len(questions))]) // of 10 tenants
	g.Hot, g.Cold = ask(few), ask(questions)
	g.Heap = float64(inUse()-before) / 1e6
	runtime.KeepAlive(e)
}

func inUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// system fills a database, runs the core upon it, and measures a further replica
// of rbac that starts.
func (g *Growth) system(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Minute)
	defer cancel()
	f := &fixture{}
	defer f.stop()
	if err := f.startDatabase(ctx); err != nil {
		return err
	}
	begin := time.Now()
	users, err := fillTowns(ctx, f.database, g.Tenants)
	if err != nil {
		return err
	}
	g.Fill = time.Since(begin).Seconds()
	if err := f.startPlatform(ctx); err != nil {
		return err
	}
	if _, err := f.build(ctx); err != nil {
		return err
	}
	begin = time.Now()
	pid, err := f.startReplica(ctx, "replica")
	if err != nil {
		return err
	}
	g.Start = time.Since(begin).Seconds()
	g.RSS = highest(pid)
	if pid, err = f.startReplica(ctx, "limited", memoryLimit); err != nil {
		return err
	}
	g.Limited = highest(pid)
	g.Bus, err = measure(ctx, target{name: "rbac.check", op: func(ctx context.Context, _, n int) error {
		_, err := kit.Call(ctx, f.core.Client, contract.CheckPermission, &contract.CheckRequest{
			UserID: contract.ID(users[n*7919%len(users)]), Permission: townCodes[n%len(townCodes)],
		})
		return err
	}}, 1, 3*time.Second)
	return err
}

// memoryLimit bounds what a Go process lets garbage take.
const memoryLimit = "GOMEMLIMIT=1200MiB"

// highest is the most resident memory that a process had, in megabytes.
func highest(pid int) float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0 // not Linux: then there is no figure
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kb float64
	_, _ = fmt.Sscan(rest, &kb)
	return kb / 1024
}
