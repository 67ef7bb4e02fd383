package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// build compiles the command once.
func (f *fixture) build(ctx context.Context) (path string, err error) {
	path = filepath.Join(f.dir, "buildify")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	out, err := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/buildify/core/cmd/buildify").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return path, nil
}

func (f *fixture) readyFile(name string) string { return filepath.Join(f.dir, name+".json") }

// startReplica runs another rbac as a process of its own, on the same bus and
// the same database, and returns its process id once it is ready.
func (f *fixture) startReplica(ctx context.Context, name string, environment ...string) (pid int, err error) {
	return f.startApart(ctx, name, []string{"rbac", "--database-url", f.database}, environment...)
}

// startApart runs a service as a process of its own, and returns its process id
// once it is ready, which its ready file says.
func (f *fixture) startApart(ctx context.Context, name string, service []string, environment ...string) (pid int, err error) {
	buildify, err := f.build(ctx)
	if err != nil {
		return 0, err
	}
	ready := f.readyFile(name)
	var log bytes.Buffer
	cmd := exec.Command(buildify, slices.Concat([]string{"serve"}, service, []string{
		"--nats-url", f.core.NATSURL, "--credentials", f.core.Credentials(), "--ready-file", ready,
	})...)
	cmd.Env = append(os.Environ(), environment...)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // its state tells
		close(exited)
	}()
	f.stack.Push(name, func(ctx context.Context) error {
		_ = cmd.Process.Signal(syscall.SIGTERM) // gone already is as good
		select {
		case <-exited:
			return nil
		case <-ctx.Done():
			return errors.Join(ctx.Err(), cmd.Process.Kill())
		}
	})
	for {
		if _, err := os.Stat(ready); err == nil {
			return cmd.Process.Pid, nil
		}
		select {
		case <-exited:
			return 0, fmt.Errorf("%s: %v: %s", name, cmd.ProcessState, log.String())
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}
