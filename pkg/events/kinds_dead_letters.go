package events

// Events of messages that no record of a trail could be made of. All are the
// platform's.
var (
	// DeadLetterRetried says that a record was made of one after all: data
	// DeadLetterChange.
	DeadLetterRetried = Kind{"audit", "dead-letter", "retried"}
	// DeadLetterDiscarded says that one was removed: data DeadLetterChange.
	DeadLetterDiscarded = Kind{"audit", "dead-letter", "discarded"}
)

// DeadLetterChange is the data of events of dead letters: which message it was,
// why it was one, and the SHA-256 of its data in hex. TenantID, EventID and Place
// are where the record of a retried one is; Reason is why one was discarded.
type DeadLetterChange struct {
	ID       string `json:"id"`
	Stream   string `json:"stream"`
	Sequence int64  `json:"sequence"`
	Subject  string `json:"subject"`
	Fault    string `json:"fault"`
	SHA256   string `json:"sha256"`
	TenantID string `json:"tenant_id,omitempty"`
	EventID  string `json:"event_id,omitempty"`
	Place    int64  `json:"place,omitempty"`
	Reason   string `json:"reason,omitempty"`
}
