package openapi

import (
	"github.com/danielgtaylor/huma/v2"

	"github.com/buildify/core/pkg/contract"
)

// stream documents a stream: its schema is that of the data of each event.
func stream(spec *contract.Spec, registry huma.Registry, problem *huma.Schema) *huma.Operation {
	all := map[string]*huma.Response{"200": {
		Description: "Server-sent events without end; the data of each is one JSON object. A first comment says that the stream is open. " +
			"A stream that ends, whatever the reason, may have lost messages.",
		Content: map[string]*huma.MediaType{"text/event-stream": {Schema: registry.Schema(spec.Response, true, "")}},
	}}
	refusals(spec, all, problem)
	var parameters []*huma.Param
	if spec.Request != nil {
		parameters, _ = request(spec, registry) // all of it is in the query
	}
	return &huma.Operation{
		Parameters:  parameters,
		OperationID: spec.Name,
		Summary:     spec.Summary,
		Tags:        []string{spec.Service()},
		Responses:   all,
		Security:    security(spec),
	}
}
