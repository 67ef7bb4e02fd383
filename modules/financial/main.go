// Command financial is an example module of Buildify Core: a chart of accounts
// and invoices for the tenants that enabled it. It uses package sdk and the
// standard library, nothing else.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/buildify/core/modules/financial/internal/ledger"
	"github.com/buildify/core/modules/financial/internal/web"
	"github.com/buildify/core/pkg/sdk"
)

const usage = `financial: accounts and invoices, an example module of Buildify Core.

It asks the core over the bus when CORE_NATS_URL is set, over HTTP otherwise.

Environment:
  CORE_API_KEY     the module's API key (required)
  CORE_API_URL     root of the core's HTTP API, such as http://127.0.0.1:8080
  CORE_NATS_URL    the core's bus, such as nats://127.0.0.1:4222
  FINANCIAL_ADDR   the default of --addr
  FINANCIAL_DATA   the default of --data

Flags:
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "financial:", err)
		os.Exit(1)
	}
}

type config struct{ addr, data, readyFile string }

func parse(args []string, stdout io.Writer) (config, error) {
	var cfg config
	address := os.Getenv("FINANCIAL_ADDR")
	if address == "" {
		address = "127.0.0.1:8090"
	}
	flags := flag.NewFlagSet("financial", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // errors are told once, by main
	flags.StringVar(&cfg.addr, "addr", address, "`address` to listen on; port 0 takes a free one")
	flags.StringVar(&cfg.data, "data", os.Getenv("FINANCIAL_DATA"), "`directory` that holds the books; made when missing")
	flags.StringVar(&cfg.readyFile, "ready-file", "", "`file` to write when ready: {\"url\": …}")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		flags.SetOutput(stdout)
		flags.PrintDefaults()
		return cfg, err
	case err != nil:
		return cfg, fmt.Errorf("%w (see --help)", err)
	case flags.NArg() > 0:
		return cfg, fmt.Errorf("%q is not a flag (see --help)", flags.Arg(0))
	case cfg.data == "":
		return cfg, errors.New("nothing says where the books are: set FINANCIAL_DATA or --data to a directory")
	}
	return cfg, nil
}

// run serves until ctx ends or the server fails, and then finishes the
// requests in work.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	cfg, err := parse(args, stdout)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(stderr, nil))

	core, err := sdk.NewFromEnv(ctx, sdk.WithLogger(log))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, core.Close()) }()
	books, err := ledger.Open(cfg.data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, books.Close()) }()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.addr)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           web.New(core, books, log),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second, // longer than verify, check and two audit events may take
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	url := "http://" + listener.Addr().String()
	if err := writeReady(cfg.readyFile, url); err != nil {
		_ = server.Close()
		return err
	}
	fmt.Fprintln(stdout, "financial: serving", url)

	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	return server.Shutdown(closing)
}

// writeReady writes the file whole or not at all; an empty path writes none.
func writeReady(path, url string) error {
	if path == "" {
		return nil
	}
	body, err := json.Marshal(map[string]string{"url": url})
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".ready-*")
	if err != nil {
		return fmt.Errorf("ready file: %w", err)
	}
	_, err = temporary.Write(append(body, '\n'))
	if err = errors.Join(err, temporary.Close()); err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		_ = os.Remove(temporary.Name())
		return fmt.Errorf("ready file: %w", err)
	}
	return nil
}
