package limit

import "time"

// window is what every quota is counted in.
const window = time.Minute

// Class is a quota of requests a minute. A caller may spend it all at once;
// it comes back evenly.
type Class struct{ Requests int }

// The classes, all in one place. They hold in each replica of the bridge.
//
//	class      requests a minute   counted by      for
//	standard   6,000               API key         keys that ask for nothing else
//	high       60,000              API key         modules with many users
//	bulk       600,000             API key         imports and exports; little more than a stop
//	people     30,000              source address  requests with a person's token; an office shares an address
//	anonymous  1,200               source address  requests without a credential or with a wrong one: logins, resets, leak reports
var (
	Standard  = Class{6_000}
	High      = Class{60_000}
	Bulk      = Class{600_000}
	People    = Class{30_000}
	Anonymous = Class{1_200}
)

// OfKey is the class that an API key names; one that is not known here is
// Standard.
func OfKey(name string) Class {
	switch name {
	case "high":
		return High
	case "bulk":
		return Bulk
	}
	return Standard
}
