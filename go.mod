module github.com/buildify/core

go 1.26.0
