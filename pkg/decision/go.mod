module github.com/buildify/core/pkg/decision

go 1.26.0

require github.com/buildify/core/pkg/contract v0.1.0

replace github.com/buildify/core/pkg/contract => ../contract
