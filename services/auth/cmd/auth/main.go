// Command auth runs service auth alone.
package main

import (
	"os"

	"github.com/buildify/core/services/auth"
)

func main() {
	if auth.Command().Execute() != nil {
		os.Exit(1) // cobra has told why
	}
}
