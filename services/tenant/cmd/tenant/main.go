// Command tenant runs service tenant alone.
package main

import (
	"os"

	"github.com/buildify/core/services/tenant"
)

func main() {
	if tenant.Command().Execute() != nil {
		os.Exit(1) // cobra has told why
	}
}
