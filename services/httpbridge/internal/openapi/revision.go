package openapi

import (
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/httpbridge/internal/revision"
)

// conditions are the headers by which a caller names what they know.
func conditions(spec *contract.Spec) (parameters []*huma.Param) {
	if revision.Match(spec) != "" {
		parameters = append(parameters, &huma.Param{
			Name: "If-Match", In: "header", Schema: &huma.Schema{Type: huma.TypeString, Pattern: `^"[1-9][0-9]*"$`},
			Description: "The ETag of what is changed, as it was read; conflict when that has changed since.",
		})
	}
	if revision.Of(spec) != nil && spec.Method == http.MethodGet {
		parameters = append(parameters, &huma.Param{
			Name: "If-None-Match", In: "header", Schema: &huma.Schema{Type: huma.TypeString},
			Description: "The ETag that is known already; an answer with it has no body.",
		})
	}
	return parameters
}

// tagged documents the ETag of answers.
func tagged(spec *contract.Spec, all map[string]*huma.Response) {
	if revision.Of(spec) == nil {
		return
	}
	what := "The revision, in quotes."
	if name := revision.ContentTag(spec); name != "" {
		what = "The answer's " + name + ", in quotes: it changes with anything else of the answer."
	}
	headers := map[string]*huma.Param{"ETag": {Description: what, Schema: &huma.Schema{Type: huma.TypeString}}}
	all[strconv.Itoa(http.StatusOK)].Headers = headers
	if spec.Method == http.MethodGet {
		all[strconv.Itoa(http.StatusNotModified)] = &huma.Response{Description: http.StatusText(http.StatusNotModified), Headers: headers}
	}
}
