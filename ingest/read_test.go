package ingest_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"zonewire"
	"zonewire/ingest"
)

// read gives each record of a file as one line: "3 title" or "3 ! reason".
func read(name, text string, opts ingest.Options) []string {
	if opts.Now.IsZero() {
		opts.Now = now
	}
	var got []string
	for r := range ingest.Read(name, strings.NewReader(text), opts) {
		if r.Err != nil {
			got = append(got, fmt.Sprintf("%d ! %v", r.Line, r.Err))
			continue
		}
		got = append(got, fmt.Sprintf("%d %s", r.Line, r.Article.Title))
	}
	return got
}

func TestReadNDJSON(t *testing.T) {
	gbk, err := simplifiedchinese.GB18030.NewEncoder().String(`{"title":"青禾湖开工"}` + "\n" + `{"title":"云栖港首单"}`)
	if err != nil {
		t.Fatal(err)
	}
	wide, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String("{\"title\":\"青禾\"}\r\n{\"title\":\"乊云栖\"}\r\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, in string
		want     []string
	}{
		{"an empty file holds nothing", "", nil},
		{"white space holds nothing", " \n\n", nil},
		{"blank lines are skipped and counted", "{\"title\":\"a\"}\n\n{\"title\":\"b\"}", []string{"1 a", "3 b"}},
		{"the last line needs no end", `{"title":"a"}`, []string{"1 a"}},
		{"CR LF ends a line", "{\"title\":\"a\"}\r\n{\"title\":\"b\"}\r\n", []string{"1 a", "2 b"}},
		{"a byte order mark goes", "\ufeff{\"title\":\"a\"}", []string{"1 a"}},
		{"a bad line costs only itself", "{\"title\":\"a\"}\n{\"title\":\n{\"title\":\"c\"}", []string{"1 a", "2 ! not JSON: unexpected end of JSON input", "3 c"}},
		{"a title is needed", `{"zone":"x"}`, []string{"1 ! title is missing"}},
		{"an empty title is none", `{"title":" <b></b> "}`, []string{"1 ! title is missing"}},
		{"null is the same as absent", `{"title":"a","url":null,"attachments":null}`, []string{"1 a"}},
		{"a wrong type is named", `{"title":5}`, []string{"1 ! field title must be a string, not a number"}},
		{"a wrong type of another field too", `{"title":"a","source":["x"]}`, []string{"1 ! field source must be a string, not an array"}},
		{"attachments of a wrong type too", `{"title":"a","attachments":"x"}`, []string{"1 ! field attachments must be an array of objects {url, name, type, length}, and it is a string"}},
		{"a line that is no object", "{\"title\":\"a\"}\n5\n\"x\"\nnull\n[]", []string{"1 a", "2 ! this must be a JSON object, not a number", "3 ! this must be a JSON object, not a string", "4 ! this must be a JSON object, not null", "5 ! this must be a JSON object, not an array"}},
		{"fields that nobody knows are ignored", `{"title":"a","wibble":{"x":[1]}}`, []string{"1 a"}},
		{"NUL bytes and control characters go", "{\"title\":\"a\x00b\x1bc\td\\u0000e\"}", []string{"1 abc de"}},
		{"the same id twice is two records", "{\"title\":\"a\",\"id\":1}\n{\"title\":\"b\",\"id\":1}", []string{"1 a", "2 b"}},
		{"GBK is read", gbk, []string{"1 青禾湖开工", "2 云栖港首单"}},
		{"GBK and UTF-8 lines may stand in one file", gbk + "\n{\"title\":\"石桥河口岸\"}", []string{"1 青禾湖开工", "2 云栖港首单", "3 石桥河口岸"}},
		{"UTF-16 is read, line feeds inside characters too", wide, []string{"1 青禾", "2 乊云栖"}},
		{"a line that is no text is a reject", "{\"title\":\"a\"}\n" + strings.Repeat("\x01\x02", 50) + "\n{\"title\":\"c\"}", []string{"1 a", "2 ! this is not text: 100 of 100 characters cannot be read as utf-8", "3 c"}},
		{"an array of objects", "[{\"title\":\"a\"},\n {\"title\":\"b\",\n\"id\":2},{}\n]", []string{"1 a", "2 b", "3 ! title is missing"}},
		{"an array that breaks off", "[{\"title\":\"a\"},\n {\"title\"", []string{"1 a", "2 ! not JSON: unexpected EOF; what follows was not read"}},
		{"an empty array", "[]", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := read("a.ndjson", tt.in, ingest.Options{}); !slices.Equal(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestReadNDJSONFillsTheArticle(t *testing.T) {
	rec := one(t, ingest.Read("-", strings.NewReader(strings.ReplaceAll(`{"zone":"江苏青禾湖经济开发区","id":10020030040050060,"url":"http://Portal.example:80/a/../n/1.html?utm_source=x#top",
"title":"青禾湖<b>二期</b>&amp;开工","content_html":"<p>一 <a href='/f/a.pdf'>附件</a></p><img src='p.jpg'><script>x</script>","summary":"摘要","source":"新华网","author":"韩明远",
"category":"文字新闻","city":"常州","province":"江苏","language":"zh_cn","published":"2024-12-01T08:00:00Z","image":"javascript:x",
"attachments":[{"url":"https://portal.example/a.ofd","name":"办法","length":12},{"url":"ftp://x/a"}]}`, "\n", "")), ingest.Options{Now: now, Zone: "other"}))
	if rec.Err != nil {
		t.Fatal(rec.Err)
	}
	a := rec.Article
	for _, f := range []struct{ name, got, want string }{
		{"zone", a.ZoneRaw, "江苏青禾湖经济开发区"},
		{"id", a.ExternalID, "10020030040050060"},
		{"url", a.URL, "http://Portal.example:80/a/../n/1.html?utm_source=x#top"},
		{"canonical url", a.URLCanon, "https://portal.example/n/1.html"},
		{"title key", a.TitleKey, ""},
		{"title", a.Title, "青禾湖二期&开工"},
		{"content", a.ContentHTML, `<p>一 <a href="http://portal.example/f/a.pdf" rel="nofollow noopener">附件</a></p><img src="http://portal.example/n/p.jpg" alt=""/>`},
		{"summary", a.Summary, "摘要"},
		{"source", a.Source, "新华网"},
		{"author", a.Author, "韩明远"},
		{"category", a.Category, "文字新闻"},
		{"place", a.Province + a.City, "江苏常州"},
		{"language", a.Language, "zh-CN"},
		{"published", a.Published.Format(time.RFC3339), "2024-12-01T08:00:00Z"},
		{"image", a.Image, "http://portal.example/n/p.jpg"},
		{"attachments", fmt.Sprint(a.Attachments), "[{https://portal.example/a.ofd 办法 application/ofd 12}]"},
		{"charset", a.Charset, "utf-8"},
		{"received", a.Received.Format(time.RFC3339), "2025-01-15T10:00:00+08:00"},
		{"warnings", strings.Join(rec.Warnings, "|"), `image "javascript:x" is no http or https address and is ignored|attachment "ftp://x/a" is no http or https address and is ignored`},
	} {
		if f.got != f.want {
			t.Errorf("%s: got %q, want %q", f.name, f.got, f.want)
		}
	}
}

func TestDatesThatCannotBeAreReplacedByTheArrival(t *testing.T) {
	for _, tt := range []struct{ published, want, warning string }{
		{`"2024-12-01"`, "2024-12-01 day false", ""},
		{`1733011200`, "2024-12-01 second false", ""},
		{`"2025-01-17 09:00"`, "2025-01-17 minute false", ""},
		{`"12-01"`, "2024-12-01 day false", `published "12-01" has no year: 2024 is taken`},
		{`null`, "2025-01-15  true", "there is no date: the time of arrival is taken"},
		{`"someday"`, "2025-01-15  true", `published "someday" is no date: the time of arrival is taken`},
		{`"1970-01-01"`, "2025-01-15  true", `published "1970-01-01" is too long ago or in the future: the time of arrival is taken`},
		{`"2031-01-01"`, "2025-01-15  true", `published "2031-01-01" is too long ago or in the future: the time of arrival is taken`},
	} {
		r := ingest.Object([]byte(`{"title":"a","published":`+tt.published+`}`), ingest.Options{Now: now})
		got := fmt.Sprintf("%s %s %t", r.Article.Published.Format("2006-01-02"), r.Article.Precision, r.Article.Suspect)
		if r.Err != nil || got != tt.want || strings.Join(r.Warnings, "|") != tt.warning {
			t.Errorf("%s: got %s %q %v, want %s %q", tt.published, got, r.Warnings, r.Err, tt.want, tt.warning)
		}
	}
}

func TestReadCSV(t *testing.T) {
	gbk, err := simplifiedchinese.GB18030.NewEncoder().String("标题,正文,来源\r\n青禾湖开工,\"第一段\r\n第二段\",本报\r\n云栖港首单,一,本报\r\n")
	if err != nil {
		t.Fatal(err)
	}
	wide, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String("标题\t发布时间\t链接\r\n青禾\t2022/12/29 10:30\t\r\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, in string
		want     []string
	}{
		{"English heads", "title,published\na,2024-01-01\n\nb,\n", []string{"2 a", "4 b"}},
		{"Chinese heads, with litter and a mark", "\ufeff 标题 ,发布 时间,开发区\na,2022/12/29 10:30,x", []string{"2 a"}},
		{"GBK, and a cell of several lines keeps the numbers right", gbk, []string{"2 青禾湖开工", "4 云栖港首单"}},
		{"tabs and UTF-16, as Excel calls Unicode text", wide, []string{"2 青禾"}},
		{"semicolons", "title;url\na;http://x.example/1", []string{"2 a"}},
		{"a comma in a quoted cell", "title,source\n\"a,\"\"b\"\"\",c", []string{"2 a,\"b\""}},
		{"rows may be short or long", "title,source\na\nb,c,d", []string{"2 a", "3 b"}},
		{"a row of empty cells is passed over", "title,source\n,\na,", []string{"3 a"}},
		{"a row without a title is a reject", "title,source\n,x\nb,", []string{"2 ! title is missing", "3 b"}},
		{"a stray quote costs only its row", "title,source\na,\"b\"c\nd,e\n", []string{"2 ! not CSV: extraneous or missing \" in quoted-field", "3 d"}},
		{"a line that is no text costs only its row", "title,source\na,b\n" + strings.Repeat("\x01", 60) + "\nc,d\n", []string{"2 a", "3 ! this is not text: 60 of 60 characters cannot be read as utf-8", "4 c"}},
		{"a quote that is never closed is reported where it opens", "title,source\na,\"b\nc,d\n", []string{"2 ! not CSV: extraneous or missing \" in quoted-field"}},
		{"no title column", "name,source\na,b", []string{"1 ! no column is named title or 标题"}},
		{"heads alone", "title,source\n", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := read("a.csv", tt.in, ingest.Options{Format: ingest.CSV}); !slices.Equal(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestReadCSVFillsTheArticle(t *testing.T) {
	rec := one(t, ingest.Read("x.csv", strings.NewReader("编号,标题,正文,来源,发布时间,开发区,链接,城市,栏目,附件\n7,青禾湖开工,\"第一段\n第二段\",本报,2022/12/29 10:30,青禾湖,http://x.example/1,常州,要闻,http://x.example/a.pdf；http://x.example/b.doc\n"), ingest.Options{Now: now}))
	a := rec.Article
	got := fmt.Sprint(rec.Err, rec.Warnings, a.ExternalID, a.Title, a.ContentHTML, a.Source, a.Published.Format(time.RFC3339), a.Precision, a.ZoneRaw, a.URL, a.City, a.Category, len(a.Attachments))
	want := fmt.Sprint(nil, []string{}, "7", "青禾湖开工", "<p>第一段</p>\n<p>第二段</p>", "本报", "2022-12-29T10:30:00+08:00", "minute", "青禾湖", "http://x.example/1", "常州", "要闻", 2)
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	html := one(t, ingest.Read("x.csv", strings.NewReader("标题,正文\na,<p>一</p><p>二</p>\n"), ingest.Options{Now: now}))
	if html.Article.ContentHTML != "<p>一</p><p>二</p>" {
		t.Errorf("HTML in the column 正文 became %q", html.Article.ContentHTML)
	}
}

func TestACellOfExcelsLengthIsWarnedOf(t *testing.T) {
	rec := one(t, ingest.Read("x.csv", strings.NewReader("标题,正文\na,"+strings.Repeat("长", 32767)+"\n"), ingest.Options{Now: now}))
	if !strings.Contains(strings.Join(rec.Warnings, "|"), "Excel cuts a cell") {
		t.Errorf("warnings %q", rec.Warnings)
	}
}

func TestAutoTellsTheFormat(t *testing.T) {
	for _, tt := range []struct{ name, file, in, want string }{
		{"an object is NDJSON whatever the name", "a.txt", `{"title":"a"}`, "1 a"},
		{"an array is NDJSON", "a", `[{"title":"a"}]`, "1 a"},
		{"heads make a table", "-", "标题,来源\na,b", "2 a"},
		{"tabs too", "a.txt", "标题\t来源\na\tb", "2 a"},
		{"the ending makes a table", "a.csv", "title\na", "2 a"},
		{"a tag is a page", "-", "<html><title>标题很长的新闻页</title><h1>标题很长的新闻页</h1><div class=TRS_Editor>正文", "1 标题很长的新闻页"},
		{"text is a page", "a.txt", "标题一行\n发布时间:2024-01-01 来源:本报\n\n正文一段。", "1 标题一行"},
		{"text that begins with a bracket is a page", "a.txt", "[图]标题一行\n发布时间:2024-01-01 来源:本报\n\n正文一段。", "1 [图]标题一行"},
		{"a root makes a feed", "a.txt", `<?xml version="1.0"?><!-- <html> --><rss version="2.0"><channel><item><title>a</title></item></channel></rss>`, "1 a"},
		{"however late it comes", "-", "\n<!--" + strings.Repeat("x", 5000) + "--> <feed xmlns='http://www.w3.org/2005/Atom'><entry><title>a</title></entry></feed>", "2 a"},
		{"RDF is a feed", "a.xml", `<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><item><title>a</title></item></rdf:RDF>`, "1 a"},
		{"a page that speaks of feeds is a page", "a.html", `<html><title>标题很长的新闻页</title><h1>标题很长的新闻页</h1><div class=TRS_Editor><rss>正文</rss>`, "1 标题很长的新闻页"},
		{"a version makes a JSON feed", "a.json", `{"version":"https:\/\/jsonfeed.org\/version\/1.1","items":[{"title":"a"}]}`, "1 a"},
		{"an object that quotes it is NDJSON", "a.json", `{"title":"a","content_text":"{\"version\":\"https://jsonfeed.org/version/1\"}"}`, "1 a"},
	} {
		if got := strings.Join(read(tt.file, tt.in, ingest.Options{}), "|"); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestAReadErrorIsToldApart(t *testing.T) {
	broken := io.MultiReader(strings.NewReader("{\"title\":\"a\"}\n"), iotest.ErrReader(os.ErrPermission))
	var errs []error
	for r := range ingest.Read("a.ndjson", broken, ingest.Options{Now: now}) {
		errs = append(errs, r.Err)
	}
	if len(errs) != 2 || errs[0] != nil || !errors.Is(errs[1], os.ErrPermission) || errors.Is(errs[1], zonewire.ErrInvalid) {
		t.Errorf("got %v", errs)
	}
}

func TestALineOverTheLimitIsARejectAndMemoryStaysBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 64 MB")
	}
	long := func() io.Reader { return io.LimitReader(repeat("x"), 32<<20) }
	for _, tt := range []struct {
		name, file string
		in         io.Reader
		want       []string
	}{
		{"NDJSON", "a.ndjson", io.MultiReader(strings.NewReader("{\"title\":\"a\"}\n{\"title\":\""), long(), strings.NewReader("\"}\n{\"title\":\"c\"}\n")),
			[]string{"1 a", "2 ! the line is longer than 10 MB", "3 c"}},
		{"CSV", "a.csv", io.MultiReader(strings.NewReader("title,source\na,b\n"), long(), strings.NewReader("\nc,d\n")),
			[]string{"2 a", "3 ! the line is longer than 10 MB", "4 c"}},
		{"CSV with a quote that is never closed", "a.csv", strings.NewReader("title,source\na,b\n\"" + strings.Repeat(strings.Repeat("x", 1<<20)+"\n", 10) + "c,d\n"),
			[]string{"2 a", "3 ! the row is longer than 10 MB: is a quote not closed?", "13 c"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			var got []string
			for r := range ingest.Read(tt.file, tt.in, ingest.Options{Now: now}) {
				if r.Err != nil {
					got = append(got, fmt.Sprintf("%d ! %v", r.Line, r.Err))
				} else {
					got = append(got, fmt.Sprintf("%d %s", r.Line, r.Article.Title))
				}
			}
			runtime.ReadMemStats(&after)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if grown := after.Sys - before.Sys; grown > 64<<20 {
				t.Errorf("%d MB were taken from the system", grown>>20)
			}
		})
	}
}

func TestAMillionCharacterTitleIsCut(t *testing.T) {
	for name, title := range map[string]string{
		"Chinese":  strings.Repeat("长", 1_000_000),
		"brackets": strings.Repeat("<", 1_000_000),
		"entities": "长" + strings.Repeat("&amp;", 200_000),
		"nested":   "&" + strings.Repeat("amp;", 250_000) + "x",
	} {
		r := ingest.Object([]byte(`{"title":"`+title+`"}`), ingest.Options{Now: now})
		if n := len([]rune(r.Article.Title)); r.Err != nil || n != 500 || !strings.Contains(strings.Join(r.Warnings, "|"), "title is longer than 500 characters and was cut") {
			t.Errorf("%s: %d characters, %v, %.200q", name, n, r.Err, r.Warnings)
		}
	}
}

func TestReadingCanBeStopped(t *testing.T) {
	n := 0
	for range ingest.Read("a.ndjson", repeat("{\"title\":\"a\"}\n"), ingest.Options{Now: now}) {
		if n++; n == 10 {
			break
		}
	}
	if n != 10 {
		t.Errorf("read %d", n)
	}
}

func TestParseFormat(t *testing.T) {
	for in, want := range map[string]ingest.Format{"": ingest.Auto, "auto": ingest.Auto, "NDJSON": ingest.NDJSON, " csv": ingest.CSV, "page": ingest.Pages, "feed": ingest.Feed} {
		if got, err := ingest.ParseFormat(in); err != nil || got != want {
			t.Errorf("ParseFormat(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	if _, err := ingest.ParseFormat("xml"); !errors.Is(err, zonewire.ErrInvalid) {
		t.Errorf("got %v, want an ErrInvalid", err)
	}
}

// A file may be parsed in any order and by many at once.
func TestTasksAreIndependent(t *testing.T) {
	var ndjson, csv strings.Builder
	csv.WriteString("title,content,source\n")
	for i := range 50 {
		fmt.Fprintf(&ndjson, "{\"title\":\"%d\",\"content_html\":\"<div>%d\"}\n", i, i)
		fmt.Fprintf(&csv, "%d,<div>%d,本报\n", i, i)
	}
	ndjson.WriteString("{\n")
	array := "[" + strings.TrimSuffix(strings.ReplaceAll(strings.TrimSuffix(ndjson.String(), "{\n"), "\n", ",\n"), ",\n") + "]"
	for name, text := range map[string]string{"a.ndjson": ndjson.String(), "a.json": array, "a.csv": csv.String()} {
		want := slices.Collect(ingest.Read(name, strings.NewReader(text), ingest.Options{Now: now}))
		tasks := slices.Collect(ingest.Tasks(name, strings.NewReader(text), ingest.Options{Now: now}))
		got := make([]ingest.Record, len(tasks))
		var wg sync.WaitGroup
		for i := range tasks {
			wg.Go(func() { got[i] = tasks[i]() })
		}
		wg.Wait()
		if !reflect.DeepEqual(got, want) || len(got) < 50 {
			t.Errorf("%s: read at once it gives\n%+v\nwant\n%+v", name, got, want)
		}
	}
}
