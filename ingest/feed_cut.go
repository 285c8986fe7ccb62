package ingest

import (
	"strings"

	"zonewire"
)

// Limits on the XML of one item. The parser behind calls itself for each level.
const (
	maxDepth    = 256
	maxElements = 10_000
	maxFeedHead = 8 << 10  // bytes of the start tags round the items, which are copied for each
	maxFeedPart = 64 << 10 // bytes of one thing that a feed says of itself
)

// xmlFeed is an XML feed taken apart. Each item is a document of its own, with the start tags that stood round it: so
// one that cannot be parsed costs no other, a feed that breaks off keeps the whole ones, and what is past the limit is
// never parsed.
type xmlFeed struct {
	root  string // local name of the root: "rss", "rdf" or "feed"
	head  string // the feed without its items
	items []xmlItem
	left  int  // items past the limit
	cut   bool // the text ends before the root does
}

type xmlItem struct {
	around   *wrapping
	text     string
	line     int
	replaced int // characters that could not be decoded
	err      error
}

// wrapping is what stands round an item.
type wrapping struct{ before, after string }

func (w *wrapping) document(inner string) string { return w.before + inner + w.after }

// feedParts are the names of what is read of a feed besides its items.
var feedParts = set("title", "link", "language", "ttl", "skiphours", "skipdays", "updateperiod", "updatefrequency")

// feedRoot is the local name of the first element, or empty if text begins with none.
func feedRoot(text string) string {
	s := xmlScanner{text: text}
	for {
		tok, ok := s.next()
		switch {
		case !ok || tok.kind == xmlText && trimSpace(tok.text) != "":
			return ""
		case tok.kind == xmlOpen, tok.kind == xmlEmpty:
			return localName(tok.name)
		}
	}
}

func isFeedRoot(name string) bool { return name == "rss" || name == "rdf" || name == "feed" }

// cutFeed takes a feed apart. What begins with another element than a feed does is a [zonewire.ErrInvalid].
func cutFeed(text string, limit int) (xmlFeed, error) {
	c := feedCutter{limit: limit}
	// A control character may stand in the middle of a tag. Those that the decoder has put for what it could not read
	// stay until they are counted.
	c.scan.text = strings.Map(func(r rune) rune {
		if r == '\ufffd' || zonewire.TextRune(r) {
			return r
		}
		return -1
	}, text)
	for !c.closed {
		tok, ok := c.scan.next()
		if !ok {
			break
		}
		if err := c.token(tok); err != nil {
			return c.feed, err
		}
	}
	if c.feed.root == "" {
		return c.feed, zonewire.Invalidf("this is no feed: there is no element in it")
	}
	c.feed.cut = !c.closed
	c.feed.head = c.around[len(c.around)-1].document(c.head.String())
	return c.feed, nil
}

type feedCutter struct {
	scan   xmlScanner
	limit  int
	feed   xmlFeed
	closed bool // the root's end has been seen

	stack  []string    // names of the open elements
	around []*wrapping // the root, and the channel of RSS; they stay when the elements end
	depth  int         // how many of the two are open
	spaces int         // name spaces that they declare

	head strings.Builder
	part part
}

// part is the child of the root or channel that is being read.
type part struct {
	text     strings.Builder
	name     string // local
	item     bool
	keep     bool
	line     int
	elements int
	err      error
}

func (c *feedCutter) token(tok xmlToken) error {
	inside := len(c.stack) > c.depth
	switch tok.kind {
	case xmlText:
		if inside {
			c.write(tok.text)
		}
		return nil
	case xmlClose:
		c.close(tok.name)
		return nil
	}
	name := localName(tok.name)
	switch {
	case len(c.stack) == 0 && !isFeedRoot(name):
		return zonewire.Invalidf("this is no feed: it begins with the element %s", truncate(tok.name, 40))
	case len(c.stack) == 0:
		c.feed.root = name
		return c.enter(tok)
	case len(c.stack) == 1 && name == "channel" && c.feed.root != "feed":
		return c.enter(tok)
	case !inside:
		c.begin(name, c.scan.line(tok.pos))
	case c.part.item && tok.name == c.stack[c.depth]:
		c.close(tok.name) // nobody has ended the item before
		c.begin(name, c.scan.line(tok.pos))
	case voidElements[tok.name] && len(c.stack) > c.depth+1:
		tok.kind = xmlEmpty // HTML that was not escaped
	}
	c.element(tok)
	return nil
}

// enter opens the root or the channel.
func (c *feedCutter) enter(tok xmlToken) error {
	w := &wrapping{before: tok.text + ">", after: "</" + tok.name + ">"}
	if c.depth > 0 {
		outer := c.around[c.depth-1]
		w = &wrapping{before: outer.before + w.before, after: w.after + outer.after}
	}
	if len(w.before) > maxFeedHead {
		return zonewire.Invalidf("the feed's first elements are larger than %d KB", maxFeedHead>>10)
	}
	c.around, c.spaces = append(c.around[:c.depth], w), c.scan.spaces
	c.stack = append(c.stack, tok.name)
	c.depth++
	if tok.kind == xmlEmpty {
		c.close(tok.name)
	}
	return nil
}

// begin opens a part.
func (c *feedCutter) begin(name string, line int) {
	item := name == "item" && c.feed.root != "feed" || name == "entry" && c.feed.root == "feed"
	c.part = part{name: name, item: item, line: line, keep: feedParts[name]}
	if item {
		c.part.keep = len(c.feed.items) < c.limit
	}
}

// element writes a start tag inside a part.
func (c *feedCutter) element(tok xmlToken) {
	p := &c.part
	if p.elements++; p.elements > maxElements {
		p.err = zonewire.Invalidf("the item has more than %d elements", maxElements)
	}
	if len(c.stack) == maxDepth {
		p.err = zonewire.Invalidf("the item is nested more than %d deep", maxDepth)
		return
	}
	if tok.kind == xmlEmpty {
		c.write(tok.text + "/>")
		if len(c.stack) == c.depth {
			c.end()
		}
		return
	}
	c.write(tok.text + ">")
	c.stack = append(c.stack, tok.name)
}

func (c *feedCutter) write(s string) {
	if c.part.keep && c.part.err == nil {
		c.part.text.WriteString(s)
	}
}

// close ends the innermost element of that name, and those inside it that nobody has ended. An end tag of nothing is
// left out.
func (c *feedCutter) close(name string) {
	at := len(c.stack) - 1
	for at >= 0 && !strings.EqualFold(c.stack[at], name) {
		at--
	}
	if at < 0 {
		return
	}
	for len(c.stack) > at {
		last := len(c.stack) - 1
		open := c.stack[last]
		c.stack = c.stack[:last]
		if last < c.depth {
			c.depth = last
			continue
		}
		c.write("</" + open + ">")
		if last == c.depth {
			c.end()
		}
	}
	c.closed = len(c.stack) == 0
}

// end takes a part that is whole.
func (c *feedCutter) end() {
	p := &c.part
	text := p.text.String()
	c.scan.spaces = c.spaces
	switch {
	case p.item && !p.keep:
		c.feed.left++
	case p.item:
		c.feed.items = append(c.feed.items, xmlItem{around: c.around[c.depth-1], text: zonewire.CleanText(text), line: p.line,
			replaced: strings.Count(text, "\ufffd"), err: p.err})
	case p.keep && p.err == nil && len(text) <= maxFeedPart:
		c.head.WriteString(zonewire.CleanText(text))
	}
}

// voidElements have no end tag in HTML (the HTML standard, section 13.1.2).
var voidElements = set("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr")
