package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"github.com/buildify/core/pkg/trail"
)

// errFound is the error of a command that did its work and found something wrong:
// what that is has been printed.
var errFound = errors.New("not verified")

// proofFile is what `buildify audit proof` writes: what it takes beside an export
// to verify it.
type proofFile struct {
	Checkpoint string      `json:"checkpoint"`
	Range      trail.Range `json:"range"`
}

// verification is the command that verifies an export, without the platform.
type verification struct {
	printer
	checkpoint, proof string
	key               string
	witnesses         []string
}

func auditVerifyCommand() *cobra.Command {
	var v verification
	cmd := &cobra.Command{
		Use: "verify EXPORT", Short: "Verify an export of a trail against a signed checkpoint, offline",
		Long: `Verify that an export (JSON lines, as "buildify audit export" writes them; "-" is
standard input) holds what was recorded: every entry, unaltered, in its order.

The checkpoint and the key come from you: keep the key from when you began to
trust it, and checkpoints from before you had reason to doubt. --proof takes the
file of "buildify audit proof": it has a checkpoint, what it takes to verify a
part of a trail, and the hashes by which an altered entry is named; with
--checkpoint too, that one counts.

Exits with 0 when all is verified, 1 when something was altered, removed, inserted
or reordered, which is listed, and 2 when it cannot be verified.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			result, c, err := v.run(cmd.InOrStdin(), args[0])
			if err != nil {
				return &exitError{code: 2, err: err}
			}
			if err := v.show(cmd.OutOrStdout(), result, c); err != nil {
				return err
			}
			if !result.Verified() {
				return &exitError{code: 1, err: errFound}
			}
			return nil
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&v.checkpoint, "checkpoint", "", "file with a signed checkpoint")
	fs.StringVar(&v.proof, "proof", "", "file that \"buildify audit proof\" wrote")
	fs.StringVar(&v.key, "key", "", "the log's verifier key, or a file that holds it (required)")
	fs.StringArrayVar(&v.witnesses, "witness-key", nil, "verifier key of a witness who must have cosigned; may be given again")
	v.flags(cmd)
	return cmd
}

func (v *verification) run(stdin io.Reader, path string) (*trail.Result, *trail.Checkpoint, error) {
	verifiers, err := v.verifiers()
	if err != nil {
		return nil, nil, err
	}
	var proof *trail.Range
	var signed []byte
	if v.proof != "" {
		raw, err := os.ReadFile(v.proof)
		if err != nil {
			return nil, nil, err
		}
		var file proofFile
		if err := json.Unmarshal(raw, &file); err != nil {
			return nil, nil, fmt.Errorf("--proof %s: %w", v.proof, err)
		}
		proof, signed = &file.Range, []byte(file.Checkpoint)
	}
	if v.checkpoint != "" {
		if signed, err = os.ReadFile(v.checkpoint); err != nil {
			return nil, nil, err
		}
	}
	if signed == nil {
		return nil, nil, errors.New("--checkpoint or --proof is required")
	}
	c, names, err := trail.OpenCheckpoint(signed, verifiers...)
	if err != nil {
		return nil, nil, err
	}
	for _, w := range verifiers[1:] {
		if !slices.Contains(names, w.Name()) {
			return nil, nil, fmt.Errorf("%s has not cosigned the checkpoint", w.Name())
		}
	}
	export := stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, nil, err
		}
		defer file.Close()
		export = file
	}
	result, err := trail.Verify(export, c, proof)
	return result, c, err
}

// verifiers are the log's and those of the witnesses.
func (v *verification) verifiers() (all []note.Verifier, err error) {
	if v.key == "" {
		return nil, errors.New("--key is required: `buildify audit keys` shows it, and you should have kept it from earlier")
	}
	for _, key := range append([]string{v.key}, v.witnesses...) {
		if raw, err := os.ReadFile(key); err == nil {
			key = string(raw)
		}
		verifier, err := trail.NewVerifier(strings.TrimSpace(key))
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", strings.TrimSpace(key), err)
		}
		all = append(all, verifier)
	}
	return all, nil
}

// verified is what --json prints.
type verified struct {
	Verified  bool            `json:"verified"`
	Origin    string          `json:"origin"`
	Size      int64           `json:"size"`
	First     int64           `json:"first"`
	Last      int64           `json:"last"`
	Entries   int64           `json:"entries"`
	Unproven  int64           `json:"unproven,omitempty"`
	Findings  []trail.Finding `json:"findings"`
	More      int64           `json:"more,omitempty"`
	Unlocated bool            `json:"unlocated,omitempty"`
}

func (v *verification) show(out io.Writer, r *trail.Result, c *trail.Checkpoint) error {
	answer := verified{
		Verified: r.Verified(), Origin: c.Origin, Size: c.Size, First: r.First, Last: r.Last,
		Entries: r.Entries, Unproven: r.Unproven, Findings: append([]trail.Finding{}, r.Findings...), More: r.More, Unlocated: r.Unlocated,
	}
	return v.print(out, answer, func(out io.Writer) {
		if r.Verified() {
			fmt.Fprintf(out, "verified: entries %d to %d of %s are as they were recorded\n", r.First, r.Last, c.Origin)
		} else {
			fmt.Fprintf(out, "NOT verified: entries %d to %d of %s\n", r.First, r.Last, c.Origin)
		}
		for _, f := range r.Findings {
			where := "-"
			if f.Line > 0 {
				where = fmt.Sprintf("line %d", f.Line)
			}
			fmt.Fprintf(out, "%s\tentry %d\t%s\t%s\n", f.Kind, f.Sequence, where, f.Text)
		}
		if r.More > 0 {
			fmt.Fprintf(out, "and %d more\n", r.More)
		}
		if r.Unlocated {
			fmt.Fprintln(out, "Some entry was altered. Which one, --proof tells.")
		}
		if r.Unproven > 0 {
			fmt.Fprintf(out, "%d entries are newer than the checkpoint, and not proven by it\n", r.Unproven)
		}
	})
}
