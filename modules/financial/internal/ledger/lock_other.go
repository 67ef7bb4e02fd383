//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package ledger

// lock does nothing here: run one process per directory.
func lock(string) (unlock func() error, err error) {
	return func() error { return nil }, nil
}
