package cli

import (
	"context"
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/buildify/core/cmd/buildify/demo"
	"github.com/buildify/core/pkg/kit"
)

func demoCommand() *cobra.Command {
	var op operator
	var file string
	cmd := &cobra.Command{
		Use: "demo", Short: "Load the demo tenant into a running core and print it as JSON", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return op.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				state, err := demo.Load(ctx, client, file)
				if err != nil {
					return err
				}
				out := json.NewEncoder(cmd.OutOrStdout())
				out.SetIndent("", "  ")
				return out.Encode(state)
			})
		},
	}
	cmd.Flags().StringVar(&file, "file", "demo.json", "file that keeps the demo's secrets")
	op.flags(cmd)
	return cmd
}
