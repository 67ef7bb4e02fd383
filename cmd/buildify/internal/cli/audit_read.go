package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// trailFilter are the flags that say which events of which trail.
type trailFilter struct {
	tenant, user, resourceID, from, until string
	contract.ListAuditRequest
}

func (f *trailFilter) flags(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.tenant, "tenant", "", "id or code of the tenant (default the platform's own trail)")
	fs.StringVar(&f.user, "user", "", "only events of this user, by id")
	fs.StringVar(&f.Module, "module", "", "only what was done by way of this module")
	fs.StringVar(&f.Action, "action", "", "only events of this action, or with * at its end of those that begin so")
	fs.StringVar(&f.ResourceType, "resource-type", "", "only events about resources of this type")
	fs.StringVar(&f.resourceID, "resource", "", "only events about the resource of this id")
	fs.StringVar(&f.Outcome, "outcome", "", "only events of this outcome: success, failure or denied")
	fs.StringVar(&f.Source, "source", "", "only what this module or service recorded")
	fs.StringVar(&f.from, "from", "", "only what happened at this time or later: 2026-03-01, 2026-03-01T12:00:00Z, or 24h for a day ago")
	fs.StringVar(&f.until, "until", "", "only what happened before this time")
}

// more declares the flags that statistics do not have.
func (f *trailFilter) more(cmd *cobra.Command) {
	f.flags(cmd)
	fs := cmd.Flags()
	fs.StringVar(&f.KeyID, "key", "", "only what was done with this API key, by its id")
	fs.StringVar(&f.RequestID, "request", "", "only events of this request")
	fs.StringVar(&f.Search, "search", "", "only events with this text in action, resource, reason or details")
}

// find completes the request.
func (f *trailFilter) find(ctx context.Context, client *kit.Client, t *tenantTool) (err error) {
	f.UserID, f.ResourceID = contract.ID(f.user), contract.ID(f.resourceID)
	if f.From, err = moment("from", f.from); err != nil {
		return err
	}
	if f.Until, err = moment("until", f.until); err != nil {
		return err
	}
	if f.tenant != "" {
		f.TenantID, err = t.tenant(ctx, client, f.tenant)
	}
	return err
}

// moment is a time, a day, or how long ago.
func moment(flag, text string) (*time.Time, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // none was given
	}
	if ago, err := time.ParseDuration(text); err == nil {
		at := time.Now().Add(-ago)
		return &at, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return &at, nil
		}
	}
	return nil, fmt.Errorf("--%s %q: must be a day such as 2026-03-01, a time such as 2026-03-01T12:00:00Z, or how long ago, such as 24h", flag, text)
}

func auditListCommand() *cobra.Command {
	var t tenantTool
	var f trailFilter
	limit, oldest := 50, false
	cmd := &cobra.Command{
		Use: "list", Short: "List events of a trail, the newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.within(cmd.Context(), 5*time.Minute, func(ctx context.Context, client *kit.Client) error {
				if err := f.find(ctx, client, &t); err != nil {
					return err
				}
				if f.Order = "desc"; oldest {
					f.Order = "asc"
				}
				all, err := auditEvents(ctx, client, f.ListAuditRequest, limit)
				if err != nil {
					return err
				}
				return t.print(cmd.OutOrStdout(), all, auditTable(all))
			})
		},
	}
	f.more(cmd)
	cmd.Flags().IntVar(&limit, "limit", limit, "at most so many events; 0 is all")
	cmd.Flags().BoolVar(&oldest, "oldest", false, "the oldest first")
	t.flags(cmd)
	return cmd
}

// auditEvents reads pages until there are limit events.
func auditEvents(ctx context.Context, client *kit.Client, request contract.ListAuditRequest, limit int) ([]contract.AuditEvent, error) {
	all := []contract.AuditEvent{}
	for {
		request.Limit = 500
		if limit > 0 {
			request.Limit = min(limit-len(all), 500)
		}
		page, err := kit.Call(ctx, client, contract.ListAudit, &request)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if request.Cursor = page.NextCursor; request.Cursor == "" || len(all) == limit && limit > 0 {
			return all, nil
		}
	}
}

func auditTable(all []contract.AuditEvent) func(io.Writer) {
	return func(out io.Writer) {
		fmt.Fprintln(out, "SEQUENCE\tTIME\tACTION\tOUTCOME\tUSER\tRESOURCE\tSOURCE")
		for i := range all {
			e := &all[i]
			resource := printable(strings.TrimSpace(e.ResourceType + " " + e.ResourceID))
			fmt.Fprintf(out, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", e.Sequence, instant(&e.Time), printable(e.Action), e.Outcome, e.UserID, resource, printable(e.Source))
		}
	}
}

func auditShowCommand() *cobra.Command {
	var t tenantTool
	var tenant string
	cmd := &cobra.Command{
		Use: "show EVENT", Short: "Show an event of a trail, by id or sequence", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.run(cmd.Context(), func(ctx context.Context, client *kit.Client) (err error) {
				request := &contract.GetAuditRequest{EventID: contract.ID(args[0])}
				if tenant != "" {
					if request.TenantID, err = t.tenant(ctx, client, tenant); err != nil {
						return err
					}
				}
				e, err := kit.Call(ctx, client, contract.GetAudit, request)
				if err != nil {
					return err
				}
				return t.print(cmd.OutOrStdout(), e, auditText(e))
			})
		},
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "id or code of the tenant (default the platform's own trail)")
	t.flags(cmd)
	return cmd
}

func auditText(e *contract.AuditEvent) func(io.Writer) {
	var actor contract.AuditActor
	var request contract.AuditRequest
	if e.Actor != nil {
		actor = *e.Actor
	}
	if e.Request != nil {
		request = *e.Request
	}
	return func(out io.Writer) {
		rowsText([2]string{"sequence", fmt.Sprint(e.Sequence)}, [2]string{"id", e.ID}, [2]string{"time", instant(&e.Time)}, [2]string{"tenant", e.TenantID},
			[2]string{"action", printable(e.Action)}, [2]string{"outcome", e.Outcome}, [2]string{"reason", printable(e.Reason)},
			[2]string{"resource", printable(strings.TrimSpace(e.ResourceType + " " + e.ResourceID))}, [2]string{"user", e.UserID},
			[2]string{"on behalf of", actor.OnBehalfOf}, [2]string{"module", printable(actor.Module)}, [2]string{"key", printable(actor.KeyID)},
			[2]string{"source", printable(e.Source)}, [2]string{"type", printable(e.Type)}, [2]string{"request", printable(request.ID)},
			[2]string{"operation", printable(request.Operation)}, [2]string{"address", printable(request.Address)}, [2]string{"agent", printable(request.Agent)})(out)
		for _, c := range e.Changes {
			fmt.Fprintf(out, "changed\t%s: %s -> %s\n", printable(c.Field), printable(string(c.Before)), printable(string(c.After)))
		}
		if len(e.Details) > 0 {
			var indented bytes.Buffer
			_ = json.Indent(&indented, e.Details, "", "  ") // it is JSON
			fmt.Fprintln(out)
			for line := range strings.Lines(indented.String()) {
				fmt.Fprintln(out, printable(strings.TrimRight(line, "\n")))
			}
		}
	}
}

func auditStatsCommand() *cobra.Command {
	var t tenantTool
	var f trailFilter
	var request contract.AuditStatsRequest
	cmd := &cobra.Command{
		Use: "stats", Short: "Count the events of a stretch of time", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				if err := f.find(ctx, client, &t); err != nil {
					return err
				}
				request.TenantID, request.UserID, request.Module, request.Action, request.From, request.Until = f.TenantID, f.UserID, f.Module, f.Action, f.From, f.Until
				request.ResourceType, request.ResourceID, request.Outcome, request.Source = f.ResourceType, f.ResourceID, f.Outcome, f.Source
				stats, err := kit.Call(ctx, client, contract.AuditStats, &request)
				if err != nil {
					return err
				}
				return t.print(cmd.OutOrStdout(), stats, statsText(stats))
			})
		},
	}
	f.flags(cmd)
	cmd.Flags().StringVar(&request.Interval, "by", "hour", "what is counted together: hour (at most 31 days) or day (at most 400)")
	cmd.Flags().IntVar(&request.Top, "top", 20, "how many actions and actors are told")
	t.flags(cmd)
	return cmd
}

func statsText(s *contract.AuditStatsResponse) func(io.Writer) {
	return func(out io.Writer) {
		whole := ""
		if !s.Complete {
			whole = ", the newest of more"
		}
		fmt.Fprintf(out, "%s to %s: %d events%s\n\n", instant(&s.From), instant(&s.Until), s.Counted, whole)
		fmt.Fprintf(out, "%s\tEVENTS\tFAILURE\tDENIED\n", strings.ToUpper(s.Interval))
		for _, at := range s.Times {
			fmt.Fprintf(out, "%s\t%d\t%d\t%d\n", instant(&at.Time), at.Count, at.Failure, at.Denied)
		}
		for _, part := range []struct {
			title  string
			counts []contract.AuditCount
		}{{"ACTION", s.Actions}, {"OUTCOME", s.Outcomes}, {"USER", s.Actors}} {
			fmt.Fprintf(out, "\n%s\tEVENTS\n", part.title)
			for _, c := range part.counts {
				value := printable(c.Value)
				if value == "" {
					value = "-"
				}
				fmt.Fprintf(out, "%s\t%d\n", value, c.Count)
			}
		}
	}
}
