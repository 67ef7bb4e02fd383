// Package process runs one service as a process of its own: flags, logs,
// connections, signals and an orderly end.
package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/natsconn"
)

// StopTimeout bounds an orderly end.
const StopTimeout = 10 * time.Second

// Version of this build, stamped by the linker.
var Version = "0.1.0-dev"

// Env is what a process knows once its flags are read and its connections
// are up.
type Env struct {
	kit.Deps
	flags *flags
	stack *Stack
}

// Credential is the path of a seed file of the process's credentials.
func (e *Env) Credential(user string) string {
	return filepath.Join(e.flags.credentials, user+".nk")
}

// Connect makes a further connection to the bus as user; it is closed with
// the process.
func (e *Env) Connect(ctx context.Context, user string) (kit.Deps, error) {
	nc, err := natsconn.Connect(ctx, natsconn.Config{
		URL: e.flags.natsURL, User: user, SeedFile: e.Credential(user), Log: e.Telemetry.Log,
	})
	if err != nil {
		return kit.Deps{}, err
	}
	e.stack.Push("bus "+user, func(context.Context) error { nc.Close(); return nil })
	deps := e.Deps
	deps.NATS = nc
	return deps, nil
}

// flags are those that every service process has.
type flags struct {
	natsURL, credentials, databaseURL, ops, readyFile string
	logLevel                                          string
	traceSample                                       float64
	replicas                                          int
}

// Spec describes a service to Command.
type Spec struct {
	Name, Short string
	// Database says that the service has a schema.
	Database bool
	// Flags adds the service's own flags; nil for none.
	Flags func(*pflag.FlagSet)
	// New makes the service.
	New func(ctx context.Context, env *Env) (kit.Service, error)
}

// Command returns the command that runs the service until SIGINT or SIGTERM,
// or until it fails. Each flag may be given as BUILDIFY_<FLAG> instead.
func Command(spec Spec) *cobra.Command {
	f := &flags{}
	cmd := &cobra.Command{
		Use: spec.Name, Short: spec.Short, Args: cobra.NoArgs, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), spec, f, cmd.ErrOrStderr()) },
	}
	fs := cmd.Flags()
	fs.StringVar(&f.natsURL, "nats-url", "nats://127.0.0.1:4222", "the bus, comma-separated for several servers")
	fs.StringVar(&f.credentials, "credentials", "", "directory with the seeds made by \"buildify nats init\"")
	if spec.Database {
		fs.StringVar(&f.databaseURL, "database-url", "", "PostgreSQL, as postgres://…; its user must be a member of role "+database.Role(spec.Name)+" (or DATABASE_URL)")
	}
	fs.StringVar(&f.ops, "ops", "127.0.0.1:0", "address of /metrics, /healthz and /readyz")
	fs.StringVar(&f.readyFile, "ready-file", "", "file to write when ready, as JSON")
	fs.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	fs.Float64Var(&f.traceSample, "trace-sample", 0.05, "share of traces to record, 0 to 1")
	fs.IntVar(&f.replicas, "replicas", 1, "replicas of the streams, 1 or 3")
	if spec.Flags != nil {
		spec.Flags(fs)
	}
	FromEnvironment(cmd)
	return cmd
}

// FromEnvironment lets every flag of cmd be given as BUILDIFY_<FLAG>, and
// --database-url as DATABASE_URL too. A flag on the command line wins.
func FromEnvironment(cmd *cobra.Command) {
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		var failed error
		cmd.Flags().VisitAll(func(flag *pflag.Flag) {
			name := "BUILDIFY_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
			value, set := os.LookupEnv(name)
			if flag.Name == "database-url" && !set {
				name = "DATABASE_URL"
				value, set = os.LookupEnv(name)
			}
			if set && !flag.Changed {
				if err := cmd.Flags().Set(flag.Name, value); err != nil {
					failed = errors.Join(failed, fmt.Errorf("%s: %w", name, err))
				}
			}
		})
		return failed
	}
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		flag.Usage += " [BUILDIFY_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_")) + "]"
	})
}

// Signals returns a context that ends at the first SIGINT or SIGTERM; a second
// one ends the process at once.
func Signals(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

func run(ctx context.Context, spec Spec, f *flags, logs io.Writer) (err error) {
	ctx, cancel := Signals(ctx)
	defer cancel()
	stack := &Stack{}
	defer func() { err = errors.Join(err, stack.Close(StopTimeout)) }()

	env, err := connect(ctx, spec, f, logs, stack)
	if err != nil {
		return err
	}
	// The process itself, its connection and its database: who else is there
	// the bridge's readiness tells.
	health := kit.NewHealth(env.NATS)
	if env.DB != nil {
		health.Require("database", env.DB.Ping)
	}
	ops, err := kit.StartOps(ctx, f.ops, env.Telemetry, health)
	if err != nil {
		return err
	}
	stack.Push("ops", ops.Stop)
	service, err := spec.New(ctx, env)
	if err != nil {
		return err
	}
	if err := service.Start(ctx); err != nil {
		return fmt.Errorf("%s: %w", spec.Name, err)
	}
	stack.Push(spec.Name, service.Stop)
	stack.Push("readiness", func(context.Context) error { health.Drain(); return nil })
	health.Started()

	ready := map[string]string{"service": spec.Name, "ops_url": ops.URL()}
	failed := make(<-chan error)
	if listener, ok := service.(interface {
		URL() string
		Failed() <-chan error
	}); ok {
		ready["http_url"] = listener.URL()
		failed = listener.Failed()
	}
	if err := WriteReady(f.readyFile, ready); err != nil {
		return err
	}
	env.Telemetry.Log.Info("ready", "service", spec.Name, "version", Version, "ops_url", ready["ops_url"], "http_url", ready["http_url"])
	select {
	case <-ctx.Done():
		env.Telemetry.Log.Info("stopping", "service", spec.Name)
		return nil
	case err := <-failed:
		return err
	}
}

// connect brings up telemetry and the connections.
func connect(ctx context.Context, spec Spec, f *flags, logs io.Writer, stack *Stack) (*Env, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.logLevel)); err != nil {
		return nil, fmt.Errorf("--log-level: %w", err)
	}
	if f.credentials == "" {
		return nil, errors.New("--credentials is required: the directory made by `buildify nats init`")
	}
	telemetry, err := kit.NewTelemetry(ctx, kit.TelemetryConfig{
		Process: "buildify-" + spec.Name, LogWriter: logs, LogLevel: level, TraceSample: f.traceSample,
	})
	if err != nil {
		return nil, err
	}
	stack.Push("telemetry", telemetry.Stop)
	env := &Env{flags: f, stack: stack, Deps: kit.Deps{Telemetry: telemetry, Version: Version, Replicas: f.replicas}}
	if spec.Database {
		if f.databaseURL == "" {
			return nil, errors.New("--database-url is required (or DATABASE_URL)")
		}
		if env.DB, err = database.Open(ctx, f.databaseURL, spec.Name, 0); err != nil {
			return nil, err
		}
		stack.Push("database", func(context.Context) error { env.DB.Close(); return nil })
	}
	deps, err := env.Connect(ctx, spec.Name)
	if err != nil {
		return nil, err
	}
	env.Deps = deps
	return env, nil
}

// WriteReady writes value as JSON to path, whole or not at all; an empty path
// writes nothing.
func WriteReady(path string, value any) error {
	if path == "" {
		return nil
	}
	body, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("ready file: %w", err)
	}
	return WriteFile(path, append(body, '\n'))
}

// WriteFile writes a file of mode 0600, whole or not at all.
func WriteFile(path string, body []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".buildify-*")
	if err != nil {
		return err
	}
	_, writeErr := file.Write(body)
	if err := errors.Join(writeErr, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}
