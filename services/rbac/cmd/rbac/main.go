// Command rbac runs service rbac alone.
package main

import (
	"os"

	"github.com/buildify/core/services/rbac"
)

func main() {
	if rbac.Command().Execute() != nil {
		os.Exit(1) // cobra has told why
	}
}
