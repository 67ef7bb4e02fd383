package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// tailInterval lies between two looks at a trail that is followed.
const tailInterval = 500 * time.Millisecond

// auditTail is the command that shows the end of a trail.
type auditTail struct {
	tenantTool
	request contract.FollowAuditRequest
	tenant  string
	after   int64
	last    int64
	follow  bool
}

func auditTailCommand() *cobra.Command {
	t := &auditTail{after: -1, last: 20}
	var user string
	cmd := &cobra.Command{
		Use: "tail", Short: "Show the last events of a trail, and with --follow those that are added", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t.request.UserID = contract.ID(user)
			limit := 30 * time.Second
			if t.follow {
				limit = math.MaxInt64
			}
			err := t.within(cmd.Context(), limit, func(ctx context.Context, client *kit.Client) error {
				return t.show(ctx, client, cmd.OutOrStdout())
			})
			if t.follow && errors.Is(err, context.Canceled) {
				return nil // Ctrl-C
			}
			return err
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&t.tenant, "tenant", "", "id or code of the tenant (default the platform's own trail)")
	fs.StringVar(&t.request.Action, "action", "", "only events of this action; * stands for anything")
	fs.StringVar(&t.request.Outcome, "outcome", "", "only events of this outcome: success, failure or denied")
	fs.StringVar(&user, "user", "", "only events of this user, by id")
	fs.Int64Var(&t.last, "last", t.last, "among how many of the last events to begin")
	fs.Int64Var(&t.after, "after", t.after, "begin behind this sequence instead")
	fs.BoolVar(&t.follow, "follow", false, "go on with what is added, until Ctrl-C")
	t.flags(cmd)
	return cmd
}

// show prints from where the trail is to begin.
func (t *auditTail) show(ctx context.Context, client *kit.Client, out io.Writer) (err error) {
	if t.tenant != "" {
		if t.request.TenantID, err = t.tenantTool.tenant(ctx, client, t.tenant); err != nil {
			return err
		}
	}
	end, err := t.ask(ctx, client)
	if err != nil {
		return err
	}
	place := max(end.Through-t.last, 0)
	if t.after >= 0 {
		place = t.after
	}
	t.request.After = &place
	for {
		part, err := t.ask(ctx, client)
		switch {
		case err == nil:
		case t.follow && (errors.Is(err, &contract.Error{Code: contract.Unavailable}) || errors.Is(err, &contract.Error{Code: contract.DeadlineExceeded})):
			part = &contract.FollowAuditResponse{Through: place} // the service is away
		default:
			return err
		}
		for i := range part.Items {
			if err := t.line(out, &part.Items[i]); err != nil {
				return err
			}
		}
		place = part.Through
		if part.More {
			continue
		}
		if !t.follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(tailInterval):
		}
	}
}

func (t *auditTail) ask(ctx context.Context, client *kit.Client) (*contract.FollowAuditResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, contract.FollowAudit.Timeout)
	defer cancel()
	return kit.Call(ctx, client, contract.FollowAudit, &t.request)
}

// line prints an event, with --json as one line of JSON.
func (t *auditTail) line(out io.Writer, e *contract.AuditEvent) error {
	if t.asJSON {
		return json.NewEncoder(out).Encode(e)
	}
	who := e.UserID
	if who == "" {
		who = "-"
	}
	target := printable(strings.Trim(e.ResourceType+" "+e.ResourceID, " "))
	_, err := fmt.Fprintf(out, "%d  %s  %s  %s  %s  %s\n", e.Sequence, instant(&e.Time), printable(e.Action), e.Outcome, who, target)
	return err
}
