package decision

// WhoCan lists up to limit users for whom Check answers yes, and the cursor of
// the next page, empty after the last. The order is the same at all revisions:
// whoever may at all of them is listed exactly once. Without a limit above 0
// there is one page; a cursor that is none yields nothing.
func (p *Policy) WhoCan(q Question, now Clock, cursor string, limit int) (users []string, next string) {
	a := ask{Question: q, now: now}
	after, given, ok := optionalID(cursor)
	if !ok || !p.active || !p.prepare(&a) {
		return nil, ""
	}
	from := uint64(0)
	if given {
		from = after.hash()
	}
	p.users.from(from, func(u user) bool {
		if given && u.id == after || !p.allows(u.holder, &a) {
			return true
		}
		if limit > 0 && len(users) == limit {
			next = users[limit-1]
			return false
		}
		users = append(users, u.id.String())
		return true
	})
	return users, next
}
