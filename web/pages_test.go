package web_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
	"github.com/google/go-cmp/cmp"

	"zonewire"
	"zonewire/internal/trouble"
)

func TestStatus(t *testing.T) {
	key := token(zonewire.PurposePrivate, 2)
	for _, tt := range []struct {
		name   string
		method string
		path   string
		want   int
	}{
		{"the front page", "GET", "/", 200},
		{"the front page of a province", "GET", "/?province=江苏省", 200},
		{"a province without zones is unknown", "GET", "/?province=火星", 404},
		{"a zone", "GET", "/zones/yunhe", 200},
		{"a zone without news", "GET", "/zones/wuming", 200},
		{"the next page of a zone", "GET", "/zones/yunhe?before=60", 200},
		{"a page that is no number", "GET", "/zones/yunhe?before=x", 404},
		{"a negative page", "GET", "/zones/yunhe?before=-1", 404},
		{"a former slug moved for good", "GET", "/zones/yunhe-old", 301},
		{"a closed zone is gone", "GET", "/zones/shiqiao", 410},
		{"a zone closed into none is gone", "GET", "/zones/gaoping", 410},
		{"an unknown zone", "GET", "/zones/mars", 404},
		{"an article", "GET", "/articles/119", 200},
		{"an article with hostile fields", "GET", "/articles/203", 200},
		{"a withdrawn article is gone", "GET", "/articles/201", 410},
		{"an article that waits for its zone is not public", "GET", "/articles/202", 404},
		{"an unknown article", "GET", "/articles/999", 404},
		{"an id with leading zeros is no second address", "GET", "/articles/0119", 404},
		{"an id that overflows", "GET", "/articles/99999999999999999999", 404},
		{"a deadline for a calendar", "GET", "/articles/119/deadline.ics", 200},
		{"one of an article that has none", "GET", "/articles/3/deadline.ics", 404},
		{"one of a withdrawn article is gone", "GET", "/articles/201/deadline.ics", 410},
		{"one of an article that waits for its zone", "GET", "/articles/202/deadline.ics", 404},
		{"one of no article", "GET", "/articles/999/deadline.ics", 404},
		{"a list", "GET", "/lists/morning", 200},
		{"a paused list", "GET", "/lists/zhejiang", 200},
		{"a removed list", "GET", "/lists/former", 404},
		{"an unknown list", "GET", "/lists/none", 404},
		{"a private list without its key does not exist", "GET", "/lists/board", 404},
		{"a private list with its key", "GET", "/lists/board?key=" + key, 200},
		{"a private list with the key of another", "GET", "/lists/board?key=" + token(zonewire.PurposePrivate, 1), 404},
		{"a private list with a token of another purpose", "GET", "/lists/board?key=" + token(zonewire.PurposeUnsubscribe, 2), 404},
		{"a digest", "GET", "/digests/1", 200},
		{"a skipped digest has no page", "GET", "/digests/5", 404},
		{"a cancelled digest is gone", "GET", "/digests/4", 410},
		{"a digest in the list's own language only", "GET", "/digests/8?lang=zh-CN", 200},
		{"a private list's digest without its key does not exist", "GET", "/digests/7", 404},
		{"a private list's digest with its key", "GET", "/digests/7?key=" + key, 200},
		{"an unknown digest", "GET", "/digests/99", 404},
		{"the question before leaving", "GET", "/unsubscribe/" + token(zonewire.PurposeUnsubscribe, activeSub), 200},
		{"the same after leaving", "GET", "/unsubscribe/" + token(zonewire.PurposeUnsubscribe, leftSub), 200},
		{"a link to leave in upper case, as some gateways make it", "GET", "/unsubscribe/" + strings.ToUpper(token(zonewire.PurposeUnsubscribe, activeSub)), 200},
		{"a link of someone erased", "GET", "/unsubscribe/" + token(zonewire.PurposeUnsubscribe, erasedSub), 410},
		{"a forged link to leave", "GET", "/unsubscribe/1-aaaaaaaaaaaaaaaaaaaaaaaaaa", 404},
		{"a link to confirm does not leave", "GET", "/unsubscribe/" + token(zonewire.PurposeConfirm, activeSub), 404},
		{"a private key does not leave", "POST", "/unsubscribe/" + token(zonewire.PurposePrivate, activeSub), 404},
		{"the question before confirming", "GET", "/confirm/" + token(zonewire.PurposeConfirm, pendingSub), 200},
		{"a link to leave does not confirm", "POST", "/confirm/" + token(zonewire.PurposeUnsubscribe, pendingSub), 404},
		{"an old link to confirm brings nobody back", "POST", "/confirm/" + token(zonewire.PurposeConfirm, leftSub), 410},
		{"the style sheet", "GET", "/style.css", 200},
		{"the icon", "GET", "/favicon.svg", 200},
		{"what crawlers may read", "GET", "/robots.txt", 200},
		{"an unknown path", "GET", "/nothing/here", 404},
		{"an unknown path, posted to", "POST", "/nothing", 404},
		{"the front page takes no post", "POST", "/", 405},
		{"an article cannot be deleted here", "DELETE", "/articles/1", 405},
		{"leaving is no put", "PUT", "/unsubscribe/" + token(zonewire.PurposeUnsubscribe, activeSub), 405},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := readers()
			h, log := serve(t, st)
			for _, locale := range zonewire.Locales() {
				w := do(h, httptest.NewRequest(tt.method, tt.path, nil), "Accept-Language", locale)
				if w.Code != tt.want {
					t.Fatalf("%s %s in %s: status %d, want %d\n%s", tt.method, tt.path, locale, w.Code, tt.want, w.Body)
				}
				checkHeaders(t, w)
				if tt.method == "GET" && tt.want != 301 {
					head := do(h, httptest.NewRequest("HEAD", tt.path, nil), "Accept-Language", locale)
					if head.Code != tt.want || head.Body.Len() > 0 {
						t.Errorf("HEAD %s: status %d, want %d, and %d bytes of body", tt.path, head.Code, tt.want, head.Body.Len())
					}
				}
				if strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") && tt.want != 301 {
					checkPage(t, w, locale)
				}
			}
			if len(st.writes) > 0 {
				t.Errorf("%s %s changed %q, want nothing", tt.method, tt.path, st.writes)
			}
			if log.Len() > 0 {
				t.Errorf("%s %s logged errors, want none: %s", tt.method, tt.path, log)
			}
		})
	}
}

func checkHeaders(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	h := w.Header()
	csp := h.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(csp, part) {
			t.Errorf("policy %q lacks %s", csp, part)
		}
	}
	if strings.Contains(csp, "script") {
		t.Errorf("policy %q lets a script in", csp)
	}
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Set-Cookie": "",
		"Cross-Origin-Opener-Policy": "same-origin", "Strict-Transport-Security": ""} {
		if got := h.Get(name); got != want {
			t.Errorf("header %s is %q, want %q", name, got, want)
		}
	}
	if policy := h.Get("Referrer-Policy"); policy != "same-origin" && policy != "no-referrer" {
		t.Errorf("Referrer-Policy %q tells other sites where a reader comes from", policy)
	}
	for _, power := range []string{"camera", "geolocation", "microphone"} {
		if !strings.Contains(h.Get("Permissions-Policy"), power+"=()") {
			t.Errorf("Permissions-Policy %q leaves the %s", h.Get("Permissions-Policy"), power)
		}
	}
	if w.Code == http.StatusMethodNotAllowed && !strings.HasPrefix(h.Get("Allow"), "GET, HEAD") {
		t.Errorf("405 with Allow %q", h.Get("Allow"))
	}
}

// checkPage holds what is true of every page in HTML.
func checkPage(t *testing.T, w *httptest.ResponseRecorder, locale string) {
	t.Helper()
	if w.Body.Len() > 50_000 {
		t.Errorf("the page has %d bytes, want at most 50,000", w.Body.Len())
	}
	if w.Header().Get("Vary") != "Accept-Language, Accept-Encoding" {
		t.Errorf("Vary is %q", w.Header().Get("Vary"))
	}
	doc := parse(t, w)
	if n := doc.Find("h1").Length(); n != 1 {
		t.Errorf("%d first headings, want 1", n)
	}
	if n := doc.Find("script, [onclick], [onload], iframe").Length(); n != 0 {
		t.Errorf("%d scripts or frames, want none", n)
	}
	if strings.Contains(w.Header().Get("Content-Security-Policy"), "unsafe-inline") {
		return // a digest as sent: the rest is the mail's own
	}
	if n := doc.Find("[style], style").Length(); n != 0 {
		t.Errorf("%d inline styles, which the policy forbids", n)
	}
	if got, _ := doc.Find("html").Attr("lang"); got != locale {
		t.Errorf("language %q, want %q", got, locale)
	}
	for _, landmark := range []string{"header", "main", "footer", "title", `nav a[hreflang]`, "a.skip"} {
		if doc.Find(landmark).Length() == 0 {
			t.Errorf("no %s", landmark)
		}
	}
	last := 0
	doc.Find("h1, h2, h3, h4, h5, h6").Each(func(_ int, h *goquery.Selection) {
		level := int(h.Get(0).Data[1] - '0')
		if level > last+1 {
			t.Errorf("heading %q is of level %d after %d", h.Text(), level, last)
		}
		last = level
	})
	doc.Find("a[href]").Each(func(_ int, a *goquery.Selection) {
		if href, _ := a.Attr("href"); href == "" || strings.Contains(href, "ZgotmplZ") || strings.HasPrefix(href, "javascript:") {
			t.Errorf("link %q of %q", href, a.Text())
		}
	})
}

func parse(t *testing.T, w *httptest.ResponseRecorder) *goquery.Document {
	t.Helper()
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(w.Body.String()))
	if err != nil {
		t.Fatalf("parse page: %v", err)
	}
	return doc
}

func attrs(doc *goquery.Document, selector, attr string) []string {
	return doc.Find(selector).Map(func(_ int, s *goquery.Selection) string { return s.AttrOr(attr, "") })
}

func texts(doc *goquery.Document, selector string) []string {
	return doc.Find(selector).Map(func(_ int, s *goquery.Selection) string { return strings.Join(strings.Fields(s.Text()), " ") })
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestFrontPage(t *testing.T) {
	h, _ := serve(t, sample())
	doc := parse(t, get(h, "/"))
	equal(t, "provinces in their usual order, the unknown last", texts(doc, "section > h3"), []string{"北京市", "江苏省", "浙江省", "云南省", "其他地区"})
	equal(t, "open zones", attrs(doc, ".zones a", "href"), []string{"/zones/beiling", "/zones/yunhe", "/zones/qingtan", "/zones/nanshan", "/zones/wuming"})
	equal(t, "open lists", attrs(doc, ".lists a", "href"), []string{"/lists/morning", "/lists/zhejiang", "/lists/two"})
	equal(t, "and when they are sent", texts(doc, ".lists .meta"), []string{"工作日 08:00", "暂停发送", "工作日 08:00"})
	equal(t, "cities, of provinces that are none", texts(doc, ".places dt"), []string{"常州市", "湖州市", "德宏傣族景颇族自治州"})
	equal(t, "feeds to discover", attrs(doc, `link[rel="alternate"][type]`, "href"), []string{base + "/feed.rss", base + "/feed.atom", base + "/feed.json"})
	equal(t, "a list of all feeds", attrs(doc, `a[type="text/x-opml"]`, "href"), []string{base + "/zones.opml"})
	if n := doc.Find(".news li").Length(); n != 20 {
		t.Errorf("%d headlines, want 20", n)
	}
	if got := doc.Find(".masthead .meta").Text(); got != "2026年11月24日 星期二\u00a0· 5 个开发区" {
		t.Errorf("dateline %q", got)
	}
	english := parse(t, get(h, "/", "Accept-Language", "en-GB, zh;q=0.5"))
	equal(t, "provinces in English", texts(english, "section > h3"), []string{"Beijing", "Jiangsu", "Zhejiang", "Yunnan", "Elsewhere"})
	if got := english.Find(".masthead .meta").Text(); got != "Tuesday, 24 November 2026\u00a0· 5 development zones" {
		t.Errorf("dateline %q", got)
	}
}

func TestFrontPageOfManyZonesNamesProvinces(t *testing.T) {
	st := sample()
	for i := range 2500 {
		st.zones = append(st.zones, zonewire.Zone{ID: int64(100 + i), Slug: fmt.Sprintf("z%d", i), Name: fmt.Sprintf("第 %d 开发区", i), Province: []string{"四川省", "广东省"}[i%2]})
	}
	h, _ := serve(t, st)
	w := get(h, "/")
	checkPage(t, w, zonewire.LocaleZH)
	doc := parse(t, w)
	equal(t, "provinces", texts(doc, ".zones a"), []string{"北京市", "江苏省", "浙江省", "广东省", "四川省", "云南省", "其他地区"})
	// The last group has no name to ask for, so its zones must be reachable all the same.
	for _, href := range attrs(doc, ".zones a", "href") {
		if page := parse(t, get(h, href)); page.Find(".zones a").Length() == 0 {
			t.Errorf("%s names no zone", href)
		}
	}
}

func TestEveryPageOffersFeeds(t *testing.T) {
	h, _ := serve(t, sample())
	for path, want := range map[string]string{
		"/?province=" + url.QueryEscape("江苏省"): "/feed.rss?province=" + url.QueryEscape("江苏省"),
		"/articles/1":    "/zones/yunhe/feed.rss",
		"/lists/morning": "/feed.rss",
		"/nowhere":       "/feed.rss",
	} {
		doc := parse(t, get(h, path))
		if got := attrs(doc, `head link[rel="alternate"][type]`, "href"); len(got) != 3 || got[0] != base+want {
			t.Errorf("%s offers %v, want %s first", path, got, want)
		}
	}
}

func TestZonePage(t *testing.T) {
	h, _ := serve(t, sample())
	doc := parse(t, get(h, "/zones/yunhe"))
	equal(t, "heading", texts(doc, "h1"), []string{"云河经济技术开发区"})
	equal(t, "feeds to discover", attrs(doc, `link[rel="alternate"][type]`, "href"), []string{base + "/zones/yunhe/feed.rss", base + "/zones/yunhe/feed.atom", base + "/zones/yunhe/feed.json"})
	equal(t, "their types", attrs(doc, `link[rel="alternate"][type]`, "type"), []string{"application/rss+xml", "application/atom+xml", "application/feed+json"})
	equal(t, "addresses to copy", texts(doc, ".feeds code"), []string{base + "/zones/yunhe/feed.rss", base + "/zones/yunhe/feed.atom", base + "/zones/yunhe/feed.json"})
	equal(t, "lists that carry it, no private or removed one", attrs(doc, ".lists a:not(.go)", "href"), []string{"/lists/morning", "/lists/two"})
	equal(t, "and where to subscribe to them for this zone", attrs(doc, ".lists a.go", "href"), []string{"/lists/morning?zone=yunhe#subscribe", "/lists/two?zone=yunhe#subscribe"})
	equal(t, "canonical address", attrs(doc, `link[rel="canonical"]`, "href"), []string{base + "/zones/yunhe"})

	// Following the next page to the end shows every article once.
	seen, pages := map[string]bool{}, 0
	for path := "/zones/yunhe"; path != ""; pages++ {
		doc := parse(t, get(h, path))
		if n := doc.Find(".news li").Length(); n > 30 {
			t.Fatalf("%s has %d articles, want at most 30", path, n)
		}
		for _, href := range attrs(doc, ".news h3 a", "href") {
			if seen[href] {
				t.Errorf("%s shows %s again", path, href)
			}
			seen[href] = true
		}
		path = doc.Find(`a[rel="next"]`).AttrOr("href", "")
	}
	if want := 108; len(seen) != want || pages != 4 {
		t.Errorf("%d articles on %d pages, want %d on 4", len(seen), pages, want)
	}
}

func TestPageInALanguageKnowsItsOtherAddresses(t *testing.T) {
	h, _ := serve(t, sample())
	for path, want := range map[string]string{
		"/zones/yunhe":           base + "/zones/yunhe",
		"/zones/yunhe?lang=en":   base + "/zones/yunhe?lang=en",
		"/?province=江苏省&lang=en": base + "/?lang=en&province=" + url.QueryEscape("江苏省"),
	} {
		doc := parse(t, get(h, path))
		equal(t, path, attrs(doc, `link[rel="canonical"]`, "href"), []string{want})
		equal(t, "languages of "+path, attrs(doc, `link[hreflang]`, "hreflang"), []string{"x-default", "zh-CN", "en"})
	}
	equal(t, "addresses", attrs(parse(t, get(h, "/articles/1")), `link[hreflang]`, "href"),
		[]string{base + "/articles/1", base + "/articles/1?lang=zh-CN", base + "/articles/1?lang=en"})
	secretPath := "/lists/board?key=" + token(zonewire.PurposePrivate, 2)
	equal(t, "a page with a key has none", parse(t, get(h, secretPath)).Find(`link[hreflang], link[rel="canonical"]`).Length(), 0)
}

func TestRenamedZoneKeepsTheQuery(t *testing.T) {
	h, _ := serve(t, sample())
	w := get(h, "/zones/yunhe-old?lang=en&before=60")
	if got, want := w.Header().Get("Location"), "/zones/yunhe?lang=en&before=60"; got != want {
		t.Errorf("location %q, want %q", got, want)
	}
}

func TestClosedZoneTellsWhereItWent(t *testing.T) {
	h, _ := serve(t, sample())
	doc := parse(t, get(h, "/zones/shiqiao"))
	equal(t, "links", attrs(doc, "main a", "href"), []string{"/zones/yunhe", "/"})
	if !strings.Contains(doc.Find("main").Text(), "2026年11月1日") {
		t.Errorf("no date in %q", doc.Find("main").Text())
	}
}

func TestArticlePage(t *testing.T) {
	h, _ := serve(t, sample())
	w := get(h, "/articles/119")
	doc := parse(t, w)
	equal(t, "date as read", texts(doc, "article > header .meta > time:first-child"), []string{"2026年11月23日 16:05"})
	equal(t, "headings, the body's below the page's", texts(doc, "h2"), []string{"一、总体情况", "二、项目清单", "附件", "更正", "总体情况"})
	equal(t, "attachments, hostile ones left out", attrs(doc, ".plain a", "href"), []string{"https://www.yunhe.example.gov.cn/files/list.pdf"})
	equal(t, "original", attrs(doc, ".original a", "href"), []string{"https://www.yunhe.example.gov.cn/news/2026/119.html"})
	equal(t, "article language on an English page", attrs(parse(t, get(h, "/articles/119?lang=en")), "article", "lang"), []string{"zh-CN"})
	if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "img-src 'self' http: https:") || strings.Contains(csp, "unsafe-inline") {
		t.Errorf("policy %q", csp)
	}

	hostile := parse(t, get(h, "/articles/203?lang=en"))
	equal(t, "title as text", texts(hostile, "h1"), []string{`<script>alert("标题")</script>`})
	equal(t, "date received", texts(hostile, "time"), []string{"received 24 November 2026"})
	if n := hostile.Find(".original").Length(); n != 0 {
		t.Errorf("%d links to a hostile original, want none", n)
	}
	day := parse(t, get(h, "/articles/1"))
	equal(t, "a date of a day", attrs(day, "article .meta > time", "datetime"), []string{"2026-11-01"})
}

func TestArticlePageSaysWhoElseTellsItAndWhenItWasCorrected(t *testing.T) {
	h, _ := serve(t, sample())
	for _, tt := range []struct {
		name, path string
		meta       []string
		links      []string
	}{
		{"a copy names the first and the other copies, none withdrawn or waiting for its zone", "/articles/119",
			[]string{"2026年11月23日 16:05 · 来源：云河经济技术开发区管委会 · 林一舟 · 更正于 2026年11月24日 08:30",
				"另见：青滩高新技术产业开发区管委会、北岭综合保税区管委会、南杉边境经济合作区管委会 等 4 处"},
			[]string{"#corrections", "https://www.qingtan.example.gov.cn/news/2026/2.html", "/articles/3", "https://www.nanshan.example.gov.cn/news/2026/4.html"}},
		{"in English, with links that keep the language", "/articles/119?lang=en",
			[]string{"23 November 2026 16:05 · Source: 云河经济技术开发区管委会 · 林一舟 · corrected on 24 November 2026 08:30",
				"Also at: 青滩高新技术产业开发区管委会, 北岭综合保税区管委会, 南杉边境经济合作区管委会 and 1 more"},
			[]string{"#corrections", "https://www.qingtan.example.gov.cn/news/2026/2.html", "/articles/3?lang=en", "https://www.nanshan.example.gov.cn/news/2026/4.html"}},
		{"a story that nobody else tells", "/articles/1", []string{"2026年11月1日 · 来源：云河经济技术开发区管委会"}, []string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc := parse(t, get(h, tt.path))
			equal(t, "lines under the title", texts(doc, "article > header .meta"), tt.meta)
			equal(t, "links", attrs(doc, "article > header .meta a", "href"), tt.links)
		})
	}
	corrected := parse(t, get(h, "/articles/119"))
	equal(t, "times", attrs(corrected, "article time", "datetime"), []string{"2026-11-23T16:05:00+08:00", "2026-11-24T08:30:00+08:00",
		"2026-12-05T17:30:00+08:00", "2026-11-24T08:30:00+08:00", "2026-11-23T20:30:00+08:00"})
}

func TestWithdrawnArticleLeavesATombstone(t *testing.T) {
	h, _ := serve(t, sample())
	for locale, want := range map[string][]string{
		zonewire.LocaleZH: {"撤稿", "这篇文章已经撤下，不再提供。"},
		zonewire.LocaleEN: {"Article withdrawn", "This article has been withdrawn and is no longer available."},
	} {
		w := get(h, "/articles/201?lang="+locale)
		equal(t, "status", w.Code, http.StatusGone)
		equal(t, "what it says", texts(parse(t, w), "main h1, main h1 + p"), want)
		if strings.Contains(w.Body.String(), "已撤下的消息") {
			t.Error("the title is still there")
		}
	}
}

func TestLanguage(t *testing.T) {
	h, _ := serve(t, sample())
	for _, tt := range []struct{ name, query, accept, want string }{
		{"nothing asked for is Chinese", "", "", "zh-CN"},
		{"English by header", "", "en-US,en;q=0.9,zh;q=0.8", "en"},
		{"Chinese by header", "", "zh,en;q=0.8", "zh-CN"},
		{"the switch wins over the header", "?lang=en", "zh-CN", "en"},
		{"an unknown switch is ignored", "?lang=xx", "en", "en"},
		{"a header that is none", "", ";;q=,,-*", "zh-CN"},
		{"a header that is too long", "", strings.Repeat("en-", 5000), "zh-CN"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := get(h, "/"+tt.query, "Accept-Language", tt.accept)
			equal(t, "language", parse(t, w).Find("html").AttrOr("lang", ""), tt.want)
			equal(t, "header", w.Header().Get("Content-Language"), tt.want)
		})
	}
	doc := parse(t, get(h, "/zones/yunhe?before=60&lang=en"))
	for _, href := range append(attrs(doc, ".news h3 a", "href"), attrs(doc, ".pages a", "href")...) {
		if !strings.Contains(href, "lang=en") {
			t.Errorf("link %s forgets the language that the reader picked", href)
		}
	}
	equal(t, "the switch back keeps the page", attrs(doc, ".top nav a", "href"), []string{"/zones/yunhe?before=60&lang=zh-CN"})
}

func TestUnchangedPageIsNotSentAgain(t *testing.T) {
	h, _ := serve(t, sample())
	for _, path := range []string{"/", "/zones/yunhe", "/articles/119", "/digests/1", "/style.css"} {
		tag := get(h, path).Header().Get("ETag")
		if w := get(h, path, "If-None-Match", tag); tag == "" || w.Code != http.StatusNotModified || w.Body.Len() > 0 {
			t.Errorf("%s with its tag %s: status %d and %d bytes, want 304 and none", path, tag, w.Code, w.Body.Len())
		}
	}
}

func TestStyleSheetIsKeptUnderItsOwnAddressOnly(t *testing.T) {
	h, _ := serve(t, sample())
	address := parse(t, get(h, "/")).Find(`link[rel="stylesheet"]`).AttrOr("href", "")
	for path, want := range map[string]string{address: "public, max-age=31536000, immutable", "/style.css": "no-cache", "/style.css?v=0": "no-cache"} {
		equal(t, path, get(h, path).Header().Get("Cache-Control"), want)
	}
}

func TestFailureShowsNoInternals(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want int
	}{
		{"an unknown failure is ours", errors.New("sql: secret column leaves"), 500},
		{"a busy database is asked again", fmt.Errorf("zones: %w", zonewire.ErrBusy), 503},
		{"a database that is away is asked again", fmt.Errorf("zones: %w", zonewire.ErrUnavailable), 503},
		{"a database that hangs is asked again", fmt.Errorf("zones: %w", context.DeadlineExceeded), 503},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := sample()
			st.err = tt.err
			h, log := serve(t, st)
			path := "/unsubscribe/" + token(zonewire.PurposeUnsubscribe, activeSub)
			for _, path := range []string{"/", "/zones/yunhe", "/articles/1", "/lists/morning", "/digests/1", path} {
				w := get(h, path)
				if w.Code != tt.want || strings.Contains(w.Body.String(), "secret") {
					t.Errorf("%s: status %d, want %d\n%s", path, w.Code, tt.want, w.Body)
				}
				if again := w.Header().Get("Retry-After"); (again != "") != (tt.want == 503) {
					t.Errorf("%s: Retry-After %q with %d", path, again, w.Code)
				}
				checkHeaders(t, w)
				checkPage(t, w, zonewire.LocaleZH)
			}
			if n := strings.Count(log.String(), "page failed"); trouble.Away(tt.err) && n != 1 {
				t.Errorf("logged %d times, want once for all pages:\n%s", n, log)
			}
			if log.Len() == 0 || strings.Contains(log.String(), token(zonewire.PurposeUnsubscribe, activeSub)) {
				t.Errorf("log is empty or holds a token: %s", log)
			}
		})
	}
}
