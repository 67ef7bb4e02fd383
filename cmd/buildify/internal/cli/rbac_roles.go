package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

func rolesCommand() *cobra.Command {
	var p policy
	var request contract.ListRolesRequest
	cmd := &cobra.Command{
		Use: "roles", Short: "List the roles of a tenant, the platform's among them", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request.TenantID, request.Limit = p.tenantID(), 500
			return p.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				roles := []contract.Role{}
				for more := true; more; more = request.Cursor != "" {
					page, err := kit.Call(ctx, client, contract.ListRoles, &request)
					if err != nil {
						return err
					}
					roles, request.Cursor = append(roles, page.Items...), page.NextCursor
				}
				return p.print(cmd.OutOrStdout(), roles, func(out io.Writer) {
					fmt.Fprintln(out, "ID\tNAME\tKIND\tTITLE\tPERMISSIONS")
					for _, r := range roles {
						fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\n", r.ID, r.Name, kindOf(r), cmp.Or(r.Title, "-"), strings.Join(r.Permissions, ", "))
					}
				})
			})
		},
	}
	cmd.Flags().StringVar(&request.Search, "search", "", "part of a name or title")
	cmd.Flags().StringVar(&request.Permission, "permission", "", "only roles that grant this permission")
	p.flags(cmd)
	return cmd
}

func kindOf(r contract.Role) string {
	switch {
	case r.System:
		return "system"
	case r.TenantID == "":
		return "platform"
	}
	return "tenant"
}

func createRoleCommand() *cobra.Command {
	var p policy
	var request contract.CreateRoleRequest
	cmd := &cobra.Command{
		Use: "create", Short: "Make a role of a tenant", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request.TenantID = p.tenantID()
			return p.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				made, err := kit.Call(ctx, client, contract.CreateRole, &request)
				if err != nil {
					return err
				}
				return p.print(cmd.OutOrStdout(), made, roleText(made))
			})
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&request.Name, "name", "", "the role's name")
	fs.StringVar(&request.Title, "title", "", "what people call it")
	fs.StringVar(&request.Description, "description", "", "what it is for")
	fs.StringSliceVar(&request.Permissions, "permissions", nil, "granted codes; * stands for one segment, a last ** for the rest")
	_ = cmd.MarkFlagRequired("name") // they are there
	_ = cmd.MarkFlagRequired("permissions")
	p.flags(cmd)
	return cmd
}

func roleText(r *contract.Role) func(io.Writer) {
	return func(out io.Writer) {
		for _, row := range [][2]string{
			{"id", r.ID}, {"name", r.Name}, {"kind", kindOf(*r)}, {"title", cmp.Or(r.Title, "-")},
			{"permissions", strings.Join(r.Permissions, ", ")}, {"revision", fmt.Sprint(r.Revision)},
		} {
			fmt.Fprintf(out, "%s\t%s\n", row[0], row[1])
		}
	}
}

func updateRoleCommand() *cobra.Command {
	var p policy
	var name, title, description string
	var permissions []string
	cmd := &cobra.Command{
		Use: "update ROLE", Short: "Change a role, by name or id; what no flag names stays", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request := contract.UpdateRoleRequest{TenantID: p.tenantID()}
			for flag, field := range map[string]struct {
				to   **string
				from *string
			}{"name": {&request.Name, &name}, "title": {&request.Title, &title}, "description": {&request.Description, &description}} {
				if cmd.Flags().Changed(flag) {
					*field.to = field.from
				}
			}
			if cmd.Flags().Changed("permissions") {
				request.Permissions = &permissions
			}
			return p.run(cmd.Context(), func(ctx context.Context, client *kit.Client) (err error) {
				if request.RoleID, err = p.role(ctx, client, args[0]); err != nil {
					return err
				}
				changed, err := kit.Call(ctx, client, contract.UpdateRole, &request)
				if err != nil {
					return err
				}
				return p.print(cmd.OutOrStdout(), changed, roleText(changed))
			})
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&name, "name", "", "the new name")
	fs.StringVar(&title, "title", "", "the new title")
	fs.StringVar(&description, "description", "", "the new description")
	fs.StringSliceVar(&permissions, "permissions", nil, "all codes that it grants from now on")
	cmd.MarkFlagsOneRequired("name", "title", "description", "permissions")
	p.flags(cmd)
	return cmd
}

func deleteRoleCommand() *cobra.Command {
	var p policy
	request := contract.DeleteRoleRequest{}
	cmd := &cobra.Command{
		Use: "delete ROLE", Short: "Delete a role, by name or id, with its bindings, and say what that takes away", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request.TenantID = p.tenantID()
			return p.run(cmd.Context(), func(ctx context.Context, client *kit.Client) (err error) {
				if request.RoleID, err = p.role(ctx, client, args[0]); err != nil {
					return err
				}
				gone, err := kit.Call(ctx, client, contract.DeleteRole, &request)
				if err != nil {
					return err
				}
				return p.print(cmd.OutOrStdout(), gone, removalText(args[0], gone))
			})
		},
	}
	cmd.Flags().BoolVar(&request.DryRun, "dry-run", false, "only say what would be taken away")
	p.flags(cmd)
	return cmd
}

func removalText(name string, r *contract.Removal) func(io.Writer) {
	return func(out io.Writer) {
		verb := "is deleted"
		if r.DryRun {
			verb = "would be deleted"
		}
		fmt.Fprintf(out, "%s %s, with %d bindings; %d users lose permissions\n", name, verb, r.Bindings, r.Users)
		if len(r.Losses) == 0 {
			return
		}
		fmt.Fprintln(out, "\nUSER\tLOSES")
		for _, loss := range r.Losses {
			fmt.Fprintf(out, "%s\t%s\n", loss.UserID, strings.Join(loss.Permissions, ", "))
		}
		if more := r.Users - len(r.Losses); more > 0 {
			fmt.Fprintf(out, "and %d more\n", more)
		}
	}
}
