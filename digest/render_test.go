package digest_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"zonewire"
	"zonewire/digest"
	"zonewire/templates"
)

var update = flag.Bool("update", false, "write the goldens anew")

// sample is the edition of testdata/edition.json: five zones in four provinces, and articles that lack things.
func sample(tb testing.TB) digest.Edition {
	tb.Helper()
	body, err := os.ReadFile("testdata/edition.json")
	if err != nil {
		tb.Fatal(err)
	}
	var e digest.Edition
	if err := json.Unmarshal(body, &e); err != nil {
		tb.Fatalf("testdata/edition.json: %v", err)
	}
	return e
}

func renderer(tb testing.TB) *digest.Renderer {
	tb.Helper()
	set, err := templates.Load("")
	if err != nil {
		tb.Fatal(err)
	}
	return digest.NewRenderer(set)
}

// render composes an edition and fills the holes as the outbox does.
func render(tb testing.TB, e digest.Edition) (m zonewire.Mail, html, text string) {
	tb.Helper()
	m, _, err := renderer(tb).Render(e)
	if err != nil {
		tb.Fatal(err)
	}
	return m, strings.Join(m.HTML, "TOKEN"), strings.Join(m.Text, "TOKEN")
}

func document(tb testing.TB, html string) *goquery.Document {
	tb.Helper()
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(html))
	if err != nil {
		tb.Fatal(err)
	}
	return doc
}

// big is an edition of n articles dealt out over some zones.
func big(tb testing.TB, n, zones int, title string) digest.Edition {
	tb.Helper()
	e := sample(tb)
	pattern := e.Articles[0]
	e.List.MaxItems = zonewire.DefaultMaxItems
	e.Articles, e.Copies, e.Zones = nil, nil, map[int64]zonewire.Zone{}
	for i := range zones {
		id := int64(i + 1)
		e.Zones[id] = zonewire.Zone{ID: id, Slug: fmt.Sprintf("zone-%d", id), Name: fmt.Sprintf("第 %d 经济技术开发区", id), Province: "江苏", City: "常州"}
	}
	for i := range n {
		a := pattern
		a.ID, a.ZoneID = int64(i+1), int64(i%zones+1)
		a.Title = fmt.Sprintf("%s %d", title, i)
		a.URL = fmt.Sprintf("https://www.example.cn/col/2026/11/24/art_%d.html", i)
		e.Articles = append(e.Articles, a)
	}
	return e
}

func TestGoldens(t *testing.T) {
	for _, locale := range zonewire.Locales() {
		e := sample(t)
		e.Locale = locale
		m, html, text := render(t, e)
		page, err := renderer(t).Page(e)
		if err != nil {
			t.Fatal(err)
		}
		for name, got := range map[string]string{
			"digest." + locale + ".html": html,
			"digest." + locale + ".txt":  "Subject: " + m.Subject + "\n\n" + text,
			"page." + locale + ".html":   page,
		} {
			golden(t, name, got)
		}
	}
}

func TestGoldenOfOneZone(t *testing.T) {
	e := sample(t)
	e.List.Title = "云栖湖开发区快讯"
	var own []zonewire.Article
	for _, a := range e.Articles {
		if a.ZoneID == 1 {
			own = append(own, a)
		}
	}
	e.Articles, e.PostalAddress, e.ReplyTo = own, "", "desk@zonewire.example"
	m, html, text := render(t, e)
	golden(t, "one-zone.zh-CN.html", html)
	golden(t, "one-zone.zh-CN.txt", "Subject: "+m.Subject+"\n\n"+text)
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (make it with -update)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: -want +got:\n%s", path, diff)
	}
}

func TestMailSaysWhoSendsItAndWhen(t *testing.T) {
	e := sample(t)
	m, n, err := renderer(t).Render(e)
	if err != nil {
		t.Fatal(err)
	}
	m.HTML, m.Text = nil, nil
	want := zonewire.Mail{
		Subject: "开发区早报 · 11月24日 · 16 条", From: e.From, Host: "zonewire.example", BaseURL: e.BaseURL,
		List: "morning", ListTitle: "开发区早报", Locale: "zh-CN", Digest: 17, Date: e.Slot,
		ListURL: e.BaseURL + "/lists/morning", WebURL: e.BaseURL + "/digests/17",
	}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Errorf("mail: -want +got:\n%s", diff)
	}
	if n != len(e.Articles) {
		t.Errorf("stories: got %d, want %d", n, len(e.Articles))
	}
}

func TestEachPartHasOneHole(t *testing.T) {
	tests := []struct {
		name   string
		change func(*digest.Edition)
	}{
		{"plain", func(*digest.Edition) {}},
		{"a title holds the mark", func(e *digest.Edition) { e.Articles[0].Title = "x " + e.Mark + " y" }},
		{"a link holds the mark", func(e *digest.Edition) { e.Articles[0].URL = "https://evil.example/" + e.Mark }},
		{"a body holds the mark", func(e *digest.Edition) {
			e.Articles[0].Summary, e.Articles[0].ContentHTML = "", "<p>"+e.Mark[:9]+"<b>"+e.Mark[9:]+"</b></p>"
		}},
		{"a source holds the mark", func(e *digest.Edition) { e.Articles[0].Source = e.Mark }},
		{"a copy's source holds the mark", func(e *digest.Edition) { e.Copies[101][0].Source = e.Mark + "报" }},
		{"a copy's source is the mark", func(e *digest.Edition) { e.Copies[101][0].Source = e.Mark }},
		{"a copy's link holds the mark", func(e *digest.Edition) { e.Copies[101][0].URL = "https://evil.example/" + e.Mark }},
		{"a zone's name holds the mark", func(e *digest.Edition) { z := e.Zones[1]; z.Name = e.Mark + "区"; e.Zones[1] = z }},
		{"the mark is rebuilt when it is taken out once", func(e *digest.Edition) {
			e.Articles[0].Title = e.Mark[:5] + e.Mark + e.Mark[5:]
		}},
		{"the mark is rebuilt when control characters are taken out", func(e *digest.Edition) {
			e.Articles[0].Title = e.Mark[:5] + "\u202e" + e.Mark[5:]
		}},
	}
	for _, tt := range tests {
		e := sample(t)
		tt.change(&e)
		m, html, text := render(t, e)
		if len(m.HTML) != 2 || len(m.Text) != 2 {
			t.Errorf("%s: got %d chunks of HTML and %d of text, want 2 and 2", tt.name, len(m.HTML), len(m.Text))
		}
		leave := e.BaseURL + "/unsubscribe/TOKEN"
		if n := document(t, html).Find(`a[href="` + leave + `"]`).Length(); n != 1 || !strings.Contains(text, leave+"\n") {
			t.Errorf("%s: the links to leave are not %s (%d in HTML)", tt.name, leave, n)
		}
	}
}

func TestPageHoldsNoTokenAndNoLinkToLeave(t *testing.T) {
	e := sample(t)
	page, err := renderer(t).Page(e)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(page, e.Mark) || strings.Contains(page, "unsubscribe") {
		t.Error("the page has a link to leave")
	}
	if document(t, page).Find(`a[href="https://news.zonewire.example/lists/morning"]`).Length() != 1 {
		t.Error("the page has no link to its list")
	}
}

func TestPageIsWhole(t *testing.T) {
	page, err := renderer(t).Page(big(t, 2000, 40, "标题"))
	if err != nil {
		t.Fatal(err)
	}
	if n := document(t, page).Find("h3, li").Length(); n != 2000 {
		t.Errorf("the page tells %d stories, want 2000", n)
	}
}

func TestPrivateListLinksCarryTheKey(t *testing.T) {
	e := sample(t)
	e.Key = "a-b"
	_, html, text := render(t, e)
	for part, body := range map[string]string{"HTML": html, "text": text} {
		if !strings.Contains(body, "/digests/17?key=a-b") {
			t.Errorf("%s: no key in the link to the digest", part)
		}
	}
}

func TestPreviewLinksToNoDigest(t *testing.T) {
	e := big(t, 2000, 1, "标题")
	e.Digest = 0
	_, html, text := render(t, e)
	if strings.Contains(html+text, "/digests/") {
		t.Error("a digest that is not planned has no page")
	}
}

// Titles and links of both parts are the same, in the same order, however many zones there are.
func TestTextHasEveryTitleAndLinkInTheOrderOfTheHTML(t *testing.T) {
	for _, locale := range zonewire.Locales() {
		e := sample(t)
		e.Locale = locale
		_, html, text := render(t, e)
		rest, seen := text, 0
		document(t, html).Find("h3 a, li a").Each(func(_ int, a *goquery.Selection) {
			seen++
			for _, want := range []string{a.Text() + "\n", a.AttrOr("href", "none") + "\n"} {
				i := strings.Index(rest, want)
				if i < 0 {
					t.Errorf("%s: %q is not in the text, or not in its place", locale, want)
					continue
				}
				rest = rest[i+len(want):]
			}
		})
		if seen != len(e.Articles) {
			t.Errorf("%s: %d headlines, want %d", locale, seen, len(e.Articles))
		}
	}
}

func TestEveryEditionTellsEveryStoryOnce(t *testing.T) {
	r, pattern := renderer(t), sample(t)
	rapid.Check(t, func(rt *rapid.T) {
		e := pattern
		e.Locale = rapid.SampledFrom(zonewire.Locales()).Draw(rt, "locale")
		e.List.MaxItems = rapid.IntRange(1, 80).Draw(rt, "max items")
		n := rapid.IntRange(1, 120).Draw(rt, "articles")
		e.Articles = nil
		for i := range n {
			e.Articles = append(e.Articles, zonewire.Article{
				ID: int64(i + 1), ZoneID: rapid.Int64Range(1, 7).Draw(rt, "zone"), // 6 and 7 are unknown
				Title: fmt.Sprintf("%s%d号", rapid.StringN(0, 30, 90).Draw(rt, "title"), i),
				URL:   "https://www.example.cn/" + url.PathEscape(rapid.StringN(0, 10, 30).Draw(rt, "path")) + fmt.Sprint("/no-", i),
			})
		}
		m, told, err := r.Render(e)
		if err != nil {
			rt.Fatal(err)
		}
		html, text := strings.Join(m.HTML, "TOKEN"), strings.Join(m.Text, "TOKEN")
		if got := document(t, html).Find("h3, li").Length(); got != n || told != n {
			rt.Errorf("HTML tells %d of %d stories, counted %d", got, n, told)
		}
		for i := range n {
			if c := strings.Count(text, fmt.Sprintf("%d号\n", i)); c < 1 {
				rt.Errorf("the title of article %d is not in the text", i)
			}
			if c := strings.Count(text, fmt.Sprintf("/no-%d\n", i)); c != 1 {
				rt.Errorf("the link of article %d is %d times in the text", i, c)
			}
		}
	})
}

func TestPartsStaySmallHoweverMuchHappened(t *testing.T) {
	long := strings.Repeat("关于进一步优化营商环境的若干措施", 40)
	tests := []struct {
		name      string
		articles  int
		zones     int
		title     string
		change    func(*digest.Edition)
		summaries bool // are any left in the HTML
		all       bool // does the HTML tell every story
	}{
		{"60 stories are told in full", 60, 12, "标题", nil, true, true},
		{"200 stories", 200, 40, "年产二十万套电驱系统项目开工", nil, true, true},
		{"500 stories", 500, 60, "年产二十万套电驱系统项目开工", nil, true, false},
		{"2,000 stories", 2000, 300, "年产二十万套电驱系统项目开工", nil, true, false},
		{"2,000 stories of one zone", 2000, 1, "标题", nil, true, false},
		{"a zone for each of 2,500 stories", 2500, 2500, "标题", nil, true, false},
		{"60 long titles", 60, 12, long, nil, true, true},
		{"500 long titles", 500, 60, long, nil, true, false},
		{"500 titles that escaping makes long", 500, 3, strings.Repeat(`<&"'`, 100), nil, true, false},
		{"500 items allowed", 500, 60, "标题", func(e *digest.Edition) { e.List.MaxItems = 500 }, true, false},
		{"links as long as they may be", 500, 60, "标题", func(e *digest.Edition) {
			for i := range e.Articles {
				e.Articles[i].URL = "https://www.example.cn/?" + strings.Repeat("&a", 480)
			}
		}, true, false},
		{"60 stories that five others tell", 60, 12, "标题", func(e *digest.Edition) { tellAgain(e, "/") }, true, true},
		{"500 stories that five others tell, at addresses as long as they may be", 500, 60, "标题", func(e *digest.Edition) {
			tellAgain(e, "/?"+strings.Repeat("&a", 480))
		}, true, false},
		{"a title of a million characters", 1, 1, strings.Repeat("长", 1_000_000), nil, true, true},
		{"a list title of a million characters", 1, 1, "标题", func(e *digest.Edition) {
			e.List.Title = strings.Repeat("长", 1_000_000)
		}, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := big(t, tt.articles, tt.zones, tt.title)
			if tt.change != nil {
				tt.change(&e)
			}
			m, html, text := render(t, e)
			for part, body := range map[string]string{"HTML": html, "text": text} {
				encoded := base64.StdEncoding.EncodedLen(len(body))
				if encoded += encoded / 76 * len("\r\n"); encoded > 100_000 {
					t.Errorf("%s: %d bytes, %d as base64", part, len(body), encoded)
				}
				if !strings.Contains(body, "/unsubscribe/TOKEN") || !strings.Contains(body, e.PostalAddress) {
					t.Errorf("%s: the end is cut", part)
				}
			}
			if n := len([]rune(m.Subject)); n > 40 {
				t.Errorf("subject of %d characters: %s", n, m.Subject)
			}
			doc := document(t, html)
			if got := doc.Find("h3 + p + p").Length() > 0; got != tt.summaries {
				t.Errorf("summaries: got %v, want %v", got, tt.summaries)
			}
			told := doc.Find("h3, li").Length()
			if got := told == tt.articles; got != tt.all {
				t.Errorf("told %d of %d stories, want all: %v", told, tt.articles, tt.all)
			}
			if told < tt.articles && len(html) < 65_000 {
				t.Errorf("told %d of %d stories, though there was room: %d bytes", told, tt.articles, len(html))
			}
			if sum := told + counted(t, doc.Find("p a, td > a").Text()); sum != tt.articles {
				t.Errorf("stories told and counted: got %d, want %d", sum, tt.articles)
			}
			if sum := strings.Count(text, "\nhttp") + counted(t, text); sum != tt.articles {
				t.Errorf("text: stories told and counted: got %d, want %d", sum, tt.articles)
			}
		})
	}
}

// tellAgain gives every story five copies, each on a site of its own.
func tellAgain(e *digest.Edition, path string) {
	e.Copies = map[int64][]zonewire.Article{}
	for _, a := range e.Articles {
		for i := range 5 {
			e.Copies[a.ID] = append(e.Copies[a.ID], zonewire.Article{
				ID: 10_000*int64(i+1) + a.ID, ZoneID: a.ZoneID, DupOf: a.ID,
				Source: fmt.Sprintf("%s第 %d 门户", strings.Repeat("融媒", 30), i), URL: fmt.Sprintf("https://www%d.example.cn%s", i, path),
			})
		}
	}
}

func TestACopyAtAnAddressThatIsNoneToMailIsOnOurPage(t *testing.T) {
	for name, address := range map[string]string{
		"none": "", "a script": "javascript:alert(1)", "data": "data:text/html,x", "longer than a line in small print bears": "https://example.cn/" + strings.Repeat("a", 200),
	} {
		e := sample(t)
		e.Copies[101][0].URL = address
		_, html, text := render(t, e)
		const want = "https://news.zonewire.example/articles/121"
		if n := document(t, html).Find(`a[href="` + want + `"]`).Length(); n != 1 || !strings.Contains(text, "另见：东澜高新技术产业开发区 "+want+"\n") {
			t.Errorf("%s: %d links to %s in the HTML; the text is\n%s", name, n, want, text)
		}
	}
}

func TestAnArticleAtAnAddressThatIsNoneToMailIsOnOurPage(t *testing.T) {
	const ours, stem = "https://news.zonewire.example/articles/101", "https://example.cn/"
	for _, tt := range []struct{ name, give, want string }{
		{"as long as it may be", stem + strings.Repeat("a", 1000-len(stem)), stem + strings.Repeat("a", 1000-len(stem))},
		{"longer", stem + strings.Repeat("a", 1001-len(stem)), ours},
		{"longer in ASCII", stem + strings.Repeat("新", 110), ours},
		{"none", "", ours},
		{"a script", "javascript:alert(1)", ours},
	} {
		e := sample(t)
		e.Articles[0].URL = tt.give
		_, html, text := render(t, e)
		if n := document(t, html).Find(`h3 a[href="` + tt.want + `"]`).Length(); n != 1 || !strings.Contains(text, "\n"+tt.want+"\n") {
			t.Errorf("%s: %d headlines link to %s", tt.name, n, tt.want)
		}
	}
}

// At six in the morning of New Year's Day in China it is still the old year in Greenwich.
func TestTheYearIsToldWhenItIsNotThatOfTheDigestsDay(t *testing.T) {
	e := sample(t)
	e.Slot = time.Date(2026, 12, 31, 22, 0, 0, 0, time.UTC)
	e.Articles[0].Published = e.Slot.In(zonewire.Shanghai)
	e.Articles[1].Published = e.Slot.In(zonewire.Shanghai).AddDate(0, 0, -1)
	_, _, text := render(t, e)
	for _, want := range []string{"\n云栖湖日报 · 1月1日\n", "\n东澜高新区管委会 · 2026年12月31日\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no line %q in\n%s", want, text)
		}
	}
}

// counted sums the numbers of the phrases that count what is not told.
func counted(t *testing.T, body string) int {
	t.Helper()
	sum := 0
	for _, part := range strings.Split(body, "另有 ")[1:] {
		n := 0
		if _, err := fmt.Sscanf(part, "%d 条", &n); err != nil {
			t.Fatalf("count in %q: %v", part[:20], err)
		}
		sum += n
	}
	return sum
}

func TestHostileArticlesAreHarmless(t *testing.T) {
	tests := []struct {
		name string
		give zonewire.Article
	}{
		{"script in a title", zonewire.Article{Title: `<script>alert(1)</script>`}},
		{"an attribute in a title", zonewire.Article{Title: `" onmouseover="alert(1)`}},
		{"script in a summary", zonewire.Article{Title: "t", Summary: `</p><img src=x onerror=alert(1)>`}},
		{"script in a body", zonewire.Article{Title: "t", ContentHTML: `<script>alert(1)</script><p onclick="x">text</p>`}},
		{"a javascript link", zonewire.Article{Title: "t", URL: "javascript:alert(1)"}},
		{"a javascript link in capitals", zonewire.Article{Title: "t", URL: " JaVaScript:alert(1)//https://example.cn"}},
		{"a data link", zonewire.Article{Title: "t", URL: "data:text/html,<script>alert(1)</script>"}},
		{"a quote in a link", zonewire.Article{Title: "t", URL: `https://example.cn/"onclick="alert(1)`}},
		{"lines in a link", zonewire.Article{Title: "t", URL: "https://example.cn/\r\nBcc: all@example.cn"}},
		{"lines in a title", zonewire.Article{Title: "t\r\n\r\nhttps://evil.example/unsubscribe\n"}},
		{"a template in a title", zonewire.Article{Title: "{{.LeaveURL}}"}},
		{"a source that breaks out", zonewire.Article{Title: "t", Source: "</td></table><form action=//evil.example>"}},
	}
	for _, tt := range tests {
		e := sample(t)
		tt.give.ID, tt.give.ZoneID = 900, 1
		e.Articles = []zonewire.Article{tt.give}
		e.Copies = map[int64][]zonewire.Article{900: {{ID: 901, ZoneID: 1, Source: tt.give.Source + tt.give.Title, URL: tt.give.URL}}}
		_, html, text := render(t, e)
		doc := document(t, html)
		if bad := doc.Find("script, img, form, iframe, [onclick], [onmouseover], [onerror]"); bad.Length() > 0 {
			out, _ := goquery.OuterHtml(bad)
			t.Errorf("%s: %s", tt.name, out)
		}
		doc.Find("a").Each(func(_ int, a *goquery.Selection) {
			u, err := url.Parse(a.AttrOr("href", ""))
			if err != nil || (u.Scheme != "https" && u.Scheme != "mailto") {
				t.Errorf("%s: link %q", tt.name, a.AttrOr("href", ""))
			}
		})
		if strings.Contains(text, "javascript:") || strings.Contains(text, "\r") || strings.Contains(text, "\nhttps://evil") || strings.Contains(text, "\nBcc") {
			t.Errorf("%s: text:\n%s", tt.name, text)
		}
	}
}

func TestHTMLIsFitForMailPrograms(t *testing.T) {
	e := sample(t)
	_, html, _ := render(t, e)
	for _, bad := range []string{"url(", "<link", "<img", "<script", "<form", "<iframe", "@import", "position:", "float:", "display:flex", "display:grid"} {
		if strings.Contains(html, bad) {
			t.Errorf("the HTML has %q", bad)
		}
	}
	doc := document(t, html)
	if n := doc.Find("table:not([role=presentation])").Length(); n > 0 {
		t.Errorf("%d tables without role=presentation", n)
	}
	if lang := doc.Find("html").AttrOr("lang", ""); lang != "zh-CN" {
		t.Errorf("lang %q", lang)
	}
	if doc.Find("h1").Length() != 1 || doc.Find("h2").Length() != 5 {
		t.Errorf("got %d h1 and %d h2, want 1 and 5", doc.Find("h1").Length(), doc.Find("h2").Length())
	}
	// What holds without the style sheet: several webmails drop it.
	doc.Find("h1, h2 a, h3, h3 a, td.page, td.grey, p.grey").Each(func(_ int, s *goquery.Selection) {
		if s.AttrOr("style", "") == "" {
			out, _ := goquery.OuterHtml(s)
			t.Errorf("not styled inline: %s", out)
		}
	})
	pre := doc.Find("body > div").First()
	if n := len([]rune(pre.Text())); n < 30 || n > 100 || !strings.Contains(pre.AttrOr("style", ""), "display:none") {
		t.Errorf("preheader of %d characters: %q", n, pre.Text())
	}
}

func TestRenderRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*digest.Edition)
		want   string
	}{
		{"no mark", func(e *digest.Edition) { e.Mark = "" }, "mark"},
		{"a sender that is none", func(e *digest.Edition) { e.From = "news" }, `"news"`},
		{"a reply address that is none", func(e *digest.Edition) { e.ReplyTo = "desk@" }, `"desk@"`},
	}
	for _, tt := range tests {
		e := sample(t)
		tt.change(&e)
		_, _, err := renderer(t).Render(e)
		if !errors.Is(err, zonewire.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want ErrInvalid that names %s", tt.name, err, tt.want)
		}
	}
}

func TestTemplateWithoutLinkToLeaveIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "mail"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "mail", "digest.html"), []byte("<p>{{.Title}}</p>"), 0o644); err != nil {
		t.Fatal(err)
	}
	set, err := templates.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = digest.NewRenderer(set).Render(sample(t))
	if !errors.Is(err, zonewire.ErrInvalid) || !strings.Contains(err.Error(), "mail/digest.html") {
		t.Errorf("got %v, want ErrInvalid that names the template", err)
	}
}

func TestEqualEditionsGiveEqualBytes(t *testing.T) {
	e := big(t, 300, 40, "标题")
	first, _, _ := render(t, e)
	for range 5 {
		again, _, _ := render(t, e)
		if diff := cmp.Diff(first, again); diff != "" {
			t.Fatalf("-first +again:\n%s", diff)
		}
	}
}

func BenchmarkRender(b *testing.B) {
	r, e := renderer(b), big(b, 60, 12, "年产二十万套电驱系统项目开工")
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := r.Render(e); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRenderLarge has to cut both parts.
func BenchmarkRenderLarge(b *testing.B) {
	r, e := renderer(b), big(b, 2000, 300, "年产二十万套电驱系统项目开工")
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := r.Render(e); err != nil {
			b.Fatal(err)
		}
	}
}
