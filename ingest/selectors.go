package ingest

import (
	"strings"

	"github.com/PuerkitoBio/goquery"
	"github.com/andybalholm/cascadia"
	"golang.org/x/net/html"

	"zonewire"
)

// CheckSelectors compiles the selectors. A bad one is a [zonewire.ErrInvalid] that names it.
func CheckSelectors(s zonewire.Selectors) error {
	_, err := compile(s)
	return err
}

// matchers are compiled selectors, by the name of their field; one that was not given is missing.
type matchers map[string]cascadia.Selector

func compile(s zonewire.Selectors) (matchers, error) {
	all := matchers{}
	for _, given := range []struct{ name, css string }{
		{"list", s.List}, {"title", s.Title}, {"date", s.Date}, {"source", s.Source}, {"author", s.Author}, {"zone", s.Zone},
		{"city", s.City}, {"category", s.Category}, {"body", s.Body}, {"image", s.Image}, {"attachments", s.Attachments},
	} {
		if strings.TrimSpace(given.css) == "" {
			continue
		}
		m, err := cascadia.Compile(given.css)
		if err != nil {
			return nil, zonewire.Invalidf("%s-selector %q cannot be used: %v", given.name, zonewire.Shorten(given.css, 100), err)
		}
		all[given.name] = m
	}
	return all, nil
}

// find returns what the selector of a name matches, in the order of the document.
func (m matchers) find(doc *goquery.Document, name string) *goquery.Selection {
	if sel, ok := m[name]; ok {
		return doc.FindMatcher(sel)
	}
	return doc.FindNodes()
}

// text is the value of the first match that has one: what a meta element holds, the moment of a time element, or else
// the text. A label that stands before the value inside the element goes.
func (m matchers) text(doc *goquery.Document, name, field string) (value string) {
	m.find(doc, name).EachWithBreak(func(_ int, s *goquery.Selection) bool {
		for _, attr := range []string{"content", "datetime"} {
			if v := trimSpace(s.AttrOr(attr, "")); v != "" {
				value = v
				return false
			}
		}
		value = unlabelled(oneLine(nodeText(s.Nodes[0])), field)
		return value == ""
	})
	return value
}

// unlabelled takes the label of a field off its value.
func unlabelled(s, field string) string {
	s = trimSpace(s)
	if found := scanLabels(s); found != nil && field != "" {
		return found[field]
	}
	return s
}

// outermost leaves out the nodes that are inside others.
func outermost(nodes []*html.Node) []*html.Node {
	given := map[*html.Node]bool{}
	for _, n := range nodes {
		given[n] = true
	}
	var kept []*html.Node
	for _, n := range nodes {
		inside := false
		for a := range n.Ancestors() {
			inside = inside || given[a]
		}
		if !inside {
			kept = append(kept, n)
		}
	}
	return kept
}
