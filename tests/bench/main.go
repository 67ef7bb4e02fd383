// Command bench measures the core against the bare libraries it stands on, in
// one run: medians of interleaved rounds, each figure with its ratio to its
// limit. It prints a table and writes the figures as JSON.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"sync"
	"text/tabwriter"
	"time"
)

// Figure is one line of the result.
type Figure struct {
	Name    string  `json:"name"`
	Callers int     `json:"callers"`
	Ops     float64 `json:"ops_per_s"`
	P50     float64 `json:"p50_us"`
	P99     float64 `json:"p99_us"`
	CPU     float64 `json:"cpu_us"` // of the whole process, callers included
	Limit   string  `json:"limit"`
	Ratio   float64 `json:"ratio"`
}

// target is something to call: op is called again and again by each caller,
// with the number of the caller and of the call, and checks its answer itself.
type target struct {
	name, limit string
	op          func(ctx context.Context, caller, n int) error
}

// callers are how many call at once. Each has a connection of its own, as
// modules have.
var callers = []int{1, 32, 128}

func main() {
	output := flag.String("output", "build/bench.json", "file to write the figures to")
	rounds := flag.Int("rounds", 5, "interleaved rounds, of which the median counts")
	length := flag.Duration("length", time.Second, "length of one measurement")
	only := flag.String("only", "", "measure only the target of this name, with 32 callers, or identity, decisions, of those local or propagation, or growth, or audit log, audit ingest, audit reading, call records or subscribers, and write no figures")
	profile := flag.String("cpuprofile", "", "with --only: file to write a CPU profile to")
	largest := flag.Int("users", 1_000_000, "with --only growth: how many users there are at most")
	trailed := flag.Int("events", 10_000_000, "with --only \"audit reading\": how many events there are in the table")
	flag.Parse()
	work := func() error { return run(*output, *rounds, *length) }
	switch *only {
	case "":
	case "identity":
		work = identityOnly
	case "decisions":
		work = func() error { return decisionsOnly(*rounds, *length) }
	case "local", "propagation":
		work = func() error { return partOnly(*only) }
	case "audit log":
		work = func() error { return auditLogOnly(*rounds, *length) }
	case "growth":
		work = func() error { return growthOnly(*largest) }
	case "audit ingest":
		work = auditIngestOnly
	case "audit reading":
		work = func() error { return auditReadingOnly(*trailed) }
	case "call records":
		work = callRecordsOnly
	case "subscribers":
		work = subscribersOnly
	default:
		work = func() error { return single(*only, *profile, *length) }
	}
	if err := work(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(output string, rounds int, length time.Duration) error {
	ctx := context.Background()
	fixture, err := start(ctx)
	if err != nil {
		return err
	}
	defer fixture.stop()
	figures, err := interleaved(ctx, fixture.targets(), rounds, length)
	if err != nil {
		return err
	}
	table(figures)
	fmt.Fprintln(os.Stderr, "identity")
	identity, err := fixture.identity(ctx)
	if err != nil {
		return err
	}
	identity.print()
	fmt.Fprintln(os.Stderr, "decisions")
	decisions, err := fixture.decisions(ctx)
	if err != nil {
		return err
	}
	decisions.print()
	body, err := json.MarshalIndent(map[string]any{"figures": figures, "identity": identity, "decisions": decisions}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(output), 0o755); err != nil {
		return err
	}
	return os.WriteFile(output, append(body, '\n'), 0o644)
}

// interleaved measures the targets in turn, as often as there are rounds.
func interleaved(ctx context.Context, targets []target, rounds int, length time.Duration) ([]Figure, error) {
	samples := map[string][]Figure{}
	for round := range rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, rounds)
		for _, n := range callers {
			for _, t := range targets {
				figure, err := measure(ctx, t, n, length)
				if err != nil {
					return nil, fmt.Errorf("%s with %d callers: %w", t.name, n, err)
				}
				key := fmt.Sprintf("%s/%d", t.name, n)
				samples[key] = append(samples[key], figure)
			}
		}
	}
	return summarise(targets, samples), nil
}

// identityOnly measures logins and revocations and nothing else.
func identityOnly() error {
	ctx := context.Background()
	fixture, err := start(ctx)
	if err != nil {
		return err
	}
	defer fixture.stop()
	identity, err := fixture.identity(ctx)
	if err == nil {
		identity.print()
	}
	return err
}

// single measures one target, for a profile.
func single(name, profile string, length time.Duration) error {
	ctx := context.Background()
	fixture, err := start(ctx)
	if err != nil {
		return err
	}
	defer fixture.stop()
	if profile != "" {
		file, err := os.Create(profile)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	for _, t := range fixture.targets() {
		if t.name == name {
			figure, err := measure(ctx, t, 32, length)
			table([]Figure{figure})
			return err
		}
	}
	return fmt.Errorf("no target %q", name)
}

// measure has callers call the target for length. A wrong answer ends it.
func measure(ctx context.Context, t target, callers int, length time.Duration) (Figure, error) {
	ctx, cancel := context.WithTimeout(ctx, length+10*time.Second)
	defer cancel()
	for n := range 2 * callers { // warm connections and caches
		if err := t.op(ctx, n%callers, n); err != nil {
			return Figure{}, err
		}
	}
	var mu sync.Mutex
	var all []time.Duration
	var failed error
	var wg sync.WaitGroup
	begin, before := time.Now(), used()
	call := func(caller int) {
		wg.Go(func() {
			took := make([]time.Duration, 0, 1<<15)
			var err error
			for n := caller; err == nil && time.Since(begin) < length; n += callers {
				start := time.Now()
				err = t.op(ctx, caller, n)
				took = append(took, time.Since(start))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			failed = cmp.Or(failed, err)
		})
	}
	asCaller(ctx, func(context.Context) {
		for caller := range callers {
			call(caller)
		}
	})
	wg.Wait()
	elapsed, busy := time.Since(begin), used()-before
	slices.Sort(all)
	return Figure{
		Name: t.name, Callers: callers, Limit: t.limit,
		Ops: float64(len(all)) / elapsed.Seconds(),
		P50: micros(all[len(all)/2]), P99: micros(all[len(all)*99/100]), CPU: micros(busy) / float64(len(all)),
	}, failed
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

// summarise takes the medians over the rounds; a ratio is the median of the
// rounds' ratios, since both sides of it saw the same moment's machine.
func summarise(targets []target, samples map[string][]Figure) []Figure {
	var figures []Figure
	for _, t := range targets {
		for _, n := range callers {
			own := samples[fmt.Sprintf("%s/%d", t.name, n)]
			f := own[0]
			f.Ops = median(own, func(f Figure) float64 { return f.Ops })
			f.P50 = median(own, func(f Figure) float64 { return f.P50 })
			f.P99 = median(own, func(f Figure) float64 { return f.P99 })
			f.CPU = median(own, func(f Figure) float64 { return f.CPU })
			f.Ratio = 1
			if limit := samples[fmt.Sprintf("%s/%d", t.limit, n)]; t.limit != "" {
				ratios := slices.Clone(own)
				for i := range ratios {
					ratios[i].Ratio = own[i].Ops / limit[i].Ops
				}
				f.Ratio = median(ratios, func(f Figure) float64 { return f.Ratio })
			}
			figures = append(figures, f)
		}
	}
	return figures
}

func median(figures []Figure, of func(Figure) float64) float64 {
	var values []float64
	for _, f := range figures {
		values = append(values, of(f))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func table(figures []Figure) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w, "| name |\t callers |\t ops/s |\t p50 µs |\t p99 µs |\t CPU µs |\t limit |\t ratio |\t")
	fmt.Fprintln(w, "|---|\t---|\t---|\t---|\t---|\t---|\t---|\t---|\t")
	for _, f := range figures {
		fmt.Fprintf(w, "| %s |\t %d |\t %.0f |\t %.0f |\t %.0f |\t %.0f |\t %s |\t %.2f |\t\n",
			f.Name, f.Callers, f.Ops, f.P50, f.P99, f.CPU, cmp.Or(f.Limit, "–"), f.Ratio)
	}
	_ = w.Flush() // standard output
}
