package manifest

import (
	"bytes"
	"encoding/json"
	"regexp"
)

// settingName is the form of the keys of settings.
const settingName = `^[a-z][a-z0-9_.-]{0,99}$`

var settingKey = regexp.MustCompile(settingName)

// Settings are settings of the core or of a module: JSON Schema of an object
// with flat properties.
type Settings struct {
	// Raw is the schema as written.
	Raw json.RawMessage
	// Properties are the settings, in the order they are written in.
	Properties []Setting

	compiled compiled
}

// Setting is one setting.
type Setting struct {
	Key         string
	Type        string // string, number, integer, boolean, array or object
	Title       string // may be %key% of i18n, as Description may
	Description string
	Scope       string // platform, tenant or user; tenant where the schema says none
	Secret      bool   // kept encrypted, and never shown again
	Required    bool
	Default     json.RawMessage // nil is none
	Schema      json.RawMessage // as written, with its markers
}

// Find returns the setting of that key; nil is none.
func (s *Settings) Find(key string) *Setting {
	if s != nil {
		for i := range s.Properties {
			if s.Properties[i].Key == key {
				return &s.Properties[i]
			}
		}
	}
	return nil
}

// MarshalJSON writes the schema as it was written.
func (s *Settings) MarshalJSON() ([]byte, error) {
	if len(s.Raw) == 0 {
		return []byte(`{"type":"object","properties":{}}`), nil
	}
	return s.Raw, nil
}

// UnmarshalJSON keeps the schema and takes it apart. What is wrong with it is
// found by Parse and ParseSettings; here it reads as less.
func (s *Settings) UnmarshalJSON(data []byte) error {
	*s = Settings{Raw: bytes.Clone(data)}
	var form struct {
		Properties members  `json:"properties"`
		Required   []string `json:"required"`
	}
	_ = json.Unmarshal(data, &form) // what can be read
	required := map[string]bool{}
	for _, key := range form.Required {
		required[key] = true
	}
	for _, m := range form.Properties {
		var p settingForm
		_ = json.Unmarshal(m.raw, &p) // what can be read
		if p.Scope == "" {
			p.Scope = "tenant"
		}
		s.Properties = append(s.Properties, Setting{
			Key: m.key, Type: p.Type, Title: p.Title, Description: p.Description, Scope: p.Scope, Secret: p.Secret,
			Required: required[m.key], Default: p.Default, Schema: m.raw,
		})
	}
	return nil
}

// members are those of an object, in their order.
type members []rawMember

type rawMember struct {
	key string
	raw json.RawMessage
}

// UnmarshalJSON reads an object; anything else has no members.
func (m *members) UnmarshalJSON(data []byte) error {
	source, _ := read(data)
	if source.root == nil {
		return nil
	}
	for _, key := range source.root.keys {
		at := source.root.members[key]
		*m = append(*m, rawMember{key, bytes.Clone(data[at.start:at.end])})
	}
	return nil
}

// settingsForm is what settings may say, of all that JSON Schema has.
type settingsForm struct {
	Schema      string                 `json:"$schema,omitempty" enum:"https://json-schema.org/draft/2020-12/schema" doc:"The dialect, if any is said."`
	Type        string                 `json:"type" const:"object" doc:"Settings are an object."`
	Title       string                 `json:"title,omitempty" maxLength:"200" doc:"What the settings are called."`
	Description string                 `json:"description,omitempty" maxLength:"2000" doc:"What they are about."`
	Properties  map[string]settingForm `json:"properties" keys:"^[a-z][a-z0-9_.-]{0,99}$" keysDescription:"lower-case letters, digits, dots, hyphens and underscores, the first a letter" maxProperties:"200" doc:"The settings by their keys."`
	Required    []string               `json:"required,omitempty" maxItems:"200" unique:"true" maxLength:"100" doc:"Settings without which the module is not enabled, unless they have a default."`
	Additional  *bool                  `json:"additionalProperties,omitempty" const:"false" doc:"There are no other settings, said or not."`
}

// settingForm is what one setting may say.
type settingForm struct {
	Type             string            `json:"type" enum:"string,number,integer,boolean,array,object" doc:"What its value is."`
	Title            string            `json:"title,omitempty" maxLength:"200" doc:"For people; may be %key% of i18n."`
	Description      string            `json:"description,omitempty" maxLength:"2000" doc:"May be %key% of i18n."`
	Default          json.RawMessage   `json:"default,omitempty" doc:"What holds where nobody has set it. Not of a secret."`
	Secret           bool              `json:"x-secret,omitempty" doc:"Kept encrypted and never shown again. A string."`
	Scope            string            `json:"x-scope,omitempty" enum:"platform,tenant,user" default:"tenant" doc:"Who may set it: the platform's administrators alone; a tenant's too; each person for themself too."`
	Enum             []json.RawMessage `json:"enum,omitempty" minItems:"1" maxItems:"200" doc:"The values it may have."`
	Examples         []json.RawMessage `json:"examples,omitempty" maxItems:"20" doc:"Values it might have. Not of a secret."`
	MinLength        int               `json:"minLength,omitempty" minimum:"0" doc:"Of a string: characters at least."`
	MaxLength        int               `json:"maxLength,omitempty" minimum:"0" doc:"Of a string: characters at most."`
	Pattern          string            `json:"pattern,omitempty" maxLength:"500" doc:"Regular expression that a string matches somewhere; ^ and $ tie it to begin and end."`
	Format           string            `json:"format,omitempty" enum:"email,uri,hostname,ipv4,ipv6,date,time,date-time,duration,uuid" doc:"Of a string: what it is, checked."`
	Minimum          *float64          `json:"minimum,omitempty" doc:"Of a number: at least."`
	Maximum          *float64          `json:"maximum,omitempty" doc:"Of a number: at most."`
	ExclusiveMinimum *float64          `json:"exclusiveMinimum,omitempty" doc:"Of a number: more than."`
	ExclusiveMaximum *float64          `json:"exclusiveMaximum,omitempty" doc:"Of a number: less than."`
	MultipleOf       *float64          `json:"multipleOf,omitempty" doc:"Of a number: a multiple of this one."`
	Items            *itemForm         `json:"items,omitempty" doc:"Of an array, required: what its items are."`
	MinItems         int               `json:"minItems,omitempty" minimum:"0" doc:"Of an array: items at least."`
	MaxItems         int               `json:"maxItems,omitempty" minimum:"0" doc:"Of an array: items at most."`
	UniqueItems      bool              `json:"uniqueItems,omitempty" doc:"Of an array: no item twice."`
	Properties       json.RawMessage   `json:"properties,omitempty" type:"object" doc:"Of an object: JSON Schemas of its members."`
	Additional       json.RawMessage   `json:"additionalProperties,omitempty" doc:"Of an object: true, false, or the JSON Schema of other members."`
	Required         []string          `json:"required,omitempty" maxItems:"100" maxLength:"100" doc:"Of an object: members that it must have."`
}

// itemForm is what an item of a setting may be.
type itemForm struct {
	Type        string            `json:"type" enum:"string,number,integer,boolean" doc:"What a value is."`
	Title       string            `json:"title,omitempty" maxLength:"200" doc:"For people."`
	Description string            `json:"description,omitempty" maxLength:"2000" doc:"For people."`
	Enum        []json.RawMessage `json:"enum,omitempty" minItems:"1" maxItems:"200" doc:"The values it may have."`
	MinLength   int               `json:"minLength,omitempty" minimum:"0" doc:"Of a string: characters at least."`
	MaxLength   int               `json:"maxLength,omitempty" minimum:"0" doc:"Of a string: characters at most."`
	Pattern     string            `json:"pattern,omitempty" maxLength:"500" doc:"Regular expression that it matches somewhere."`
	Format      string            `json:"format,omitempty" enum:"email,uri,hostname,ipv4,ipv6,date,time,date-time,duration,uuid" doc:"Of a string: what it is, checked."`
	Minimum     *float64          `json:"minimum,omitempty" doc:"Of a number: at least."`
	Maximum     *float64          `json:"maximum,omitempty" doc:"Of a number: at most."`
	MultipleOf  *float64          `json:"multipleOf,omitempty" doc:"Of a number: a multiple of this one."`
}
