// Package natsserver runs the bus inside the process, for development and
// tests, from the same configuration file as production. Only this package
// links nats-server; services connect with package natsconn.
package natsserver

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Config says where the server finds its configuration and keeps its data.
type Config struct {
	// Dir was prepared by Init.
	Dir string
	// Listen is host:port, "127.0.0.1:4222" when empty; port 0 takes a free one.
	Listen string
	// StoreDir keeps JetStream's files; when empty, what local.conf says.
	StoreDir string
	// Log receives the server's log. Nil is silent.
	Log *slog.Logger
}

// Server is a running nats-server. Its methods may be called concurrently.
//
//	Start ──▶ running ── Stop ──▶ stopped
type Server struct {
	nats *server.Server
	stop sync.Once
	done chan struct{}
}

// Start runs a server and returns once it accepts connections. It takes no
// signals. ctx bounds the start only.
func Start(ctx context.Context, cfg Config) (_ *Server, err error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	opts, err := options(cfg)
	if err != nil {
		return nil, fmt.Errorf("natsserver: %w", err)
	}
	ns, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("natsserver: %w", err)
	}
	log := newLogger(cfg.Log)
	ns.SetLoggerV2(log, false, false, false)
	s := &Server{nats: ns, done: make(chan struct{})}
	defer func() {
		if err != nil {
			_ = s.Stop(context.WithoutCancel(ctx))
		}
	}()

	ns.Start() // everything is up when it returns, or Fatalf was called
	select {
	case err := <-log.failed:
		return nil, fmt.Errorf("natsserver: %w", err)
	default:
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("natsserver: start: %w", err)
	}
	if !ns.ReadyForConnections(readyLimit) {
		return nil, fmt.Errorf("natsserver: not ready for connections after %v", readyLimit)
	}
	return s, nil
}

const readyLimit = 5 * time.Second

func options(cfg Config) (*server.Options, error) {
	host, port, err := net.SplitHostPort(cmp.Or(cfg.Listen, "127.0.0.1:4222"))
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	opts, err := server.ProcessConfigFile(filepath.Join(cfg.Dir, configFile))
	if err != nil {
		return nil, fmt.Errorf("configuration (made by `buildify nats init`): %w", err)
	}
	opts.Host, opts.Port = host, int(number)
	if number == 0 {
		opts.Port = server.RANDOM_PORT
	}
	opts.StoreDir = cmp.Or(cfg.StoreDir, opts.StoreDir)
	opts.NoSigs = true
	return opts, nil
}

// URL is where clients connect.
func (s *Server) URL() string { return s.nats.ClientURL() }

// InProcess is the option with which a client of this process connects
// without a socket.
func (s *Server) InProcess() nats.Option { return nats.InProcessServer(s.nats) }

// Stop closes every connection and returns when the server's data are on disk
// or ctx ends. It is idempotent.
func (s *Server) Stop(ctx context.Context) error {
	s.stop.Do(func() {
		go func() {
			defer close(s.done)
			s.nats.Shutdown()
			s.nats.WaitForShutdown()
		}()
	})
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("natsserver: stop: %w", ctx.Err())
	}
}
