// Package openapi renders the contract as an OpenAPI 3.1 document.
package openapi

import (
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// always are the codes that any operation may answer with.
var always = []contract.Code{
	contract.InvalidArgument, contract.RateLimited, contract.InternalError, contract.Unavailable, contract.DeadlineExceeded,
}

// Document returns the document of every operation that has a route. It is
// the same at each call.
func Document() *huma.OpenAPI {
	registry := kit.NewRegistry()
	doc := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title:       "Buildify Core API",
			Version:     "1",
			Description: "What modules and people ask of the platform core. Every operation also answers on the bus, on the subject that x-subject names.",
		},
		Paths: map[string]*huma.PathItem{},
		Components: &huma.Components{
			Schemas: registry,
			SecuritySchemes: map[string]*huma.SecurityScheme{
				"apiKey": {Type: "apiKey", In: "header", Name: contract.HeaderAPIKey, Description: "A module's API key."},
				"bearer": {Type: "http", Scheme: "bearer", BearerFormat: "JWT", Description: "A person's access token, as auth.login and its like answer it."},
			},
		},
	}
	problem := registry.Schema(reflect.TypeFor[contract.Problem](), true, "")
	codes := registry.Schema(reflect.TypeFor[contract.Problem](), false, "").Properties["code"]
	for _, code := range sortedCodes() {
		codes.Enum = append(codes.Enum, string(code))
	}
	for _, spec := range contract.Operations() {
		if spec.Path != "" {
			place(doc, spec, operation(spec, registry, problem))
		}
	}
	for _, spec := range contract.Streams() {
		place(doc, spec, stream(spec, registry, problem))
	}
	openAnswers(registry)
	return doc
}

// place puts an operation where its route is.
func place(doc *huma.OpenAPI, spec *contract.Spec, op *huma.Operation) {
	item := doc.Paths[spec.Path]
	if item == nil {
		item = &huma.PathItem{}
		doc.Paths[spec.Path] = item
	}
	switch spec.Method {
	case http.MethodGet:
		item.Get = op
	case http.MethodPost:
		item.Post = op
	case http.MethodPut:
		item.Put = op
	case http.MethodPatch:
		item.Patch = op
	case http.MethodDelete:
		item.Delete = op
	}
}

// openAnswers lets answers carry more members in later versions; requests
// stay closed.
func openAnswers(registry huma.Registry) {
	requests := map[*huma.Schema]bool{}
	for _, spec := range contract.Operations() {
		requests[registry.Map()[spec.Request.Name()]] = true
	}
	for _, schema := range registry.Map() {
		if !requests[schema] {
			schema.AdditionalProperties = nil
		}
	}
}

func sortedCodes() []contract.Code {
	var codes []contract.Code
	for code := range contract.Codes() {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	return codes
}

func operation(spec *contract.Spec, registry huma.Registry, problem *huma.Schema) *huma.Operation {
	op := &huma.Operation{
		OperationID: spec.Name,
		Summary:     spec.Summary,
		Tags:        []string{spec.Service()},
		Responses:   responses(spec, registry, problem),
		Security:    security(spec),
		Extensions:  map[string]any{"x-subject": spec.Subject()},
	}
	if spec.Permission != "" {
		op.Extensions["x-permission"] = spec.Permission
	}
	parameters, body := request(spec, registry)
	op.Parameters = append(parameters, conditions(spec)...)
	if body != nil {
		op.RequestBody = &huma.RequestBody{
			Required: len(registry.SchemaFromRef(body.Ref).Required) > 0, Content: map[string]*huma.MediaType{"application/json": {Schema: body}},
		}
	}
	return op
}

// security lists who may call: any one of them.
func security(spec *contract.Spec) []map[string][]string {
	any := []map[string][]string{}
	if spec.Access.Has(contract.Module) {
		any = append(any, map[string][]string{"apiKey": {}})
	}
	if spec.Access&(contract.User|contract.Self) != 0 {
		any = append(any, map[string][]string{"bearer": {}})
	}
	return any
}

// request splits the request type into parameters and body.
func request(spec *contract.Spec, registry huma.Registry) ([]*huma.Param, *huma.Schema) {
	// A registry of its own: a type that is all parameters is no component.
	whole := kit.NewRegistry().Schema(spec.Request, false, "")
	var parameters []*huma.Param
	inBody := 0
	for i := range spec.Request.NumField() {
		f := spec.Request.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Tag.Get("path") == "" && f.Tag.Get("query") == "" {
			inBody++
		}
		for _, in := range []string{"path", "query"} {
			if tag := f.Tag.Get(in); tag != "" {
				schema := whole.Properties[name]
				parameters = append(parameters, &huma.Param{
					Name: tag, In: in, Description: schema.Description, Schema: schema,
					Required: in == "path" || slices.Contains(whole.Required, name),
				})
			}
		}
	}
	if spec.Method == http.MethodGet || spec.Method == http.MethodDelete || inBody == 0 {
		return parameters, nil
	}
	body := registry.Schema(spec.Request, true, "")
	if len(parameters) > 0 { // what stands elsewhere is not asked for twice
		schema := registry.SchemaFromRef(body.Ref)
		for i := range spec.Request.NumField() {
			f := spec.Request.Field(i)
			if f.Tag.Get("path") == "" && f.Tag.Get("query") == "" {
				continue
			}
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			delete(schema.Properties, name)
			schema.Required = slices.DeleteFunc(schema.Required, func(s string) bool { return s == name })
		}
	}
	return parameters, body
}

func responses(spec *contract.Spec, registry huma.Registry, problem *huma.Schema) map[string]*huma.Response {
	all := map[string]*huma.Response{"200": {
		Description: http.StatusText(http.StatusOK),
		Content: map[string]*huma.MediaType{
			"application/json": {Schema: registry.Schema(spec.Response, true, "")},
		},
	}}
	tagged(spec, all)
	refusals(spec, all, problem)
	return all
}

// refusals adds the errors that the operation may answer with.
func refusals(spec *contract.Spec, all map[string]*huma.Response, problem *huma.Schema) {
	codes := append(slices.Clone(always), spec.Errors...)
	if spec.Access&(contract.Module|contract.User|contract.Self) != 0 {
		codes = append(codes, contract.Unauthenticated)
	}
	if spec.Access&(contract.Module|contract.User) != 0 {
		codes = append(codes, contract.PermissionDenied)
	}
	if spec.Method != http.MethodGet {
		codes = append(codes, contract.PayloadTooLarge, contract.UnsupportedMediaType)
	}
	slices.Sort(codes)
	for _, code := range slices.Compact(codes) {
		status := strconv.Itoa(code.Status())
		if known := all[status]; known != nil {
			known.Description += ", " + string(code)
			continue
		}
		all[status] = &huma.Response{
			Description: string(code),
			Content:     map[string]*huma.MediaType{contract.ProblemType: {Schema: problem}},
		}
	}
}
