package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/google/go-cmp/cmp"

	"zonewire"
	"zonewire/internal/smtptest"
)

// welcome is a mail on its way: what the server took, and what it must say.
type welcome struct {
	smtptest.Received
	head       mail.Header
	text, page string
	doc        *goquery.Document
	dns        records
	subject    string
	locale     string
	leave      string // the https URL that ends the subscription
}

// A digest as a provider's server gets it is judged by strangers: three verifiers of signatures, a spam filter, other
// readers of MIME and HTML.
func TestDigestMailIsWelcome(t *testing.T) {
	srv, addr := smtptest.New(t, smtptest.Options{}), freeAddr(t)
	s := newSite(t, append(smtpEnv(srv), "ZONEWIRE_HTTP_LISTEN="+addr, "ZONEWIRE_HTTP_BASE_URL=https://news.example.com",
		"ZONEWIRE_MAIL_FROM=开发区要闻 <news@example.com>", "ZONEWIRE_MAIL_POSTAL_ADDRESS=北京市东城区长安街1号",
		"ZONEWIRE_MAIL_BOUNCE_DOMAIN=bounce.example.com", "ZONEWIRE_MAIL_HELO=news.example.com")...)
	s.env = append(s.env, signingKeys(t, s.dir)...)
	dns := s.published()
	readers := s.fillWelcome(t)
	s.daemon(addr)
	s.eventually("the mails", func() bool { return len(srv.Mails()) == len(readers) })

	mails := map[string]*welcome{}
	for _, m := range srv.Mails() {
		w := readWelcome(t, m)
		w.locale, w.dns = readers[m.To].locale, dns
		w.subject = readers[m.To].subject(w.date(t))
		mails[m.To] = w
	}
	for to := range readers {
		w, ok := mails[to]
		if !ok {
			t.Fatalf("%s got nothing", to)
		}
		t.Run(to, func(t *testing.T) {
			t.Parallel()
			for name, check := range map[string]func(*welcome, *testing.T){
				"every byte may travel":                        (*welcome).bytes,
				"each header is there once":                    (*welcome).headers,
				"bounces find back":                            (*welcome).returnable,
				"python reads it and finds nothing wrong":      (*welcome).parse,
				"both parts tell the same":                     (*welcome).sameInBothParts,
				"the page is plain, small and says where from": (*welcome).plainPage,
				"html-validate finds no error":                 (*welcome).validPage,
				"what mail clients make of it":                 (*welcome).clients,
				"spamassassin finds nothing":                   (*welcome).spam,
				"signatures hold":                              (*welcome).signatures,
				"SPF, DKIM and DMARC pass and align":           (*welcome).authentic,
			} {
				t.Run(name, func(t *testing.T) { check(w, t) })
			}
		})
	}
	t.Run("changes on the way are found out", func(t *testing.T) {
		t.Parallel()
		mails["li@example.net"].unforgeable(t)
	})
	t.Run("lines that begin with a dot arrive", func(t *testing.T) {
		for _, want := range []string{"\r\n.NET 开发者大会在湖滨开发区举行\r\n", "\r\n.\r\n", "\r\n..湖滨\r\n"} {
			if text := mails["wang@example.net"].text; !strings.Contains(text, want) {
				t.Errorf("no line %q in\n%.600s", want, text)
			}
		}
	})
	t.Run("one click", func(t *testing.T) { oneClick(t, s, addr, mails) })
}

// reader is what somebody asked for.
type reader struct {
	locale  string
	subject func(time.Time) string
}

// fillWelcome makes two lists, one of them with more news than a mail can hold, readers of both languages, and their
// planned digests.
func (s *site) fillWelcome(t *testing.T) map[string]reader {
	t.Helper()
	var news bytes.Buffer
	for _, a := range []map[string]string{
		{"id": "dot-1", "title": ".NET 开发者大会在湖滨开发区举行", "summary": "."},
		{"id": "dot-2", "title": ".", "summary": "..湖滨"},
		{"id": "odd-1", "title": `<script>alert("x")</script> & “引号” =?UTF-8?b?eA==?=`, "summary": "From 湖滨\r\nBcc: x@example.com"},
		{"id": "en-1", "title": "Hubin opens its second bonded warehouse", "summary": "Customs clears a lorry in ten minutes.", "language": "en"},
	} {
		line(t, &news, "chenghu-edz", a)
	}
	s.write("odd.ndjson", news.String())
	news.Reset()
	for i := range 300 {
		line(t, &news, "haiyu-hidz", map[string]string{"id": fmt.Sprint(i), "title": fmt.Sprintf("海屿高新区第%d次新闻发布会通报重点产业项目建设进展情况", i),
			"summary": strings.Repeat("项目建设进展顺利，", 12)})
	}
	s.write("many.ndjson", news.String())

	s.run("zone", "import", absolute(t, "sample", "zones.csv"))
	s.run("list", "add", "morning", "--title", "开发区早报", "--schedule", "0 8 * * *", "--all", "--max-age", "0")
	s.run("list", "add", "haiyu", "--title", "海屿快讯", "--schedule", "0 8 * * *", "--zone", "haiyu-hidz", "--max-age", "0", "--max-items", "500")
	add := func(email, list string, more ...string) {
		s.run(append([]string{"subscriber", "add", email, "--list", list, "--confirmed", "--consent", "test"}, more...)...)
	}
	add("wang@example.net", "morning")
	add("li@example.net", "morning", "--locale", "en")
	add("zhao@example.net", "haiyu")
	s.run("article", "import", absolute(t, "sample", "articles.ndjson"), "odd.ndjson")
	s.run("digest", "cut", "morning")
	s.run("article", "import", "many.ndjson")
	s.run("digest", "cut", "haiyu")

	said := func(format, day string) func(time.Time) string {
		return func(slot time.Time) string { return fmt.Sprintf(format, slot.In(zonewire.Shanghai).Format(day)) }
	}
	return map[string]reader{
		"wang@example.net": {zonewire.LocaleZH, said("开发区早报 · %s · 68 条", "1月2日")},
		"li@example.net":   {zonewire.LocaleEN, said("开发区早报 · %s · 68 stories", "2 January")},
		"zhao@example.net": {zonewire.LocaleZH, said("海屿快讯 · %s · 304 条", "1月2日")},
	}
}

// line writes an article for import.
func line(t *testing.T, into io.Writer, zone string, article map[string]string) {
	t.Helper()
	article["zone"], article["url"] = zone, "https://news.example.com/"+zone+"/"+article["id"]+".html?a=1&b=2"
	if err := json.NewEncoder(into).Encode(article); err != nil {
		t.Fatal(err)
	}
}

func readWelcome(t *testing.T, m smtptest.Received) *welcome {
	t.Helper()
	msg, err := mail.ReadMessage(bytes.NewReader(m.Raw))
	if err != nil {
		t.Fatal(err)
	}
	w := &welcome{Received: m, head: msg.Header}
	w.text, w.page = parts(t, m.Raw)
	if w.doc, err = goquery.NewDocumentFromReader(strings.NewReader(w.page)); err != nil {
		t.Fatal(err)
	}
	if u := regexp.MustCompile(`<(https://news\.example\.com/unsubscribe/[a-z0-9-]{1,80})>`).FindStringSubmatch(w.head.Get("List-Unsubscribe")); u != nil {
		w.leave = u[1]
	}
	return w
}

func (w *welcome) date(t *testing.T) time.Time {
	t.Helper()
	d, err := w.head.Date()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// arrived is the mail with what a receiving server writes above it.
func (w *welcome) arrived(t *testing.T) []byte {
	t.Helper()
	top := fmt.Sprintf("Return-Path: <%s>\r\nReceived: from news.example.com (news.example.com [%s])\r\n\tby mx.example.net (Postfix) with ESMTPS id 4B1C2D3E4F\r\n\tfor <%s>; %s\r\n",
		w.From, senderIP, w.To, w.date(t).Add(3*time.Second).Format(time.RFC1123Z))
	return append([]byte(top), w.Raw...)
}

func (w *welcome) bytes(t *testing.T) {
	for i, l := range bytes.SplitAfter(w.Raw, []byte("\n")) {
		if len(l) > 0 && !bytes.HasSuffix(l, []byte("\r\n")) || bytes.Count(l, []byte("\r")) > 1 {
			t.Errorf("line %d does not end with CRLF alone: %.80q", i+1, l)
		}
		if len(l) > 998+2 {
			t.Errorf("line %d has %d octets", i+1, len(l)-2)
		}
	}
	for i, b := range w.Raw {
		if b == 0 || b > '~' {
			t.Fatalf("byte %d is %#x", i, b)
		}
	}
}

func (w *welcome) headers(t *testing.T) {
	for _, name := range []string{"Date", "From", "To", "Subject", "Message-Id", "Mime-Version", "Content-Type", "List-Id", "List-Unsubscribe",
		"List-Unsubscribe-Post", "Feedback-Id", "Auto-Submitted", "Precedence", "X-Auto-Response-Suppress"} {
		if n := len(w.head[name]); n != 1 {
			t.Errorf("%s is there %d times", name, n)
		}
	}
	for _, name := range []string{"Bcc", "Cc", "X-Mailer", "User-Agent", "Sender", "Return-Path"} {
		if v, there := w.head[name]; there {
			t.Errorf("%s is there: %q", name, v)
		}
	}
	for name, pattern := range map[string]string{
		"Message-ID":               `^<[^<>@\s]+@example\.com>$`,
		"List-Id":                  `^<[a-z]+\.list\.example\.com>$`,
		"List-Unsubscribe-Post":    `^List-Unsubscribe=One-Click$`,
		"Feedback-ID":              `^([^\s:]+:){3}[^\s:]{5,15}$`, // the last names the sender, of 5 to 15 characters
		"Auto-Submitted":           `^auto-generated$`,
		"Precedence":               `^bulk$`,
		"X-Auto-Response-Suppress": `^All$`,
	} {
		if v := w.head.Get(name); !regexp.MustCompile(pattern).MatchString(v) {
			t.Errorf("%s: %s is not as %s", name, v, pattern)
		}
	}
	if v := w.head.Get("List-Unsubscribe"); w.leave == "" || strings.Count(v, "https:") != 1 || strings.Contains(v, "http:") {
		t.Errorf("List-Unsubscribe has not one https address with a short token: %s", v)
	}
	if regexp.MustCompile(`@|%40|example\.net`).MatchString(w.leave) {
		t.Errorf("the address is in the link: %s", w.leave)
	}
	for name, want := range map[string]string{"Subject": w.subject, "From": "开发区要闻 <news@example.com>"} {
		if got, err := new(mime.WordDecoder).DecodeHeader(w.head.Get(name)); err != nil || got != want {
			t.Errorf("%s decodes to %q (%v), want %q", name, got, err, want)
		}
	}
	if n := len([]rune(w.subject)); n > 40 {
		t.Errorf("the subject has %d characters", n)
	}
}

func (w *welcome) returnable(t *testing.T) {
	if !regexp.MustCompile(`^b-[0-9a-z]+-[a-z2-7]{16}@bounce\.example\.com$`).MatchString(w.From) {
		t.Errorf("the sender of the envelope is %s, from which no bounce finds back", w.From)
	}
}

func (w *welcome) parse(t *testing.T) {
	needTool(t, runs("/usr/bin/python3", "-c", ""), "Debian's python3")
	var read struct {
		Defects []string
		Headers [][2]string
		Parts   []struct{ Type, Charset, Text string }
	}
	judgeJSON(t, &read, ".", w.Raw, "/usr/bin/python3", absolute(t, "../../scripts/mail-check/parse.py"))
	if len(read.Defects) > 0 {
		t.Errorf("defects: %q", read.Defects)
	}
	want := map[string]string{"Subject": w.subject, "From": "开发区要闻 <news@example.com>", "To": w.To}
	got := map[string]string{}
	for _, h := range read.Headers {
		if _, wanted := want[h[0]]; wanted {
			got[h[0]] = h[1]
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("headers: -want +got:\n%s", diff)
	}
	if len(read.Parts) != 2 || read.Parts[0].Type != "text/plain" || read.Parts[1].Type != "text/html" {
		t.Fatalf("the parts are not text and HTML: %.200v", read.Parts)
	}
	for i, want := range []string{w.text, w.page} {
		if p := read.Parts[i]; p.Charset != "utf-8" || p.Text != want {
			t.Errorf("%s in %s reads otherwise", p.Type, p.Charset)
		}
	}
	if media, _, err := mime.ParseMediaType(w.head.Get("Content-Type")); media != "multipart/alternative" {
		t.Errorf("Content-Type %s, %v", media, err)
	}
}

func (w *welcome) sameInBothParts(t *testing.T) {
	rest, stories := w.text, 0
	w.doc.Find("h3 a, li a").Each(func(_ int, a *goquery.Selection) {
		stories++
		for _, want := range []string{a.Text(), a.AttrOr("href", "nowhere")} {
			_, after, found := strings.Cut(rest, "\r\n"+want+"\r\n")
			if !found {
				t.Errorf("the text has no line %q, or not in its place", want)
				continue
			}
			rest = "\r\n" + after
		}
	})
	if stories < 40 {
		t.Errorf("%d stories", stories)
	}
	inText := regexp.MustCompile(`https?://[^\s]+`).FindAllString(w.text, -1)
	var inPage []string
	w.doc.Find("a[href]").Each(func(_ int, a *goquery.Selection) {
		if u := a.AttrOr("href", ""); strings.HasPrefix(u, "http") {
			inPage = append(inPage, u)
		}
	})
	for _, u := range inText {
		if !slices.Contains(inPage, u) {
			t.Errorf("the HTML has no link to %s", u)
		}
	}
	for _, want := range []string{w.leave, "news@example.com", "北京市东城区长安街1号"} {
		if !strings.Contains(w.text, want) {
			t.Errorf("the text does not say %s", want)
		}
	}
	footer := w.doc.Find("td").Last()
	if footer.Find(`a[href="`+w.leave+`"]`).Length() != 1 || footer.Find(`a[href="mailto:news@example.com"]`).Length() != 1 ||
		!strings.Contains(footer.Text(), "北京市东城区长安街1号") {
		t.Errorf("the foot of the page lacks the link to leave, the contact or the address: %s", footer.Text())
	}
}

// plainPage holds the page to what mail clients show alike: they drop, or call suspicious, all else.
func (w *welcome) plainPage(t *testing.T) {
	transmitted := bytes.Index(w.Raw, []byte("Content-Type: text/html"))
	if transmitted < 0 || len(w.Raw)-transmitted > 100_000 || len(w.page) > 100_000 {
		t.Errorf("the page has %d bytes, %d on the wire: Gmail cuts above 100 kB", len(w.page), len(w.Raw)-transmitted)
	}
	w.doc.Find("script, form, input, button, iframe, object, embed, link, base, img, video, audio, svg, [background], [onclick], [onload]").Each(func(_ int, e *goquery.Selection) {
		t.Errorf("the page has a <%s>", goquery.NodeName(e))
	})
	var css strings.Builder
	w.doc.Find("[style]").Each(func(_ int, e *goquery.Selection) { fmt.Fprintf(&css, "%s;", e.AttrOr("style", "")) })
	w.doc.Find("style").Each(func(_ int, e *goquery.Selection) { fmt.Fprintf(&css, "%s;", e.Text()) })
	for _, bad := range regexp.MustCompile(`(?i)[{;\s](position|float)\s*:|\b(flex|grid|expression)\b|url\(|@import|javascript:`).FindAllString(css.String(), -1) {
		t.Errorf("the styles have %q", bad)
	}
	w.doc.Find("table").Each(func(_ int, e *goquery.Selection) {
		if e.AttrOr("role", "") != "presentation" {
			t.Error("a table for layout is announced as data")
		}
	})
	w.doc.Find("a").Each(func(_ int, a *goquery.Selection) {
		if u := a.AttrOr("href", ""); !strings.HasPrefix(u, "https://") && !strings.HasPrefix(u, "mailto:") {
			t.Errorf("a link to %q", u)
		}
	})
	root := w.doc.Find("html")
	if root.AttrOr("lang", "") != w.locale || root.AttrOr("dir", "") != "ltr" || w.doc.Find("title").Text() == "" {
		t.Errorf("the page is in %q, titled %q", root.AttrOr("lang", ""), w.doc.Find("title").Text())
	}
	if w.doc.Find(`meta[name="color-scheme"][content="light dark"]`).Length() != 1 {
		t.Error("the page does not say that it has a dark edition")
	}
	first := w.doc.Find("body").Children().First()
	preheader := []rune(strings.TrimSpace(first.Text()))
	if !strings.Contains(first.AttrOr("style", ""), "display:none") || len(preheader) < 20 || len(preheader) > 90 || strings.Contains(string(preheader), w.subject) {
		t.Errorf("the preview is no hidden line of its own: %q", string(preheader))
	}
}

// nodeDir is the folder that scripts/test-deps installs npm packages in.
func nodeDir(t *testing.T) string {
	t.Helper()
	dir := absolute(t, "../../.cache/mail-check")
	_, err := os.Stat(filepath.Join(dir, "node_modules", "mailauth"))
	needTool(t, err == nil && runs("node", "--version"), "node with the packages of scripts/mail-check")
	return dir
}

func (w *welcome) pageFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(path, []byte(w.page), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (w *welcome) validPage(t *testing.T) {
	var found []struct {
		Messages []struct {
			RuleID, Message string
			Severity, Line  int // 2 is an error
		}
	}
	judgeJSON(t, &found, nodeDir(t), nil, "node_modules/.bin/html-validate", "--formatter", "json", "--config", absolute(t, "../../scripts/mail-check/html-validate.json"), w.pageFile(t))
	for _, file := range found {
		for _, m := range file.Messages {
			t.Errorf("line %d: %s: %s", m.Line, m.RuleID, m.Message)
		}
	}
}

// clients is a report: what it lists, clients leave out, and the page is made to bear that.
func (w *welcome) clients(t *testing.T) {
	script, err := os.ReadFile("../../scripts/mail-check/clients.mjs")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", judge(t, nodeDir(t), script, "node", "--input-type=module", "-", w.pageFile(t)))
}

func (w *welcome) spam(t *testing.T) {
	needTool(t, runs("spamassassin", "--version"), "spamassassin")
	out := judge(t, t.TempDir(), w.arrived(t), "spamassassin", "--local", "--test-mode", "--nocreate-prefs", "--cf=trusted_networks 10.0.0.1/32",
		"--cf=use_bayes 0", "--cf=add_header all Scores _SCORE_ _TESTSSCORES(,)_")
	msg, err := mail.ReadMessage(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	score, rules, _ := strings.Cut(msg.Header.Get("X-Spam-Scores"), " ")
	rules = strings.ReplaceAll(rules, " ", "")
	t.Logf("score %s: %s", score, rules)
	if total, err := strconv.ParseFloat(score, 64); err != nil || total > 0 {
		t.Errorf("spamassassin gives %s points, %v", score, err)
	}
	for rule := range strings.SplitSeq(rules, ",") {
		_, points, _ := strings.Cut(rule, "=")
		p, err := strconv.ParseFloat(points, 64)
		if err != nil || p >= 0.01 { // 0.001 is how it writes a mere remark, such as HTML_MESSAGE
			t.Errorf("spamassassin has something against it: %s, %v", rule, err)
		}
	}
}

// oneClick leaves by the https address of the mails as mailbox providers do: without a cookie, with either form.
func oneClick(t *testing.T, s *site, addr string, mails map[string]*welcome) {
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	do := func(method, leave, contentType string, body []byte) int {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+addr+strings.TrimPrefix(leave, "https://news.example.com"), bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "news.example.com"
		if contentType != "" {
			req.Header.Set("Content-Type", contentType)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}

	var form bytes.Buffer
	multi := multipart.NewWriter(&form)
	if err := multi.WriteField("List-Unsubscribe", "One-Click"); err != nil {
		t.Fatal(err)
	}
	if err := multi.Close(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		email, contentType string
		body               []byte
	}{
		{"wang@example.net", "application/x-www-form-urlencoded", []byte("List-Unsubscribe=One-Click")},
		{"li@example.net", multi.FormDataContentType(), form.Bytes()},
	} {
		leave := mails[tt.email].leave
		if code := do(http.MethodGet, leave, "", nil); code != http.StatusOK {
			t.Errorf("GET %s: %d", leave, code)
		}
		if code := do(http.MethodHead, leave, "", nil); code != http.StatusOK {
			t.Errorf("HEAD %s: %d", leave, code)
		}
		if got := s.subscription(tt.email); got != "active" {
			t.Errorf("looking at the page made %s %s", tt.email, got)
		}
		for range 2 {
			if code := do(http.MethodPost, leave, tt.contentType, tt.body); code != http.StatusOK {
				t.Errorf("POST %s as %s: %d", leave, tt.contentType, code)
			}
			if got := s.subscription(tt.email); got != "unsubscribed" {
				t.Errorf("one click as %s left %s %s", tt.contentType, tt.email, got)
			}
		}
	}
	zhao := mails["zhao@example.net"].leave
	if code := do(http.MethodPost, zhao[:len(zhao)-1]+"0", "", nil); code != http.StatusOK && code != http.StatusNotFound {
		t.Errorf("POST with a forged token: %d", code)
	}
	if got := s.subscription("zhao@example.net"); got != "active" {
		t.Errorf("a forged token made another reader %s", got)
	}
}
