// Package kit is what a service of the platform is made of: a server that
// answers contract operations on the bus, a client for calls between services,
// verified principals, validation, telemetry and the process lifecycle.
package kit
