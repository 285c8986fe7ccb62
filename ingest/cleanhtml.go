package ingest

import (
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// isClean recognises HTML that cleaning would leave as it is, at a small part of the price of cleaning: an article that
// comes again, or from a system that writes decent HTML, needs no parser and no sanitiser. It accepts a small grammar and
// no byte beside it. Whatever it is not sure of it refuses, which costs time and changes nothing; what it accepts, the long
// way must return byte for byte.
func isClean(s string) bool {
	if strings.TrimSpace(s) != s {
		return false
	}
	var c cleanScan
	c.open[0] = element{kind: kindFlow}
	for s != "" {
		var text string
		text, s = cutText(s)
		if text != "" && !c.text(text) {
			return false
		}
		if s == "" {
			break
		}
		t, rest, ok := cutTag(s)
		if !ok || !c.tag(&t) {
			return false
		}
		s = rest
	}
	return c.depth == 0
}

// kind is what an element may hold, or that it holds nothing.
type kind uint8

const (
	kindVoid    kind = iota + 1 // nothing
	kindInline                  // text and inline elements
	kindBlock                   // the same, but it stands among blocks
	kindFlow                    // text, inline elements and blocks
	kindList                    // items
	kindItem                    // as flow, but it stands in a list
	kindTable                   // sections
	kindSection                 // rows
	kindRow                     // cells
	kindCell                    // as flow, but it stands in a row
)

// kinds are the elements whose parsing depends on nothing but what they stand in. Preformatted text, definition lists and
// captions are left out for their special rules.
var kinds = map[string]kind{
	"br": kindVoid, "img": kindVoid,
	"a": kindInline, "b": kindInline, "strong": kindInline, "i": kindInline, "em": kindInline, "u": kindInline, "s": kindInline, "del": kindInline,
	"ins": kindInline, "sub": kindInline, "sup": kindInline, "small": kindInline, "code": kindInline,
	"p": kindBlock, "h1": kindBlock, "h2": kindBlock, "h3": kindBlock, "h4": kindBlock, "h5": kindBlock, "h6": kindBlock,
	"blockquote": kindFlow, "div": kindFlow,
	"ul": kindList, "ol": kindList, "li": kindItem,
	"table": kindTable, "tbody": kindSection, "thead": kindSection, "tfoot": kindSection, "tr": kindRow, "td": kindCell, "th": kindCell,
}

// holds reports whether an element of one kind may stand in another so that the parser leaves it there.
func (k kind) holds(inner kind) bool {
	switch k {
	case kindInline, kindBlock:
		return inner == kindInline || inner == kindVoid
	case kindFlow, kindItem, kindCell:
		return inner == kindInline || inner == kindVoid || inner == kindBlock || inner == kindFlow || inner == kindList || inner == kindTable
	case kindList:
		return inner == kindItem
	case kindTable:
		return inner == kindSection
	case kindSection:
		return inner == kindRow
	case kindRow:
		return inner == kindCell
	}
	return false
}

// holdsText reports whether text may stand in an element of the kind; in others there is only white space.
func (k kind) holdsText() bool {
	return k == kindInline || k == kindBlock || k == kindFlow || k == kindItem || k == kindCell
}

type element struct {
	name string
	kind kind
	full bool // something in it can be seen
}

// cleanScan is where the scan of isClean stands.
type cleanScan struct {
	open          [32]element // open[0] is the fragment
	depth         int
	lead          bool // white space that comes now would be trimmed
	tail          bool // the last text ends in white space, which may be trimmed at the end of an element
	links, images int
}

func (c *cleanScan) tag(t *tag) bool {
	if t.end {
		return c.close(t)
	}
	k := kinds[t.name]
	in := &c.open[c.depth]
	if !in.kind.holds(k) || t.void != (k == kindVoid) || !c.attributes(t) {
		return false
	}
	c.tail = false
	if t.name == "br" {
		c.lead = true
		return true
	}
	in.full = true // or what is in it is refused
	if k == kindVoid {
		c.lead = false
		return true
	}
	if c.depth+1 == len(c.open) || t.name == "div" {
		return false // a div would be made a paragraph, or go
	}
	if k == kindInline {
		for _, o := range c.open[1 : c.depth+1] {
			if o.name == t.name {
				return false // the parser has rules for these
			}
		}
	} else {
		c.lead = trimmed(k)
	}
	c.depth++
	c.open[c.depth] = element{name: t.name, kind: k}
	return true
}

// trimmed reports whether white space at both ends of an element of the kind goes.
func trimmed(k kind) bool { return k == kindBlock || k == kindFlow || k == kindItem || k == kindCell }

func (c *cleanScan) close(t *tag) bool {
	e := c.open[c.depth]
	if c.depth == 0 || e.name != t.name || !e.full && e.kind != kindCell || c.tail {
		return false
	}
	c.depth--
	c.lead, c.tail = false, false
	return true
}

func (c *cleanScan) text(s string) bool {
	in := &c.open[c.depth]
	if !written(s) || !settled(s) {
		return false
	}
	if !in.kind.holdsText() {
		return strings.Trim(s, " \t\n") == ""
	}
	inner := strings.TrimLeft(s, indent)
	if c.lead && len(inner) < len(s) {
		return false
	}
	c.lead = false
	c.tail = strings.TrimRight(s, indent) != s
	in.full = in.full || inner != ""
	return true
}

// attributes reports whether a tag has those that cleaning gives it, in their order and with values as cleaning writes them.
func (c *cleanScan) attributes(t *tag) bool {
	a := t.attrs()
	switch t.name {
	case "a":
		c.links++
		if c.links > maxLinks || len(a) < 2 || a[0].key != "href" || a[1] != (attribute{"rel", linkRel}) {
			return false
		}
		rest, ok := title(a[2:])
		return ok && len(rest) == 0 && cleanAddress(a[0].value)
	case "img":
		c.images++
		if c.images > maxImages || len(a) < 2 || a[0].key != "src" || a[1].key != "alt" || !settled(a[1].value) {
			return false
		}
		alt := unescape(a[1].value)
		rest, ok := title(a[2:])
		return ok && numbers(rest, "width", "height") && line(alt) == alt && cleanAddress(a[0].value)
	case "td", "th":
		return numbers(a, "colspan", "rowspan")
	case "ol":
		return numbers(a, "start")
	}
	return len(a) == 0
}

// title takes a title, if it comes next, and gives the attributes after it. It answers false if cleaning would change it.
func title(all []attribute) ([]attribute, bool) {
	if len(all) == 0 || all[0].key != "title" {
		return all, true
	}
	v := unescape(all[0].value)
	return all[1:], v != "" && settled(all[0].value) && trimSpace(v) == v
}

// numbers reports whether all attributes are of the keys, in their order, and plain numbers as cleaning lets them pass. A
// size of 1 is of an image that would go.
func numbers(all []attribute, keys ...string) bool {
	for _, a := range all {
		i := slices.Index(keys, a.key)
		if i < 0 || !isNumber(a.value) || keys[0] == "width" && tiny(a.value) {
			return false
		}
		keys = keys[i+1:]
	}
	return true
}

// isNumber reports whether s is a number of one to four digits that does not begin with 0.
func isNumber(s string) bool {
	if len(s) == 0 || len(s) > 4 || s[0] == '0' {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// cleanAddress reports whether neither the mender nor the sanitiser would change an address, which is given as written.
func cleanAddress(s string) bool {
	s = unescape(s)
	if !strings.HasPrefix(s, "http://") && !strings.HasPrefix(s, "https://") {
		return false
	}
	same, ok := resolveURL(nil, s)
	if !ok || same != s {
		return false
	}
	u, err := url.Parse(s)
	return err == nil && u.String() == s
}

// cleanPlain is the short way for HTML of an ordinary make: it is parsed once, what the sanitiser would take away is taken
// off the tree, and it is written once. Nothing comes out that [isClean] does not accept. It answers false for what it is not
// sure to clean as the long way does.
func cleanPlain(fragment string, base *url.URL) (string, bool) {
	nodes, err := parseFragment(fragment)
	if err != nil {
		return "", false
	}
	root := bodyOf(nodes)
	m := mender{base: base}
	m.children(root)
	unwrap(root)
	if !nests(root, kindFlow) {
		return "", false
	}
	trimBlocks(root)
	out, err := inner(root)
	if err != nil {
		return "", false
	}
	out = strings.TrimSpace(out)
	return out, isClean(out)
}

// unwrapped are the elements that the sanitiser takes off around what they hold, and that leave no mark on how it is parsed.
var unwrapped = set("abbr", "acronym", "bdi", "bdo", "big", "cite", "col", "colgroup", "dfn", "font", "kbd", "label", "mark",
	"nobr", "o:p", "q", "samp", "span", "tt", "var", "wbr")

func unwrap(parent *html.Node) {
	for n := parent.FirstChild; n != nil; {
		next := n.NextSibling
		if n.Type == html.ElementNode {
			unwrap(n)
			if unwrapped[n.Data] {
				lift(n)
			}
		}
		n = next
	}
	join(parent)
}

// join makes one of texts that stand side by side, as they would be parsed.
func join(parent *html.Node) {
	for n := parent.FirstChild; n != nil; n = n.NextSibling {
		if next := n.NextSibling; n.Type == html.TextNode && next != nil && next.Type == html.TextNode {
			var text strings.Builder
			for ; next != nil && next.Type == html.TextNode; next = n.NextSibling {
				if text.Len() == 0 {
					text.WriteString(n.Data)
				}
				text.WriteString(next.Data)
				parent.RemoveChild(next)
			}
			n.Data = text.String()
		}
	}
}

// nests reports whether a tree, once written, is parsed to the same tree.
func nests(parent *html.Node, as kind) bool {
	for n := range parent.ChildNodes() {
		if n.Type == html.TextNode {
			if !as.holdsText() && strings.Trim(n.Data, " \t\n") != "" {
				return false
			}
			continue
		}
		k := kinds[n.Data]
		if !as.holds(k) || k == kindInline && repeats(n, parent) || !nests(n, k) {
			return false
		}
	}
	return true
}

// repeats reports whether an inline element stands in another of its name, for which the parser has rules.
func repeats(n, parent *html.Node) bool {
	for p := parent; p != nil && kinds[p.Data] == kindInline; p = p.Parent {
		if p.Data == n.Data {
			return true
		}
	}
	return false
}
