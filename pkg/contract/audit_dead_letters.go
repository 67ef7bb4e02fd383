package contract

import (
	"encoding/json"
	"time"
)

// DeadLetter is a message of a stream that no record of a trail could be made of.
// It is kept as it came until it is retried or discarded.
type DeadLetter struct {
	ID         string     `json:"id" example:"17"`
	Stream     string     `json:"stream" enum:"AUDIT,EVENTS" doc:"The stream that it came through."`
	Sequence   int64      `json:"sequence" doc:"Its sequence in that stream."`
	Subject    string     `json:"subject" doc:"The subject that it was published under."`
	Type       string     `json:"type,omitempty" doc:"The CloudEvents type that it names."`
	TenantID   string     `json:"tenant_id,omitempty" doc:"The tenant that it names; what it says is not verified."`
	Reason     string     `json:"reason" doc:"Why no record could be made of it, the last time that was tried."`
	Bytes      int        `json:"bytes" doc:"How long its data is."`
	ReceivedAt time.Time  `json:"received_at"`
	Tries      int        `json:"tries" doc:"How often it was retried."`
	TriedAt    *time.Time `json:"tried_at,omitempty"`

	Headers   json.RawMessage `json:"headers,omitempty" doc:"By name, a list of values each; not in lists."`
	Data      []byte          `json:"data,omitempty" doc:"The data in base64; not in lists."`
	Truncated bool            `json:"truncated,omitempty" doc:"Whether data is only its beginning, for the whole is longer than an answer."`
}

// DeadLetterRequest names a dead letter.
type DeadLetterRequest struct {
	DeadLetterID ID `json:"dead_letter_id" path:"dead_letter_id" pattern:"^[1-9][0-9]{0,17}$" patternDescription:"the id of a dead letter"`
}

// ListDeadLetters lists dead letters.
var ListDeadLetters = Register[ListDeadLettersRequest, ListDeadLettersResponse](AuditRead, Spec{
	Name: "audit.list_dead_letters", Method: "GET", Path: "/api/v1/audit/dead-letters",
	Access: User | Internal, Permission: "audit:dead-letters:platform",
	Summary: "Lists and searches the messages that no record of a trail could be made of, the newest first.",
})

// ListDeadLettersRequest filters and pages.
type ListDeadLettersRequest struct {
	Stream string `json:"stream,omitempty" query:"stream" enum:"AUDIT,EVENTS" doc:"Only those that came through this stream."`
	Search string `json:"search,omitempty" query:"search" maxLength:"100" doc:"Part of a subject or reason, in any case."`
	Cursor string `json:"cursor,omitempty" query:"cursor" maxLength:"200" doc:"next_cursor of the page before."`
	Limit  int    `json:"limit,omitempty" query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Dead letters a page."`
}

// ListDeadLettersResponse is one page of dead letters.
type ListDeadLettersResponse struct {
	Items      []DeadLetter `json:"items"`
	Total      int64        `json:"total" doc:"How many dead letters there are, whatever was searched for."`
	NextCursor string       `json:"next_cursor,omitempty"`
}

// GetDeadLetter shows a dead letter as it came.
var GetDeadLetter = Register[DeadLetterRequest, DeadLetter](AuditRead, Spec{
	Name: "audit.get_dead_letter", Method: "GET", Path: "/api/v1/audit/dead-letters/{dead_letter_id}",
	Access: User | Internal, Permission: "audit:dead-letters:platform",
	Errors:  []Code{NotFound},
	Summary: "Returns a dead letter as it came, with its headers and data.",
})

// RetryDeadLetter tries to make a record of a dead letter.
var RetryDeadLetter = Register[DeadLetterRequest, RetriedDeadLetter](AuditMutation, Spec{
	Name: "audit.retry_dead_letter", Method: "POST", Path: "/api/v1/audit/dead-letters/{dead_letter_id}/retry",
	Access: User | Internal, Permission: "audit:dead-letters:platform", Timeout: 15 * time.Second,
	Errors:  []Code{NotFound, Conflict},
	Summary: "Tries again to make a record of a dead letter; it gets its place at the end of its tenant's trail, once however often it came. Conflict when it still cannot be done.",
})

// RetriedDeadLetter says where the record is.
type RetriedDeadLetter struct {
	TenantID string `json:"tenant_id,omitempty" doc:"Whose trail has it now; none when that tenant is erased, and nothing of it is kept."`
	ID       string `json:"id,omitempty" doc:"The id of the event."`
	Sequence int64  `json:"sequence,omitempty" doc:"Its place in the trail."`
	Known    bool   `json:"known,omitempty" doc:"Whether the trail had it already."`
}

// DiscardDeadLetter removes a dead letter.
var DiscardDeadLetter = Register[DiscardDeadLetterRequest, Empty](AuditMutation, Spec{
	Name: "audit.discard_dead_letter", Method: "POST", Path: "/api/v1/audit/dead-letters/{dead_letter_id}/discard",
	Access: User | Internal, Permission: "audit:dead-letters:platform",
	Errors:  []Code{NotFound},
	Summary: "Removes a dead letter for good; the platform's trail keeps that, with the SHA-256 of its data.",
})

// DiscardDeadLetterRequest names a dead letter.
type DiscardDeadLetterRequest struct {
	DeadLetterID ID     `json:"dead_letter_id" path:"dead_letter_id" pattern:"^[1-9][0-9]{0,17}$" patternDescription:"the id of a dead letter"`
	Reason       string `json:"reason" minLength:"1" maxLength:"500" doc:"Why; kept in the platform's trail."`
}
