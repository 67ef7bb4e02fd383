// Package decision decides who may do what, from memory. Service rbac and the
// SDK decide by it alike.
//
// A [Policy] is all that one tenant's decisions depend on, compiled, at one
// revision. It never changes, so any number of goroutines read it without locks;
// [Policy.Apply] makes the next one out of it, and copies only what a change
// touches. An [Engine] holds the policies of many tenants, finds them without
// locks, and takes steps in the order of their revisions.
//
//	Engine ──hash of the tenant──▶ Policy (revision 41)      Policy (revision 42)
//	                                │                          │
//	                  ┌─────────────┼───────────┐   ┌──────────┤ Apply copied a path
//	                  ▼             ▼           ▼   ▼          ▼
//	                users         grants      groups         users'
//	              by hash of     by role                    ╱     ╲
//	              their ids        │              (shared with 41)  a leaf, a user
//	                  │            ▼
//	                  │      bits by code ◀── shared by all tenants whose roles
//	                  ▼                       hold the same codes
//	            user: rules {role, scope}
//	                  denies first, then by scope:
//	                  tenant, units, resources
//
// A question looks the user up, then goes through the user's rules: is the bit
// of the permission set in the role's bits, and does the scope take the question
// in? A deny that applies ends it, else an allow that does. Bits are by the
// numbers that the process gives to codes which stand in roles or were declared
// ([Declare]); wildcards are expanded over those, and again when codes are added.
// A code without a number is decided by matching patterns: it must not be given
// one because somebody asks.
//
// What counts:
//
//   - A permission's first segment must be in effect: a namespace of the
//     platform, or a module that the tenant has enabled.
//   - A binding to the tenant applies everywhere; one to a unit where the
//     question's unit is that or below it; one to a resource for that alone.
//     Above a unit that is not known nothing is looked for, and a tree with a
//     cycle is gone through once.
//   - From its second on an expired binding is without effect, and so are
//     bindings to roles and groups that are not known.
//   - Any deny that applies wins over every allow. Nothing is allowed to a
//     suspended user, in a suspended tenant, or to somebody unknown.
//
// Package naive says the same literally; the tests hold the two against each
// other.
package decision
