package decision

// Matches reports whether a granted code matches a concrete one.
func Matches(grant, code string) bool { return matches(grant, code) }

// Covers reports whether all that the code narrow may match is matched by the
// code wide.
func Covers(wide, narrow string) bool { return covers(wide, narrow) }
