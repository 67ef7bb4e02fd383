package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/process"
)

func migrateCommand() *cobra.Command {
	var url string
	cmd := &cobra.Command{
		Use: "migrate", Short: "Bring every service's schema to this version's state", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if url == "" {
				return errors.New("--database-url is required (or DATABASE_URL)")
			}
			applied := 0
			err := database.Migrate(cmd.Context(), url, func(service, file string) {
				applied++
				fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", service, file)
			})
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "%d migrations applied to %s\n", applied, database.Redact(url))
			}
			return err
		},
	}
	cmd.Flags().StringVar(&url, "database-url", "", "PostgreSQL, as postgres://…; its user must be allowed to create roles and schemas (or DATABASE_URL)")
	process.FromEnvironment(cmd)
	return cmd
}
