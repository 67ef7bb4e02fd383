package sdk

import (
	"cmp"

	"github.com/buildify/core/pkg/contract"
)

// About narrows what is asked about a user, or says how new the answer must be.
type About struct {
	what     what
	id, kind string
	revision int64
}

type what uint8

const (
	inTenant what = iota + 1
	inCompany
	inBranch
	inDepartment
	onResource
	atLeast
)

// InTenant asks about one of the tenants that the user belongs to, such as
// [User].TenantID, the one that their token acts in. Without it the user's home
// tenant is meant, which only the core knows: local decisions need it.
func InTenant(id string) About { return About{what: inTenant, id: id} }

// InCompany asks about a company: bindings to the tenant and to the company
// count. Of company, branch and department the lowest that is named counts.
func InCompany(id string) About { return About{what: inCompany, id: id} }

// InBranch asks about a branch: bindings to it count, and those to what is
// above it.
func InBranch(id string) About { return About{what: inBranch, id: id} }

// InDepartment asks about a department: bindings to it count, and those to what
// is above it.
func InDepartment(id string) About { return About{what: inDepartment, id: id} }

// OnResource asks about one resource of no type; bindings to resources have
// one, so none of them counts. See [OnResourceOf].
func OnResource(id string) About { return About{what: onResource, id: id} }

// OnResourceOf asks about one resource: bindings to it count too. The type is
// your own word, such as "invoice".
func OnResourceOf(resourceType, id string) About {
	return About{what: onResource, kind: resourceType, id: id}
}

// AtLeast asks for an answer that knows of a change: revision is what the
// change answered. It ends with [ErrConflict] when the core does not get there
// in time. 0 is none.
func AtLeast(revision int64) About { return About{what: atLeast, revision: revision} }

// about is what the options of a question say.
type about struct {
	tenant, company, branch, department string
	resourceType, resource              string
	atLeast                             int64
}

func aboutWhat(options []About) (a about) {
	for i := range options {
		switch o := &options[i]; o.what {
		case inTenant:
			a.tenant = o.id
		case inCompany:
			a.company = o.id
		case inBranch:
			a.branch = o.id
		case inDepartment:
			a.department = o.id
		case onResource:
			a.resourceType, a.resource = o.kind, o.id
		case atLeast:
			a.atLeast = o.revision
		}
	}
	return a
}

// unit is the lowest unit that is named.
func (a *about) unit() string { return cmp.Or(a.department, a.branch, a.company) }

func (a *about) check(userID, permission string) *contract.CheckRequest {
	return &contract.CheckRequest{
		UserID: contract.ID(userID), TenantID: contract.ID(a.tenant), Permission: permission,
		CompanyID: contract.ID(a.company), BranchID: contract.ID(a.branch), DepartmentID: contract.ID(a.department),
		ResourceType: a.resourceType, ResourceID: contract.ID(a.resource), AtLeast: a.atLeast,
	}
}
