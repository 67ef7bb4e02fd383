package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

func webhookCommand() *cobra.Command {
	cmd := group("webhook", "Webhooks: where a tenant's or a module's events are sent")
	cmd.AddCommand(
		listWebhooksCommand(), createWebhookCommand(), showWebhookCommand(), updateWebhookCommand(), testWebhookCommand(),
		rotateWebhookCommand(), replayWebhookCommand(), deliveriesCommand(), deleteWebhookCommand(),
	)
	return cmd
}

// webhookTool is a command about the webhooks of a tenant or a module.
type webhookTool struct {
	tenantTool
	tenant, module string
}

func (t *webhookTool) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.tenant, "tenant", "", "id or code of the tenant whose webhooks it is about")
	cmd.Flags().StringVar(&t.module, "module", "", "the module whose webhooks it is about")
	t.tenantTool.flags(cmd)
}

// owned runs work with the owner that the flags name.
func (t *webhookTool) owned(cmd *cobra.Command, work func(ctx context.Context, client *kit.Client, tenant contract.ID) error) error {
	if (t.tenant == "") == (t.module == "") {
		return errors.New("name the owner: either --tenant or --module")
	}
	return t.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
		if t.module != "" {
			return work(ctx, client, "")
		}
		tenant, err := t.tenantTool.tenant(ctx, client, t.tenant)
		if err != nil {
			return err
		}
		return work(ctx, client, tenant)
	})
}

// webhookVerb is a command that calls an operation about one webhook.
func webhookVerb[Req, Resp any](use, short string, op contract.Operation[Req, Resp],
	request func(t *webhookTool, tenant, id contract.ID) *Req, text func(*Resp) func(io.Writer),
) *cobra.Command {
	t := &webhookTool{}
	cmd := &cobra.Command{
		Use: use + " ID", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.owned(cmd, func(ctx context.Context, client *kit.Client, tenant contract.ID) error {
				answer, err := kit.Call(ctx, client, op, request(t, tenant, contract.ID(args[0])))
				if err != nil {
					return err
				}
				return t.print(cmd.OutOrStdout(), answer, text(answer))
			})
		},
	}
	t.flags(cmd)
	return cmd
}

func listWebhooksCommand() *cobra.Command {
	var t webhookTool
	cmd := &cobra.Command{
		Use: "list", Short: "List webhooks, the oldest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.owned(cmd, func(ctx context.Context, client *kit.Client, tenant contract.ID) error {
				page, err := kit.Call(ctx, client, contract.ListWebhooks, &contract.ListWebhooksRequest{
					TenantID: tenant, Module: t.module, Limit: contract.MaxWebhooks,
				})
				if err != nil {
					return err
				}
				return t.print(cmd.OutOrStdout(), page.Items, func(out io.Writer) {
					fmt.Fprintln(out, "ID\tSTATE\tTYPES\tURL")
					for _, w := range page.Items {
						fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", w.ID, webhookState(w), strings.Join(w.Types, ","), w.URL)
					}
				})
			})
		},
	}
	t.flags(cmd)
	return cmd
}

func createWebhookCommand() *cobra.Command {
	var t webhookTool
	var request contract.CreateWebhookRequest
	cmd := &cobra.Command{
		Use: "create URL", Short: "Have events sent to an address; the secret that signs them is shown this once", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.owned(cmd, func(ctx context.Context, client *kit.Client, tenant contract.ID) error {
				request.TenantID, request.Module, request.URL = tenant, t.module, args[0]
				made, err := kit.Call(ctx, client, contract.CreateWebhook, &request)
				if err != nil {
					return err
				}
				return t.print(cmd.OutOrStdout(), made, webhookSecretText(made))
			})
		},
	}
	fs := cmd.Flags()
	fs.StringSliceVar(&request.Types, "types", nil, "types of events, such as auth.user.* (default all)")
	fs.StringSliceVar(&request.Tenants, "tenants", nil, "for a module: ids of the only tenants whose events are sent (default all)")
	fs.StringVar(&request.Description, "description", "", "what it is for")
	t.flags(cmd)
	return cmd
}

func showWebhookCommand() *cobra.Command {
	return webhookVerb("show", "Show a webhook without its secret", contract.GetWebhook, webhookRequest, webhookText)
}

func webhookRequest(t *webhookTool, tenant, id contract.ID) *contract.WebhookRequest {
	return &contract.WebhookRequest{TenantID: tenant, Module: t.module, WebhookID: id}
}

func updateWebhookCommand() *cobra.Command {
	var url, description string
	var types []string
	var enable, disable bool
	var cmd *cobra.Command
	cmd = webhookVerb("update", "Change a webhook; what no flag names stays", contract.UpdateWebhook,
		func(t *webhookTool, tenant, id contract.ID) *contract.UpdateWebhookRequest {
			r := &contract.UpdateWebhookRequest{TenantID: tenant, Module: t.module, WebhookID: id}
			if cmd.Flags().Changed("url") {
				r.URL = &url
			}
			if cmd.Flags().Changed("description") {
				r.Description = &description
			}
			if cmd.Flags().Changed("types") {
				r.Types = &types
			}
			if enable || disable {
				r.Enabled = &enable
			}
			return r
		}, webhookText)
	fs := cmd.Flags()
	fs.StringVar(&url, "url", "", "the address")
	fs.StringSliceVar(&types, "types", nil, "types of events, such as auth.user.*")
	fs.StringVar(&description, "description", "", "what it is for")
	fs.BoolVar(&enable, "enable", false, "send again, what waited first")
	fs.BoolVar(&disable, "disable", false, "send nothing")
	cmd.MarkFlagsMutuallyExclusive("enable", "disable")
	return cmd
}

func testWebhookCommand() *cobra.Command {
	return webhookVerb("test", "Send an event of type audit.webhook.test and show how that went", contract.TestWebhook, webhookRequest,
		func(d *contract.DeliveryDetail) func(io.Writer) {
			return func(out io.Writer) {
				fmt.Fprintf(out, "state\t%s\n", d.Delivery.State)
				for _, a := range d.Attempts {
					attemptText(a)(out)
				}
			}
		})
}

func rotateWebhookCommand() *cobra.Command {
	overlap := 24 * time.Hour
	cmd := webhookVerb("rotate", "Give a webhook another secret, shown this once; both sign for the overlap", contract.RotateWebhookSecret,
		func(t *webhookTool, tenant, id contract.ID) *contract.RotateWebhookSecretRequest {
			seconds := int(overlap.Seconds())
			return &contract.RotateWebhookSecretRequest{TenantID: tenant, Module: t.module, WebhookID: id, OverlapSeconds: &seconds}
		}, webhookSecretText)
	cmd.Flags().DurationVar(&overlap, "overlap", overlap, "for how long the secret before signs too; 0 after a leak")
	return cmd
}

func replayWebhookCommand() *cobra.Command {
	var all bool
	var since time.Duration
	cmd := webhookVerb("replay", "Send again what failed or was missed, or with --all everything", contract.ReplayWebhook,
		func(t *webhookTool, tenant, id contract.ID) *contract.ReplayWebhookRequest {
			r := &contract.ReplayWebhookRequest{TenantID: tenant, Module: t.module, WebhookID: id, All: all}
			if since > 0 {
				from := time.Now().Add(-since)
				r.Since = &from
			}
			return r
		}, func(r *contract.ReplayWebhookResponse) func(io.Writer) {
			more := ""
			if !r.Complete {
				more = "there are more: run it again"
			}
			return rowsText([2]string{"sent again", fmt.Sprint(r.Deliveries)}, [2]string{"note", more})
		})
	cmd.Flags().BoolVar(&all, "all", false, "what was sent, too; wants --since")
	cmd.Flags().DurationVar(&since, "since", 0, "only what is at most this old, such as 36h")
	return cmd
}

func deliveriesCommand() *cobra.Command {
	var state string
	limit := 50
	cmd := webhookVerb("deliveries", "List a webhook's deliveries, the newest first", contract.ListDeliveries,
		func(t *webhookTool, tenant, id contract.ID) *contract.ListDeliveriesRequest {
			return &contract.ListDeliveriesRequest{TenantID: tenant, Module: t.module, WebhookID: id, State: state, Limit: limit}
		}, func(page *contract.ListDeliveriesResponse) func(io.Writer) {
			return func(out io.Writer) {
				fmt.Fprintln(out, "ID\tSTATE\tATTEMPTS\tTYPE\tEVENT\tTIME\tNEXT ATTEMPT")
				for _, d := range page.Items {
					fmt.Fprintf(out, "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", d.ID, d.State, d.Attempts, d.EventType, d.EventID,
						instant(&d.EventTime), cmp.Or(instant(d.NextAttemptAt), "-"))
				}
			}
		})
	cmd.Flags().StringVar(&state, "state", "", "only those that are waiting, sent, failed or missed")
	cmd.Flags().IntVar(&limit, "limit", limit, "how many, 500 at most")
	return cmd
}

func deleteWebhookCommand() *cobra.Command {
	return webhookVerb("delete", "Delete a webhook with its log; what waits is not sent", contract.DeleteWebhook,
		func(t *webhookTool, tenant, id contract.ID) *contract.DeleteWebhookRequest {
			return &contract.DeleteWebhookRequest{TenantID: tenant, Module: t.module, WebhookID: id}
		}, func(*contract.Empty) func(io.Writer) { return rowsText([2]string{"webhook", "deleted"}) })
}

func webhookState(w contract.Webhook) string {
	switch {
	case !w.Enabled:
		return "disabled"
	case w.FailingSince != nil:
		return "failing"
	}
	return "enabled"
}

func webhookText(w *contract.Webhook) func(io.Writer) {
	return rowsText([2]string{"id", w.ID}, [2]string{w.OwnerType, w.OwnerID}, [2]string{"url", w.URL}, [2]string{"types", strings.Join(w.Types, ", ")},
		[2]string{"tenants", strings.Join(w.Tenants, ", ")}, [2]string{"description", w.Description},
		[2]string{"state", webhookState(*w)}, [2]string{"why", w.DisabledReason}, [2]string{"failing since", instant(w.FailingSince)},
		[2]string{"old secret until", instant(w.OldSecretUntil)}, [2]string{"revision", fmt.Sprint(w.Revision)})
}

func webhookSecretText(made *contract.WebhookSecret) func(io.Writer) {
	return func(out io.Writer) {
		fmt.Fprintf(out, "id\t%s\nsecret\t%s\n\nKeep it now: it is shown this once.\n", made.Webhook.ID, made.Secret)
	}
}

func attemptText(a contract.DeliveryAttempt) func(io.Writer) {
	status := ""
	if a.Status != 0 {
		status = fmt.Sprint(a.Status)
	}
	return rowsText([2]string{"status", status}, [2]string{"took", fmt.Sprintf("%d ms", a.LatencyMS)},
		[2]string{"error", a.Error}, [2]string{"answer", strings.TrimSpace(a.Answer)})
}
