package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// Decisions is what is measured of rbac beside the table of all operations.
type Decisions struct {
	// ServerMicros is the CPU time of a check at 32 callers that is not the
	// callers'; OwnMicros what of it is spent in our code on the way from the
	// message to the answer.
	ServerMicros float64     `json:"check_server_cpu_us"`
	OwnMicros    float64     `json:"check_own_cpu_us"`
	Local        []Local     `json:"local"`
	Propagation  Propagation `json:"propagation"`
}

// decisions measures all parts of Decisions.
func (f *fixture) decisions(ctx context.Context) (*Decisions, error) {
	d := &Decisions{}
	for _, part := range []func(context.Context, *Decisions) error{f.serverCPU, f.inProcess, f.propagation} {
		if err := part(ctx, d); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// serverCPU profiles checks by 32 callers.
func (f *fixture) serverCPU(ctx context.Context, d *Decisions) error {
	var figure Figure
	server, own, err := shares(func() (err error) {
		figure, err = measure(ctx, f.target(busCheck), 32, 3*time.Second)
		return err
	}, "github.com/buildify/core/pkg/kit.(*Server).receive")
	d.ServerMicros, d.OwnMicros = server*figure.CPU, own*figure.CPU
	return err
}

// callRecordsOnly measures what the records of calls take of the CPU time of checks:
// making them, sending them in batches, and storing them. The callers' time and the
// bus's is in all of it, PostgreSQL's is not.
func callRecordsOnly() error {
	ctx := context.Background()
	f, err := start(ctx)
	if err != nil {
		return err
	}
	defer f.stop()
	var figure Figure
	_, under, err := shares(func() (err error) {
		figure, err = measure(ctx, f.target(busCheck), 32, 10*time.Second)
		return err
	}, "github.com/buildify/core/pkg/kit.(*calls)", "github.com/buildify/core/services/audit/internal/calls.")
	if err != nil {
		return err
	}
	table([]Figure{figure})
	fmt.Printf("\nrecords of calls: %.2f µs of CPU a check, %.1f %% of all\n", under*figure.CPU, under*100)
	return nil
}

func (f *fixture) inProcess(ctx context.Context, d *Decisions) (err error) {
	d.Local, err = f.local(ctx)
	return err
}

func (f *fixture) target(name string) target {
	for _, t := range f.targets() {
		if t.name == name {
			return t
		}
	}
	panic("no target " + name) // a mistake in this package
}

// decisionsOnly measures decisions and nothing else: over the bus, beside the
// echoes, and in the process.
func decisionsOnly(rounds int, length time.Duration) error {
	ctx := context.Background()
	fixture, err := start(ctx)
	if err != nil {
		return err
	}
	defer fixture.stop()
	var targets []target
	for _, name := range []string{natsEcho, busCheck, natsBatchEcho, checkBatch, checkBatchOne} {
		targets = append(targets, fixture.target(name))
	}
	figures, err := interleaved(ctx, targets, rounds, length)
	if err != nil {
		return err
	}
	table(figures)
	d, err := fixture.decisions(ctx)
	if err == nil {
		d.print()
	}
	return err
}

// partOnly measures one part of decisions.
func partOnly(name string) error {
	ctx := context.Background()
	fixture, err := start(ctx)
	if err != nil {
		return err
	}
	defer fixture.stop()
	d := &Decisions{}
	if name == "local" {
		err = fixture.inProcess(ctx, d)
	} else {
		err = fixture.propagation(ctx, d)
	}
	if err == nil {
		d.print()
	}
	return err
}

func (d *Decisions) print() {
	w := os.Stdout
	if d.ServerMicros > 0 {
		fmt.Fprintf(w, "\nA check at 32 callers takes %.0f µs of CPU without the callers' own, %.1f µs of it in our code.\n", d.ServerMicros, d.OwnMicros)
	}
	if len(d.Local) > 0 {
		fmt.Fprintf(w, "\n| in one process | ns | allocations | limit | times as fast |\n|---|--:|--:|---|--:|\n")
	}
	for _, l := range d.Local {
		if l.Limit == "" {
			fmt.Fprintf(w, "| %s | %.0f | %d | – | – |\n", l.Name, l.Nanos, l.Allocs)
			continue
		}
		fmt.Fprintf(w, "| %s | %.0f | %d | %s | %.2f |\n", l.Name, l.Nanos, l.Allocs, l.Limit, l.Ratio)
	}
	d.Propagation.print()
}
