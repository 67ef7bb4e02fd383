package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// retriesTake bounds the retrying of many dead letters.
const retriesTake = 30 * time.Minute

// deadLetterRetry is what became of one.
type deadLetterRetry struct {
	DeadLetterID string                      `json:"dead_letter_id"`
	Record       *contract.RetriedDeadLetter `json:"record,omitempty"`
	Fault        string                      `json:"fault,omitempty"`
}

// retry tries one after the other; some that are no records yet are told, and
// are an error in the end.
func (t *deadLetterTool) retry(ctx context.Context, out io.Writer, client *kit.Client, ids []string, all bool) error {
	if all {
		letters, err := deadLetters(ctx, client, contract.ListDeadLettersRequest{Limit: 500})
		if err != nil {
			return err
		}
		for _, letter := range slices.Backward(letters) {
			ids = append(ids, letter.ID)
		}
	}
	still := 0
	results := make([]deadLetterRetry, 0, len(ids))
	for _, id := range ids {
		record, err := kit.Call(ctx, client, contract.RetryDeadLetter, &contract.DeadLetterRequest{DeadLetterID: contract.ID(id)})
		result := deadLetterRetry{DeadLetterID: id, Record: record}
		var refused *contract.Error
		switch {
		case err == nil:
		case errors.As(err, &refused) && refused.Code == contract.Conflict:
			still++
			result.Record, result.Fault = nil, refused.Message
		default:
			return fmt.Errorf("dead letter %s: %w", id, err)
		}
		results = append(results, result)
	}
	err := t.print(out, results, func(out io.Writer) {
		for _, r := range results {
			fmt.Fprintf(out, "%s\t%s\n", r.DeadLetterID, retryText(r))
		}
	})
	if err == nil && still > 0 {
		err = fmt.Errorf("%d of %d are still dead letters", still, len(ids))
	}
	return err
}

func retryText(r deadLetterRetry) string {
	switch {
	case r.Record == nil:
		return printable(r.Fault)
	case r.Record.Sequence == 0:
		return "of an erased tenant; nothing is kept"
	case r.Record.Known:
		return fmt.Sprintf("was record %d of tenant %s already", r.Record.Sequence, r.Record.TenantID)
	}
	return fmt.Sprintf("is record %d of tenant %s", r.Record.Sequence, r.Record.TenantID)
}
