package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

func keysCommand() *cobra.Command {
	cmd := group("keys", "Modules' API keys: make, look at, rotate and revoke them")
	cmd.AddCommand(createKeyCommand(), listKeysCommand(), showKeyCommand(), rotateKeyCommand(), revokeKeyCommand())
	return cmd
}

// printer answers in text for people, or as JSON for programs.
type printer struct{ asJSON bool }

func (p *printer) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&p.asJSON, "json", false, "print JSON")
}

func (p *printer) print(out io.Writer, answer any, text func(io.Writer)) error {
	if p.asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(answer)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	text(table)
	return table.Flush()
}

func createKeyCommand() *cobra.Command {
	var op operator
	var p printer
	var request contract.CreateKeyRequest
	var days int
	cmd := &cobra.Command{
		Use: "create", Short: "Make an API key for a module; its secret is shown this once", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request.ExpiresAt = inDays(days)
			return op.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				made, err := kit.Call(ctx, client, contract.CreateKey, &request)
				if err != nil {
					return err
				}
				return p.print(cmd.OutOrStdout(), made, issued(made))
			})
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&request.Module, "module", "", "the module's name")
	fs.StringVar(&request.Environment, "environment", "", "dev, staging or prod")
	fs.StringVar(&request.Name, "name", "", "what people call the key")
	fs.StringSliceVar(&request.Operations, "operations", nil, "the only operations granted, such as rbac.check (default all that modules may call)")
	fs.StringSliceVar(&request.Tenants, "tenants", nil, "ids of the only tenants it is good for (default all that enabled the module)")
	fs.StringSliceVar(&request.CIDRs, "cidrs", nil, "the only networks it may be used from, such as 192.0.2.0/24 (default anywhere)")
	fs.StringVar(&request.RateClass, "rate-class", "", "how many requests a minute: standard, high or bulk (default standard)")
	fs.IntVar(&days, "days", 0, "days until it ends; 0 is never")
	_ = cmd.MarkFlagRequired("module") // they are there
	_ = cmd.MarkFlagRequired("environment")
	p.flags(cmd)
	op.flags(cmd)
	return cmd
}

func inDays(days int) *time.Time {
	if days == 0 {
		return nil
	}
	at := time.Now().AddDate(0, 0, days)
	return &at
}

func issued(key *contract.CreateKeyResponse) func(io.Writer) {
	return func(out io.Writer) {
		fmt.Fprintf(out, "id\t%s\nkey\t%s\n\nKeep it now: it is shown this once.\n", key.ID, key.APIKey)
	}
}

func listKeysCommand() *cobra.Command {
	var op operator
	var p printer
	var request contract.ListKeysRequest
	cmd := &cobra.Command{
		Use: "list", Short: "List API keys, newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request.Limit = 500
			return op.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				keys := []contract.Key{}
				for more := true; more; more = request.Cursor != "" {
					page, err := kit.Call(ctx, client, contract.ListKeys, &request)
					if err != nil {
						return err
					}
					keys, request.Cursor = append(keys, page.Items...), page.NextCursor
				}
				return p.print(cmd.OutOrStdout(), keys, func(out io.Writer) {
					fmt.Fprintln(out, "ID\tENVIRONMENT\tNAME\tSTATUS\tRATE\tTENANTS\tEXPIRES\tLAST USED")
					for _, k := range keys {
						fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Environment, cmp.Or(k.Name, "-"), k.Status, k.RateClass,
							count(k.Tenants), when(k.ExpiresAt, "never"), when(k.LastUsedAt, "never"))
					}
				})
			})
		},
	}
	cmd.Flags().StringVar(&request.Module, "module", "", "only keys of this module")
	cmd.Flags().StringVar(&request.Status, "status", "", "only keys that are active, expired or revoked")
	p.flags(cmd)
	op.flags(cmd)
	return cmd
}

func showKeyCommand() *cobra.Command {
	var op operator
	var p printer
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show an API key without its secret", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return op.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				k, err := kit.Call(ctx, client, contract.GetKey, &contract.KeyRequest{ID: args[0]})
				if err != nil {
					return err
				}
				return p.print(cmd.OutOrStdout(), k, func(out io.Writer) {
					for _, row := range [][2]string{
						{"id", k.ID}, {"module", k.Module}, {"environment", k.Environment}, {"name", cmp.Or(k.Name, "-")}, {"status", k.Status},
						{"operations", cmp.Or(strings.Join(k.Operations, ", "), "all")}, {"tenants", cmp.Or(strings.Join(k.Tenants, ", "), "all")},
						{"networks", cmp.Or(strings.Join(k.CIDRs, ", "), "all")}, {"rate class", k.RateClass}, {"rotated from", cmp.Or(k.RotatedFrom, "-")},
						{"created", when(&k.CreatedAt, "")}, {"expires", when(k.ExpiresAt, "never")}, {"revoked", when(k.RevokedAt, "-")},
						{"last used", strings.TrimSpace(when(k.LastUsedAt, "never") + " " + k.LastUsedAddress)},
					} {
						fmt.Fprintf(out, "%s\t%s\n", row[0], row[1])
					}
				})
			})
		},
	}
	p.flags(cmd)
	op.flags(cmd)
	return cmd
}

func rotateKeyCommand() *cobra.Command {
	var op operator
	var p printer
	var overlap time.Duration
	var days int
	cmd := &cobra.Command{
		Use: "rotate ID", Short: "Make a new API key in place of another, which stays valid for a while", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			seconds := int(overlap / time.Second)
			return op.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				made, err := kit.Call(ctx, client, contract.RotateKey, &contract.RotateKeyRequest{
					ID: args[0], OverlapSeconds: &seconds, ExpiresAt: inDays(days),
				})
				if err != nil {
					return err
				}
				return p.print(cmd.OutOrStdout(), made, issued(made))
			})
		},
	}
	cmd.Flags().DurationVar(&overlap, "overlap", 24*time.Hour, "how long the old key stays valid, at most 720h; 0s ends it at once")
	cmd.Flags().IntVar(&days, "days", 0, "days until the new key ends (default as long as the old one was made for)")
	p.flags(cmd)
	op.flags(cmd)
	return cmd
}

func revokeKeyCommand() *cobra.Command {
	var op operator
	cmd := &cobra.Command{
		Use: "revoke ID", Short: "End an API key at once, and close its open connections", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return op.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				_, err := kit.Call(ctx, client, contract.RevokeKey, &contract.KeyRequest{ID: args[0]})
				if err == nil {
					fmt.Fprintf(cmd.OutOrStdout(), "%s is revoked\n", args[0])
				}
				return err
			})
		},
	}
	op.flags(cmd)
	return cmd
}

func count(tenants []string) string {
	if len(tenants) == 0 {
		return "all"
	}
	return fmt.Sprint(len(tenants))
}

func when(t *time.Time, never string) string {
	if t == nil {
		return never
	}
	return t.UTC().Format(time.RFC3339)
}
