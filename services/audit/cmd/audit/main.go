// Command audit runs service audit alone.
package main

import (
	"os"

	"github.com/buildify/core/services/audit"
)

func main() {
	if audit.Command().Execute() != nil {
		os.Exit(1) // cobra has told why
	}
}
