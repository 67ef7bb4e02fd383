// Command httpbridge runs service httpbridge alone.
package main

import (
	"os"

	"github.com/buildify/core/services/httpbridge"
)

func main() {
	if httpbridge.Command().Execute() != nil {
		os.Exit(1) // cobra has told why
	}
}
