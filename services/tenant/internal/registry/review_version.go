package registry

import (
	"context"
	"fmt"
	"time"

	"github.com/buildify/core/pkg/contract"
)

// ReviewVersion answers tenant.review_version.
func (r *Registry) ReviewVersion(ctx context.Context, req *contract.ReviewVersionRequest) (*contract.ModuleVersion, error) {
	if req.Decision == "reject" && req.Comment == "" {
		return nil, contract.Invalid("comment", "is required to reject: say what the publisher is to mend")
	}
	for i, f := range req.Findings {
		if f.Code == "" || f.Message == "" {
			return nil, contract.Invalid(fmt.Sprintf("findings[%d]", i), "needs a code and a message")
		}
	}
	which := target{module: req.ModuleName, version: req.Version, revision: req.Revision}
	return r.changeVersion(ctx, which, func(e *edit) error {
		if err := e.in("reviewed", submitted); err != nil {
			return err
		}
		findings, err := writeFindings(append(readFindings(e.row.Findings), req.Findings...))
		if err != nil {
			return err
		}
		now := time.Now().UTC()
		e.row.State = map[string]string{"approve": approved, "reject": rejected}[req.Decision]
		e.row.Findings, e.row.Comment, e.row.DecidedBy, e.row.DecidedAt = findings, req.Comment, actor(ctx), &now
		return nil
	})
}
