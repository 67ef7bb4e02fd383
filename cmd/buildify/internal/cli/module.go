package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/buildify/core/pkg/manifest"
)

func moduleCommand() *cobra.Command {
	cmd := group("module", "Modules: their manifests, and what a tenant has installed")
	cmd.AddCommand(validateCommand(), convertCommand(), schemaCommand(), referenceCommand())
	cmd.AddCommand(installCommands()...)
	cmd.AddCommand(registryCommands()...)
	return cmd
}

// errFindings says that findings have been told.
var errFindings = errors.New("the manifest has errors")

func validateCommand() *cobra.Command {
	var format, core string
	cmd := &cobra.Command{
		Use: "validate <manifest.json>", Short: "Check a manifest, of version 2 or 1; - reads standard input", Args: cobra.ExactArgs(1),
		Long: `Check a manifest, of version 2 or 1; - reads standard input.

Each finding is a line: file:line:column: severity: message [code]. With errors
the command exits with 1. docs/manifest.md has all fields and all codes.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "text" && format != "json" {
				return fmt.Errorf("--format %q: want text or json", format)
			}
			data, err := readManifest(cmd.InOrStdin(), args[0])
			if err != nil {
				return err
			}
			_, found := manifest.Check(data, core)
			if err := printFindings(cmd.OutOrStdout(), format, args[0], found); err != nil {
				return err
			}
			if found.HasErrors() {
				return errFindings
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	cmd.Flags().StringVar(&core, "core", "", "version of the core that the module has to run on")
	return cmd
}

// readManifest reads no more than is needed to see that it is too much.
func readManifest(stdin io.Reader, name string) ([]byte, error) {
	in := stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	return io.ReadAll(io.LimitReader(in, manifest.MaxSize+1))
}

func printFindings(out io.Writer, format, file string, found manifest.Findings) error {
	if format == "json" {
		if found == nil {
			found = manifest.Findings{}
		}
		in := json.NewEncoder(out)
		in.SetEscapeHTML(false)
		in.SetIndent("", "  ")
		return in.Encode(found)
	}
	for _, f := range found {
		if _, err := fmt.Fprintf(out, "%s:%d:%d: %s: %s [%s]\n", file, f.Line, f.Column, f.Severity, f.Message, f.Code); err != nil {
			return err
		}
	}
	return nil
}

func convertCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "convert <manifest.json>", Short: "Print a manifest of version 1 as version 2; what changed goes to standard error", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := readManifest(cmd.InOrStdin(), args[0])
			if err != nil {
				return err
			}
			m, found := manifest.Parse(data)
			if err := printFindings(cmd.ErrOrStderr(), "text", args[0], found); err != nil {
				return err
			}
			if m == nil {
				return errFindings
			}
			if m.Schema == "" {
				m.Schema = manifest.SchemaURL
			}
			var converted bytes.Buffer
			in := json.NewEncoder(&converted)
			in.SetEscapeHTML(false)
			in.SetIndent("", "  ")
			if err := in.Encode(m); err != nil {
				return err
			}
			if _, err := converted.WriteTo(cmd.OutOrStdout()); err != nil {
				return err
			}
			if found.HasErrors() {
				return errFindings
			}
			return nil
		},
	}
	return cmd
}

func schemaCommand() *cobra.Command {
	return documentCommand("schema", "Print the JSON Schema (2020-12) of a manifest", manifest.Schema)
}

func referenceCommand() *cobra.Command {
	return documentCommand("reference", "Print the manual of the manifest, as Markdown", func() []byte { return []byte(manifest.Reference()) })
}

// documentCommand prints a document, or writes it.
func documentCommand(use, short string, document func() []byte) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output == "" {
				_, err := cmd.OutOrStdout().Write(document())
				return err
			}
			return os.WriteFile(output, document(), 0o644) //nolint:gosec // a document for everybody
		},
	}
	cmd.Flags().StringVar(&output, "output", "", "file to write; standard output when empty")
	return cmd
}
