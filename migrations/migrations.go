// Package migrations carries the numbered SQL of every service's schema.
// The files are applied by `buildify migrate` in order, once each.
package migrations

import (
	"embed"
	"io/fs"
)

//go:embed auth/*.sql rbac/*.sql tenant/*.sql audit/*.sql
var files embed.FS

// Services that own a schema, in the order in which they are migrated.
var Services = []string{"tenant", "auth", "rbac", "audit"}

// For returns the migrations of one service.
func For(service string) (fs.FS, error) { return fs.Sub(files, service) }
