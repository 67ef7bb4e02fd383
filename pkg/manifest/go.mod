module github.com/buildify/core/pkg/manifest

go 1.26.0

require (
	github.com/Masterminds/semver/v3 v3.5.0
	github.com/buildify/core/pkg/contract v0.1.0
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.3
	golang.org/x/text v0.43.0
)

replace github.com/buildify/core/pkg/contract => ../contract
