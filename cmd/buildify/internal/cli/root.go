// Package cli is the command line of buildify, one file a command.
package cli

import (
	"github.com/spf13/cobra"

	"github.com/buildify/core/pkg/kit/process"
	"github.com/buildify/core/services/audit"
	"github.com/buildify/core/services/auth"
	"github.com/buildify/core/services/httpbridge"
	"github.com/buildify/core/services/rbac"
	"github.com/buildify/core/services/tenant"
)

// Root returns the command with all its subcommands.
func Root() *cobra.Command {
	root := &cobra.Command{
		Use:          "buildify",
		Short:        "The protected core of a platform that others build modules on",
		Version:      process.Version,
		SilenceUsage: true,
	}
	root.AddCommand(devCommand(), serveCommand(), migrateCommand(), demoCommand(), natsCommand(), openapiCommand(),
		usersCommand(), tenantCommand(), rbacCommand(), orgCommand(), keysCommand(), signingKeysCommand(), moduleCommand())
	return root
}

// group is a command of subcommands: without one it helps, with an unknown one
// it fails.
func group(use, short string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
}

func serveCommand() *cobra.Command {
	cmd := group("serve", "Run one service as a process of its own")
	cmd.AddCommand(auth.Command(), rbac.Command(), tenant.Command(), audit.Command(), httpbridge.Command())
	return cmd
}
