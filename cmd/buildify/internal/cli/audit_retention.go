package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

func auditRetentionCommand() *cobra.Command {
	cmd := group("retention", "For how long events stay in trails")
	cmd.AddCommand(showRetentionCommand(), setRetentionCommand(), applyRetentionCommand())
	return cmd
}

func retentionText(r *contract.Retention) func(io.Writer) {
	keeps := "for ever"
	if r.KeepDays > 0 {
		keeps = fmt.Sprintf("%d days", r.KeepDays)
	}
	rule := "the installation's"
	if r.Own {
		rule = "its own"
	}
	return rowsText([2]string{"tenant", r.TenantID}, [2]string{"keeps", keeps}, [2]string{"rule", rule}, [2]string{"reason", r.Reason},
		[2]string{"set by", r.SetBy}, [2]string{"set", instant(r.UpdatedAt)}, [2]string{"revision", fmt.Sprint(r.Revision)})
}

func showRetentionCommand() *cobra.Command {
	var t tenantTool
	cmd := &cobra.Command{
		Use: "show TENANT", Short: "Say for how long a tenant's events are kept", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.about(cmd, args, func(ctx context.Context, client *kit.Client, tenant contract.ID) error {
				rule, err := kit.Call(ctx, client, contract.GetRetention, &contract.GetRetentionRequest{TenantID: tenant})
				if err != nil {
					return err
				}
				return t.print(cmd.OutOrStdout(), rule, retentionText(rule))
			})
		},
	}
	t.flags(cmd)
	return cmd
}

func setRetentionCommand() *cobra.Command {
	var t tenantTool
	var request contract.SetRetentionRequest
	var days int
	cmd := &cobra.Command{
		Use: "set TENANT", Short: "Give a tenant a rule of its own; without --keep-days the installation's holds again", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.about(cmd, args, func(ctx context.Context, client *kit.Client, tenant contract.ID) error {
				request.TenantID = tenant
				if cmd.Flags().Changed("keep-days") {
					request.KeepDays = &days
				}
				rule, err := kit.Call(ctx, client, contract.SetRetention, &request)
				if err != nil {
					return err
				}
				return t.print(cmd.OutOrStdout(), rule, retentionText(rule))
			})
		},
	}
	fs := cmd.Flags()
	fs.IntVar(&days, "keep-days", 0, "for how many days; 0 is for ever")
	fs.StringVar(&request.Reason, "reason", "", "why; kept in the platform's trail")
	_ = cmd.MarkFlagRequired("reason") // it is there
	t.flags(cmd)
	return cmd
}

func applyRetentionCommand() *cobra.Command {
	var t tenantTool
	var request contract.ApplyRetentionRequest
	cmd := &cobra.Command{
		Use: "apply", Short: "Remove the events whose time is over now, rather than at night", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.within(cmd.Context(), contract.ApplyRetention.Timeout, func(ctx context.Context, client *kit.Client) error {
				report, err := kit.Call(ctx, client, contract.ApplyRetention, &request)
				if err != nil {
					return err
				}
				return t.print(cmd.OutOrStdout(), report, retentionReportText(report))
			})
		},
	}
	cmd.Flags().BoolVar(&request.DryRun, "dry-run", false, "only count")
	t.flags(cmd)
	return cmd
}

func retentionReportText(r *contract.RetentionReport) func(io.Writer) {
	return func(out io.Writer) {
		verb := "removed"
		if r.DryRun {
			verb = "would be removed"
		}
		fmt.Fprintln(out, "WHAT\tEVENTS\tHELD")
		for _, m := range r.Months {
			fmt.Fprintf(out, "month %s\t%d\t\n", m.Month, m.Events)
		}
		for _, t := range r.Tenants {
			fmt.Fprintf(out, "tenant %s\t%d\t%d\n", t.TenantID, t.Events, t.Held)
		}
		fmt.Fprintln(out, verb)
		if !r.Complete {
			fmt.Fprintln(out, "there is more: run it again")
		}
	}
}
