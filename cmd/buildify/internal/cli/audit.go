package cli

import "github.com/spf13/cobra"

func auditCommand() *cobra.Command {
	cmd := group("audit", "The audit trails of the tenants and of the platform")
	cmd.AddCommand(
		auditListCommand(), auditShowCommand(), auditStatsCommand(), auditExportCommand(),
		deadLetterCommand(), auditCheckpointCommand(), auditProofCommand(), auditVerifyCommand(), auditKeysCommand(),
		auditTailCommand(), auditRetentionCommand(), auditHoldCommand(), auditAlertCommand())
	return cmd
}
