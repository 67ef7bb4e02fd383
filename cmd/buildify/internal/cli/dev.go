package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/buildify/core/cmd/buildify/demo"
	"github.com/buildify/core/cmd/buildify/platform"
	"github.com/buildify/core/pkg/kit/pgserver"
	"github.com/buildify/core/pkg/kit/process"
)

// dev is the development command's flags.
type dev struct {
	platform.Config
	ephemeral bool
	readyFile string
}

func devCommand() *cobra.Command {
	d := &dev{}
	cmd := &cobra.Command{
		Use: "dev", Short: "Run the whole core in this process, with a demo loaded", Args: cobra.NoArgs,
		Long: `Runs the bus, a private PostgreSQL (or the one of DATABASE_URL), the five services
and the demo tenant in one process. Ctrl-C stops it. Its logs go to the file
buildify.log in the data directory.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return d.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	fs := cmd.Flags()
	fs.StringVar(&d.HTTP, "http", "127.0.0.1:8080", "address of the REST Core API and the pages; port 0 picks a free one")
	fs.StringVar(&d.NATS, "nats", "127.0.0.1:4222", "address of the bus; port 0 picks a free one")
	fs.StringVar(&d.Ops, "ops", "127.0.0.1:0", "address of /metrics, /healthz and /readyz; port 0 picks a free one")
	fs.StringVar(&d.Data, "data", "", "directory kept between runs (default in the user's cache directory)")
	fs.BoolVar(&d.ephemeral, "ephemeral", false, "use temporary data, removed at exit")
	fs.StringVar(&d.DatabaseURL, "database-url", "", "PostgreSQL to use instead of a private one (or DATABASE_URL)")
	fs.StringVar(&d.readyFile, "ready-file", "", "file to write when ready, as JSON: URLs, logins, keys")
	fs.BoolVar(&d.WebhooksAllowPrivate, "webhooks-allow-private", false, "let webhooks go to http addresses and to this machine")
	fs.Float64Var(&d.TraceSample, "trace-sample", 0.05, "share of traces to record, 0 to 1")
	process.FromEnvironment(cmd)
	return cmd
}

func (d *dev) run(ctx context.Context, out io.Writer) (err error) {
	start := time.Now()
	ctx, cancel := process.Signals(ctx)
	defer cancel()
	cleanup, err := d.prepareData()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cleanup()) }()
	logs, err := os.OpenFile(filepath.Join(d.Data, "buildify.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer logs.Close()
	d.Logs = logs
	d.Notices = slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{ReplaceAttr: bare}))

	p, err := platform.Start(ctx, d.Config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	state, err := demo.Load(ctx, p.Client, filepath.Join(d.Data, "demo.json"))
	if err != nil {
		return err
	}
	if err := process.WriteReady(d.readyFile, ready{p.HTTPURL, p.NATSURL, p.OpsURL, p.Credentials(), state}); err != nil {
		return err
	}
	d.banner(out, p, state, time.Since(start))
	err = p.Failed(ctx)
	fmt.Fprintln(out, "\nstopping")
	return err
}

// bare keeps time and level out of notices.
func bare(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
		return slog.Attr{}
	}
	return a
}

// ready is what --ready-file says.
type ready struct {
	HTTPURL     string `json:"http_url"`
	NATSURL     string `json:"nats_url"`
	OpsURL      string `json:"ops_url"`
	Credentials string `json:"credentials"`
	*demo.State
}

// prepareData settles the data directory; cleanup removes a temporary one.
func (d *dev) prepareData() (cleanup func() error, err error) {
	keep := func() error { return nil }
	if d.ephemeral {
		if d.Data, err = os.MkdirTemp("", "buildify-"); err != nil {
			return keep, err
		}
		// The user that root's PostgreSQL runs as must be able to pass through.
		if err := os.Chmod(d.Data, 0o711); err != nil { //nolint:gosec // to pass through, not to read
			return keep, err
		}
		return func() error {
			ctx, cancel := context.WithTimeout(context.Background(), process.StopTimeout)
			defer cancel()
			return errors.Join(pgserver.Remove(ctx, filepath.Join(d.Data, "postgres")), os.RemoveAll(d.Data))
		}, nil
	}
	if d.Data == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return keep, fmt.Errorf("no cache directory (%w): name one with --data DIR", err)
		}
		d.Data = filepath.Join(cache, "buildify", "dev")
	}
	if d.Data, err = filepath.Abs(d.Data); err != nil {
		return keep, err
	}
	return keep, os.MkdirAll(d.Data, 0o700)
}

func (d *dev) banner(out io.Writer, p *platform.Platform, state *demo.State, took time.Duration) {
	fmt.Fprintf(out, "Buildify Core %s is ready (%.1f s)\n\n", process.Version, took.Seconds())
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name string, values ...any) {
		fmt.Fprintf(table, "  %s\t%s", name, fmt.Sprintln(values...))
	}
	row("HTTP", p.HTTPURL)
	row("Reference", p.HTTPURL+"/docs/api")
	row("E-mails", p.HTTPURL+platform.OutboxPath)
	row("NATS", p.NATSURL)
	row("Operations", p.OpsURL+"/metrics")
	row("Data", d.Data)
	row("Credentials", p.Credentials())
	row("Tenant", state.Tenant.Code, state.Tenant.ID)
	row("Administrator", state.Admin.Email, state.Admin.Password)
	row("Platform admin", state.Platform.Email, state.Platform.Password)
	for _, m := range state.Modules {
		row("Module "+m.Name, m.APIKey)
	}
	_ = table.Flush() // a terminal that is gone needs no banner
	fmt.Fprintf(out, `
Try:
  TOKEN=$(curl -s %[1]s/api/v1/auth/login -H 'Content-Type: application/json' -d '{"email":"%[2]s","password":"%[3]s"}' | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  curl -s %[1]s/api/v1/core/auth/verify -H 'X-API-Key: %[4]s' -H 'Content-Type: application/json' -d "{\"token\":\"$TOKEN\"}"
  curl -s %[1]s/api/v1/audit/events -H "Authorization: Bearer $TOKEN"

Ctrl-C stops it.
`, p.HTTPURL, state.Admin.Email, state.Admin.Password, state.Modules[0].APIKey)
}
