package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

func tenantCommand() *cobra.Command {
	cmd := group("tenant", "Make, suspend, delete and restore tenants, and say what they may use")
	cmd.AddCommand(
		createTenantCommand(), listTenantsCommand(), showTenantCommand(), limitTenantCommand(),
		tenantVerbCommand("suspend", "Keep a tenant's people and modules out until it is resumed", contract.SuspendTenant),
		tenantVerbCommand("resume", "Let a suspended tenant's people and modules in again", contract.ResumeTenant),
		deleteTenantCommand(),
		tenantVerbCommand("restore", "Take a deletion back, within its days of grace", contract.RestoreTenant),
	)
	return cmd
}

// tenantTool is a command about tenants.
type tenantTool struct {
	operator
	printer
}

func (t *tenantTool) flags(cmd *cobra.Command) {
	t.printer.flags(cmd)
	t.operator.flags(cmd)
}

// tenant is the id of which an id or a code names.
func (t *tenantTool) tenant(ctx context.Context, client *kit.Client, name string) (contract.ID, error) {
	if isID(name) {
		return contract.ID(name), nil
	}
	page, err := kit.Call(ctx, client, contract.ListAllTenants, &contract.ListAllTenantsRequest{Search: name, Limit: 500})
	if err != nil {
		return "", err
	}
	for _, found := range page.Items {
		if strings.EqualFold(found.Code, name) {
			return contract.ID(found.ID), nil
		}
	}
	return "", fmt.Errorf("%s: no tenant has this code: `buildify tenant list` lists them", name)
}

// about runs work for the tenant that the first argument names.
func (t *tenantTool) about(cmd *cobra.Command, args []string, work func(ctx context.Context, client *kit.Client, tenant contract.ID) error) error {
	return t.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
		tenant, err := t.tenant(ctx, client, args[0])
		if err != nil {
			return err
		}
		return work(ctx, client, tenant)
	})
}

func createTenantCommand() *cobra.Command {
	var t tenantTool
	var limits contract.Limits
	var administrator contract.TenantAdministrator
	request := contract.CreateTenantRequest{Limits: &limits}
	cmd := &cobra.Command{
		Use: "create", Short: "Create a tenant, with its first administrator, who is invited by e-mail", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if administrator.Email != "" {
				request.Administrator = &administrator
			}
			return t.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				made, err := kit.Call(ctx, client, contract.CreateTenant, &request)
				if err != nil {
					return err
				}
				return t.print(cmd.OutOrStdout(), made, tenantText(made))
			})
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&request.Code, "code", "", "what the tenant is called in short, such as ACME001; it stays")
	fs.StringVar(&request.Name, "name", "", "what the tenant is called")
	fs.StringVar(&administrator.Email, "administrator", "", "e-mail address of the first administrator; without one nobody is made")
	fs.StringVar(&administrator.Name, "administrator-name", "", "the administrator's name")
	limitFlags(cmd, &limits)
	for _, flag := range []string{"code", "name"} {
		_ = cmd.MarkFlagRequired(flag) // it is there
	}
	t.flags(cmd)
	return cmd
}

func limitFlags(cmd *cobra.Command, limits *contract.Limits) {
	fs := cmd.Flags()
	fs.IntVar(&limits.Users, "users", 0, "people who may belong to it (default unlimited)")
	fs.IntVar(&limits.Companies, "companies", 0, "companies it may have (default unlimited)")
	fs.IntVar(&limits.Modules, "modules", 0, "modules it may have enabled at once (default unlimited)")
	fs.IntVar(&limits.StorageMB, "storage-mb", 0, "megabytes that modules may keep for it (default unlimited)")
	fs.IntVar(&limits.RequestsPerMinute, "requests-per-minute", 0, "requests of its people in a minute (default unlimited)")
}

func limitTenantCommand() *cobra.Command {
	var t tenantTool
	var limits contract.Limits
	cmd := &cobra.Command{
		Use: "limits TENANT", Short: "Set all limits of a tenant; what no flag names is unlimited", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.about(cmd, args, func(ctx context.Context, client *kit.Client, tenant contract.ID) error {
				limited, err := kit.Call(ctx, client, contract.SetTenantLimits, &contract.SetTenantLimitsRequest{
					TenantID: tenant, Users: limits.Users, Companies: limits.Companies, Modules: limits.Modules,
					StorageMB: limits.StorageMB, RequestsPerMinute: limits.RequestsPerMinute,
				})
				if err != nil {
					return err
				}
				return t.print(cmd.OutOrStdout(), limited, tenantText(limited))
			})
		},
	}
	limitFlags(cmd, &limits)
	t.flags(cmd)
	return cmd
}

func listTenantsCommand() *cobra.Command {
	var t tenantTool
	request := contract.ListAllTenantsRequest{Limit: 500}
	cmd := &cobra.Command{
		Use: "list", Short: "List the tenants, without erased ones", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				all := []contract.Tenant{}
				for {
					page, err := kit.Call(ctx, client, contract.ListAllTenants, &request)
					if err != nil {
						return err
					}
					all = append(all, page.Items...)
					if request.Cursor = page.NextCursor; request.Cursor == "" {
						break
					}
				}
				return t.print(cmd.OutOrStdout(), all, func(out io.Writer) {
					fmt.Fprintln(out, "CODE\tSTATE\tNAME\tID")
					for _, one := range all {
						fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", one.Code, one.State, one.Name, one.ID)
					}
				})
			})
		},
	}
	cmd.Flags().StringVar(&request.Search, "search", "", "part of a code or name")
	cmd.Flags().StringVar(&request.State, "state", "", "only tenants in this state: provisioning, active, suspended, deleting or erased")
	t.flags(cmd)
	return cmd
}

func showTenantCommand() *cobra.Command {
	var t tenantTool
	cmd := &cobra.Command{
		Use: "show TENANT", Short: "Show a tenant, what it uses of its limits, and what it waits for", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.about(cmd, args, func(ctx context.Context, client *kit.Client, tenant contract.ID) error {
				detail, err := kit.Call(ctx, client, contract.ReadTenant, &contract.TenantRequest{TenantID: tenant})
				if err != nil {
					return err
				}
				return t.print(cmd.OutOrStdout(), detail, tenantDetailText(detail))
			})
		},
	}
	t.flags(cmd)
	return cmd
}

func tenantVerbCommand(verb, short string, op contract.Operation[contract.TenantReasonRequest, contract.Tenant]) *cobra.Command {
	var t tenantTool
	var reason string
	cmd := &cobra.Command{
		Use: verb + " TENANT", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.about(cmd, args, func(ctx context.Context, client *kit.Client, tenant contract.ID) error {
				state, err := kit.Call(ctx, client, op, &contract.TenantReasonRequest{TenantID: tenant, Reason: reason})
				if err != nil {
					return err
				}
				return t.print(cmd.OutOrStdout(), state, tenantText(state))
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept in the audit trail")
	t.flags(cmd)
	return cmd
}

func deleteTenantCommand() *cobra.Command {
	var t tenantTool
	var request contract.DeleteTenantRequest
	days := 30
	cmd := &cobra.Command{
		Use: "delete TENANT", Short: "Delete a tenant: inactive at once, erased everywhere after the days of grace", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.about(cmd, args, func(ctx context.Context, client *kit.Client, tenant contract.ID) error {
				request.TenantID, request.GraceDays = tenant, &days
				gone, err := kit.Call(ctx, client, contract.DeleteTenant, &request)
				if err != nil {
					return err
				}
				return t.print(cmd.OutOrStdout(), gone, tenantRemovalText(gone))
			})
		},
	}
	fs := cmd.Flags()
	fs.IntVar(&days, "grace-days", days, "days in which it may be restored, 0 to 90")
	fs.BoolVar(&request.DryRun, "dry-run", false, "only say what would go")
	fs.StringVar(&request.Reason, "reason", "", "why; kept in the audit trail")
	t.flags(cmd)
	return cmd
}

// rowsText prints names and values, without those that have none.
func rowsText(rows ...[2]string) func(io.Writer) {
	return func(out io.Writer) {
		for _, row := range rows {
			if row[1] != "" {
				fmt.Fprintf(out, "%s\t%s\n", row[0], row[1])
			}
		}
	}
}

func tenantText(t *contract.Tenant) func(io.Writer) {
	return rowsText([2]string{"id", t.ID}, [2]string{"code", t.Code}, [2]string{"name", t.Name}, [2]string{"state", t.State},
		[2]string{"erased at", instant(t.DeleteAt)}, [2]string{"limits", limitsText(t.Limits)}, [2]string{"revision", fmt.Sprint(t.Revision)})
}

func tenantDetailText(t *contract.TenantDetail) func(io.Writer) {
	waits := ""
	if t.Progress != nil {
		waits = strings.TrimSpace(t.Progress.Step + " " + strings.Join(t.Progress.Waiting, ", "))
	}
	return rowsText([2]string{"id", t.ID}, [2]string{"code", t.Code}, [2]string{"name", t.Name}, [2]string{"state", t.State},
		[2]string{"reason", t.Reason}, [2]string{"waits for", waits}, [2]string{"erased at", instant(t.DeleteAt)},
		[2]string{"created", instant(&t.CreatedAt)},
		[2]string{"uses", fmt.Sprintf("%d users, %d companies, %d modules", t.Usage.Users, t.Usage.Companies, t.Usage.Modules)},
		[2]string{"limits", limitsText(t.Limits)}, [2]string{"revision", fmt.Sprint(t.Revision)})
}

func limitsText(l *contract.Limits) string {
	if l == nil {
		return ""
	}
	var all []string
	for _, limit := range []struct {
		n    int
		what string
	}{{l.Users, "users"}, {l.Companies, "companies"}, {l.Modules, "modules"}, {l.StorageMB, "MB"}, {l.RequestsPerMinute, "requests a minute"}} {
		if limit.n > 0 {
			all = append(all, fmt.Sprintf("%d %s", limit.n, limit.what))
		}
	}
	return strings.Join(all, ", ")
}

func tenantRemovalText(r *contract.TenantRemoval) func(io.Writer) {
	verb := "goes"
	if r.DryRun {
		verb = "would go"
	}
	return rowsText([2]string{"state", r.State}, [2]string{"erased at", instant(&r.DeleteAt)},
		[2]string{verb, fmt.Sprintf("%d users, %d memberships of other tenants' people, %d units", r.Users, r.Members, r.Units)},
		[2]string{"modules", strings.Join(r.Modules, ", ")}, [2]string{"and", strings.Join(r.Also, "; ")})
}

// instant is a time as people read it, empty for none.
func instant(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
