package api_test

import (
	"bytes"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// description is the OpenAPI document with its schemas ready.
type description struct {
	doc      map[string]any
	compiler *jsonschema.Compiler
	mu       sync.Mutex
	schemas  map[string]*jsonschema.Schema
}

var described = sync.OnceValues(func() (*description, error) {
	b, err := os.ReadFile("openapi.json")
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource("openapi.json", doc); err != nil {
		return nil, err
	}
	return &description{doc: doc.(map[string]any), compiler: c, schemas: map[string]*jsonschema.Schema{}}, nil
})

func openapi(t testing.TB) *description {
	t.Helper()
	d, err := described()
	fatal(t, err)
	return d
}

// at follows a path of names from the root, and references on its way. It gives nil for what is not there, and where it is.
func (d *description) at(names ...string) (map[string]any, string) {
	var node any = d.doc
	pointer := "#"
	for i, name := range names {
		object, ok := node.(map[string]any)
		if !ok {
			return nil, ""
		}
		node = object[name]
		pointer += "/" + strings.ReplaceAll(name, "/", "~1")
		if object, ok = node.(map[string]any); !ok {
			continue
		}
		if ref, ok := object["$ref"].(string); ok && name != "schema" {
			return d.at(append(strings.Split(strings.TrimPrefix(ref, "#/"), "/"), names[i+1:]...)...)
		}
	}
	object, _ := node.(map[string]any)
	return object, pointer
}

// holds reports what is wrong with a value by the schema at the pointer.
func (d *description) holds(pointer string, value []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	schema := d.schemas[pointer]
	if schema == nil {
		var err error
		if schema, err = d.compiler.Compile("openapi.json" + pointer); err != nil {
			return err
		}
		d.schemas[pointer] = schema
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(value))
	if err != nil {
		return err
	}
	return schema.Validate(v)
}

// pathOf finds the path of the document that an address is of.
func (d *description) pathOf(address string) string {
	got := strings.Split(address, "/")
	best := ""
	for path := range d.doc["paths"].(map[string]any) {
		want := strings.Split(path, "/")
		match := len(want) == len(got)
		for i := 0; match && i < len(want); i++ {
			match = want[i] == got[i] || strings.HasPrefix(want[i], "{") && got[i] != ""
		}
		if match && (best == "" || !strings.Contains(path, "{")) {
			best = path
		}
	}
	return best
}

// conforms holds an answer against the document: its status must be among those of the operation, its type and headers too,
// and its body must be as the schema says.
func conforms(t testing.TB, r *http.Request, got reply) {
	t.Helper()
	d := openapi(t)
	problem := func(body string) {
		t.Helper()
		if err := d.holds("#/components/schemas/Problem", []byte(body)); err != nil {
			t.Errorf("%s %s: %d %s: %v", r.Method, r.URL, got.status, body, err)
		}
	}
	path := d.pathOf(strings.TrimPrefix(r.URL.EscapedPath(), "/api/v1"))
	method := strings.ToLower(r.Method)
	if method == "head" {
		method = "get"
	}
	if op, _ := d.at("paths", path, method); op == nil {
		if got.status != http.StatusNotFound && got.status != http.StatusMethodNotAllowed {
			t.Errorf("%s %s answers %d and is not in the document", r.Method, r.URL, got.status)
		}
		problem(got.text)
		return
	}
	response, _ := d.at("paths", path, method, "responses", strconv.Itoa(got.status))
	if response == nil {
		t.Errorf("%s %s answers %d, which the document does not know: %s", r.Method, r.URL, got.status, got.text)
		return
	}
	for name := range got.header {
		switch name {
		case "Etag", "Location", "Link":
			if headers, ok := response["headers"].(map[string]any); got.status < 300 && (!ok || headers[name] == nil && headers["ETag"] == nil) {
				t.Errorf("%s %s: %d has a header %s, which the document does not know", r.Method, r.URL, got.status, name)
			}
		}
	}
	content, _ := response["content"].(map[string]any)
	kind := got.header.Get("Content-Type")
	if content == nil {
		if got.text != "" {
			t.Errorf("%s %s: %d has a body: %s", r.Method, r.URL, got.status, got.text)
		}
		return
	}
	if content[kind] == nil {
		t.Errorf("%s %s: %d is %q, which the document does not know", r.Method, r.URL, got.status, kind)
		return
	}
	if kind == "application/x-ndjson" {
		lines := strings.Split(strings.TrimSuffix(got.text, "\n"), "\n")
		for i, line := range lines {
			schema := "#/components/schemas/BulkLine"
			if i == len(lines)-1 {
				schema = "#/components/schemas/BulkSummary"
			}
			if err := d.holds(schema, []byte(line)); err != nil {
				t.Errorf("%s: %v", line, err)
			}
		}
		return
	}
	_, pointer := d.at("paths", path, method, "responses", strconv.Itoa(got.status), "content", kind, "schema")
	if err := d.holds(pointer, []byte(got.text)); err != nil {
		t.Errorf("%s %s: %d %s: %v", r.Method, r.URL, got.status, got.text, err)
	}
}
