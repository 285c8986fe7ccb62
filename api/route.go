package api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"zonewire"
)

const prefix = "/api/v1"

// route is one thing that can be asked. Its path is written as in the OpenAPI document.
type route struct {
	method, path string
	serve        func(*handler, *call) (answer, error)
	open         bool // needs no token
	repeats      bool // heeds an Idempotency-Key
	dialect      bool // speaks to collector tools in their words when asked to
}

func routes() []route {
	return []route{
		{method: http.MethodPost, path: "/articles", serve: (*handler).post, repeats: true, dialect: true},
		{method: http.MethodPost, path: "/articles:bulk", serve: (*handler).bulk, repeats: true},
		{method: http.MethodPut, path: "/zones/{zone}/articles/{id}", serve: (*handler).put},
		{method: http.MethodDelete, path: "/zones/{zone}/articles/{id}", serve: (*handler).withdraw},
		{method: http.MethodGet, path: "/zones/{zone}/articles/{id}", serve: (*handler).articleOfZone},
		{method: http.MethodGet, path: "/articles/{id}", serve: (*handler).article},
		{method: http.MethodGet, path: "/articles", serve: (*handler).articles},
		{method: http.MethodGet, path: "/zones", serve: (*handler).zones},
		{method: http.MethodGet, path: "/lists", serve: (*handler).lists},
		{method: http.MethodGet, path: "/digests/{id}", serve: (*handler).digest},
		{method: http.MethodGet, path: "/openapi.json", serve: (*handler).openapi, open: true},
	}
}

// find gives the route of a request, with the values of its path set. The failures are 404 and 405. http.ServeMux would
// answer both in plain text, and a path that is not clean with a page of HTML.
func find(r *http.Request) (route, error) {
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), prefix)
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	var allowed []string
	var at route
	for _, rt := range routes() {
		values, match := rt.match(path)
		if !ok || !match {
			continue
		}
		at.path = rt.path
		if rt.method == method {
			for name, value := range values {
				r.SetPathValue(name, value)
			}
			return rt, nil
		}
		if allowed = append(allowed, rt.method); rt.method == http.MethodGet {
			allowed = append(allowed, http.MethodHead)
		}
	}
	if allowed == nil {
		return at, &problem{Status: http.StatusNotFound, Detail: "there is nothing at this address; " + prefix + "/openapi.json lists what there is"}
	}
	slices.Sort(allowed)
	allow := strings.Join(allowed, ", ")
	return at, &problem{Status: http.StatusMethodNotAllowed, Detail: "this address takes " + allow, header: http.Header{"Allow": {allow}}}
}

// match compares segment by segment before anything is unescaped, so that an id may hold a slash, as %2F.
func (rt route) match(path string) (values map[string]string, ok bool) {
	want, got := strings.Split(rt.path, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return nil, false
	}
	values = map[string]string{}
	for i := range want {
		text, err := url.PathUnescape(got[i])
		if err != nil || zonewire.CleanText(text) != text { // nothing is known by what cannot be stored
			return nil, false
		}
		if name, variable := strings.CutPrefix(want[i], "{"); variable && text != "" {
			values[strings.TrimSuffix(name, "}")] = text
		} else if text != want[i] {
			return nil, false
		}
	}
	return values, true
}
