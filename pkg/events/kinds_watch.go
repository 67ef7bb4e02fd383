package events

import "time"

// The events of watching over trails.
var (
	// AlertRaised says that a tenant's trail shows what one of its alerts looks
	// for: data AlertRaising.
	AlertRaised = Kind{"audit", "alert", "raised"}
	// AlertChanged says what was done to an alert: data AlertChange.
	AlertChanged = Kind{"audit", "alert", "changed"}
	// RetentionChanged says for how long a tenant's trail is kept now, in the
	// platform's trail: data RetentionChange.
	RetentionChanged = Kind{"audit", "retention", "changed"}
	// RetentionApplied says what was removed because its time was over, in the
	// platform's trail: data RetentionRun.
	RetentionApplied = Kind{"audit", "retention", "applied"}
	// HoldChanged says that a legal hold was placed or released, in the platform's
	// trail: data HoldChange.
	HoldChanged = Kind{"audit", "hold", "changed"}
)

// AlertRaising is the data of AlertRaised. Sequence is that of the event that
// made it full; Actor or Address is whose events were counted.
type AlertRaising struct {
	ID       string    `json:"id"`
	TenantID string    `json:"tenant_id"`
	Name     string    `json:"name"`
	Count    int       `json:"count"`
	Sequence int64     `json:"sequence"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Actor    string    `json:"actor,omitempty"`
	Address  string    `json:"address,omitempty" pii:"true"`
}

// AlertChange is the data of AlertChanged: "created", "updated" or "deleted", and
// the fields it touched.
type AlertChange struct {
	ID       string   `json:"id"`
	TenantID string   `json:"tenant_id"`
	Name     string   `json:"name"`
	Change   string   `json:"change"`
	Fields   []string `json:"fields,omitempty"`
}

// RetentionChange is the data of RetentionChanged. Without KeepDays the
// installation's rule holds.
type RetentionChange struct {
	TenantID string `json:"tenant_id"`
	KeepDays *int   `json:"keep_days,omitempty"`
	Reason   string `json:"reason"`
}

// RetentionRun is the data of RetentionApplied: the months that went as a whole,
// and how many events of how many tenants went one by one.
type RetentionRun struct {
	Months  []string `json:"months,omitempty"`
	Events  int64    `json:"events"`
	Tenants int      `json:"tenants"`
}

// HoldChange is the data of HoldChanged: "placed" or "released".
type HoldChange struct {
	ID           string `json:"id"`
	TenantID     string `json:"tenant_id"`
	UserID       string `json:"user_id,omitempty"`
	ResourceType string `json:"resource_type,omitempty"`
	ResourceID   string `json:"resource_id,omitempty"`
	Change       string `json:"change"`
	Reason       string `json:"reason"`
}
