package feed

import (
	"net/url"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"zonewire"
)

// elements are the elements that a body may hold. The others lose their tags and keep what is in them, but for those in
// dropped.
var elements = set("a", "abbr", "b", "bdi", "blockquote", "br", "caption", "cite", "code", "col", "colgroup", "dd", "del", "dfn", "div",
	"dl", "dt", "em", "figcaption", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "ins", "kbd", "li", "mark",
	"ol", "p", "pre", "q", "rp", "rt", "ruby", "s", "samp", "small", "span", "strong", "sub", "sup", "table", "tbody", "td",
	"tfoot", "th", "thead", "time", "tr", "u", "ul", "var", "wbr")

// dropped are the elements whose content is no text for people.
var dropped = set("applet", "base", "embed", "frame", "frameset", "head", "iframe", "link", "meta", "noembed", "noframes", "noscript",
	"object", "param", "plaintext", "script", "select", "style", "template", "textarea", "title", "xmp")

// gloss are elements that strict parsers know directly in a ruby only.
var gloss = set("rp", "rt")

var void = set("br", "col", "hr", "img", "wbr")

// plainAttributes may stand on any element. No style: the list that validators judge it by fails what portals write, and
// no id or class: they mean nothing in a reader's page.
var plainAttributes = set("title", "lang", "dir", "datetime")

// numbers are attributes that count something.
var numbers = set("width", "height", "colspan", "rowspan", "span", "start")

func set(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}

var inDiv = &html.Node{Type: html.ElementNode, Data: "div", DataAtom: atom.Div}

// cleanBody writes a body anew from a parse of it: only known elements and attributes, balanced, links absolute against
// base (which may be nil), nothing that runs. It gives nothing for a body that cannot be parsed, such as one nested
// without end, and for one of more than max bytes, before or after: a parser repeats open tags in every paragraph, so a
// hostile body grows by the square.
//
// Taking tags away may leave an order that a parser reads otherwise (a link in a link), which validators report, so the
// text is parsed again until it stays as it is.
func cleanBody(s string, base *url.URL, max int) string {
	const passes = 4
	if len(s) > max {
		return ""
	}
	for range passes {
		nodes, err := html.ParseFragment(strings.NewReader(clean(s)), inDiv)
		if err != nil {
			return ""
		}
		var b strings.Builder
		for _, n := range nodes {
			writeNode(&b, n, base)
		}
		next := strings.TrimSpace(b.String())
		if len(next) > max {
			return ""
		}
		if next == s {
			break
		}
		s = next
	}
	return s
}

// Quotes stay as they are in text: a body is mostly text.
var (
	escapeText      = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	escapeAttribute = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;")
)

// writeNode recurses as deep as the parser nests, which it bounds at 512.
func writeNode(b *strings.Builder, n *html.Node, base *url.URL) {
	switch n.Type {
	case html.TextNode:
		// Cleaned again, for the parser has decoded references such as &#11;.
		_, _ = escapeText.WriteString(b, clean(n.Data)) // a Builder does not fail
		return
	case html.ElementNode:
	default:
		return
	}
	if n.Namespace != "" || dropped[n.Data] { // svg and math have a namespace
		return
	}
	attributes, keep := "", elements[n.Data] && (!gloss[n.Data] || n.Parent != nil && n.Parent.Data == "ruby")
	if keep {
		attributes, keep = attributesOf(n, base)
	}
	if keep {
		b.WriteString("<" + n.Data + attributes + ">")
	}
	if void[n.Data] {
		return
	}
	if n.Data == "pre" && n.FirstChild != nil && strings.HasPrefix(n.FirstChild.Data, "\n") {
		b.WriteByte('\n') // a parser eats the first line end in it
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		writeNode(b, c, base)
	}
	if keep {
		b.WriteString("</" + n.Data + ">")
	}
}

// attributesOf gives the attributes to write, and false if the element is nothing without those it lacks.
func attributesOf(n *html.Node, base *url.URL) (string, bool) {
	given := map[string]string{}
	var b strings.Builder
	write := func(name, value string) {
		b.WriteString(" " + name + `="` + escapeAttribute.Replace(value) + `"`)
	}
	for _, a := range n.Attr {
		given[a.Key] = clean(a.Val)
	}
	switch n.Data {
	case "a":
		href := reference(given["href"], base)
		if href == "" {
			return "", false
		}
		write("href", href)
	case "img":
		src := ""
		// Portals load pictures late: the true address is beside a placeholder.
		for _, name := range []string{"data-src", "data-original", "src"} {
			if src = webAddress(given[name], base); src != "" && given[name] != "" {
				break
			}
			src = ""
		}
		if src == "" {
			return "", false
		}
		write("src", src)
		write("alt", given["alt"])
		write("referrerpolicy", "no-referrer") // portals refuse pictures to pages of others
	}
	for _, a := range n.Attr { // in the order given: no map order in the bytes
		value := given[a.Key]
		if plainAttributes[a.Key] && value != "" || numbers[a.Key] && isNumber(value) {
			write(a.Key, value)
		}
	}
	return b.String(), true
}

// reference gives what a link in a body may point to.
func reference(href string, base *url.URL) string {
	href = strings.TrimSpace(href)
	if href == "" || strings.HasPrefix(href, "#") {
		return "" // a place in a page that is not here
	}
	if u, err := url.Parse(href); err == nil && (u.Scheme == "mailto" || u.Scheme == "tel") {
		var b strings.Builder
		percentEncode(&b, u.Opaque)
		if b.Len() == 0 {
			return ""
		}
		return u.Scheme + ":" + b.String()
	}
	return webAddress(href, base)
}

func isNumber(s string) bool {
	return len(s) > 0 && len(s) <= 5 && strings.Trim(s, "0123456789") == ""
}

// excerpt is the beginning of a body as plain text.
func excerpt(body string, max int) string {
	const bytesPerChar = 16 // tags included
	if len(body) > max*bytesPerChar {
		body = body[:max*bytesPerChar]
	}
	var b strings.Builder
	skipped := "" // the element whose content is left out
	z := html.NewTokenizer(strings.NewReader(body))
	for {
		switch kind := z.Next(); kind {
		case html.ErrorToken: // the end, or the tag that the cut went through
			return zonewire.Shorten(strings.Join(strings.Fields(clean(b.String())), " "), max)
		case html.TextToken:
			if skipped == "" {
				b.Write(z.Text())
			}
		case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken:
			raw, _ := z.TagName()
			name := string(raw)
			switch {
			case kind == html.StartTagToken && skipped == "" && dropped[name]:
				skipped = name
			case kind == html.EndTagToken && name == skipped:
				skipped = ""
			}
			if !inline[name] {
				b.WriteByte(' ')
			}
		}
	}
}

// inline elements do not end a word.
var inline = set("a", "abbr", "b", "bdi", "cite", "code", "del", "dfn", "em", "i", "ins", "kbd", "mark", "q", "s", "samp", "small", "span",
	"strong", "sub", "sup", "time", "u", "var", "wbr")
