// Package cli is the command line of buildify, one file a command.
package cli

import (
	"errors"

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
	root.AddCommand(devCommand(), serveCommand(), migrateCommand(), demoCommand(), natsCommand(), openapiCommand(), eventsCommand(),
		usersCommand(), tenantCommand(), rbacCommand(), orgCommand(), keysCommand(), signingKeysCommand(), moduleCommand(), auditCommand(), webhookCommand())
	return root
}

// ExitCode is what the process exits with after a command's error: 1, but for
// commands whose help says otherwise.
func ExitCode(err error) int {
	var e *exitError
	if errors.As(err, &e) {
		return e.code
	}
	return 1
}

// exitError is an error with an exit code of its own.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

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
