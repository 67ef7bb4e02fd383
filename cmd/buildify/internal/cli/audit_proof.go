package cli

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/trail"
)

// trailTool is a command about one trail.
type trailTool struct {
	tenantTool
	name string
}

func (t *trailTool) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.name, "tenant", "", "id or code of the tenant (default the platform's own trail)")
	t.tenantTool.flags(cmd)
}

// about runs work for the trail that --tenant names.
func (t *trailTool) about(cmd *cobra.Command, work func(ctx context.Context, client *kit.Client, tenant contract.ID) error) error {
	return t.within(cmd.Context(), time.Hour, func(ctx context.Context, client *kit.Client) error {
		var tenant contract.ID
		if t.name != "" {
			var err error
			if tenant, err = t.tenant(ctx, client, t.name); err != nil {
				return err
			}
		}
		return work(ctx, client, tenant)
	})
}

func auditCheckpointCommand() *cobra.Command {
	var t trailTool
	var covering int64
	cmd := &cobra.Command{
		Use: "checkpoint", Short: "Print the latest signed checkpoint of a trail, to be kept", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.about(cmd, func(ctx context.Context, client *kit.Client, tenant contract.ID) error {
				c, err := kit.Call(ctx, client, contract.GetCheckpoint, &contract.GetCheckpointRequest{TenantID: tenant, Covering: covering})
				if err != nil {
					return err
				}
				return t.print(cmd.OutOrStdout(), c, func(out io.Writer) { fmt.Fprint(out, c.Note) })
			})
		},
	}
	cmd.Flags().Int64Var(&covering, "covering", 0, "the first one that covers this sequence instead")
	t.flags(cmd)
	return cmd
}

func auditKeysCommand() *cobra.Command {
	var t trailTool
	cmd := &cobra.Command{
		Use: "keys", Short: "List the keys that verify checkpoints, the one that signs first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				keys, err := kit.Call(ctx, client, contract.AuditKeys, &contract.Empty{})
				if err != nil {
					return err
				}
				return t.print(cmd.OutOrStdout(), keys, func(out io.Writer) {
					fmt.Fprintln(out, "KEY\tSINCE\tRETIRED")
					for _, k := range keys.Items {
						fmt.Fprintf(out, "%s\t%s\t%s\n", k.Verifier, instant(&k.CreatedAt), instant(k.RetiredAt))
					}
				})
			})
		},
	}
	t.printer.flags(cmd)
	t.operator.flags(cmd)
	return cmd
}

func auditProofCommand() *cobra.Command {
	var t trailTool
	var first, last, size int64
	var output string
	cmd := &cobra.Command{
		Use: "proof", Short: "Write what it takes to verify an export: a checkpoint, and the hashes of its entries", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.about(cmd, func(ctx context.Context, client *kit.Client, tenant contract.ID) error {
				file, err := proofOf(ctx, client, tenant, first, last, size)
				if err != nil {
					return err
				}
				raw, err := json.Marshal(file)
				if err != nil {
					return err
				}
				if output == "" || output == "-" {
					_, err = cmd.OutOrStdout().Write(append(raw, '\n'))
					return err
				}
				return os.WriteFile(output, append(raw, '\n'), 0o644) //nolint:gosec // it is no secret
			})
		},
	}
	cmd.Flags().Int64Var(&first, "first", 1, "sequence of the first entry of the export")
	cmd.Flags().Int64Var(&last, "last", 0, "sequence of the last entry (default the last one that the checkpoint covers)")
	cmd.Flags().Int64Var(&size, "size", 0, "size of the checkpoint (default the latest)")
	cmd.Flags().StringVar(&output, "output", "", "file to write (default standard output)")
	t.flags(cmd)
	return cmd
}

func proofOf(ctx context.Context, client *kit.Client, tenant contract.ID, first, last, size int64) (*proofFile, error) {
	if last == 0 {
		latest, err := kit.Call(ctx, client, contract.GetCheckpoint, &contract.GetCheckpointRequest{TenantID: tenant, Covering: size})
		if err != nil {
			return nil, err
		}
		last, size = latest.Size, latest.Size
	}
	made, err := kit.Call(ctx, client, contract.ProveRange, &contract.ProveRangeRequest{TenantID: tenant, First: first, Last: last, Size: size})
	if err != nil {
		return nil, err
	}
	file := &proofFile{Checkpoint: made.Checkpoint.Note, Range: trail.Range{First: first, Last: last}}
	for _, side := range []struct {
		from []string
		into *[]trail.Hash
	}{{made.Left, &file.Range.Left}, {made.Right, &file.Range.Right}} {
		*side.into = []trail.Hash{}
		for _, h := range side.from {
			raw, err := base64.StdEncoding.DecodeString(h)
			if err != nil || len(raw) != len(trail.Hash{}) {
				return nil, fmt.Errorf("%q is no hash", h)
			}
			*side.into = append(*side.into, trail.Hash(raw))
		}
	}
	for next := first; next <= last; {
		page, err := kit.Call(ctx, client, contract.ListLeaves, &contract.ListLeavesRequest{TenantID: tenant, First: next, Last: last})
		if err != nil {
			return nil, err
		}
		raw, err := base64.StdEncoding.DecodeString(page.Leaves)
		if err != nil || page.Last < next {
			return nil, fmt.Errorf("leaves from %d: not as expected", next)
		}
		file.Range.Leaves = append(file.Range.Leaves, trail.SplitHashes(raw)...)
		next = page.Last + 1
	}
	return file, nil
}
