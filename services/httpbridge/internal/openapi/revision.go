package openapi

import (
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/httpbridge/internal/revision"
)

// conditions are the headers by which a caller names the revision that they
// know.
func conditions(spec *contract.Spec) (parameters []*huma.Param) {
	if revision.Match(spec) != "" {
		parameters = append(parameters, &huma.Param{
			Name: "If-Match", In: "header", Schema: &huma.Schema{Type: huma.TypeString, Pattern: `^"[1-9][0-9]*"$`},
			Description: "The ETag of what is changed, as it was read; conflict when that has changed since.",
		})
	}
	if revision.Tagged(spec) && spec.Method == http.MethodGet {
		parameters = append(parameters, &huma.Param{
			Name: "If-None-Match", In: "header", Schema: &huma.Schema{Type: huma.TypeString},
			Description: "The ETag that is known already; an answer with it has no body.",
		})
	}
	return parameters
}

// tagged documents the ETag of an entity.
func tagged(spec *contract.Spec, all map[string]*huma.Response) {
	if !revision.Tagged(spec) {
		return
	}
	headers := map[string]*huma.Param{"ETag": {
		Description: "The revision, in quotes.", Schema: &huma.Schema{Type: huma.TypeString},
	}}
	all[strconv.Itoa(http.StatusOK)].Headers = headers
	if spec.Method == http.MethodGet {
		all[strconv.Itoa(http.StatusNotModified)] = &huma.Response{Description: http.StatusText(http.StatusNotModified), Headers: headers}
	}
}
