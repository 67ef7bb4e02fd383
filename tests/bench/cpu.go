package main

import (
	"bytes"
	"context"
	"fmt"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/pprof/profile"
)

// used is the CPU time that this process has taken: callers, servers and
// services; PostgreSQL apart.
func used() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0 // there is no figure then
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// asCaller runs work so that a CPU profile tells its goroutines, and those that
// they start, from the rest.
func asCaller(ctx context.Context, work func(context.Context)) {
	pprof.Do(ctx, pprof.Labels("side", "caller"), work)
}

// shares measures, while work runs, which share of the CPU time is not the
// callers', and which is under a function whose name begins like one of these.
func shares(work func() error, functions ...string) (server, under float64, err error) {
	var data bytes.Buffer
	if err := pprof.StartCPUProfile(&data); err != nil {
		return 0, 0, err
	}
	err = work()
	pprof.StopCPUProfile()
	if err != nil {
		return 0, 0, err
	}
	p, err := profile.Parse(&data)
	if err != nil {
		return 0, 0, fmt.Errorf("CPU profile: %w", err)
	}
	var all, servers, unders int64
	for _, sample := range p.Sample {
		nanos := sample.Value[len(sample.Value)-1]
		all += nanos
		if !sample.HasLabel("side", "caller") {
			servers += nanos
		}
		if below(sample, functions) {
			unders += nanos
		}
	}
	return float64(servers) / float64(all), float64(unders) / float64(all), nil
}

func below(sample *profile.Sample, functions []string) bool {
	for _, location := range sample.Location {
		for _, line := range location.Line {
			if slices.ContainsFunc(functions, func(f string) bool { return strings.HasPrefix(line.Function.Name, f) }) {
				return true
			}
		}
	}
	return false
}
