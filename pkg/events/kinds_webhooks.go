package events

// Events of webhooks.
var (
	// WebhookChanged says what was done to a webhook: data WebhookChange. That of
	// a module's is the platform's event.
	WebhookChanged = Kind{"audit", "webhook", "changed"}
	// WebhookDisabled says that nothing is sent to a webhook any more, which
	// nobody asked for: data WebhookChange, with the reason.
	WebhookDisabled = Kind{"audit", "webhook", "disabled"}
	// WebhookTest tries a webhook and is sent to it alone: data WebhookChange.
	WebhookTest = Kind{"audit", "webhook", "test"}
)

// WebhookChange is the data of events of webhooks: what was done, such as
// "created", "updated", "secret_rotated" or "deleted", the fields it touched,
// and why.
type WebhookChange struct {
	ID     string   `json:"id"`
	Module string   `json:"module,omitempty"`
	Change string   `json:"change"`
	Fields []string `json:"fields,omitempty"`
	Reason string   `json:"reason,omitempty"`
}
