package cli

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/buildify/core/services/httpbridge"
)

func openapiCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "openapi", Short: "Print the Core API as an OpenAPI 3.1 document", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			document, err := httpbridge.OpenAPI()
			if err != nil {
				return err
			}
			if output == "" {
				_, err = cmd.OutOrStdout().Write(document)
				return err
			}
			return os.WriteFile(output, document, 0o644) //nolint:gosec // a document for everybody
		},
	}
	cmd.Flags().StringVar(&output, "output", "", "file to write; standard output when empty")
	return cmd
}
