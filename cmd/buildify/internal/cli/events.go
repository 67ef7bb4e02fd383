package cli

import (
	"encoding/json"
	"os"

	"github.com/spf13/cobra"

	"github.com/buildify/core/cmd/buildify/internal/eventdocs"
	"github.com/buildify/core/pkg/events"
)

func eventsCommand() *cobra.Command {
	cmd := group("events", "Show the events that the core publishes")
	cmd.AddCommand(eventsCatalogueCommand(),
		generatedCommand("asyncapi", "Print them as an AsyncAPI 3.0 document", eventdocs.AsyncAPI))
	return cmd
}

func eventsCatalogueCommand() *cobra.Command {
	var asJSON bool
	cmd := generatedCommand("catalogue", "Print every kind with its data and who may hear it", func() ([]byte, error) {
		if asJSON {
			return json.MarshalIndent(events.Catalogue(), "", "  ")
		}
		return eventdocs.Page()
	})
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON, with the schemas, instead of Markdown")
	return cmd
}

// generatedCommand prints a document that needs nothing but the program, or writes
// it to a file.
func generatedCommand(use, short string, document func() ([]byte, error)) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := document()
			if err != nil {
				return err
			}
			if output == "" {
				_, err = cmd.OutOrStdout().Write(text)
				return err
			}
			return os.WriteFile(output, text, 0o644) //nolint:gosec // a document for everybody
		},
	}
	cmd.Flags().StringVar(&output, "output", "", "file to write; standard output when empty")
	return cmd
}
