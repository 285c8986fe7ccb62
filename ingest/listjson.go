package ingest

import (
	"encoding/json"
	"slices"
	"strings"

	"zonewire"
)

// The names that content systems give to the parts of an entry in the JSON that their list pages fetch, folded.
var (
	jsonTitles = []string{"title", "doctitle", "articletitle", "infotitle", "subject", "name", "bt"}
	jsonLinks  = []string{"link", "url", "href", "docpuburl", "infourl", "htmlurl", "linkurl", "pageurl", "source_url"}
	jsonDates  = []string{"pubtime", "pubdate", "publish_time", "publishtime", "published", "publishdate", "docreltime", "docpubtime",
		"display_date", "first_publish_time", "releasetime", "create_time", "createtime", "created_at", "date", "time"}
)

// readJSONList reads the list that a page's script asks for: the longest array of objects that have a title and an
// address.
func readJSONList(s string, opts Options) (ListDoc, error) {
	var v any
	dec := json.NewDecoder(strings.NewReader(s))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return ListDoc{}, zonewire.Invalidf("the JSON of the list cannot be read: %v", err)
	}
	base, _ := parseURL(opts.URL)
	const depth = 6
	links := jsonEntries(v, &listPage{opts: opts, base: base}, depth)
	if len(links) == 0 {
		return ListDoc{}, zonewire.Invalidf("no list of articles is in the JSON: none of its arrays has objects with title and url")
	}
	return ListDoc{Entries: entriesOf(links)}, nil
}

func jsonEntries(v any, p *listPage, depth int) (best []*listLink) {
	if depth == 0 {
		return nil
	}
	switch v := v.(type) {
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys) // maps have no order, and the answer must be the same each time
		for _, k := range keys {
			if found := jsonEntries(v[k], p, depth-1); len(found) > len(best) {
				best = found
			}
		}
	case []any:
		for _, e := range v {
			if l := jsonEntry(e, p); l != nil {
				best = append(best, l)
			}
		}
		for _, e := range v {
			if found := jsonEntries(e, p, depth-1); len(found) > len(best) {
				best = found
			}
		}
	}
	return best
}

// jsonEntry is nil for what is no entry.
func jsonEntry(v any, p *listPage) *listLink {
	object, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	folded := map[string]string{}
	for k, v := range object {
		switch v := v.(type) {
		case string:
			folded[strings.ToLower(k)] = v
		case json.Number:
			folded[strings.ToLower(k)] = v.String()
		}
	}
	pick := func(names []string) string {
		for _, n := range names {
			if s := trimSpace(folded[n]); s != "" {
				return s
			}
		}
		return ""
	}
	title := truncate(PlainText(pick(jsonTitles)), maxTitle)
	abs, ok := resolveURL(p.base, pick(jsonLinks))
	canon, identifies := CanonicalURL(abs)
	if title == "" || !ok || !identifies {
		return nil
	}
	l := &listLink{url: abs, canon: canon, title: title}
	if raw := line(pick(jsonDates)); raw != "" {
		if d, ok := parseDate(raw, p.opts.Now); ok && plausible(d.t, p.opts.Now) {
			l.date = raw
		}
	}
	return l
}
