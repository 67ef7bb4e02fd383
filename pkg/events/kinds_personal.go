package events

// PersonShredded says that what is personal of somebody in a tenant's trail cannot
// be read any more: data PersonShred.
var PersonShredded = Kind{"audit", "person", "shredded"}

// PersonShred is the data of PersonShredded.
type PersonShred struct {
	UserID string `json:"user_id" format:"uuid"`
	Reason string `json:"reason,omitempty"`
}
