package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

func orgCommand() *cobra.Command {
	cmd := group("org", "The companies, branches and departments of a tenant")
	cmd.AddCommand(orgTreeCommand(), createUnitCommand(), moveUnitCommand(), deleteUnitCommand(), restoreUnitCommand())
	return cmd
}

func orgTreeCommand() *cobra.Command {
	var p policy
	var request contract.OrgTreeRequest
	cmd := &cobra.Command{
		Use: "tree [UNIT]", Short: "Show the tree of a tenant, or what is below one unit", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request.TenantID, request.UnitID = p.tenantID(), contract.ID(strings.Join(args, ""))
			return p.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				tree, err := kit.Call(ctx, client, contract.GetOrgTree, &request)
				if err != nil {
					return err
				}
				return p.print(cmd.OutOrStdout(), tree, func(out io.Writer) {
					fmt.Fprintln(out, "NAME\tCODE\tKIND\tID")
					treeText(out, tree.Items, "")
					if !tree.Complete {
						fmt.Fprintln(out, "\nand more; name a unit to see what is below it")
					}
				})
			})
		},
	}
	cmd.Flags().IntVar(&request.Depth, "depth", 0, "how many levels (default all)")
	p.flags(cmd)
	return cmd
}

func treeText(out io.Writer, nodes []contract.OrgNode, indent string) {
	for _, n := range nodes {
		more := ""
		if hidden := n.Children - len(n.Items); hidden > 0 {
			more = fmt.Sprintf(" (%d in it)", hidden)
		}
		fmt.Fprintf(out, "%s%s%s\t%s\t%s\t%s\n", indent, n.Name, more, n.Code, n.Kind, n.ID)
		treeText(out, n.Items, indent+"  ")
	}
}

func createUnitCommand() *cobra.Command {
	var p policy
	var request contract.CreateUnitRequest
	var parent, head string
	cmd := &cobra.Command{
		Use: "create", Short: "Make a company, a branch in a company, or a department in any unit", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request.TenantID, request.ParentID = p.tenantID(), contract.ID(parent)
			return p.run(cmd.Context(), func(ctx context.Context, client *kit.Client) (err error) {
				if request.HeadUserID, err = p.user(ctx, client, head); err != nil {
					return err
				}
				made, err := kit.Call(ctx, client, contract.CreateUnit, &request)
				if err != nil {
					return err
				}
				return p.print(cmd.OutOrStdout(), made, unitText(made))
			})
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&request.Kind, "kind", "", "company, branch or department")
	fs.StringVar(&request.Code, "code", "", "unique among what is in the same unit, such as IST-01")
	fs.StringVar(&request.Name, "name", "", "what it is called")
	fs.StringVar(&parent, "in", "", "id of the unit it is in; a company is in none")
	fs.StringVar(&head, "head", "", "id or e-mail address of the person who heads it")
	for _, flag := range []string{"kind", "code", "name"} {
		_ = cmd.MarkFlagRequired(flag) // it is there
	}
	p.flags(cmd)
	return cmd
}

func unitText(u *contract.OrgUnit) func(io.Writer) {
	return func(out io.Writer) {
		for _, row := range [][2]string{
			{"id", u.ID}, {"kind", u.Kind}, {"code", u.Code}, {"name", u.Name}, {"in", u.ParentID},
			{"head", u.HeadUserID}, {"revision", fmt.Sprint(u.Revision)},
		} {
			if row[1] != "" {
				fmt.Fprintf(out, "%s\t%s\n", row[0], row[1])
			}
		}
	}
}

func moveUnitCommand() *cobra.Command {
	var p policy
	var to string
	cmd := &cobra.Command{
		Use: "move UNIT", Short: "Move a branch to another company, or a department to any unit, with all below it", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request := contract.MoveUnitRequest{TenantID: p.tenantID(), UnitID: contract.ID(args[0]), ParentID: contract.ID(to)}
			return p.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				moved, err := kit.Call(ctx, client, contract.MoveUnit, &request)
				if err != nil {
					return err
				}
				return p.print(cmd.OutOrStdout(), moved, unitText(moved))
			})
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "id of the unit it will be in")
	_ = cmd.MarkFlagRequired("to") // it is there
	p.flags(cmd)
	return cmd
}

func deleteUnitCommand() *cobra.Command {
	var p policy
	var request contract.DeleteUnitRequest
	cmd := &cobra.Command{
		Use: "delete UNIT", Short: "Delete a unit; it may be restored", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request.TenantID, request.UnitID = p.tenantID(), contract.ID(args[0])
			return p.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				gone, err := kit.Call(ctx, client, contract.DeleteUnit, &request)
				if err != nil {
					return err
				}
				return p.print(cmd.OutOrStdout(), gone, unitRemovalText(gone))
			})
		},
	}
	cmd.Flags().BoolVar(&request.WithBelow, "with-below", false, "delete the units below it too")
	cmd.Flags().BoolVar(&request.DryRun, "dry-run", false, "only say what would go")
	p.flags(cmd)
	return cmd
}

func unitRemovalText(r *contract.UnitRemoval) func(io.Writer) {
	return func(out io.Writer) {
		verb := "deleted"
		if r.DryRun {
			verb = "would be deleted"
		}
		fmt.Fprintf(out, "%s: %d units\n\nNAME\tCODE\tKIND\tID\n", verb, r.Units)
		for _, u := range r.Items {
			fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", u.Name, u.Code, u.Kind, u.ID)
		}
		if more := r.Units - len(r.Items); more > 0 {
			fmt.Fprintf(out, "and %d more\n", more)
		}
	}
}

func restoreUnitCommand() *cobra.Command {
	var p policy
	var request contract.RestoreUnitRequest
	cmd := &cobra.Command{
		Use: "restore UNIT", Short: "Restore a deleted unit", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request.TenantID, request.UnitID = p.tenantID(), contract.ID(args[0])
			return p.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				back, err := kit.Call(ctx, client, contract.RestoreUnit, &request)
				if err != nil {
					return err
				}
				return p.print(cmd.OutOrStdout(), back, unitText(back))
			})
		},
	}
	cmd.Flags().BoolVar(&request.WithBelow, "with-below", false, "restore what was deleted with it too")
	p.flags(cmd)
	return cmd
}
