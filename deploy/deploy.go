// Package deploy holds the configuration that an installation of Buildify Core
// is made from.
package deploy

import _ "embed"

// NATSConfig is nats/nats.conf: the bus's accounts and permissions. It
// includes keys.conf and local.conf, which are made for each installation.
//
//go:embed nats/nats.conf
var NATSConfig []byte
