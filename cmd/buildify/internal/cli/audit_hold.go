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

func auditHoldCommand() *cobra.Command {
	cmd := group("hold", "Legal holds: what is under one is not removed")
	cmd.AddCommand(placeHoldCommand(), releaseHoldCommand(), listHoldsCommand())
	return cmd
}

func holdText(h *contract.LegalHold) func(io.Writer) {
	return rowsText([2]string{"id", h.ID}, [2]string{"tenant", h.TenantID}, [2]string{"keeps", keptBy(h)}, [2]string{"reason", h.Reason},
		[2]string{"placed", instant(&h.PlacedAt)}, [2]string{"placed by", h.PlacedBy},
		[2]string{"released", instant(h.ReleasedAt)}, [2]string{"released by", h.ReleasedBy}, [2]string{"because", h.ReleaseReason})
}

// keptBy is what a hold keeps.
func keptBy(h *contract.LegalHold) string {
	switch {
	case h.UserID != "":
		return "what concerns the person " + h.UserID
	case h.ResourceType != "":
		return strings.TrimSpace("what concerns " + printable(h.ResourceType+" "+h.ResourceID))
	}
	return "everything"
}

func placeHoldCommand() *cobra.Command {
	var t tenantTool
	var request contract.PlaceHoldRequest
	var user, resource string
	cmd := &cobra.Command{
		Use: "place TENANT", Short: "Keep a tenant's trail, or what concerns one person or resource, from being removed", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.about(cmd, args, func(ctx context.Context, client *kit.Client, tenant contract.ID) error {
				request.TenantID, request.UserID, request.ResourceID = tenant, contract.ID(user), contract.ID(resource)
				hold, err := kit.Call(ctx, client, contract.PlaceHold, &request)
				if err != nil {
					return err
				}
				return t.print(cmd.OutOrStdout(), hold, holdText(hold))
			})
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&user, "user", "", "only what concerns this person, by id")
	fs.StringVar(&request.ResourceType, "resource-type", "", "only what concerns resources of this type")
	fs.StringVar(&resource, "resource", "", "of these, the one with this id")
	fs.StringVar(&request.Reason, "reason", "", "why; kept in the platform's trail")
	_ = cmd.MarkFlagRequired("reason") // it is there
	t.flags(cmd)
	return cmd
}

func releaseHoldCommand() *cobra.Command {
	var t tenantTool
	var request contract.ReleaseHoldRequest
	cmd := &cobra.Command{
		Use: "release HOLD", Short: "End a hold, by its id; what waited for it goes on", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				request.HoldID = contract.ID(args[0])
				hold, err := kit.Call(ctx, client, contract.ReleaseHold, &request)
				if err != nil {
					return err
				}
				return t.print(cmd.OutOrStdout(), hold, holdText(hold))
			})
		},
	}
	cmd.Flags().StringVar(&request.Reason, "reason", "", "why; kept in the platform's trail")
	_ = cmd.MarkFlagRequired("reason") // it is there
	t.flags(cmd)
	return cmd
}

func listHoldsCommand() *cobra.Command {
	var t tenantTool
	var tenant string
	request := contract.ListHoldsRequest{Limit: 500}
	cmd := &cobra.Command{
		Use: "list", Short: "List holds, and say for which of them an erasure waits", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.run(cmd.Context(), func(ctx context.Context, client *kit.Client) (err error) {
				if tenant != "" {
					if request.Of, err = t.tenant(ctx, client, tenant); err != nil {
						return err
					}
				}
				all := []contract.LegalHold{}
				for {
					page, err := kit.Call(ctx, client, contract.ListHolds, &request)
					if err != nil {
						return err
					}
					all = append(all, page.Items...)
					if request.Cursor = page.NextCursor; request.Cursor == "" {
						break
					}
				}
				return t.print(cmd.OutOrStdout(), all, func(out io.Writer) {
					fmt.Fprintln(out, "ID\tTENANT\tPLACED\tRELEASED\tERASURE WAITS\tKEEPS\tREASON")
					for i := range all {
						h := &all[i]
						fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%t\t%s\t%s\n", h.ID, h.TenantID, instant(&h.PlacedAt), instant(h.ReleasedAt), h.ErasureWaits,
							keptBy(h), printable(h.Reason))
					}
				})
			})
		},
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "only those of this tenant, by id or code")
	cmd.Flags().BoolVar(&request.Released, "released", false, "those that were released too")
	t.flags(cmd)
	return cmd
}
