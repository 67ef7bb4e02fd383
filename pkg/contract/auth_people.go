package contract

import "time"

// CreateUser adds a person to a tenant.
var CreateUser = Register[CreateUserRequest, UserDetail](AuditMutation, Spec{
	Name: "auth.create_user", Method: "POST", Path: "/api/v1/users",
	Access: User | Internal, Permission: "users:create:tenant", Timeout: 10 * time.Second,
	Errors:  []Code{AlreadyExists, NotFound, RateLimited},
	Summary: "Creates a user: with a password, or else with an invitation by e-mail to set one.",
})

// CreateUserRequest describes a person. E-mail addresses are unique over the
// whole platform, compared in lower case.
type CreateUserRequest struct {
	TenantID ID     `json:"tenant_id,omitempty" format:"uuid" doc:"The home tenant; default is the caller's. Only platform administrators name another."`
	Email    string `json:"email" format:"email" maxLength:"254"`
	Username string `json:"username,omitempty" maxLength:"64" doc:"Default is what stands before the @."`
	Name     string `json:"name,omitempty" maxLength:"200" doc:"The person's name, for display."`
	Password string `json:"password,omitempty" maxLength:"512" doc:"Checked by the tenant's password policy; without one the person is invited by e-mail."`
	// Platform makes a platform administrator, who has no home tenant.
	Platform           bool `json:"platform,omitempty" doc:"Makes a platform administrator, who has no home tenant; for platform administrators only."`
	MustChangePassword bool `json:"must_change_password,omitempty" doc:"Ask for a new password at the first login."`
}

// UserDetail is a person as administrators see them.
type UserDetail struct {
	ID                 string     `json:"id" format:"uuid"`
	TenantID           string     `json:"tenant_id,omitempty" doc:"The home tenant; none for a platform administrator."`
	Tenants            []string   `json:"tenants,omitempty" doc:"Further tenants that the person belongs to."`
	Platform           bool       `json:"platform,omitempty" doc:"Whether it is a platform administrator."`
	Email              string     `json:"email"`
	Username           string     `json:"username"`
	Name               string     `json:"name,omitempty"`
	Status             string     `json:"status" enum:"active,disabled,invited,deleted"`
	MustChangePassword bool       `json:"must_change_password,omitempty"`
	SecondFactors      []string   `json:"second_factors,omitempty" doc:"totp, passkey."`
	LastLoginAt        *time.Time `json:"last_login_at,omitempty"`
	CreatedAt          time.Time  `json:"created_at"`
	Revision           int64      `json:"revision" doc:"Grows with each change of this user."`
}

// UserRequest names a person to administer.
type UserRequest struct {
	TenantID ID `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	UserID   ID `json:"user_id" path:"user_id" format:"uuid"`
}

// GetUser returns a person of the tenant.
var GetUser = Register[UserRequest, UserDetail](AuditRead, Spec{
	Name: "auth.get_user", Method: "GET", Path: "/api/v1/users/{user_id}",
	Access: User | Internal, Permission: "users:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Returns a user; a deleted one as its tombstone.",
})

// ListUsers searches the people of a tenant.
var ListUsers = Register[ListUsersRequest, ListUsersResponse](AuditRead, Spec{
	Name: "auth.list_users", Method: "GET", Path: "/api/v1/users",
	Access: User | Internal, Permission: "users:read:tenant",
	Summary: "Lists and searches the users of a tenant.",
})

// ListUsersRequest filters and pages.
type ListUsersRequest struct {
	TenantID ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant; default is the caller's. Only platform administrators name another."`
	Platform bool   `json:"platform,omitempty" query:"platform" doc:"List the platform administrators instead; for platform administrators only."`
	Search   string `json:"search,omitempty" query:"search" maxLength:"100" doc:"Part of an e-mail address, username or name, in any case."`
	Status   string `json:"status,omitempty" query:"status" enum:"active,disabled,invited,deleted" doc:"Only users of this status; without it all but deleted ones."`
	Cursor   string `json:"cursor,omitempty" query:"cursor" maxLength:"200" doc:"next_cursor of the page before."`
	Limit    int    `json:"limit,omitempty" query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Users a page."`
}

// ListUsersResponse is one page of users, by e-mail address.
type ListUsersResponse struct {
	Items      []UserDetail `json:"items"`
	NextCursor string       `json:"next_cursor,omitempty"`
}

// UpdateUser changes a person's account.
var UpdateUser = Register[UpdateUserRequest, UserDetail](AuditMutation, Spec{
	Name: "auth.update_user", Method: "PATCH", Path: "/api/v1/users/{user_id}",
	Access: User | Internal, Permission: "users:update:tenant",
	Errors:  []Code{NotFound, AlreadyExists, Conflict},
	Summary: "Changes a user's e-mail address, username or name, or asks for a new password at the next login.",
})

// UpdateUserRequest holds what is to change; what is absent stays.
type UpdateUserRequest struct {
	TenantID           ID      `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	UserID             ID      `json:"user_id" path:"user_id" format:"uuid"`
	Email              *string `json:"email,omitempty" format:"email" maxLength:"254"`
	Username           *string `json:"username,omitempty" minLength:"1" maxLength:"64"`
	Name               *string `json:"name,omitempty" maxLength:"200"`
	MustChangePassword *bool   `json:"must_change_password,omitempty" doc:"Ask for a new password at the next login."`
	Revision           int64   `json:"revision,omitempty" doc:"When given, the user must still be at it; conflict otherwise."`
}

func userVerb(name, verb, permission, summary string, errors ...Code) Operation[UserRequest, UserDetail] {
	return Register[UserRequest, UserDetail](AuditMutation, Spec{
		Name: name, Method: "POST", Path: "/api/v1/users/{user_id}/" + verb,
		Access: User | Internal, Permission: permission,
		Errors: append([]Code{NotFound}, errors...), Summary: summary,
	})
}

// What an administrator does with a person's account.
var (
	// DisableUser keeps a person out; their sessions end at once.
	DisableUser = userVerb("auth.disable_user", "disable", "users:update:tenant", "Disables a user: no login, and every session ends at once.", Conflict)
	// EnableUser lets a disabled person in again.
	EnableUser = userVerb("auth.enable_user", "enable", "users:update:tenant", "Enables a disabled user.")
	// UnlockUser forgets a person's failed logins.
	UnlockUser = userVerb("auth.unlock_user", "unlock", "users:update:tenant", "Forgets a user's failed logins, so that no delay is left.")
	// InviteUser sends the link by which a person sets their first password.
	InviteUser = userVerb("auth.invite_user", "invite", "users:create:tenant", "Sends an invited user the link to set a password again.", Conflict)
	// ResetUserPassword ends a person's password and sends a link to set one.
	ResetUserPassword = userVerb("auth.reset_user_password", "reset-password", "users:update:tenant", "Ends a user's password and sessions and sends the link to set a new one.")
	// EndUserSessions logs a person out everywhere.
	EndUserSessions = userVerb("auth.end_user_sessions", "end-sessions", "users:update:tenant", "Ends all of a user's sessions at once.")
	// ResetUserFactors removes a person's second factors.
	ResetUserFactors = userVerb("auth.reset_user_factors", "reset-factors", "users:update:tenant", "Removes a user's second factors and passkeys and ends their sessions.")
)

// DeleteUser removes a person; their tokens stop working at once.
var DeleteUser = Register[UserRequest, Empty](AuditMutation, Spec{
	Name: "auth.delete_user", Method: "DELETE", Path: "/api/v1/users/{user_id}",
	Access: User | Internal, Permission: "users:delete:tenant",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Deletes a user; a tombstone keeps the audit trail readable.",
})

// MembershipRequest names a person and a further tenant of theirs.
type MembershipRequest struct {
	UserID   ID `json:"user_id" path:"user_id" format:"uuid"`
	TenantID ID `json:"tenant_id" path:"tenant_id" format:"uuid" doc:"The further tenant."`
}

// AddMembership makes a person a member of a further tenant.
var AddMembership = Register[MembershipRequest, UserDetail](AuditMutation, Spec{
	Name: "auth.add_membership", Method: "PUT", Path: "/api/v1/users/{user_id}/tenants/{tenant_id}",
	Access: User | Internal, Permission: "users:assign:platform",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Makes a user a member of a further tenant; for platform administrators.",
})

// RemoveMembership ends a person's membership of a further tenant.
var RemoveMembership = Register[MembershipRequest, UserDetail](AuditMutation, Spec{
	Name: "auth.remove_membership", Method: "DELETE", Path: "/api/v1/users/{user_id}/tenants/{tenant_id}",
	Access: User | Internal, Permission: "users:assign:platform",
	Errors:  []Code{NotFound},
	Summary: "Ends a user's membership of a further tenant; for platform administrators.",
})

// ChangePassword changes the caller's own password.
var ChangePassword = Register[ChangePasswordRequest, Empty](AuditMutation, Spec{
	Name: "auth.change_password", Method: "POST", Path: "/api/v1/auth/change-password",
	Access: Self, Timeout: 10 * time.Second,
	Errors:  []Code{PermissionDenied, RateLimited},
	Summary: "Changes the caller's own password and ends all their other sessions.",
})

// ChangePasswordRequest proves the old password and names the new one.
type ChangePasswordRequest struct {
	CurrentPassword string `json:"current_password" minLength:"1" maxLength:"512"`
	NewPassword     string `json:"new_password" minLength:"1" maxLength:"512" doc:"Checked by the tenant's password policy."`
}

// RequestPasswordReset sends a person the link to set a new password.
var RequestPasswordReset = Register[RequestPasswordResetRequest, Empty](AuditLogin, Spec{
	Name: "auth.request_password_reset", Method: "POST", Path: "/api/v1/auth/password-reset/request",
	Access:  Anonymous,
	Errors:  []Code{RateLimited},
	Summary: "Sends the link to set a new password, if there is such an account; the answer does not tell.",
})

// RequestPasswordResetRequest names an account by its address.
type RequestPasswordResetRequest struct {
	Email string `json:"email" format:"email" maxLength:"254"`
}

// ConfirmPasswordReset sets a new password by a link from an e-mail.
var ConfirmPasswordReset = Register[ConfirmPasswordResetRequest, Empty](AuditLogin, Spec{
	Name: "auth.confirm_password_reset", Method: "POST", Path: "/api/v1/auth/password-reset/confirm",
	Access: Anonymous, Timeout: 10 * time.Second,
	Errors:  []Code{Unauthenticated, RateLimited},
	Summary: "Sets a password by the token of an invitation or reset link, and ends all sessions.",
})

// ConfirmPasswordResetRequest holds the link's token and the new password.
type ConfirmPasswordResetRequest struct {
	Token       string `json:"token" minLength:"1" maxLength:"200"`
	NewPassword string `json:"new_password" minLength:"1" maxLength:"512" doc:"Checked by the tenant's password policy."`
}

// PasswordPolicy is what a tenant asks of passwords.
type PasswordPolicy struct {
	MinLength    int  `json:"min_length" minimum:"12" maximum:"64" doc:"Characters a password needs at least; 128 are allowed."`
	RefuseCommon bool `json:"refuse_common" doc:"Refuse passwords that are among the most common ones."`
	History      int  `json:"history" minimum:"0" maximum:"24" doc:"How many earlier passwords may not be used again."`
	MaxAgeDays   int  `json:"max_age_days" minimum:"0" maximum:"3650" doc:"Days after which a login asks for a new one; 0 never."`
}

// GetPasswordPolicy returns the policy that the caller's passwords must meet.
var GetPasswordPolicy = Register[GetPasswordPolicyRequest, PasswordPolicy](AuditRead, Spec{
	Name: "auth.password_policy", Method: "GET", Path: "/api/v1/auth/password-policy",
	Access:  Self,
	Summary: "Returns the password policy of the tenant that the caller acts in.",
})

// GetPasswordPolicyRequest has no parameters.
type GetPasswordPolicyRequest struct{}

// SetPasswordPolicy changes a tenant's policy.
var SetPasswordPolicy = Register[SetPasswordPolicyRequest, PasswordPolicy](AuditMutation, Spec{
	Name: "auth.set_password_policy", Method: "PUT", Path: "/api/v1/auth/password-policy",
	Access: User | Internal, Permission: "policies:update:tenant",
	Errors:  []Code{NotFound},
	Summary: "Sets a tenant's password policy; it holds for passwords set from now on.",
})

// SetPasswordPolicyRequest is the whole new policy.
type SetPasswordPolicyRequest struct {
	TenantID     ID   `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant; default is the caller's. Only platform administrators name another."`
	MinLength    int  `json:"min_length" minimum:"12" maximum:"64" doc:"Characters a password needs at least; 128 are allowed."`
	RefuseCommon bool `json:"refuse_common" doc:"Refuse passwords that are among the most common ones."`
	History      int  `json:"history" minimum:"0" maximum:"24" doc:"How many earlier passwords may not be used again."`
	MaxAgeDays   int  `json:"max_age_days" minimum:"0" maximum:"3650" doc:"Days after which a login asks for a new one; 0 never."`
}
