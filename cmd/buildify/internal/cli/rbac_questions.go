package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

const (
	aboutUnit     = "id of the company, branch or department it is about"
	aboutResource = "the resource it is about, as type:id"
)

func explainCommand() *cobra.Command {
	var p policy
	var at place
	var user, permission string
	cmd := &cobra.Command{
		Use: "explain", Short: "Say whether a user holds a permission, why, and what would change it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// The lowest unit that is named counts, whichever kind it is of.
			request := contract.ExplainRequest{TenantID: p.tenantID(), Permission: permission, DepartmentID: contract.ID(at.unit)}
			kind, id, err := at.split()
			if err != nil {
				return err
			}
			request.ResourceType, request.ResourceID = kind, contract.ID(id)
			return p.run(cmd.Context(), func(ctx context.Context, client *kit.Client) (err error) {
				if request.UserID, err = p.user(ctx, client, user); err != nil {
					return err
				}
				why, err := kit.Call(ctx, client, contract.Explain, &request)
				if err != nil {
					return err
				}
				return p.print(cmd.OutOrStdout(), why, explanation(user, permission, why))
			})
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "the user, by e-mail address or id")
	cmd.Flags().StringVar(&permission, "permission", "", "the permission, such as financial:accounts:read")
	at.flags(cmd, aboutUnit, aboutResource)
	_ = cmd.MarkFlagRequired("user") // they are there
	_ = cmd.MarkFlagRequired("permission")
	p.flags(cmd)
	return cmd
}

// reasons say why in words, by contract.Explanation's Reason.
var reasons = map[string]string{
	"allowed":                "a binding grants it",
	"denied":                 "a deny takes it away",
	"not_granted":            "nothing grants it",
	"user_suspended":         "the user is not active",
	"tenant_suspended":       "the tenant is suspended",
	"module_disabled":        "the tenant has not enabled the module",
	"platform_administrator": "platform administrators hold everything",
}

func explanation(user, permission string, why *contract.Explanation) func(io.Writer) {
	return func(out io.Writer) {
		verdict := "NO"
		if why.Allowed {
			verdict = "YES"
		}
		fmt.Fprintf(out, "%s: %s, %s: %s (revision %d)\n", verdict, user, permission, cmp.Or(reasons[why.Reason], why.Reason), why.Revision)
		if !why.Declared {
			fmt.Fprintln(out, "Nobody declares this permission; perhaps it is misspelt.")
		}
		if len(why.Trace) > 0 {
			fmt.Fprintln(out, "\n\tOUTCOME\tEFFECT\tROLE\tBY\tSCOPE\tCODE\tBINDING")
		}
		for _, step := range why.Trace {
			mark, by := "", "the user"
			if why.Deciding != nil && why.Deciding.BindingID == step.BindingID {
				mark = "→"
			}
			if step.GroupID != "" {
				by = "group " + cmp.Or(step.Group, step.GroupID)
			}
			fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", mark, step.Outcome, step.Effect, cmp.Or(step.Role, step.RoleID), by,
				step.Scope, cmp.Or(step.Code, "-"), step.BindingID)
		}
		if len(why.Misses) > 0 {
			fmt.Fprintln(out, "\nHints:")
		}
		for _, miss := range why.Misses {
			fmt.Fprintf(out, "- %s\n", miss.Hint)
		}
	}
}

func whoCanCommand() *cobra.Command {
	var p policy
	var at place
	var request contract.WhoCanRequest
	cmd := &cobra.Command{
		Use: "who-can", Short: "List the ids of the users who hold a permission; platform administrators, who hold all, are not listed", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request.TenantID, request.DepartmentID, request.Limit = p.tenantID(), contract.ID(at.unit), 500
			kind, id, err := at.split()
			if err != nil {
				return err
			}
			request.ResourceType, request.ResourceID = kind, contract.ID(id)
			return p.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				users := []string{}
				for more := true; more; more = request.Cursor != "" {
					page, err := kit.Call(ctx, client, contract.WhoCan, &request)
					if err != nil {
						return err
					}
					users, request.Cursor = append(users, page.UserIDs...), page.NextCursor
				}
				return p.print(cmd.OutOrStdout(), users, func(out io.Writer) {
					for _, user := range users {
						fmt.Fprintln(out, user)
					}
				})
			})
		},
	}
	cmd.Flags().StringVar(&request.Permission, "permission", "", "the permission, such as financial:accounts:read")
	at.flags(cmd, aboutUnit, aboutResource)
	_ = cmd.MarkFlagRequired("permission") // it is there
	p.flags(cmd)
	return cmd
}
