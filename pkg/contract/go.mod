module github.com/buildify/core/pkg/contract

go 1.26.0
