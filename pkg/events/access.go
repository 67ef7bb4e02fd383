package events

import (
	"slices"
	"time"

	"github.com/buildify/core/pkg/contract"
)

// AccessSubject is where a service publishes the records of the calls that it
// answered.
func AccessSubject(service string) string { return "core.access." + service }

// CallsRecorded is the kind of the messages of stream ACCESS: data CallBatch.
func CallsRecorded(service string) Kind { return Kind{service, "calls", "recorded"} }

// MaxDenials bounds the different denials that a CallGroup spells out.
const MaxDenials = 100

// CallBatch is the data of CallsRecorded: calls that a service answered.
type CallBatch struct {
	Groups []CallGroup `json:"groups"`
}

// CallGroup is the calls of a batch that concern one tenant; an empty TenantID
// is for those that concern none.
type CallGroup struct {
	TenantID   string    `json:"tenant_id,omitempty"`
	Count      int       `json:"count"`
	First      time.Time `json:"first"`
	Last       time.Time `json:"last"`
	Operations []string  `json:"operations"`
	// Records are contract.CallRecords, a line of JSON each, compressed with
	// Zstandard (RFC 8878).
	Records []byte `json:"records"`
	// Denials are those of Records that belong into the trail.
	Denials []Denial `json:"denials,omitempty"`
}

// Denial is a call by somebody known that was refused, and how often it was the
// same one.
type Denial struct {
	contract.CallRecord
	Count int `json:"count"`
}

// SameAs reports whether a call was refused to the same caller for the same
// question as the denial.
func (d *Denial) SameAs(r contract.CallRecord) bool {
	key := func(r contract.CallRecord) []string {
		return []string{r.Operation, r.Code, r.Caller, r.KeyID, r.UserID, r.SubjectID, r.Asked, r.Address}
	}
	return slices.Equal(key(d.CallRecord), key(r))
}
