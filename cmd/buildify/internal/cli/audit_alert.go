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

func auditAlertCommand() *cobra.Command {
	cmd := group("alert", "Alerts: rules on a tenant's trail that tell when it shows something")
	cmd.AddCommand(createAlertCommand(), listAlertsCommand(), testAlertCommand(), deleteAlertCommand(),
		switchAlertCommand("enable", "Have an alert count again, from now on", true),
		switchAlertCommand("disable", "Have an alert count nothing", false))
	return cmd
}

// ruleFlags declares the parts of a rule.
func ruleFlags(cmd *cobra.Command, r *contract.AlertRule, user, resource *string) {
	fs := cmd.Flags()
	fs.StringSliceVar(&r.Actions, "action", nil, "actions that count; * stands for anything (default all)")
	fs.StringVar(&r.Outcome, "outcome", "", "only this outcome: success, failure or denied")
	fs.StringVar(&r.Source, "source", "", "only what this module or service recorded")
	fs.StringVar(user, "user", "", "only what this person did, by id")
	fs.StringVar(&r.ResourceType, "resource-type", "", "only what was done to resources of this type")
	fs.StringVar(resource, "resource", "", "only what was done to the resource with this id")
	fs.IntVar(&r.Count, "count", 0, "how many of them raise it (default 1)")
	fs.IntVar(&r.WindowSeconds, "window", 0, "within how many seconds (default 300)")
	fs.StringVar(&r.Per, "per", "", "whose are counted together: tenant, actor or address (default tenant)")
	fs.IntVar(&r.CoolDownSeconds, "cool-down", 0, "seconds after it is raised before it is raised again for the same (default 300)")
}

// ruleText is a rule in a line.
func ruleText(r contract.AlertRule) string {
	what := strings.Join(r.Actions, ",")
	for _, part := range []string{r.Outcome, r.Source, string(r.UserID), r.ResourceType, string(r.ResourceID)} {
		if part != "" {
			what = strings.TrimSpace(what + " " + part)
		}
	}
	if what == "" {
		what = "anything"
	}
	return fmt.Sprintf("%s: %d in %d s per %s", printable(what), r.Count, r.WindowSeconds, r.Per)
}

func alertText(a *contract.AuditAlert) func(io.Writer) {
	return rowsText([2]string{"id", a.ID}, [2]string{"name", a.Name}, [2]string{"rule", ruleText(a.Rule)},
		[2]string{"enabled", fmt.Sprint(a.Enabled)}, [2]string{"revision", fmt.Sprint(a.Revision)})
}

func createAlertCommand() *cobra.Command {
	var t tenantTool
	var request contract.CreateAlertRequest
	var user, resource string
	cmd := &cobra.Command{
		Use: "create TENANT", Short: "Save an alert", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.about(cmd, args, func(ctx context.Context, client *kit.Client, tenant contract.ID) error {
				request.TenantID, request.Rule.UserID, request.Rule.ResourceID = tenant, contract.ID(user), contract.ID(resource)
				alert, err := kit.Call(ctx, client, contract.CreateAlert, &request)
				if err != nil {
					return err
				}
				return t.print(cmd.OutOrStdout(), alert, alertText(alert))
			})
		},
	}
	cmd.Flags().StringVar(&request.Name, "name", "", "what it is called")
	_ = cmd.MarkFlagRequired("name") // it is there
	ruleFlags(cmd, &request.Rule, &user, &resource)
	t.flags(cmd)
	return cmd
}

func testAlertCommand() *cobra.Command {
	var t tenantTool
	var request contract.TestAlertRequest
	var user, resource string
	cmd := &cobra.Command{
		Use: "test TENANT", Short: "Say how often a rule would have raised an alert over the last events", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.about(cmd, args, func(ctx context.Context, client *kit.Client, tenant contract.ID) error {
				request.TenantID, request.Rule.UserID, request.Rule.ResourceID = tenant, contract.ID(user), contract.ID(resource)
				tried, err := kit.Call(ctx, client, contract.TestAlert, &request)
				if err != nil {
					return err
				}
				return t.print(cmd.OutOrStdout(), tried, func(out io.Writer) {
					fmt.Fprintf(out, "of %d events %d count: raised %d times\n", tried.Events, tried.Matched, tried.Raised)
					for _, r := range tried.Items {
						fmt.Fprintf(out, "%d\t%s\t%s\t%s%s\n", r.Sequence, instant(&r.First), instant(&r.Last), r.Actor, printable(r.Address))
					}
				})
			})
		},
	}
	cmd.Flags().IntVar(&request.Events, "events", 0, "over how many of the last events (default 10000)")
	ruleFlags(cmd, &request.Rule, &user, &resource)
	t.flags(cmd)
	return cmd
}

func listAlertsCommand() *cobra.Command {
	var t tenantTool
	request := contract.ListAlertsRequest{Limit: 500}
	cmd := &cobra.Command{
		Use: "list TENANT", Short: "List a tenant's alerts", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.about(cmd, args, func(ctx context.Context, client *kit.Client, tenant contract.ID) error {
				request.TenantID = tenant
				page, err := kit.Call(ctx, client, contract.ListAlerts, &request) // a tenant has fewer than a page
				if err != nil {
					return err
				}
				return t.print(cmd.OutOrStdout(), page.Items, func(out io.Writer) {
					fmt.Fprintln(out, "ID\tNAME\tENABLED\tRULE")
					for _, a := range page.Items {
						fmt.Fprintf(out, "%s\t%s\t%t\t%s\n", a.ID, printable(a.Name), a.Enabled, ruleText(a.Rule))
					}
				})
			})
		},
	}
	cmd.Flags().StringVar(&request.Search, "search", "", "part of a name")
	t.flags(cmd)
	return cmd
}

func switchAlertCommand(verb, short string, enabled bool) *cobra.Command {
	var t tenantTool
	cmd := &cobra.Command{
		Use: verb + " TENANT ALERT", Short: short, Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.about(cmd, args, func(ctx context.Context, client *kit.Client, tenant contract.ID) error {
				alert, err := kit.Call(ctx, client, contract.UpdateAlert, &contract.UpdateAlertRequest{
					TenantID: tenant, AlertID: contract.ID(args[1]), Enabled: &enabled,
				})
				if err != nil {
					return err
				}
				return t.print(cmd.OutOrStdout(), alert, alertText(alert))
			})
		},
	}
	t.flags(cmd)
	return cmd
}

func deleteAlertCommand() *cobra.Command {
	var t tenantTool
	cmd := &cobra.Command{
		Use: "delete TENANT ALERT", Short: "Delete an alert, by its id", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.about(cmd, args, func(ctx context.Context, client *kit.Client, tenant contract.ID) error {
				_, err := kit.Call(ctx, client, contract.DeleteAlert, &contract.DeleteAlertRequest{TenantID: tenant, AlertID: contract.ID(args[1])})
				return err
			})
		},
	}
	t.flags(cmd)
	return cmd
}
