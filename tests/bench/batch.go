package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/buildify/core/pkg/contract"
)

// checksOfBatch is how many questions a measured batch has.
const checksOfBatch = 100

// batch is a request of rbac.check_batch and the beginning of its answer.
type batch struct{ body, answer []byte }

// manyUsers are batches of which each question names its user and permission;
// oneUser has batches about one user each, named once.
func (f *fixture) manyUsers() (all []batch) {
	for at := 0; at+checksOfBatch <= len(f.questions); at += checksOfBatch {
		all = append(all, newBatch(contract.CheckBatchRequest{}, f.questions[at:at+checksOfBatch]))
	}
	return all
}

func (f *fixture) oneUser() (all []batch) {
	for at := range 40 {
		about := f.questions[at*(questions/users+1)]
		all = append(all, newBatch(contract.CheckBatchRequest{UserID: contract.ID(about.user)}, f.questionsOf(about.user)))
	}
	return all
}

func newBatch(request contract.CheckBatchRequest, questions []question) batch {
	allowed := make([]bool, len(questions))
	for i, q := range questions {
		item := contract.BatchItem{Permission: q.permission}
		if request.UserID == "" {
			item.UserID = q.user
		}
		request.Checks = append(request.Checks, item)
		allowed[i] = q.allowed
	}
	answer, _ := json.Marshal(contract.CheckBatchResponse{Allowed: allowed}) // plain fields
	answer, _, _ = bytes.Cut(answer, []byte(`"revision"`))
	body, _ := json.Marshal(request) // plain fields
	return batch{body, answer}
}

func (b batch) check(out []byte) error {
	if !bytes.HasPrefix(out, b.answer) {
		return fmt.Errorf("wrong answer to %s: %s", b.body, out)
	}
	return nil
}

// batchTargets are the raw exchange of as many bytes, and the batches.
func (f *fixture) batchTargets() []target {
	many, one := f.manyUsers(), f.oneUser()
	return []target{
		{natsBatchEcho, "", func(ctx context.Context, caller, n int) error {
			_, err := request(ctx, f.echo[caller], "echo.batch", many[n%len(many)].body)
			return err
		}},
		{checkBatch, natsBatchEcho, func(ctx context.Context, caller, n int) error {
			return f.askBatch(ctx, caller, many[n%len(many)])
		}},
		{checkBatchOne, natsBatchEcho, func(ctx context.Context, caller, n int) error {
			return f.askBatch(ctx, caller, one[n%len(one)])
		}},
	}
}

func (f *fixture) askBatch(ctx context.Context, caller int, b batch) error {
	out, err := request(ctx, f.module[caller], contract.CheckPermissions.ModuleSubject(f.keyID), b.body)
	if err != nil {
		return err
	}
	return b.check(out)
}

// echoBatch answers as much as a batch does and reads nothing.
func echoBatch([]byte) []byte { return batchAnswer }

var batchAnswer, _ = json.Marshal(contract.CheckBatchResponse{Allowed: make([]bool, checksOfBatch)}) // plain fields
