package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"zonewire/api"
)

func TestTheDocumentHoldsEveryRouteAndNoOther(t *testing.T) {
	var documented []string
	for path, item := range openapi(t).doc["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			if method != "parameters" {
				documented = append(documented, strings.ToUpper(method)+" "+path)
			}
		}
	}
	slices.Sort(documented)
	if served := api.Routes(); !slices.Equal(documented, served) {
		t.Errorf("documented:\n%s\nserved:\n%s", strings.Join(documented, "\n"), strings.Join(served, "\n"))
	}
}

func TestTheDocumentIsServedForThisSite(t *testing.T) {
	doc := memorySite(t).do(ask{method: "GET", path: "/openapi.json", token: "-"}).wants(t, http.StatusOK)
	want := `openapi=3.1.0 servers=[map[url:` + base + `/api/v1]]`
	if got := doc.fields("openapi", "servers"); got != want || doc.json["info"].(map[string]any)["version"] != "1.2.3" {
		t.Errorf("got %s, info %v", got, doc.json["info"])
	}
}

func TestEverySchemaAndReferenceOfTheDocumentCanBeUsed(t *testing.T) {
	d := openapi(t)
	for name := range d.doc["components"].(map[string]any)["schemas"].(map[string]any) {
		if err := d.holds("#/components/schemas/"+name, []byte("0")); err == nil || !strings.Contains(err.Error(), "want object") {
			t.Errorf("schema %s takes a number: %v", name, err)
		}
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				if at, _ := d.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...); at == nil {
					t.Errorf("%s leads nowhere", ref)
				}
			}
			for _, inner := range v {
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	walk(d.doc)
}

// example is a request of the document.
type example struct{ method, path, kind, name, body string }

// examples are the requests of the document in the order of their names in it, which is that in which they are sent.
func examples(t *testing.T, order ...string) []example {
	t.Helper()
	found := map[string]example{}
	for path, item := range openapi(t).doc["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			content, _ := openapi(t).at("paths", path, method, "requestBody", "content")
			for kind, media := range content {
				all, _ := media.(map[string]any)["examples"].(map[string]any)
				for name, e := range all {
					value := e.(map[string]any)["value"]
					body, isText := value.(string)
					if !isText {
						b, err := json.Marshal(value)
						fatal(t, err)
						body = string(b)
					}
					found[name] = example{strings.ToUpper(method), path, kind, name, body}
				}
			}
		}
	}
	if names := slices.Sorted(maps.Keys(found)); !slices.Equal(names, slices.Sorted(slices.Values(order))) {
		t.Fatalf("the document has the examples %q", names)
	}
	var out []example
	for _, name := range order {
		out = append(out, found[name])
	}
	return out
}

func TestTheExamplesOfTheDocumentAreTrue(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *site) {
		d := openapi(t)
		for _, e := range examples(t, "json", "waiting", "form", "bulk", "put") {
			path := strings.NewReplacer("{zone}", "jintan-edz", "{id}", "1001").Replace(e.path)
			if e.kind == "application/json" {
				_, pointer := d.at("paths", e.path, strings.ToLower(e.method), "requestBody", "content", e.kind, "schema")
				if err := d.holds(pointer, []byte(e.body)); err != nil {
					t.Errorf("request %s: %v", e.name, err)
				}
			}
			got := s.do(ask{method: e.method, path: path, token: tokenAll, kind: e.kind, body: e.body})
			if got.status != http.StatusOK && got.status != http.StatusCreated {
				t.Errorf("%s: %d %s", e.name, got.status, got.text)
			}
			want, _ := d.at("paths", e.path, strings.ToLower(e.method), "responses", strconv.Itoa(got.status), "content", got.header.Get("Content-Type"), "examples", e.name)
			if want == nil {
				continue
			}
			if text, ok := want["value"].(string); ok {
				if got.text != text {
					t.Errorf("%s:\ngot  %s\nwant %s", e.name, got.text, text)
				}
			} else if fmt.Sprint(want["value"]) != fmt.Sprint(got.json) {
				t.Errorf("%s:\ngot  %v\nwant %v", e.name, got.json, want["value"])
			}
		}
	})
}
