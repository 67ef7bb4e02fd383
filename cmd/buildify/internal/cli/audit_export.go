package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// patience is for how long an export asks again while the service is away.
const patience = time.Minute

// auditExport is the command that writes a trail into a file. What it has so far
// is in FILE.part, and how far that is in FILE.state: run again, it goes on there.
type auditExport struct {
	tenantTool
	filter  trailFilter
	request contract.ExportAuditRequest
	output  string
	log     io.Writer
}

// exportState is what FILE.state holds.
type exportState struct {
	Request contract.ExportAuditRequest `json:"request"` // of the next part
	Times   [2]string                   `json:"times"`   // --from and --until, which may be relative to when it began
	Bytes   int64                       `json:"bytes"`   // of FILE.part that are good
	Events  int                         `json:"events"`
}

func auditExportCommand() *cobra.Command {
	x := &auditExport{}
	cmd := &cobra.Command{
		Use: "export", Short: "Write a trail, or a part of it, into a file: JSON lines, CSV or OCSF", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			x.log = cmd.ErrOrStderr()
			return x.within(cmd.Context(), math.MaxInt64, func(ctx context.Context, client *kit.Client) error {
				if err := x.filter.find(ctx, client, &x.tenantTool); err != nil {
					return err
				}
				f := &x.filter
				x.request.TenantID, x.request.UserID, x.request.Module, x.request.KeyID, x.request.Action = f.TenantID, f.UserID, f.Module, f.KeyID, f.Action
				x.request.ResourceType, x.request.ResourceID, x.request.Outcome, x.request.Source = f.ResourceType, f.ResourceID, f.Outcome, f.Source
				x.request.RequestID, x.request.From, x.request.Until, x.request.Search = f.RequestID, f.From, f.Until, f.Search
				if x.output == "-" {
					return x.write(ctx, client, cmd.OutOrStdout(), &exportState{Request: x.request}, func() error { return nil })
				}
				return x.file(ctx, client)
			})
		},
	}
	x.filter.more(cmd)
	fs := cmd.Flags()
	fs.StringVar(&x.request.Format, "format", "jsonl", "jsonl (the entries, as they are verified), csv or ocsf")
	fs.Int64Var(&x.request.After, "after", 0, "only events behind this sequence")
	fs.StringVar(&x.output, "output", "", "the file, which is there when it is complete; - is standard output")
	_ = cmd.MarkFlagRequired("output") // it is there
	x.operator.flags(cmd)
	return cmd
}

// file writes into FILE.part, which becomes the file in the end.
func (x *auditExport) file(ctx context.Context, client *kit.Client) error {
	state, err := x.begun()
	if err != nil {
		return err
	}
	file, err := os.OpenFile(x.output+".part", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := file.Truncate(state.Bytes); err != nil { // what was written since the state was
		return err
	}
	if _, err := file.Seek(state.Bytes, io.SeekStart); err != nil {
		return err
	}
	saved := time.Now()
	err = x.write(ctx, client, file, state, func() error {
		if time.Since(saved) < time.Second {
			return nil
		}
		saved = time.Now()
		return x.save(file, state)
	})
	if err != nil {
		if state.Request.Cursor == "" { // nothing came
			return errors.Join(err, os.Remove(x.output+".part"))
		}
		fmt.Fprintf(x.log, "broke off after %d events: run the same command again to go on\n", state.Events)
		return errors.Join(err, x.save(file, state))
	}
	if err := errors.Join(file.Sync(), file.Close(), os.Rename(x.output+".part", x.output)); err != nil {
		return err
	}
	if err := os.Remove(x.output + ".state"); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// begun is how far an earlier run came.
func (x *auditExport) begun() (*exportState, error) {
	fresh := &exportState{Request: x.request, Times: [2]string{x.filter.from, x.filter.until}}
	raw, err := os.ReadFile(x.output + ".state")
	if errors.Is(err, os.ErrNotExist) {
		return fresh, nil
	}
	if err != nil {
		return nil, err
	}
	var state exportState
	if err := json.Unmarshal(raw, &state); err != nil {
		return nil, fmt.Errorf("%s.state: %w: remove it to begin again", x.output, err)
	}
	before, now := state.Request, x.request
	before.Cursor = ""
	for _, r := range []*contract.ExportAuditRequest{&before, &now} {
		r.From, r.Until = nil, nil
	}
	if before != now || state.Times != fresh.Times {
		return nil, fmt.Errorf("%s.part is of an export with other flags: give those, or remove it and %s.state", x.output, x.output)
	}
	info, err := os.Stat(x.output + ".part")
	if err != nil || info.Size() < state.Bytes {
		return fresh, nil //nolint:nilerr // what was written is not there: it is read again
	}
	fmt.Fprintf(x.log, "going on after %d events\n", state.Events)
	return &state, nil
}

// save makes sure that what the state speaks of is on disk, and the state too.
func (x *auditExport) save(file *os.File, state *exportState) error {
	raw, err := json.Marshal(state)
	if err != nil {
		return err
	}
	next := x.output + ".state.next"
	return errors.Join(file.Sync(), os.WriteFile(next, raw, 0o600), os.Rename(next, x.output+".state"))
}

// write writes part by part, and calls saved after each.
func (x *auditExport) write(ctx context.Context, client *kit.Client, out io.Writer, state *exportState, saved func() error) error {
	told := time.Now()
	for {
		part, err := x.ask(ctx, client, &state.Request)
		if err != nil {
			return err
		}
		if _, err := out.Write(part.Chunk); err != nil {
			return err
		}
		state.Bytes += int64(len(part.Chunk))
		state.Events += part.Events
		if part.NextCursor == "" {
			fmt.Fprintf(x.log, "%d events, %d bytes, up to sequence %d\n", state.Events, state.Bytes, part.Sequence)
			return nil
		}
		state.Request.Cursor = part.NextCursor
		if err := saved(); err != nil {
			return err
		}
		if time.Since(told) > 2*time.Second {
			told = time.Now()
			fmt.Fprintf(x.log, "%d events, at sequence %d of %d (%d%%)\n", state.Events, part.Sequence, part.Through, 100*part.Sequence/max(part.Through, 1))
		}
	}
}

// ask asks for a part, again while the service is away.
func (x *auditExport) ask(ctx context.Context, client *kit.Client, request *contract.ExportAuditRequest) (*contract.ExportAuditResponse, error) {
	for since := time.Now(); ; {
		within, cancel := context.WithTimeout(ctx, contract.ExportAudit.Timeout)
		part, err := kit.Call(within, client, contract.ExportAudit, request)
		cancel()
		away := errors.Is(err, &contract.Error{Code: contract.Unavailable}) || errors.Is(err, &contract.Error{Code: contract.DeadlineExceeded})
		if err == nil || !away || ctx.Err() != nil || time.Since(since) > patience {
			return part, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}
