package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/natsconn"
	"github.com/buildify/core/pkg/kit/process"
)

// operator is how a command reaches a running core: over the bus, as the
// operator.
type operator struct{ url, credentials string }

// flags declares the operator's flags on a command.
func (o *operator) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.url, "nats-url", "nats://127.0.0.1:4222", "the bus, comma-separated for several servers")
	cmd.Flags().StringVar(&o.credentials, "credentials", "", "directory with the seeds made by \"buildify nats init\"")
	process.FromEnvironment(cmd)
}

// run connects and calls work, all within half a minute.
func (o *operator) run(ctx context.Context, work func(context.Context, *kit.Client) error) error {
	return o.within(ctx, 30*time.Second, work)
}

// within is run for work that takes longer.
func (o *operator) within(ctx context.Context, limit time.Duration, work func(context.Context, *kit.Client) error) error {
	if o.credentials == "" {
		return errors.New("--credentials is required: the directory made by `buildify nats init`; `buildify dev` prints its own")
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	nc, err := natsconn.Connect(ctx, natsconn.Config{
		URL: o.url, User: natsconn.Operator, SeedFile: filepath.Join(o.credentials, natsconn.Operator+".nk"),
	})
	if err != nil {
		return fmt.Errorf("--nats-url %s: %w", o.url, err)
	}
	defer nc.Close()
	telemetry, err := kit.NewTelemetry(ctx, kit.TelemetryConfig{Process: "buildify"})
	if err != nil {
		return err
	}
	return work(ctx, kit.NewClient(nc, telemetry))
}
