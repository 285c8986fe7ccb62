package feed_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// bad is one change to a good document of testdata/w3c by which it breaks one rule.
type bad struct{ rule, file, old, new string }

var badDocuments = []bad{
	// As XML.
	{"MissingEncoding", "good.rss", ` encoding="UTF-8"`, ``},
	{"UnicodeError", "good.rss", "王小明", "王\xed\xa0\x80明"},
	{"SAXError", "good.rss", "王小明", "王\x0b明"},
	{"SAXError", "good.rss", "<p>一号桥", "<p>]]>一号桥"},
	{"SAXError", "good.atom", "王小明", "R&D"},
	{"MissingNamespace", "good.rss", ` xmlns:dc="http://purl.org/dc/elements/1.1/"`, ``},
	{"MissingNamespace", "good.atom", ` xmlns="http://www.w3.org/2005/Atom"`, ``},
	{"UnknownNamespace", "good.atom", `xmlns:fh=`, `xmlns:at="http://purl.org/atompub/tombstones/1.0" xmlns:fh=`},
	{"NonstdPrefix", "good.rss", `xmlns:dc=`, `xmlns:d="http://purl.org/dc/elements/1.1/" xmlns:dc=`},
	{"ReservedPrefix", "good.rss", `"http://search.yahoo.com/mrss/"`, `"http://media.example.org/"`},
	{"MediaRssNamespace", "good.rss", `"http://search.yahoo.com/mrss/"`, `"http://search.yahoo.com/mrss"`},
	{"AvoidNamespacePrefix", "good.atom", `xmlns:fh=`, `xmlns:atom="http://www.w3.org/2005/Atom" xmlns:fh=`},
	{"BadCharacters", "good.atom", "王小明", "王\u0085明"},
	{"BadCharacters", "good.atom", "指南", "指\ufffd"},
	{"BadCharacters", "good.atom", "王小明", "RenÃ©"},
	// What stands where.
	{"UndefinedElement", "good.rss", "<ttl>5</ttl>", "<ttl>5</ttl><blink/>"},
	{"UndefinedElement", "good.opml", "<head>", "<head><docs>https://opml.org/spec2.opml</docs>"},
	{"UnexpectedAttribute", "good.rss", "<ttl>", `<ttl unit="minute">`},
	{"UnexpectedText", "good.atom", "<author>", "<author>王"},
	{"DuplicateElement", "good.rss", "<ttl>5</ttl>", "<ttl>5</ttl><ttl>5</ttl>"},
	{"DuplicateEnclosure", "good.rss", "<media:content", `<enclosure url="https://www.linhu.example.cn/3.pdf" length="9" type="application/pdf"/><media:content`},
	{"DuplicateItemSemantics", "good.rss", "<category>", "<dc:source>管委会</dc:source><category>"},
	{"MissingAttribute", "good.atom", ` term="要闻"`, ``},
	{"MissingElement", "good.atom", "<updated>2026-03-14T09:30:00.455Z</updated>", ""},
	{"MissingElement", "good.atom", "<author><name>李小红</name></author>", ""},
	{"MissingElement", "good.rss", "<url>https://news.example.org/icon.png</url>", ""},
	{"MissingTitle", "good.rss", "<title>临湖开发区</title>\n", "\n"},
	{"MissingLink", "good.rss", "<link>https://news.example.org/zones/linhu</link>\n", "\n"},
	{"MissingDescription", "good.rss", "<description>开发区新闻</description>", ""},
	{"MissingDCLanguage", "good.rss", "<language>zh-CN</language>", ""},
	{"MissingDCLanguage", "good.atom", ` xml:lang="zh-CN"`, ""},
	{"MissingAtomSelfLink", "good.rss", `rel="self"`, `rel="related"`},
	{"MissingSelf", "good.atom", `rel="self"`, `rel="related"`},
	{"MissingGuid", "good.rss", `<guid isPermaLink="false">tag:news.example.org,2026:item/2</guid>`, ""},
	{"ItemMustContainTitleOrDescription", "good.rss", "<title>二号桥通车</title>\n      <description>二号桥今日通车。</description>", ""},
	{"NeedDescriptionBeforeContent", "good.rss", "<description>一号桥今日通车。</description>", ""},
	{"MisplacedItem", "good.rss", "</item>\n  </channel>", `</item><atom:link href="https://news.example.org/hub" rel="hub"/></channel>`},
	{"MisplacedMetadata", "good.atom", "</entry>\n</feed>", `</entry><link rel="hub" href="https://news.example.org/hub"/></feed>`},
	{"MissingSourceElement", "good.atom", "<title>南山园</title>", ""},
	{"MissingTextualContent", "good.atom", `<content type="html">&lt;p&gt;二号桥通车。&lt;/p&gt;</content>`, ""},
	{"MissingContentOrAlternate", "good.atom", `<content type="html">&lt;p&gt;二号桥通车。&lt;/p&gt;</content>`, `<summary>二号桥</summary>`},
	{"ImageTitleDoesntMatch", "good.rss", "<image><title>临湖开发区", "<image><title>临湖"},
	{"ImageLinkDoesntMatch", "good.rss", "linhu</link></image>", "lin</link></image>"},
	{"InvalidRSSVersion", "good.rss", `<rss version="2.0"`, `<rss version="2.1"`},
	// Links.
	{"MissingHref", "good.rss", `atom:link href="https://news.example.org/zones/linhu/feed.rss"`, `atom:link`},
	{"UnregisteredAtomLinkRel", "good.atom", `rel="enclosure"`, `rel="attachment"`},
	{"AttrNotBlank", "good.atom", `title="指南.pdf"`, `title=""`},
	{"SelfNotAtom", "good.atom", `rel="self" type="application/atom+xml"`, `rel="self" type="application/feed+json"`},
	{"DuplicateAtomLink", "good.atom", `<link rel="current" type="application/atom+xml"`, `<link rel="alternate" type="text/html"`},
	{"FeedHistoryRelInEntry", "good.atom", `rel="enclosure"`, `rel="next"`},
	{"InvalidNonNegativeInteger", "good.atom", `length="9"`, `length="-1"`},
	{"ArchiveIncomplete", "good.atom", `rel="prev-archive"`, `rel="related"`},
	{"MissingCurrentInArchive", "good.atom", `rel="current"`, `rel="related"`},
	{"FeedRelInCompleteFeed", "good.atom", `<fh:archive/>`, `<fh:complete/>`},
	// Values.
	{"NotBlank", "good.rss", "<title>二号桥通车</title>", "<title> </title>"},
	{"NotBlank", "good.atom", "<title>二号桥通车</title>", "<title/>"},
	{"InvalidLanguage", "good.rss", "<language>zh-CN", "<language>cn"},
	{"InvalidLanguage", "good.atom", `xml:lang="zh-CN"`, `xml:lang="cmn"`},
	{"InvalidLanguage", "good.opml", `language="zh-CN"`, `language="jp"`},
	{"InvalidPositiveInteger", "good.rss", "<ttl>5", "<ttl>0"},
	{"InvalidIntegerAttribute", "good.rss", `length="9"`, `length=""`},
	{"InvalidMIMEAttribute", "good.rss", `length="9" type="application/pdf"`, `length="9" type="pdf"`},
	{"InvalidMIMEType", "good.atom", `type="application/pdf"`, `type="pdf"`},
	{"InvalidMediaMedium", "good.rss", `medium="document"`, `medium="paper"`},
	{"InvalidContact", "good.rss", "<dc:creator>王小明</dc:creator>", "<author>王小明</author>"},
	{"InvalidBooleanAttribute", "good.rss", `isPermaLink="false">tag:news.example.org,2026:item/2`, `isPermaLink="no">https://news.example.org/2`},
	{"InvalidPermalink", "good.rss", ` isPermaLink="false"`, ``},
	{"DuplicateValue", "good.rss", "2026:item/2<", "2026:item/1<"},
	{"NotSufficientlyUnique", "good.rss", "tag:news.example.org,2026:item/2", "2"},
	{"InvalidTAG", "good.atom", "tag:news.example.org,2026:item/2", "tag:News.example.org,2026:item/2"},
	{"NonCanonicalURI", "good.atom", "tag:news.example.org,2026:item/2", "HTTP://news.example.org/2"},
	{"UnexpectedWhitespace", "good.atom", "2026:item/2<", "2026:item/2\n<"},
	{"DuplicateEntries", "good.atom", "2026:item/2<", "2026:item/1<"},
	{"DuplicateUpdated", "good.atom", "09:30:00.455Z", "09:30:00.456Z"},
	{"InvalidRFC2822Date", "good.rss", "Thu, 12 Mar 2026 00:00:00 +0800", "2026-03-12"},
	{"ProblematicalRFC822Date", "good.rss", "Thu, 12 Mar 2026 00:00:00 +0800", "Thu, 12 Mar 2026 00:00:00 +0545"},
	{"IncorrectDOW", "good.rss", "Thu, 12 Mar 2026", "Fri, 12 Mar 2026"},
	{"ImplausibleDate", "good.rss", "Thu, 12 Mar 2026 00:00:00 +0800", "Mon, 01 Jun 2026 00:11:00 +0000"},
	{"ImplausibleDate", "good.atom", "2026-03-12T00:00:00+08:00", "1970-01-01T00:00:00Z"},
	{"ImplausibleDate", "good.atom", "2026-03-12T00:00:00+08:00", "2099-01-01T00:00:00Z"},
	{"InvalidRFC3339Date", "good.atom", "2026-03-12T00:00:00+08:00", "2026-03-12T00:00:00"},
	{"InvalidUriChar", "good.rss", "https://www.linhu.example.cn/1.html", "https://www.linhu.example.cn/a[1].html"},
	{"InvalidUriChar", "good.rss", "https://www.linhu.example.cn/1.html", "http://[2001:db8::1]/1.html"},
	{"UriNotIri", "good.rss", "https://www.linhu.example.cn/1.html", "https://www.linhu.example.cn/一.html"},
	{"InvalidFullLink", "good.rss", "https://www.linhu.example.cn/1.html", "/1.html"},
	{"SchemeNotIANARegistered", "good.rss", "https://www.linhu.example.cn/1.html", "thunder://www.linhu.example.cn/1"},
	{"InvalidURLAttribute", "good.rss", `enclosure url="https://www.linhu.example.cn/1.pdf"`, `enclosure url="http://intranet/1.pdf"`},
	{"InvalidURLAttribute", "good.rss", `enclosure url="https://www.linhu.example.cn/1.pdf"`, `enclosure url="http://lin_hu.example.cn/1.pdf"`},
	// Text and HTML.
	{"ContainsHTML", "good.rss", "<title>二号桥", "<title>二号&lt;b&gt;桥&lt;/b&gt;"},
	{"ContainsHTML", "good.rss", "<title>二号桥", "<title>5G&amp;6G"},
	{"ContainsHTML", "good.atom", "指南.pdf", "A&amp;2.pdf"},
	{"CharacterData", "good.rss", "<title>二号桥", "<title>&lt;AI&gt;"},
	{"ContainsUndeclaredHTML", "good.atom", "<title>二号桥", "<title>5G&amp;6G"},
	{"ContainsUndeclaredHTML", "good.atom", "一号桥今日通车。</summary>", "一号桥&amp;nbsp;通车</summary>"},
	{"InvalidTextType", "good.atom", `<summary type="text">`, `<summary type="text/plain">`},
	{"NotHtml", "good.rss", "<p>一号桥", "<p>一号桥 R&D "},
	{"NotHtml", "good.rss", "<p>一号桥", "<p>一号桥 1<2"},
	{"NotHtml", "good.rss", "<p>一号桥", "<p>一号桥<b>"},
	{"NotHtml", "good.rss", "通车。</p>]]>", "通车。</p></p>]]>"},
	{"NotHtml", "good.rss", "<p>一号桥", "<p><o:p>一</o:p>号桥"},
	{"NotHtml", "good.rss", "<p>一号桥", "<p><a href='https://a.example/'>一</a>号桥<a href='https://b.example/'><b>"},
	{"NotHtml", "good.rss", "<p>一号桥", `<p title="a" title="b">一号桥`},
	{"NotHtml", "good.rss", "<p>一号桥", "<p><span/>一号桥"},
	{"NotHtml", "good.rss", "<p>一号桥", "<p>一号<ruby><b>桥<rt>qiao</rt></b></ruby>"},
	{"NotHtml", "good.rss", "<p>一号桥", "<p>一号\u007f桥"},
	{"NotHtml", "good.opml", `text="临湖开发区"`, `text="R&amp;D园区"`},
	{"NotHtml", "good.opml", `title="临湖开发区"`, `title="&lt;AI&gt;园区"`},
	{"SecurityRisk", "good.rss", "<p>一号桥", "<p><iframe></iframe>一号桥"},
	{"SecurityRiskAttr", "good.atom", "&lt;p&gt;二", `&lt;p onclick="x"&gt;二`},
	{"DangerousStyleAttr", "good.atom", "&lt;p&gt;二", `&lt;p style="font-family:宋体"&gt;二`},
	{"ContainsRelRef", "good.rss", `href="https://www.linhu.example.cn/q"`, `href="/q"`},
	// OPML.
	{"InvalidOPMLVersion", "good.opml", `opml version="2.0"`, `opml version="3.0"`},
	{"MissingOutlineType", "good.opml", `<outline text="江苏省">`, `<outline text="江苏省" title="江苏省">`},
	{"InvalidOutlineType", "good.opml", `type="rss"`, `type="atom"`},
	{"MissingXmlURL", "good.opml", ` xmlUrl="https://news.example.org/zones/linhu/feed.rss"`, ``},
	{"MissingTitleAttr", "good.opml", ` title="临湖开发区"`, ``},
}

func good(t testing.TB, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "w3c", file))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestW3CFindsNothingInGoodDocuments(t *testing.T) {
	for _, file := range []string{"good.rss", "good.atom", "good.opml"} {
		if found := w3c([]byte(good(t, file)), today); len(found) > 0 {
			t.Errorf("%s: %v", file, found)
		}
	}
}

func TestW3CFindsWhatIsBad(t *testing.T) {
	for _, b := range badDocuments {
		doc := good(t, b.file)
		if !strings.Contains(doc, b.old) {
			t.Errorf("%s does not hold %s", b.file, b.old)
			continue
		}
		doc = strings.Replace(doc, b.old, b.new, 1)
		if got := findingNames(w3c([]byte(doc), today)); !slices.Contains(got, b.rule) {
			t.Errorf("%s with %s: found %v, want %s", b.file, b.new, got, b.rule)
		}
	}
}

var badAnswers = []struct {
	rule   string
	change func(*http.Response)
}{
	{"HttpError", func(r *http.Response) { r.StatusCode, r.Status = 410, "410 Gone" }},
	{"IOError", func(r *http.Response) { r.Header.Set("Content-Encoding", "gzip") }},
	{"IOError", func(r *http.Response) { r.Header.Set("Content-Encoding", "br") }},
	{"Uncompressed", func(r *http.Response) {}},
	{"UnexpectedContentType", func(r *http.Response) { r.Header.Set("Content-Type", "text/html; charset=utf-8") }},
	{"UnexpectedContentType", func(r *http.Response) { r.Header.Set("Content-Type", "application/atom+xml") }},
	{"TextXml", func(r *http.Response) { r.Header.Set("Content-Type", "text/x-opml") }},
	{"EncodingMismatch", func(r *http.Response) { r.Header.Set("Content-Type", "application/rss+xml; charset=gbk") }},
	{"SelfDoesntMatchLocation", func(r *http.Response) { r.Header.Set("X-Asked", "https://news.example.org/zones/linhu/feed.rss?_=1") }},
}

func TestW3CFindsWhatIsBadInAnswers(t *testing.T) {
	for _, b := range badAnswers {
		res := &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/rss+xml"}}, Body: io.NopCloser(strings.NewReader(good(t, "good.rss")))}
		b.change(res)
		address := "https://news.example.org/zones/linhu/feed.rss"
		if asked := res.Header.Get("X-Asked"); asked != "" {
			address = asked
		}
		if got := findingNames(w3cAnswer(t, address, res, today)); !slices.Contains(got, b.rule) {
			t.Errorf("found %v, want %s", got, b.rule)
		}
	}
}

// A rule that nothing bad was shown to is no rule yet.
func TestW3CEveryRuleCanFail(t *testing.T) {
	shown := map[string]bool{}
	for _, b := range badDocuments {
		shown[b.rule] = true
	}
	for _, b := range badAnswers {
		shown[b.rule] = true
	}
	for _, file := range []string{"w3c_check_test.go", "w3c_rules_test.go", "w3c_formats_test.go", "w3c_http_test.go"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`"((?:[A-Z][A-Za-z0-9]+){2,})"`).FindAllStringSubmatch(string(source), -1) {
			if !shown[m[1]] {
				t.Errorf("%s speaks of %s, which no bad document shows", file, m[1])
			}
		}
	}
}

func TestJSONFeedRulesCanFail(t *testing.T) {
	const fine = `{"version":"https://jsonfeed.org/version/1.1","title":"临湖","feed_url":"https://a.example/f.json","hubs":[{"type":"WebSub","url":"https://a.example/hub"}],
		"items":[{"id":"tag:a.example,2026:1","url":"https://a.example/1","title":"一","summary":"一号","content_html":"<p>一</p>","date_published":"2026-03-12T00:00:00+08:00",
		"authors":[{"name":"王"}],"tags":["要闻"],"attachments":[{"url":"https://a.example/1.pdf","mime_type":"application/pdf","size_in_bytes":9}],"_zonewire":{"zone":"linhu"}},{"id":"2","content_text":"二"}]}`
	if found := jsonFeed([]byte(fine), "https://a.example/f.json"); len(found) > 0 {
		t.Fatal(found)
	}
	for _, c := range []struct{ where, old, new string }{
		{"no JSON", `]}`, `],}`},
		{"version", `version/1.1`, `version/1`},
		{"title", `"title":"临湖",`, ``},
		{"feed_url", `a.example/f.json`, `a.example/g.json`},
		{"next_url", `"title":"临湖"`, `"title":"临湖","next_url":"https://a.example/f.json"`},
		{"next_url", `"title":"临湖"`, `"title":"临湖","next_url":"/f.json?before=9"`},
		{"hubs[0].type, url", `"type":"WebSub",`, ``},
		{"hubs", `[{"type":"WebSub","url":"https://a.example/hub"}]`, `[]`},
		{"items", `"items":[`, `"entries":[`},
		{"items[1].id", `"id":"2"`, `"id":"tag:a.example,2026:1"`},
		{"items[1].id", `"id":"2"`, `"id":2`},
		{"items[1].content_html", `"content_text":"二"`, `"summary":"二"`},
		{"items[0].content_html", `<p>一</p>`, `<p>一`},
		{"items[0].title", `"title":"一"`, `"title":"<b>一</b>"`},
		{"items[0].summary", `一号`, `一号&amp;二号`},
		{"items[0].date_published", `T00:00:00+08:00`, ``},
		{"items[0].authors", `[{"name":"王"}]`, `[{}]`},
		{"items[0].authors[0].", `{"name":"王"}`, `{"name":""}`},
		{"items[0].tags", `["要闻"]`, `[""]`},
		{"items[0].language", `"title":"一"`, `"title":"一","language":"zh_CN"`},
		{"items[0].zonewire", `_zonewire`, `zonewire`},
		{"items[0].url", `"url":"https://a.example/1"`, `"url":"/1"`},
		{"items[0].attachments[0].size", `size_in_bytes`, `size`},
		{"items[0].attachments[0].size_in_bytes", `:9}`, `:0}`},
		{"items[0].attachments[0].", `"mime_type":"application/pdf",`, ``},
	} {
		if !strings.Contains(fine, c.old) {
			t.Errorf("nothing is %s", c.old)
		}
		found := jsonFeed([]byte(strings.Replace(fine, c.old, c.new, 1)), "https://a.example/f.json")
		if got := findingNames(found); !slices.Contains(got, c.where) {
			t.Errorf("with %s: found %v, want %s", c.new, found, c.where)
		}
	}
}
