package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/mmcdole/gofeed"
	"github.com/rogpeppe/go-internal/txtar"
	xhtml "golang.org/x/net/html"

	"zonewire"
)

// Nothing that a hostile publisher writes runs in our pages, feeds or mails. What is in testdata/hostile comes in as NDJSON,
// as feeds and as pages, and goes out through the real program. All that comes out is read as a parser reads it, then opened
// in a browser: with the policy that our pages are served with, and without it, so that the cleaning is proved and not only
// the policy.
func TestNothingHostileRuns(t *testing.T) {
	t.Parallel()
	addr := freeAddr(t)
	h := hostile{base: "http://" + addr, trap: listenFor(t), pictures: listenFor(t)}
	s := newSite(t, "ZONEWIRE_HTTP_LISTEN="+addr, "ZONEWIRE_HTTP_BASE_URL="+h.base, "ZONEWIRE_FEED_MAX_ITEMS=500", "ZONEWIRE_FEED_MAX_BYTES=10000000")
	h.readBodies(t)
	h.importInto(t, s)
	mails := s.hostileMails(t)
	s.daemon(addr)
	h.crawl(t)
	h.readFeeds(t)
	h.out = h.site.clone()
	for i, m := range mails {
		h.out.add(fmt.Sprintf("/mail/%d", i), m)
	}
	h.out.add(bodiesParsed, bodiesPage+strings.Join(h.carried, bodyEnd)+bodyEnd)
	t.Run("all is harmless as it is parsed", func(t *testing.T) {
		for _, path := range h.out.paths {
			judgeElements(t, path, parsed(t, h.out.body[path]))
		}
		judgeEnds(t, bodiesParsed, parsed(t, h.out.body[bodiesParsed]), len(h.carried))
	})
	// A reader may also put a body into a page that stands.
	inner, err := json.Marshal(h.carried)
	if err != nil {
		t.Fatal(err)
	}
	h.out.add("/bodies/inner", fmt.Sprintf("%s<script>for (const b of %s) document.body.appendChild(document.createElement('div')).innerHTML = b + '%s'; document.scripts[0].remove()</script>",
		bodiesPage, inner, bodyEnd))
	t.Run("in a browser", h.open)
}

// hostile is what went in and what came out.
type hostile struct {
	base           string
	trap, pictures *listener
	bodies         []txtar.File // as given
	first          int          // articles that came in before those with the bodies
	articles       int
	site           documents // the pages
	feeds          documents
	carried        []string  // the different HTML texts in the feeds
	out            documents // all that is to be opened without the policy
}

// Bodies out of feeds stand in one page, each with a rule behind it, which what is not closed before would take in.
const (
	bodiesParsed = "/bodies/parsed"
	bodiesPage   = `<!DOCTYPE html><html><head><meta charset="utf-8"><title>x</title></head><body>`
	bodyEnd      = `<hr class="end">`
)

// listener is a server on this machine that notes who asks it for what.
type listener struct {
	host string
	mu   sync.Mutex
	seen []string
}

func listenFor(t *testing.T) *listener {
	l := &listener{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		l.seen = append(l.seen, r.Method+" "+r.URL.Path)
		l.mu.Unlock()
		w.Header().Set("Access-Control-Allow-Origin", "*")
		if strings.HasSuffix(r.URL.Path, ".js") {
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = io.WriteString(w, "pwn()") // whoever asked may have gone
		}
	}))
	t.Cleanup(srv.Close)
	l.host = strings.TrimPrefix(srv.URL, "http://")
	return l
}

func (l *listener) asked() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.seen)
}

// file reads a file of testdata/hostile, with the hosts of this test in it.
func (h *hostile) file(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "hostile", name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer("CANARY", h.trap.host, "IMAGES", h.pictures.host, "␀", "\x00").Replace(string(text))
}

func (h *hostile) readBodies(t *testing.T) {
	t.Helper()
	h.bodies = txtar.Parse([]byte(h.file(t, "bodies.txtar"))).Files
	deep := func(name, open string, n int) {
		h.bodies = append(h.bodies, txtar.File{Name: name, Data: []byte(strings.Repeat(open, n) + "<img src=x onerror=pwn()><script>pwn()</script>")})
	}
	deep("nested deep", "<div><b>", 200)
	deep("nested deeper than a parser goes", "<div>", 5000)
	deep("nested deep in tables", "<table><tr><td>", 300)
	deep("formatted deep", "<b><i><a href=javascript:pwn()>", 1000)
}

// importInto takes in every body in three ways, and what is hostile by itself. A digest is cut of the latter, which are the
// first articles, and one of the others.
func (h *hostile) importInto(t *testing.T, s *site) {
	t.Helper()
	var lines, items bytes.Buffer
	page := h.file(t, "page.html")
	if err := os.Mkdir(filepath.Join(s.dir, "pages"), 0o700); err != nil {
		t.Fatal(err)
	}
	escape := func(text string) string {
		var b strings.Builder
		if err := xml.EscapeText(&b, []byte(text)); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for i, b := range h.bodies {
		body := string(b.Data)
		line(t, &lines, "hostile", map[string]string{"id": fmt.Sprint("body-", i), "title": "正文 " + b.Name, "content_html": body, "content_text": body})
		fmt.Fprintf(&items, "<item><guid>item-%d</guid><title>订阅 %s</title><description>%s</description></item>\n", i, escape(b.Name), escape(body))
		if strings.Count(body, "<") > 500 {
			continue // no parser takes such a page, and the import says so
		}
		s.write(fmt.Sprintf("pages/%d.html", i), strings.NewReplacer("NAME", b.Name, "BODY", body).Replace(page))
	}
	s.write("bodies.ndjson", lines.String())
	s.write("bodies.rss", `<rss version="2.0"><channel><title>x</title>`+items.String()+`</channel></rss>`)
	for _, name := range []string{"fields.ndjson", "feed.rss", "feed.atom", "feed.json"} {
		s.write(name, h.file(t, name))
	}
	s.run("zone", "add", "hostile", "--name", "边界开发区")
	s.run("list", "add", "all", "--title", "园区早报", "--schedule", "0 8 * * *", "--all", "--max-age", "0", "--max-items", "500")
	s.run("subscriber", "add", "wang@example.net", "--list", "all", "--confirmed", "--consent", "test")
	s.run("subscriber", "add", "li@example.net", "--list", "all", "--locale", "en", "--confirmed", "--consent", "test")
	count := func(args ...string) {
		var result importResult
		if err := json.Unmarshal([]byte(s.run(append([]string{"article", "import", "--zone", "hostile", "--create-zones", "-o", "json"}, args...)...)), &result); err != nil {
			t.Fatal(err)
		}
		if result.Read != result.Added {
			t.Errorf("import %s: %+v, want all added", strings.Join(args, " "), result)
		}
		h.articles += result.Added
	}
	count("fields.ndjson")
	count("--format", "feed", "feed.rss", "feed.atom", "feed.json")
	s.run("digest", "cut", "all", "--at", time.Now().Add(-time.Minute).Format(time.RFC3339)) // the next is of another second
	h.first = h.articles
	count("bodies.ndjson", "pages")
	count("--format", "feed", "bodies.rss")
	s.run("digest", "cut", "all")
}

// hostileMails sends what is planned, holds its headers to what we write, and gives the HTML parts.
func (s *site) hostileMails(t *testing.T) (pages []string) {
	t.Helper()
	s.run("outbox", "drain")
	files, err := filepath.Glob(filepath.Join(s.dir, "mail", "new", "*"))
	if err != nil || len(files) != 4 {
		t.Fatalf("%d mails, %v, want two digests in two languages", len(files), err)
	}
	subject := regexp.MustCompile(`^园区早报 · (\d+月\d+日|\d+ [A-Z][a-z]+) · \d+ (条|stories)$`)
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		msg, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		for name, values := range msg.Header {
			if len(values) != 1 || slices.Contains([]string{"Bcc", "Cc", "X-Injected"}, name) {
				t.Errorf("%s is there %d times: %q", name, len(values), values)
			}
		}
		decoded, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
		if err != nil || !subject.MatchString(decoded) {
			t.Errorf("subject %q, %v", decoded, err)
		}
		text, page := parts(t, raw)
		if leave := regexp.MustCompile(`/unsubscribe/[a-z0-9-]+`); len(leave.FindAllString(text, -1)) != 1 || len(leave.FindAllString(page, -1)) != 1 {
			t.Errorf("%d and %d links to leave, want one in each part", len(leave.FindAllString(text, -1)), len(leave.FindAllString(page, -1)))
		}
		if i := regexp.MustCompile(`(?m)^\s*(Bcc|X-Injected|Content-Type)\b`).FindStringIndex(text); i != nil {
			t.Errorf("a line of the text is a publisher's: %.80q", text[i[0]:])
		}
		pages = append(pages, page)
	}
	for _, want := range []string{"{{.LeaveURL}}", "另见："} {
		if !strings.Contains(strings.Join(pages, ""), want) {
			t.Errorf("no mail holds %s", want)
		}
	}
	return pages
}

// documents are pages by path, in order.
type documents struct {
	paths []string
	body  map[string]string
}

func (d *documents) add(path, body string) {
	if d.body == nil {
		d.body = map[string]string{}
	}
	if _, known := d.body[path]; !known {
		d.paths = append(d.paths, path)
	}
	d.body[path] = body
}

func (d documents) clone() documents {
	var c documents
	for _, path := range d.paths {
		c.add(path, d.body[path])
	}
	return c
}

// crawl gets every page that can be reached from the front page, in Chinese, and some in English.
func (h *hostile) crawl(t *testing.T) {
	t.Helper()
	queue := []string{"/", "/lists/all", "/?lang=en", "/zones/hostile?lang=en", "/zones/zone-2?lang=en", "/digests/1?lang=en", "/digests/2?lang=en",
		"/?q=pwn", "/?q=%3Cscript%3E", "/?q=%22%3E%3Cimg%20src%3Dx%20onerror%3Dpwn()%3E", "/zones/hostile?q=alert"}
	for len(queue) > 0 {
		path := queue[0]
		queue = queue[1:]
		if _, known := h.site.body[path]; known {
			continue
		}
		body, res := get(t, h.base+path)
		if csp := res.Header.Get("Content-Security-Policy"); res.StatusCode != http.StatusOK || !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "script") {
			t.Errorf("%s: %s, policy %q", path, res.Status, csp)
		}
		h.site.add(path, body)
		for _, e := range parsed(t, body) {
			for _, a := range e.Attr {
				next, _, _ := strings.Cut(strings.TrimPrefix(a[1], h.base), "#")
				if e.Tag == "a" && a[0] == "href" && strings.HasPrefix(next, "/") && !strings.HasPrefix(next, "//") && !strings.Contains(next, "lang=") && !strings.Contains(next, "feed.") && !strings.HasSuffix(next, ".opml") && !strings.HasSuffix(next, ".ics") {
					queue = append(queue, next)
				}
			}
		}
	}
	if n := strings.Count(strings.Join(h.site.paths, "\n"), "/articles/"); n != h.articles {
		t.Errorf("%d articles are on pages, want all %d", n, h.articles)
	}
}

// readFeeds reads feeds as a reader does, and keeps what they carry as HTML.
func (h *hostile) readFeeds(t *testing.T) {
	t.Helper()
	carry := func(text string) {
		if text != "" && !slices.Contains(h.carried, text) {
			h.carried = append(h.carried, text)
		}
	}
	for _, path := range []string{"", "/zones/hostile", "/zones/zone-2", "/zones/zone-3", "/zones/zone-4", "/zones/zone-8"} {
		for _, format := range []string{"rss", "atom", "json"} {
			body, res := get(t, h.base+path+"/feed."+format)
			if res.StatusCode != http.StatusOK || res.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s/feed.%s: %s, %v", path, format, res.Status, res.Header)
			}
			doc, err := gofeed.NewParser().ParseString(body)
			if err != nil {
				t.Errorf("%s/feed.%s: %v", path, format, err)
				continue
			}
			if path == "" && len(doc.Items) != h.articles {
				t.Errorf("feed.%s has %d items, want %d", format, len(doc.Items), h.articles)
			}
			h.feeds.add(path+"/feed."+format, body)
			for _, item := range doc.Items {
				carry(item.Content)
				if format == "rss" { // where readers take it for HTML
					carry(item.Description)
				}
				for _, link := range append(item.Links, item.Link) {
					if !harmlessAddress(link) || link == "" {
						t.Errorf("%s/feed.%s links to %q", path, format, link)
					}
				}
				for _, e := range item.Enclosures {
					if !harmlessAddress(e.URL) {
						t.Errorf("%s/feed.%s encloses %q", path, format, e.URL)
					}
				}
			}
		}
	}
	for _, path := range []string{"/zones.opml", "/feed.atom?q=a", "/zones/hostile/archive/" + zonewire.MonthOf(time.Now()).String() + ".atom"} {
		body, res := get(t, h.base+path)
		if res.StatusCode != http.StatusOK || res.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %s, %v", path, res.Status, res.Header)
		}
		h.feeds.add(path, body)
	}
}

// element is one of a page, with its attributes, and how deep it stands: html is 1.
type element struct {
	Tag   string      `json:"tag"`
	Attr  [][2]string `json:"attr"`
	Depth int         `json:"depth"`
}

// parsed are the elements of a page.
func parsed(t *testing.T, page string) (all []element) {
	t.Helper()
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range doc.Get(0).Descendants() {
		if n.Type != xhtml.ElementNode {
			continue
		}
		e := element{Tag: n.Data}
		if n.Namespace != "" {
			e.Tag = n.Namespace + ":" + n.Data
		}
		for _, a := range n.Attr {
			e.Attr = append(e.Attr, [2]string{a.Key, a.Val})
		}
		for p := n; p.Parent != nil; p = p.Parent {
			e.Depth++
		}
		all = append(all, e)
	}
	return all
}

// What may stand in a page of ours or in a body. Anything else is a way in.
var (
	harmlessTags = strings.Fields(`html head meta title link body header nav main section article footer h1 h2 h3 h4 h5 h6 p a ol ul li dl dt dd
		div span table caption thead tbody tfoot tr td th time code pre mark details summary b strong i em u s del ins sub sup small blockquote br hr img`)
	harmlessAttributes = strings.Fields(`lang dir title class id href hreflang rel type datetime aria-label aria-labelledby role tabindex
		width height cellpadding cellspacing border align src alt colspan rowspan start referrerpolicy`)
	// Pages that hold no text of others have forms of ours.
	formTags       = strings.Fields(`form label input button fieldset legend`)
	formAttributes = strings.Fields(`for name value placeholder maxlength autocomplete autocapitalize inputmode spellcheck enterkeyhint
		action method required checked aria-describedby aria-hidden formnovalidate hidden open`)
	headAttributes = map[string][]string{
		"meta": {`charset="utf-8"`, `name="viewport"`, `name="color-scheme"`, `name="supported-color-schemes"`, `name="format-detection"`, `name="robots"`},
		"link": {`rel="stylesheet"`, `rel="icon"`, `rel="canonical"`, `rel="alternate"`},
	}
)

// judgeElements reports what could run, fetch or fool. A digest is styled inline; what stands in testdata is not.
func judgeElements(t *testing.T, path string, all []element) {
	t.Helper()
	styled := strings.HasPrefix(path, "/digests/") || strings.HasPrefix(path, "/mail/")
	forms := path == "/" || path == "/preferences" || strings.HasPrefix(path, "/?") || strings.HasPrefix(path, "/lists/") || strings.HasPrefix(path, "/zones/") && !strings.Contains(path, "/feed.")
	for _, e := range all {
		if !slices.Contains(harmlessTags, e.Tag) && !(styled && e.Tag == "style") && !(forms && slices.Contains(formTags, e.Tag)) {
			t.Errorf("%s: element %s %q", path, e.Tag, e.Attr)
		}
		if kinds, head := headAttributes[e.Tag]; head && !slices.ContainsFunc(e.Attr, func(a [2]string) bool { return slices.Contains(kinds, fmt.Sprintf("%s=%q", a[0], a[1])) }) {
			t.Errorf("%s: element %s %q", path, e.Tag, e.Attr)
		}
		for _, a := range e.Attr {
			name, value := a[0], a[1]
			known := slices.Contains(harmlessAttributes, name) || e.Tag == "meta" && slices.Contains([]string{"name", "content", "charset"}, name) ||
				forms && slices.Contains(formAttributes, name) && (name != "action" || strings.HasPrefix(value, "/") && !strings.HasPrefix(value, "//"))
			if name == "style" {
				known = styled && !regexp.MustCompile(`(?i)url\(|expression|javascript|position|pwn|@import|\\`).MatchString(value)
			}
			if !known || (name == "href" || name == "src") && !harmlessAddress(value) {
				t.Errorf("%s: element %s with %s=%q", path, e.Tag, name, value)
			}
		}
	}
}

// judgeEnds wants the end of each body where it was put: none was taken in by a body, or pushed out.
func judgeEnds(t *testing.T, path string, all []element, bodies int) {
	t.Helper()
	ends, depths := 0, map[int]bool{}
	for _, e := range all {
		if e.Tag == "hr" && len(e.Attr) == 1 && e.Attr[0] == [2]string{"class", "end"} {
			ends++
			depths[e.Depth] = true
		}
	}
	if ends != bodies || len(depths) != 1 {
		t.Errorf("%s: %d bodies end, at depths %v, want %d at one depth", path, ends, depths, bodies)
	}
}

// harmlessAddress reads an address as browsers do, which drop white space and controls first.
func harmlessAddress(address string) bool {
	address = strings.ToLower(strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f {
			return -1
		}
		return r
	}, address))
	scheme := regexp.MustCompile(`^[^/?#]*?:`).FindString(address)
	return slices.Contains([]string{"", "http:", "https:", "mailto:", "tel:"}, scheme)
}
