package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/buildify/core/pkg/kit/natsserver"
	"github.com/buildify/core/pkg/kit/process"
)

func natsCommand() *cobra.Command {
	cmd := group("nats", "Prepare the bus")
	var dir string
	initialise := &cobra.Command{
		Use: "init", Args: cobra.NoArgs,
		Short: "Make the bus's configuration and every user's seed, or bring them up to date",
		Long: `Makes a directory that nats-server runs from (nats-server -c DIR/nats.conf) and
that --credentials of the services names. Existing seeds and local.conf stay.
A service needs <its name>.nk only; auth also callout.nk, system.nk,
callout_issuer.nk and callout_xkey.nk, which must go nowhere else.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := natsserver.Init(dir); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is ready: nats-server -c %s/nats.conf\n", dir, dir)
			return nil
		},
	}
	initialise.Flags().StringVar(&dir, "dir", "bus", "the directory to make")
	process.FromEnvironment(initialise)
	cmd.AddCommand(initialise)
	return cmd
}
