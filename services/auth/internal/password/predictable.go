package password

// rows are what fingers and heads run along.
var rows = []string{
	"abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "azertyuiop",
	"qsdfghjklm", "yxcvbnm", "йцукенгшщзхъ", "фывапролджэ", "ячсмитьбю", "абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
}

const (
	// fewest different characters that a password needs.
	fewest = 5
	// run is how many neighbours in a row are no accident.
	run = 4
)

// repeats reports whether a password is a short piece over and over, or few
// characters.
func repeats(p []rune, shortest int) bool {
	different := map[rune]bool{}
	for _, r := range p {
		different[r] = true
	}
	if len(different) < fewest {
		return true
	}
	for period := 1; period <= len(p)/2 && period < shortest; period++ {
		if recurs(p, period) {
			return true
		}
	}
	return false
}

func recurs(p []rune, period int) bool {
	for i := period; i < len(p); i++ {
		if p[i] != p[i-period] {
			return false
		}
	}
	return true
}

// sequential reports whether a password is little else than runs along the
// alphabet, the digits or a keyboard's row, either way.
func sequential(p []rune) bool {
	rest := len(p)
	for i := 0; i < len(p); {
		n := max(runAt(p[i:], 1), runAt(p[i:], -1))
		if n >= run {
			rest -= n
		}
		i += max(n, 1)
	}
	return rest < run
}

// runAt is how many characters at the beginning of p follow each other in one
// row, in steps of one.
func runAt(p []rune, step int) (longest int) {
	for _, row := range rows {
		n := 1
		for n < len(p) && follows([]rune(row), p[n-1], p[n], step) {
			n++
		}
		longest = max(longest, n)
	}
	return longest
}

func follows(row []rune, a, b rune, step int) bool {
	for i, r := range row {
		if next := i + step; r == a && next >= 0 && next < len(row) && row[next] == b {
			return true
		}
	}
	return false
}
