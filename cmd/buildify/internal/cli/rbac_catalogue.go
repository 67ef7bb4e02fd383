package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

func declarePermissionsCommand() *cobra.Command {
	var op operator
	var p printer
	var file string
	cmd := &cobra.Command{
		Use: "declare", Short: "Declare the permissions of a module, in place of those it declared before",
		Long: `Declare the permissions of a module, in place of those it declared before.

The file is JSON:

  {"module_name": "financial", "permissions": [
    {"code": "financial:accounts:read", "category": "Accounts", "title": "Read accounts", "risk": "low"}
  ]}

category, title and risk (low, medium, high, critical) may be left out.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			body, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			var request contract.DeclarePermissionsRequest
			in := json.NewDecoder(bytes.NewReader(body))
			in.DisallowUnknownFields()
			if err := in.Decode(&request); err != nil {
				return fmt.Errorf("--file %s: %w", file, err)
			}
			return op.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				made, err := kit.Call(ctx, client, contract.DeclarePermissions, &request)
				if err != nil {
					return err
				}
				return p.print(cmd.OutOrStdout(), made, func(out io.Writer) {
					for _, list := range []struct {
						what  string
						codes []string
					}{{"added", made.Added}, {"changed", made.Changed}, {"removed", made.Removed}} {
						for _, code := range list.codes {
							fmt.Fprintf(out, "%s\t%s\n", list.what, code)
						}
					}
					if len(made.Added)+len(made.Changed)+len(made.Removed) == 0 {
						fmt.Fprintln(out, "nothing has changed")
					}
				})
			})
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "file with the declaration")
	_ = cmd.MarkFlagRequired("file") // it is there
	p.flags(cmd)
	op.flags(cmd)
	return cmd
}

func unitsCommand() *cobra.Command {
	var p policy
	cmd := &cobra.Command{
		Use: "units", Short: "List the companies, branches and departments of a tenant, for --unit", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				units := []contract.OrgUnit{}
				request := contract.SnapshotRequest{}
				for more := true; more; more = request.Cursor != "" {
					page, err := kit.Call(ctx, client, contract.ListUnits, &request)
					if err != nil {
						return err
					}
					for _, u := range page.Items {
						if u.TenantID == p.tenant && !u.Removed {
							units = append(units, u)
						}
					}
					request.Cursor = page.NextCursor
				}
				slices.SortStableFunc(units, func(a, b contract.OrgUnit) int { return cmp.Compare(a.Name, b.Name) })
				return p.print(cmd.OutOrStdout(), units, func(out io.Writer) {
					fmt.Fprintln(out, "ID\tKIND\tNAME\tIN")
					for _, u := range units {
						fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", u.ID, u.Kind, u.Name, cmp.Or(u.ParentID, "-"))
					}
				})
			})
		},
	}
	p.flags(cmd)
	return cmd
}
