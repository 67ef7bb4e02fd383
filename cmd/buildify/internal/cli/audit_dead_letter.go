package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

func deadLetterCommand() *cobra.Command {
	cmd := group("dead-letter", "Messages that no record of an audit trail could be made of")
	cmd.AddCommand(listDeadLettersCommand(), showDeadLetterCommand(), retryDeadLetterCommand(), discardDeadLetterCommand())
	return cmd
}

// deadLetterTool is a command about dead letters.
type deadLetterTool struct {
	operator
	printer
}

func (t *deadLetterTool) flags(cmd *cobra.Command) {
	t.printer.flags(cmd)
	t.operator.flags(cmd)
}

func listDeadLettersCommand() *cobra.Command {
	var t deadLetterTool
	request := contract.ListDeadLettersRequest{Limit: 500}
	cmd := &cobra.Command{
		Use: "list", Short: "List dead letters, the newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				all, err := deadLetters(ctx, client, request)
				if err != nil {
					return err
				}
				return t.print(cmd.OutOrStdout(), all, func(out io.Writer) {
					fmt.Fprintln(out, "ID\tRECEIVED\tSTREAM\tTYPE\tBYTES\tTRIES\tREASON")
					for _, l := range all {
						fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%d\t%d\t%s\n", l.ID, instant(&l.ReceivedAt), l.Stream, printable(l.Type), l.Bytes, l.Tries, printable(l.Reason))
					}
				})
			})
		},
	}
	cmd.Flags().StringVar(&request.Stream, "stream", "", "only those of this stream: AUDIT or EVENTS")
	cmd.Flags().StringVar(&request.Search, "search", "", "part of a subject or reason")
	t.flags(cmd)
	return cmd
}

// deadLetters are those of all pages.
func deadLetters(ctx context.Context, client *kit.Client, request contract.ListDeadLettersRequest) ([]contract.DeadLetter, error) {
	all := []contract.DeadLetter{}
	for {
		page, err := kit.Call(ctx, client, contract.ListDeadLetters, &request)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if request.Cursor = page.NextCursor; request.Cursor == "" {
			return all, nil
		}
	}
}

func showDeadLetterCommand() *cobra.Command {
	var t deadLetterTool
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show a dead letter with its headers and data", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				letter, err := kit.Call(ctx, client, contract.GetDeadLetter, &contract.DeadLetterRequest{DeadLetterID: contract.ID(args[0])})
				if err != nil {
					return err
				}
				return t.print(cmd.OutOrStdout(), letter, deadLetterText(letter))
			})
		},
	}
	t.flags(cmd)
	return cmd
}

func deadLetterText(l *contract.DeadLetter) func(io.Writer) {
	return func(out io.Writer) {
		rowsText([2]string{"id", l.ID}, [2]string{"stream", l.Stream}, [2]string{"sequence", fmt.Sprint(l.Sequence)},
			[2]string{"subject", printable(l.Subject)}, [2]string{"type", printable(l.Type)}, [2]string{"tenant", printable(l.TenantID)},
			[2]string{"reason", printable(l.Reason)}, [2]string{"received", instant(&l.ReceivedAt)},
			[2]string{"tries", fmt.Sprint(l.Tries)}, [2]string{"tried", instant(l.TriedAt)})(out)
		var headers map[string][]string
		_ = json.Unmarshal(l.Headers, &headers) // what is none is not shown
		for _, name := range slices.Sorted(maps.Keys(headers)) {
			fmt.Fprintf(out, "%s\t%s\n", printable(name), printable(strings.Join(headers[name], ", ")))
		}
		more := ""
		if l.Truncated {
			more = ", the beginning of them"
		}
		fmt.Fprintf(out, "data\t%d bytes%s\n\n%s\n", l.Bytes, more, printable(string(l.Data)))
	}
}

// printable is text that somebody else wrote, without what a terminal obeys.
func printable(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return s
	}
	quoted := strconv.Quote(s)
	return quoted[1 : len(quoted)-1]
}

func retryDeadLetterCommand() *cobra.Command {
	var t deadLetterTool
	var all bool
	cmd := &cobra.Command{
		Use: "retry ID...", Short: "Try again to make records of dead letters", Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) > 0) == all {
				return fmt.Errorf("name dead letters, or --all of them: `buildify audit dead-letter list` lists them")
			}
			return t.within(cmd.Context(), retriesTake, func(ctx context.Context, client *kit.Client) error {
				return t.retry(ctx, cmd.OutOrStdout(), client, args, all)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "all dead letters, the oldest first")
	t.flags(cmd)
	return cmd
}

func discardDeadLetterCommand() *cobra.Command {
	var t deadLetterTool
	var reason string
	cmd := &cobra.Command{
		Use: "discard ID...", Short: "Remove dead letters for good", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.run(cmd.Context(), func(ctx context.Context, client *kit.Client) error {
				for _, id := range args {
					request := &contract.DiscardDeadLetterRequest{DeadLetterID: contract.ID(id), Reason: reason}
					if _, err := kit.Call(ctx, client, contract.DiscardDeadLetter, request); err != nil {
						return fmt.Errorf("dead letter %s: %w", id, err)
					}
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept in the platform's trail")
	_ = cmd.MarkFlagRequired("reason") // it is there
	t.flags(cmd)
	return cmd
}
