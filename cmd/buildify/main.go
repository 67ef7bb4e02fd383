// Command buildify is the platform core: all of it in one process for
// development, each service alone in production, and the operator's commands.
package main

import (
	"os"

	"github.com/buildify/core/cmd/buildify/internal/cli"
	"github.com/buildify/core/pkg/kit/process"
)

// version is stamped by the linker.
var version string

func main() {
	if version != "" {
		process.Version = version
	}
	if err := cli.Root().Execute(); err != nil {
		os.Exit(cli.ExitCode(err)) // cobra has told why
	}
}
