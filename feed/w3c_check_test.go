package feed_test

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// finding is what the W3C feed validator would say of a document at its strictest level, where an error, a warning and a
// hint count alike. Name is the validator's own. The rules are stated here in our words, and where they are simpler than
// the validator's they are stricter.
type finding struct{ Name, Where string }

func (f finding) String() string { return f.Name + " at " + f.Where }

// findingNames gives the names of findings, each once, in order.
func findingNames(found []finding) []string {
	all := []string{}
	for _, f := range found {
		if !slices.Contains(all, f.Name) {
			all = append(all, f.Name)
		}
	}
	slices.Sort(all)
	return all
}

// w3c judges a document of RSS 2.0, Atom or OPML as it is at now.
func w3c(doc []byte, now time.Time) []finding {
	c := &validation{now: now, seen: map[string]bool{}}
	declaration, _, declared := bytes.Cut(doc, []byte("?>"))
	switch {
	case !declared || !bytes.HasPrefix(declaration, []byte(`<?xml version="1.0"`)) || !bytes.Contains(declaration, []byte(`encoding="UTF-8"`)):
		c.say("MissingEncoding", "the beginning")
	case !utf8.Valid(doc):
		c.say("UnicodeError", "some byte")
	}
	root, err := c.parse(doc)
	if err != nil {
		c.say("SAXError", err.Error())
		return c.found
	}
	kinds := map[string]elementSpec{"rss": rssSpec, "feed": atomSpec, "opml": opmlSpec}
	s, known := kinds[root.name]
	if !known {
		c.say("UndefinedElement", root.name)
		return c.found
	}
	c.walk(root, s)
	return c.found
}

type validation struct {
	kind  string // the name of the root
	now   time.Time
	found []finding
	seen  map[string]bool // values of which a second one is wrong
}

func (c *validation) say(name, where string) { c.found = append(c.found, finding{name, where}) }

// xmlNode is an element.
type xmlNode struct {
	name   string            // with the usual prefix, as atom:link; without in the document's own vocabulary
	attr   map[string]string // likewise: href, xml:lang
	text   string
	kids   []*xmlNode
	parent *xmlNode
	lang   string // in force
	hex    bool   // it begins on a line that holds a hexadecimal reference, by which the validator knows plain text
}

func (n *xmlNode) path() string {
	path := ""
	for ; n != nil; n = n.parent {
		path = "/" + n.name + path
	}
	return path
}

func (n *xmlNode) all(name string) (kids []*xmlNode) {
	for _, k := range n.kids {
		if k.name == name {
			kids = append(kids, k)
		}
	}
	return kids
}

func (n *xmlNode) has(name string) bool { return len(n.all(name)) > 0 }

func (n *xmlNode) get(name string) string {
	for _, k := range n.all(name) {
		return k.text
	}
	return ""
}

const (
	atomSpace  = "http://www.w3.org/2005/Atom"
	xmlSpace   = "http://www.w3.org/XML/1998/namespace"
	foreign    = "?" // the name of an element out of a namespace that the validator does not know
	tombstones = "http://purl.org/atompub/tombstones/1.0"
)

// usual are the namespaces of our documents that the validator knows, with the prefix that it wants for each.
var usual = map[string]string{
	atomSpace: "atom", xmlSpace: "xml",
	"http://purl.org/dc/elements/1.1/":         "dc",
	"http://purl.org/rss/1.0/modules/content/": "content",
	"http://purl.org/syndication/history/1.0":  "fh",
	"http://search.yahoo.com/mrss/":            "media",
	"http://www.w3.org/1999/xhtml":             "xhtml",
}

// parse reads a document into its root, and judges its namespaces and characters on the way.
func (c *validation) parse(doc []byte) (*xmlNode, error) {
	d := xml.NewDecoder(bytes.NewReader(doc))
	var root, at *xmlNode
	for {
		begin := int(d.InputOffset())
		t, err := d.Token()
		if err == io.EOF && root != nil {
			return root, nil
		}
		if err != nil {
			return nil, fmt.Errorf("byte %d: %w", d.InputOffset(), err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			if root == nil {
				c.kind = t.Name.Local
			}
			n := c.element(t, at)
			line := doc[begin:]
			if end := bytes.IndexByte(line, '\n'); end >= 0 {
				line = line[:end]
			}
			n.hex = bytes.Contains(doc[bytes.LastIndexByte(doc[:begin], '\n')+1:begin+len(line)], []byte("&#x"))
			if at != nil {
				at.kids = append(at.kids, n)
			} else if root == nil {
				root = n
			}
			at = n
		case xml.EndElement:
			at = at.parent
		case xml.CharData:
			if at == nil {
				continue
			}
			at.text += string(t)
			for line := range strings.Lines(string(t)) {
				c.characters(at, line)
				if twiceEncoded(line) {
					c.say("BadCharacters", at.path()+" (UTF-8 taken for Latin-1)")
				}
			}
		}
	}
}

func (c *validation) element(t xml.StartElement, parent *xmlNode) *xmlNode {
	n := &xmlNode{attr: map[string]string{}, parent: parent}
	if parent != nil {
		n.lang = parent.lang
	}
	for _, a := range t.Attr {
		if a.Name.Space == "xmlns" {
			c.declare(a.Name.Local, a.Value)
		}
	}
	n.name = c.short(t.Name, n)
	for _, a := range t.Attr {
		if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" {
			n.attr[c.short(a.Name, n)] = a.Value
			c.characters(n, a.Value)
		}
	}
	if lang, ok := n.attr["xml:lang"]; ok {
		n.lang = lang
		languageCode(c, n, lang)
	}
	return n
}

// declare judges the declaration of a prefix.
func (c *validation) declare(prefix, space string) {
	want, known := usual[space]
	switch {
	case c.kind == "feed" && (want == "atom" || want == "xhtml" || prefix == "atom" || prefix == "xhtml"):
		c.say("AvoidNamespacePrefix", "xmlns:"+prefix)
	case known && prefix != want:
		c.say("NonstdPrefix", "xmlns:"+prefix)
	case known:
	case space+"/" == "http://search.yahoo.com/mrss/":
		c.say("MediaRssNamespace", "xmlns:"+prefix)
	default:
		for _, reserved := range usual {
			if prefix == reserved {
				c.say("ReservedPrefix", "xmlns:"+prefix)
				return
			}
		}
		c.say("UnknownNamespace", "xmlns:"+prefix+"="+space)
	}
}

func (c *validation) short(name xml.Name, n *xmlNode) string {
	own := c.kind == "feed" && name.Space == atomSpace
	prefix, known := usual[name.Space]
	switch {
	case own:
		return name.Local
	case name.Space == "":
		if c.kind == "feed" && n.name == "" { // an element: attributes are in no namespace
			c.say("MissingNamespace", name.Local)
		}
		return name.Local
	case known:
		return prefix + ":" + name.Local
	case !strings.Contains(name.Space, ":"): // the prefix itself: nothing declares it
		c.say("MissingNamespace", name.Space+":"+name.Local)
	}
	return foreign
}

// characters judges those that only broken input brings.
func (c *validation) characters(n *xmlNode, s string) {
	if strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 && r < 0xA0 || r == unicode.ReplacementChar }) {
		c.say("BadCharacters", n.path())
	}
}

// twiceEncoded tells a text whose letters are the bytes of UTF-8, as "Ã©" is for é.
func twiceEncoded(s string) bool {
	var raw []byte
	suspect, last := false, ' '
	for _, r := range s {
		if r > 0xFF {
			return false
		}
		suspect = suspect || r >= 0x80 && r < 0xC0 && (last == 0xC2 || last == 0xC3)
		raw, last = append(raw, byte(r)), r
	}
	return suspect && utf8.Valid(raw)
}

// elementSpec says what an element may hold; by default it stands once, and holds text or elements, not both.
type elementSpec struct {
	attrs string // those that it may have, beside those of XML
	many  bool   // it may stand beside others of its name
	more  string // the finding if it does nevertheless; empty = DuplicateElement
	rules []elementRule
	kids  map[string]elementSpec // nil: text
}

type elementRule func(*validation, *xmlNode)

// walk judges an element, those in it first.
func (c *validation) walk(n *xmlNode, s elementSpec) {
	for name := range n.attr {
		if !slices.Contains(strings.Fields(s.attrs), name) && !strings.HasPrefix(name, "xml:") {
			c.say("UnexpectedAttribute", n.path()+"/@"+name)
		}
	}
	if s.kids != nil && strings.TrimSpace(n.text) != "" {
		c.say("UnexpectedText", n.path())
	}
	counts := map[string]int{}
	for _, k := range n.kids {
		if k.name == foreign {
			continue // nothing is known of it, nor of what is in it
		}
		kid, known := s.kids[k.name]
		if !known {
			c.say("UndefinedElement", k.path())
			continue
		}
		if counts[k.name]++; counts[k.name] > 1 && !kid.many {
			c.say(cmp.Or(kid.more, "DuplicateElement"), k.path())
		}
		c.walk(k, kid)
	}
	for _, r := range s.rules {
		r(c, n)
	}
}
