package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

func bindingsCommand() *cobra.Command {
	var p policy
	var user, group, role string
	cmd := &cobra.Command{
		Use: "bindings", Short: "List who is bound to which role, where, and until when", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request := contract.ListBindingsRequest{TenantID: p.tenantID(), Limit: 500}
			return p.run(cmd.Context(), func(ctx context.Context, client *kit.Client) (err error) {
				if user != "" {
					if request.UserID, err = p.user(ctx, client, user); err != nil {
						return err
					}
				}
				if request.GroupID, err = p.group(ctx, client, group); err != nil {
					return err
				}
				if role != "" {
					if request.RoleID, err = p.role(ctx, client, role); err != nil {
						return err
					}
				}
				bindings := []contract.Binding{}
				for more := true; more; more = request.Cursor != "" {
					page, err := kit.Call(ctx, client, contract.ListBindings, &request)
					if err != nil {
						return err
					}
					bindings, request.Cursor = append(bindings, page.Items...), page.NextCursor
				}
				return p.print(cmd.OutOrStdout(), bindings, func(out io.Writer) {
					fmt.Fprintln(out, "ID\tWHO\tEFFECT\tROLE\tSCOPE\tEXPIRES")
					for _, b := range bindings {
						fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\n", b.ID, subject(b), b.Effect, b.Role,
							scope(b.UnitID, b.ResourceType, b.ResourceID), when(b.ExpiresAt, "never"))
					}
				})
			})
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "only this user's own, by e-mail address or id")
	cmd.Flags().StringVar(&group, "group", "", "only this group's, by name or id")
	cmd.Flags().StringVar(&role, "role", "", "only those to this role, by name or id")
	p.flags(cmd)
	return cmd
}

func subject(b contract.Binding) string {
	if b.GroupID != "" {
		return "group:" + b.GroupID
	}
	return "user:" + b.UserID
}

func grantCommand() *cobra.Command {
	var p policy
	var at place
	var user, group, role, until string
	var deny bool
	cmd := &cobra.Command{
		Use: "grant", Short: "Bind a user or a group to a role", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request := contract.CreateBindingRequest{TenantID: p.tenantID(), UnitID: contract.ID(at.unit)}
			if deny {
				request.Effect = "deny"
			}
			kind, id, err := at.split()
			if err != nil {
				return err
			}
			request.ResourceType, request.ResourceID = kind, contract.ID(id)
			if until != "" {
				end, err := time.Parse(time.RFC3339, until)
				if err != nil {
					return fmt.Errorf("--until %s: must be a time such as 2027-01-01T00:00:00Z", until)
				}
				request.ExpiresAt = &end
			}
			return p.run(cmd.Context(), func(ctx context.Context, client *kit.Client) (err error) {
				if user != "" {
					if request.UserID, err = p.user(ctx, client, user); err != nil {
						return err
					}
				}
				if request.GroupID, err = p.group(ctx, client, group); err != nil {
					return err
				}
				if request.RoleID, err = p.role(ctx, client, role); err != nil {
					return err
				}
				made, err := kit.Call(ctx, client, contract.CreateBinding, &request)
				if err != nil {
					return err
				}
				return p.print(cmd.OutOrStdout(), made, func(out io.Writer) {
					for _, row := range [][2]string{
						{"id", made.ID}, {"who", subject(*made)}, {"effect", made.Effect}, {"role", made.Role},
						{"scope", scope(made.UnitID, made.ResourceType, made.ResourceID)}, {"expires", when(made.ExpiresAt, "never")},
						{"revision", fmt.Sprint(made.Revision)},
					} {
						fmt.Fprintf(out, "%s\t%s\n", row[0], row[1])
					}
				})
			})
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&role, "role", "", "the role, by name or id")
	fs.StringVar(&user, "user", "", "the user, by e-mail address or id")
	fs.StringVar(&group, "group", "", "the group, by name or id")
	fs.BoolVar(&deny, "deny", false, "take away what the role grants, against every other binding")
	fs.StringVar(&until, "until", "", "from when on it is without effect, such as 2027-01-01T00:00:00Z (default never)")
	at.flags(cmd, "id of the company, branch or department it holds for, with all below it (default the whole tenant)",
		"the one resource it holds for, as type:id")
	_ = cmd.MarkFlagRequired("role") // it is there
	cmd.MarkFlagsOneRequired("user", "group")
	cmd.MarkFlagsMutuallyExclusive("user", "group")
	cmd.MarkFlagsMutuallyExclusive("unit", "resource")
	p.flags(cmd)
	return cmd
}

func revokeCommand() *cobra.Command {
	var p policy
	cmd := &cobra.Command{
		Use: "revoke BINDING", Short: "End a binding, by its id, at once", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				gone, err := kit.Call(ctx, client, contract.DeleteBinding, &contract.DeleteBindingRequest{
					TenantID: p.tenantID(), BindingID: contract.ID(args[0]),
				})
				if err != nil {
					return err
				}
				return p.print(cmd.OutOrStdout(), gone, func(out io.Writer) {
					fmt.Fprintf(out, "%s is revoked at revision %d\n", args[0], gone.Revision)
				})
			})
		},
	}
	p.flags(cmd)
	return cmd
}
