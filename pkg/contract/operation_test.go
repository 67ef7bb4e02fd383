package contract

import (
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestNamesSubjectsAndRoutesAreUnique(t *testing.T) {
	t.Parallel()
	taken := map[string]string{}
	take := func(what, by string) {
		if other, ok := taken[what]; ok {
			t.Errorf("%s is taken by %s and by %s", what, other, by)
		}
		taken[what] = by
	}
	for _, spec := range Operations() {
		take(spec.Name, spec.Name)
		take(spec.Subject(), spec.Name)
		take(spec.ModuleSubject("crm"), spec.Name)
		if spec.Path != "" {
			// Two routes that differ in the names of their parameters only are one.
			take(spec.Method+" "+regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(spec.Path, "{}"), spec.Name)
		}
	}
}

func TestEveryOperationIsWellFormed(t *testing.T) {
	t.Parallel()
	subject := regexp.MustCompile(`^core\.(auth|rbac|tenant|audit)\.[a-z]+(_[a-z]+)*$`)
	path := regexp.MustCompile(`^(/api/v1|/\.well-known)(/[a-z0-9_.-]+|/\{[a-z_]+\})+$`)
	methods := []string{"", http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	for _, spec := range Operations() {
		t.Run(spec.Name, func(t *testing.T) {
			t.Parallel()
			if !subject.MatchString(spec.Subject()) {
				t.Errorf("subject %s: one token after the service, so that it never meets core.audit.events.>", spec.Subject())
			}
			if spec.ModuleSubject("crm") != "m.crm."+spec.Subject() {
				t.Errorf("module subject %s", spec.ModuleSubject("crm"))
			}
			if spec.Path != "" && !path.MatchString(spec.Path) {
				t.Errorf("path %s", spec.Path)
			}
			if !slices.Contains(methods, spec.Method) {
				t.Errorf("method %q", spec.Method)
			}
			if spec.Timeout <= 0 || spec.Summary == "" || !strings.HasSuffix(spec.Summary, ".") {
				t.Error("needs a timeout and a sentence as its summary")
			}
			if spec.Request.Kind() != reflect.Struct || spec.Response.Kind() != reflect.Struct {
				t.Error("request and response are structs")
			}
			if spec.Access.Has(User) && !ValidPermission(spec.Permission) {
				t.Errorf("permission %q is no permission code", spec.Permission)
			}
			for i, code := range spec.Errors {
				if _, known := Codes()[code]; !known || slices.Contains(spec.Errors[:i], code) {
					t.Errorf("error %s is unknown or listed twice", code)
				}
			}
		})
	}
}

// A field that HTTP cannot carry, or a path parameter that no field takes,
// would make an operation that only the bus can call.
func TestEveryRequestFieldHasItsPlaceInHTTP(t *testing.T) {
	t.Parallel()
	snake := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	for _, spec := range Operations() {
		var inPath []string
		for i := range spec.Request.NumField() {
			f := spec.Request.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !snake.MatchString(name) {
				t.Errorf("%s: field %s is %q in JSON", spec.Name, f.Name, name)
			}
			if p := f.Tag.Get("path"); p != "" {
				inPath = append(inPath, p)
			}
			bodiless := spec.Method == http.MethodGet || spec.Method == http.MethodDelete
			if bodiless && f.Tag.Get("path") == "" && f.Tag.Get("query") == "" {
				t.Errorf("%s: field %s has no place in a %s request", spec.Name, name, spec.Method)
			}
		}
		var wanted []string
		for _, m := range regexp.MustCompile(`\{([^}]*)\}`).FindAllStringSubmatch(spec.Path, -1) {
			wanted = append(wanted, m[1])
		}
		slices.Sort(inPath)
		slices.Sort(wanted)
		if !slices.Equal(inPath, wanted) {
			t.Errorf("%s: path %s and path fields %v differ", spec.Name, spec.Path, inPath)
		}
	}
}

func TestOperationsAreOrderedAndACopy(t *testing.T) {
	t.Parallel()
	all := Operations()
	if !slices.IsSortedFunc(all, func(a, b *Spec) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("not ordered by name")
	}
	all[0] = nil
	if Operations()[0] == nil {
		t.Error("a caller can empty the table")
	}
}

func TestModulesMayBeGrantedNothingInternal(t *testing.T) {
	t.Parallel()
	names := ModuleOperations()
	if !slices.IsSorted(names) || len(names) == 0 {
		t.Fatalf("not ordered: %v", names)
	}
	for _, spec := range Operations() {
		if got := slices.Contains(names, spec.Name); got != spec.Access.Has(Module) {
			t.Errorf("%s: grantable to modules: %v", spec.Name, got)
		}
		if spec.Access == Internal && (spec.Path != "" || spec.Method != "") {
			t.Errorf("%s is internal and has a route", spec.Name)
		}
	}
}

func TestRegisterPanicsOnEachMistake(t *testing.T) {
	t.Parallel()
	good := Spec{
		Name: "audit.some_thing", Method: "GET", Path: "/api/v1/some", Access: User, Permission: "a:b",
		Audit: AuditRead, Summary: "Does.",
	}
	if err := good.check(); err != nil {
		t.Fatal(err)
	}
	before := len(Operations())
	for name, spoil := range map[string]func(*Spec){
		"no name":                       func(s *Spec) { s.Name = "" },
		"one token":                     func(s *Spec) { s.Name = "audit" },
		"three tokens":                  func(s *Spec) { s.Name = "audit.events.list" },
		"empty token":                   func(s *Spec) { s.Name = "audit." },
		"capitals":                      func(s *Spec) { s.Name = "audit.List" },
		"wildcard":                      func(s *Spec) { s.Name = "audit.*" },
		"all of a service":              func(s *Spec) { s.Name = "audit.>" },
		"space":                         func(s *Spec) { s.Name = "audit.li st" },
		"line break":                    func(s *Spec) { s.Name = "audit.list\n" },
		"no access":                     func(s *Spec) { s.Access = 0 },
		"no audit level":                func(s *Spec) { s.Audit = 0 },
		"no summary":                    func(s *Spec) { s.Summary = "" },
		"route without a method":        func(s *Spec) { s.Method = "" },
		"method without a route":        func(s *Spec) { s.Path = "" },
		"public without a route":        func(s *Spec) { s.Method, s.Path = "", "" },
		"internal with a route":         func(s *Spec) { s.Access, s.Permission = Internal, "" },
		"user without a permission":     func(s *Spec) { s.Permission = "" },
		"permission without a user":     func(s *Spec) { s.Access = Module },
		"a name taken":                  func(s *Spec) { s.Name = LogAudit.Name },
		"a route taken":                 func(s *Spec) { s.Method, s.Path = LogAudit.Method, LogAudit.Path },
		"a name taken, of another kind": func(s *Spec) { s.Name = CreateKey.Name },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: registered", name)
				}
			}()
			spoiled := good
			spoil(&spoiled)
			Register[Empty, Empty](spoiled.Audit, spoiled)
		}()
	}
	if len(Operations()) != before {
		t.Error("a mistake stands in the table")
	}
}

func TestAccessHasAllOfWhatIsAsked(t *testing.T) {
	t.Parallel()
	both := Module | Internal
	if !both.Has(Module) || !both.Has(both) || both.Has(User) || both.Has(Module|User) || Access(0).Has(Anonymous) {
		t.Error("Has")
	}
}
