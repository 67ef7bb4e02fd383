package cli

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/buildify/core/cmd/buildify/demo"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/natsconn"
	"github.com/buildify/core/pkg/kit/process"
)

func demoCommand() *cobra.Command {
	var url, credentials, file string
	cmd := &cobra.Command{
		Use: "demo", Short: "Load the demo tenant into a running core and print it as JSON", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if credentials == "" {
				return errors.New("--credentials is required: the directory made by `buildify nats init`")
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), 30*time.Second)
			defer cancel()
			nc, err := natsconn.Connect(ctx, natsconn.Config{
				URL: url, User: natsconn.Operator, SeedFile: filepath.Join(credentials, natsconn.Operator+".nk"),
			})
			if err != nil {
				return err
			}
			defer nc.Close()
			telemetry, err := kit.NewTelemetry(ctx, kit.TelemetryConfig{Process: "buildify-demo"})
			if err != nil {
				return err
			}
			state, err := demo.Load(ctx, kit.NewClient(nc, telemetry), file)
			if err != nil {
				return err
			}
			out := json.NewEncoder(cmd.OutOrStdout())
			out.SetIndent("", "  ")
			return out.Encode(state)
		},
	}
	cmd.Flags().StringVar(&url, "nats-url", "nats://127.0.0.1:4222", "the bus, comma-separated for several servers")
	cmd.Flags().StringVar(&credentials, "credentials", "", "directory with the seeds made by \"buildify nats init\"")
	cmd.Flags().StringVar(&file, "file", "demo.json", "file that keeps the demo's secrets")
	process.FromEnvironment(cmd)
	return cmd
}
