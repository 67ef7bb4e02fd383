package contract

// ShredPerson makes what is personal in a trail unreadable.
var ShredPerson = Register[ShredPersonRequest, ShredPersonResponse](AuditMutation, Spec{
	Name: "audit.shred_person", Method: "DELETE", Path: "/api/v1/audit/persons/{person_id}",
	Access: User | Internal, Permission: "audit:shred:tenant",
	Errors:  []Code{Conflict},
	Summary: "Destroys the key under which a person's addresses and clients are sealed in the tenant's trail; its proofs stay valid.",
})

// ShredPersonRequest names the person.
type ShredPersonRequest struct {
	TenantID ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant, as in audit.list."`
	PersonID ID     `json:"person_id" path:"person_id" format:"uuid" doc:"A user's id; it may be one of who is gone."`
	Reason   string `json:"reason,omitempty" query:"reason" maxLength:"500" doc:"Why; kept in the audit trail."`
}

// ShredPersonResponse says what was done.
type ShredPersonResponse struct {
	Shredded bool `json:"shredded" doc:"Whether there was a key: without one there was nothing personal of them, or it is shredded already."`
}
