package settings

import (
	"sync"

	"github.com/buildify/core/pkg/manifest"
)

// core are the settings of the core itself.
var core = sync.OnceValue(func() *manifest.Settings {
	schema, found := manifest.ParseSettings([]byte(coreSchema))
	if found.HasErrors() {
		panic(found[0].Message) // a test reads it
	}
	return schema
})

const coreSchema = `{
  "type": "object",
  "title": "Platform",
  "properties": {
    "language": {
      "type": "string", "title": "Language", "x-scope": "user", "default": "en", "maxLength": 20,
      "pattern": "^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$",
      "description": "Language tag (BCP 47) of menus and messages, such as en or de-CH."
    },
    "timezone": {
      "type": "string", "title": "Time zone", "x-scope": "user", "default": "UTC", "maxLength": 64,
      "pattern": "^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$",
      "description": "Name in the IANA time zone database, such as Europe/Zurich."
    },
    "date_format": {
      "type": "string", "title": "Dates", "x-scope": "user", "default": "iso", "enum": ["iso", "dmy", "mdy"],
      "description": "2026-11-23, 23.11.2026 or 11/23/2026."
    },
    "time_format": {
      "type": "string", "title": "Times", "x-scope": "user", "default": "24h", "enum": ["24h", "12h"]
    },
    "first_day_of_week": {
      "type": "string", "title": "First day of the week", "x-scope": "user", "default": "monday", "enum": ["monday", "saturday", "sunday"]
    },
    "number_format": {
      "type": "string", "title": "Numbers", "x-scope": "user", "default": "1,234.5", "enum": ["1,234.5", "1.234,5", "1 234,5", "1'234.5"]
    },
    "theme": {
      "type": "string", "title": "Colours", "x-scope": "user", "default": "system", "enum": ["system", "light", "dark"]
    },
    "currency": {
      "type": "string", "title": "Currency", "x-scope": "tenant", "default": "EUR", "pattern": "^[A-Z]{3}$",
      "description": "ISO 4217 code that amounts are shown in where a module knows no other."
    },
    "support_email": {
      "type": "string", "title": "Whom people ask", "x-scope": "tenant", "format": "email", "maxLength": 254
    },
    "announcement": {
      "type": "string", "title": "Announcement", "x-scope": "platform", "maxLength": 500,
      "description": "Shown to everybody, of maintenance for instance."
    }
  },
  "additionalProperties": false
}`
