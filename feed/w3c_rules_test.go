package feed_test

import (
	stdhtml "html"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// judge is a rule for a value, be it the text of an element or an attribute of it.
type judge func(c *validation, n *xmlNode, value string)

// leaf is an element that holds text.
func leaf(judges ...judge) elementSpec {
	s := elementSpec{}
	for _, j := range judges {
		s.rules = append(s.rules, func(c *validation, n *xmlNode) { j(c, n, strings.TrimSpace(n.text)) })
	}
	return s
}

func repeated(s elementSpec) elementSpec { s.many = true; return s }

// required is a rule for an attribute that may not be missing, optional for one that may.
func required(name string, judges ...judge) elementRule {
	return attribute(name, "MissingAttribute", judges)
}
func optional(name string, judges ...judge) elementRule { return attribute(name, "", judges) }

func attribute(name, missing string, judges []judge) elementRule {
	return func(c *validation, n *xmlNode) {
		value, ok := n.attr[name]
		if !ok {
			if missing != "" {
				c.say(missing, n.path()+"/@"+name)
			}
			return
		}
		for _, j := range judges {
			j(c, n, value)
		}
	}
}

// needs is a rule for an element without which another is nothing.
func needs(name, finding string) elementRule {
	return func(c *validation, n *xmlNode) {
		if !n.has(name) {
			c.say(finding, n.path()+"/"+name)
		}
	}
}

// matches is a value that looks so.
func matches(pattern, finding string) judge {
	form := regexp.MustCompile("^(?:" + pattern + ")$")
	return func(c *validation, n *xmlNode, v string) {
		if !form.MatchString(v) {
			c.say(finding, n.path()+" "+strconv.Quote(v))
		}
	}
}

// once is a value that comes once in a document.
func once(name, finding string) judge {
	return func(c *validation, n *xmlNode, v string) {
		if key := name + " " + v; c.seen[key] {
			c.say(finding, n.path()+" "+v)
		} else {
			c.seen[key] = true
		}
	}
}

func filled(c *validation, n *xmlNode, v string) {
	if v == "" {
		c.say("NotBlank", n.path())
	}
}

func filledAttribute(c *validation, n *xmlNode, v string) {
	if v == "" {
		c.say("AttrNotBlank", n.path())
	}
}

var (
	mimeForm    = `[\w.+-]+/[\w.+-]+(?:;\s*[\w-]+=[\w."-]+)*`
	mimeType    = matches(mimeForm, "InvalidMIMEType")
	mimeAttr    = matches(mimeForm, "InvalidMIMEAttribute")
	notNegative = matches(`\d+`, "InvalidNonNegativeInteger")
	positive    = matches(`0*[1-9]\d*`, "InvalidPositiveInteger")
)

// ISO 639-1. The validator knows those of three letters as well, but only of the older list (cmn and yue are not in it).
var languageCodes = strings.Fields(`aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv
	cy da de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io
	is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb
	nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn so sq sr ss st
	su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu`)

func languageCode(c *validation, n *xmlNode, v string) {
	code, _, _ := strings.Cut(strings.ToLower(v), "-")
	if !slices.Contains(languageCodes, code) {
		c.say("InvalidLanguage", n.path()+" "+strconv.Quote(v))
	}
}

// What the addresses of fields may be made of (RFC 2396 without its brackets: the validator takes no IPv6 address).
var (
	uriForm   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:(?://)?[A-Za-z0-9;/?:@&=+$._!~*'()%,#-]+$`)
	uriByte   = regexp.MustCompile(`^[A-Za-z0-9;/?:@&=+$._!~*'()%,#-]$`)
	webForm   = regexp.MustCompile(`(?i)^https?://[^/]`)
	tagForm   = regexp.MustCompile(`^tag:(?:[a-z0-9._-]+@)?[a-z0-9.-]+,\d{4}(?:-\d\d(?:-\d\d)?)?:[A-Za-z0-9;/?:@&=+$._!~*'()%,-]*$`)
	hostForm  = regexp.MustCompile(`(?i)^https?://(?:\d{1,3}\.\d{1,3}\.\d{1,3}\.|(?:[a-z0-9-]+\.)+)[a-z0-9][a-z0-9-]*(?::\d+)?(?:/|$)`)
	schemes   = strings.Fields("http https tag urn mailto tel ftp data")
	hexDigits = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
)

// fullURI is an absolute address in ASCII.
func fullURI(c *validation, n *xmlNode, v string) {
	scheme, _, _ := strings.Cut(strings.ToLower(v), ":")
	where := n.path() + " " + strconv.Quote(v)
	switch {
	case scheme == "tag":
		if !tagForm.MatchString(v) {
			c.say("InvalidTAG", where)
		}
	case strings.ContainsFunc(v, func(r rune) bool { return r < 0x80 && !uriByte.MatchString(string(r)) }):
		c.say("InvalidUriChar", where)
	case strings.ContainsFunc(v, func(r rune) bool { return r >= 0x80 }):
		c.say("UriNotIri", where)
	case !uriForm.MatchString(v), scheme == "http" && !webForm.MatchString(v):
		c.say("InvalidFullLink", where)
	case !slices.Contains(schemes, scheme):
		c.say("SchemeNotIANARegistered", where)
	case strings.Contains(hexDigits.ReplaceAllString(v, ""), "%"): // of our own making: the validator is content
		c.say("InvalidUriChar", where)
	}
}

// webURL is an address that a player may fetch: only a host with a dot will do, and none with an underscore.
func webURL(c *validation, n *xmlNode, v string) {
	if !hostForm.MatchString(v) || !uriForm.MatchString(v) {
		c.say("InvalidURLAttribute", n.path()+" "+strconv.Quote(v))
	}
}

// canonical is an id that stays itself when addresses are normalised.
func canonical(c *validation, n *xmlNode, v string) {
	fullURI(c, n, v)
	if scheme, rest, _ := strings.Cut(v, ":"); scheme != strings.ToLower(scheme) || strings.Contains(rest, "/../") || strings.Contains(v, "%7E") {
		c.say("NonCanonicalURI", n.path()+" "+strconv.Quote(v))
	}
}

func noSpace(c *validation, n *xmlNode, _ string) {
	if n.text != strings.TrimSpace(n.text) {
		c.say("UnexpectedWhitespace", n.path())
	}
}

var rfc2822Form = regexp.MustCompile(`^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d? (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d (?:[+-]\d\d[03]0|GMT)$`)

// mailDate is a date as RSS and OPML have it. What reads as one but is not in this form is asking for trouble.
func mailDate(c *validation, n *xmlNode, v string) {
	where := n.path() + " " + strconv.Quote(v)
	t, err := time.Parse(time.RFC1123Z, v)
	if err != nil {
		t, err = time.Parse(time.RFC1123, v)
	}
	switch {
	case err != nil:
		c.say("InvalidRFC2822Date", where)
	case !rfc2822Form.MatchString(v):
		c.say("ProblematicalRFC822Date", where)
	case t.Format("Mon") != v[:3]:
		c.say("IncorrectDOW", where)
	case t.Year() < 1990 || t.After(c.now.Add(10*time.Minute)):
		c.say("ImplausibleDate", where)
	}
}

// atomDate is a date as Atom has it. One as of tomorrow is implausible.
func atomDate(c *validation, n *xmlNode, v string) {
	t, err := time.Parse(time.RFC3339Nano, v)
	switch where := n.path() + " " + strconv.Quote(v); {
	case err != nil:
		c.say("InvalidRFC3339Date", where)
	case t.Year() < 1990 || v > c.now.UTC().Add(24*time.Hour).Format(time.RFC3339): // compared as text, offset or not
		c.say("ImplausibleDate", where)
	}
}

var (
	endTag    = regexp.MustCompile(`</([\p{L}\p{N}_]+)>`)
	reference = regexp.MustCompile(`&(#?[\p{L}\p{N}_]+)`)
	markedUp  = regexp.MustCompile(`&#[x0-9]|<[/A-Za-z]`)
)

// plainText is text without HTML. A reference that shows, as in 5G&6G or AT&T, passes only on a line with a hexadecimal
// reference, as does a tag of no element in RSS: by that, says the RSS Board, a reader knows that it is text.
func plainText(finding string) judge {
	return func(c *validation, n *xmlNode, v string) {
		where := n.path() + " " + strconv.Quote(v)
		for _, m := range endTag.FindAllStringSubmatch(v, -1) {
			if name := strings.ToLower(m[1]); isElement(name) {
				c.say(finding, where)
				return
			}
		}
		if n.hex {
			return
		}
		for _, m := range reference.FindAllStringSubmatch(v, -1) {
			letters := !strings.ContainsFunc(m[1], func(r rune) bool { return !unicode.IsLetter(r) })
			if !letters || stdhtml.UnescapeString("&"+m[1]+";") != "&"+m[1]+";" {
				c.say(finding, where)
				return
			}
		}
		if c.kind == "rss" && markedUp.MatchString(v) {
			c.say("CharacterData", where)
		}
	}
}

// Elements and attributes that run nothing and reach nowhere. The validator knows some more, which no body of ours needs.
var (
	harmless = strings.Fields(`a abbr address article aside b bdi bdo blockquote br caption cite code col colgroup dd del
		details dfn div dl dt em figcaption figure footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark nav ol p pre
		q rp rt ruby s samp section small span strong sub summary sup table tbody td tfoot th thead time tr u ul var wbr`)
	harmlessAttributes = strings.Fields(`alt cite class colspan datetime dir height href hreflang id lang loading rel referrerpolicy rowspan
		scope span src start title type width`)
)

// isElement says whether HTML has, or had, an element of that name.
func isElement(name string) bool {
	const old = " applet basefont command data datagrid datalist eventsource isindex listing m plaintext slot xmp comment big tt center strike "
	a := atom.Lookup([]byte(name))
	return slices.Contains(harmless, name) || strings.Contains(old, " "+name+" ") ||
		slices.Contains([]atom.Atom{
			atom.Area, atom.Audio, atom.Base, atom.Body, atom.Button, atom.Canvas, atom.Dialog, atom.Embed, atom.Fieldset, atom.Font, atom.Form,
			atom.Frame, atom.Frameset, atom.Head, atom.Hgroup, atom.Html, atom.Iframe, atom.Input, atom.Label, atom.Legend, atom.Link, atom.Map,
			atom.Menu, atom.Meta, atom.Meter, atom.Noframes, atom.Noscript, atom.Object, atom.Optgroup, atom.Option, atom.Output, atom.Param,
			atom.Picture, atom.Progress, atom.Script, atom.Select, atom.Source, atom.Style, atom.Template, atom.Textarea, atom.Title, atom.Track, atom.Video,
		}, a) && a != 0
}

// safeHTML is HTML that a parser takes as it is, and that runs nothing.
func safeHTML(c *validation, n *xmlNode, v string) {
	where := n.path()
	if fault := notHTML(v); fault != "" {
		c.say("NotHtml", where+": "+fault)
	}
	z := html.NewTokenizer(strings.NewReader(v))
	for z.Next() != html.ErrorToken {
		t := z.Token()
		if t.Type != html.StartTagToken && t.Type != html.SelfClosingTagToken {
			continue
		}
		switch {
		case !isElement(t.Data):
			c.say("NotHtml", where+": "+t.Data+" is no element")
		case !slices.Contains(harmless, t.Data):
			c.say("SecurityRisk", where+": "+t.Data)
		}
		for _, a := range t.Attr {
			switch {
			case a.Key == "style": // the validator passes some; no list of ours could be as strange as its own
				c.say("DangerousStyleAttr", where+": "+a.Val)
			case !slices.Contains(harmlessAttributes, a.Key):
				c.say("SecurityRiskAttr", where+": "+a.Key)
			}
		}
	}
}

var schemeForm = regexp.MustCompile(`^[\w]+:`)

// absolute is HTML whose links and pictures name their host.
func absolute(c *validation, n *xmlNode, v string) {
	z := html.NewTokenizer(strings.NewReader(v))
	for z.Next() != html.ErrorToken {
		for _, a := range z.Token().Attr {
			if (a.Key == "href" || a.Key == "src") && !schemeForm.MatchString(strings.TrimSpace(a.Val)) {
				c.say("ContainsRelRef", n.path()+": "+a.Val)
			}
		}
	}
}

var (
	wholeReference = regexp.MustCompile(`^&(?:#[0-9]+|#x[0-9A-Fa-f]+|[A-Za-z][A-Za-z0-9]*);`)
	twoAttributes  = regexp.MustCompile(`\s([^\s=>"'/]+)\s*=`)
	quoted         = regexp.MustCompile(`"[^"]*"|'[^']*'`)
)

// notHTML says what a strict parser of HTML would stumble over: what a lenient one mends, or drops, or reads otherwise.
func notHTML(body string) string {
	var given []string
	z := html.NewTokenizer(strings.NewReader(body))
	for z.Next() != html.ErrorToken {
		raw := string(z.Raw())
		for i := range raw {
			if raw[i] == '&' && !wholeReference.MatchString(raw[i:]) {
				return "a bare & in " + strconv.Quote(raw)
			}
		}
		t := z.Token()
		switch t.Type {
		case html.TextToken:
			if strings.Contains(raw, "<") {
				return "a bare < in " + strconv.Quote(raw)
			}
			if strings.ContainsFunc(t.Data, func(r rune) bool {
				return r < ' ' && r != '\n' && r != '\t' || r >= 0x7F && r < 0xA0 || r&0xFFFE == 0xFFFE
			}) {
				return "a control character in " + strconv.Quote(raw)
			}
			if len(given) > 0 && given[len(given)-1] == "<pre>" {
				t.Data = strings.TrimPrefix(t.Data, "\n") // a parser eats it
			}
			given = append(given, t.Data)
		case html.StartTagToken:
			seen := map[string]bool{}
			for _, m := range twoAttributes.FindAllStringSubmatch(quoted.ReplaceAllString(raw, `""`), -1) {
				if seen[m[1]] {
					return "two attributes " + m[1]
				}
				seen[m[1]] = true
			}
			given = append(given, t.String())
		case html.SelfClosingTagToken:
			return "a slash at the end of " + raw
		case html.EndTagToken:
			given = append(given, t.String())
		default:
			return "no element and no text: " + raw
		}
	}
	var read []string
	nodes, err := html.ParseFragment(strings.NewReader(body), &html.Node{Type: html.ElementNode, Data: "div", DataAtom: atom.Div})
	if err != nil {
		return err.Error()
	}
	for _, n := range nodes {
		read = appendEvents(read, n)
	}
	empty := func(s string) bool { return s == "" }
	given, read = slices.DeleteFunc(given, empty), slices.DeleteFunc(read, empty)
	for i := range max(len(given), len(read)) {
		if i >= len(given) || i >= len(read) || given[i] != read[i] {
			return strconv.Quote(strings.Join(given[min(i, len(given)):], "")) + " is mended"
		}
	}
	return ""
}

// appendEvents adds the tags and texts of a tree, as a tokenizer would tell them.
func appendEvents(events []string, n *html.Node) []string {
	switch n.Type {
	case html.TextNode:
		return append(events, n.Data)
	case html.ElementNode:
	default:
		return append(events, "?")
	}
	if (n.Data == "rt" || n.Data == "rp") && n.Parent != nil && n.Parent.Data != "ruby" {
		return append(events, "<"+n.Data+"> out of place") // html5lib minds, as the standard did once
	}
	events = append(events, html.Token{Type: html.StartTagToken, Data: n.Data, Attr: n.Attr}.String())
	for k := n.FirstChild; k != nil; k = k.NextSibling {
		events = appendEvents(events, k)
	}
	if slices.Contains([]string{"br", "col", "hr", "img", "wbr"}, n.Data) {
		return events
	}
	return append(events, "</"+n.Data+">")
}
