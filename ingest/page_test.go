package ingest_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"zonewire"
	"zonewire/ingest"
)

var update = flag.Bool("update", false, "write the golden files anew")

var now = time.Date(2025, 1, 15, 10, 0, 0, 0, zonewire.Shanghai)

// TestPages reads every testdata/page/<case>/page.html or page.txt, and those of testdata/encoding, and compares with
// want.json. A new case is a folder. Beside the page may lie what a source would tell: url, header (the charset of HTTP),
// charset (the source's), selectors.json and listed.json.
func TestPages(t *testing.T) {
	for _, kind := range []string{"page", "encoding"} {
		for _, file := range fixtures(t, "testdata/"+kind+"/*/page.*") {
			t.Run(kind+"/"+filepath.Base(filepath.Dir(file)), func(t *testing.T) {
				b, opts := fixture(t, file)
				golden(t, file, pageJSON(t, ingest.ReadPage(b, opts)))
			})
		}
	}
}

func fixtures(t testing.TB, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases like %s: %v", pattern, err)
	}
	return files
}

// fixture is a page as served, and what its source told.
func fixture(t testing.TB, file string) ([]byte, ingest.Options) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	beside := func(name string) string {
		b, err := os.ReadFile(filepath.Join(filepath.Dir(file), name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(b))
	}
	opts := ingest.Options{Now: now, URL: beside("url"), HTTPCharset: beside("header"), Charset: beside("charset")}
	for name, v := range map[string]any{"selectors.json": &opts.Selectors, "listed.json": &opts.Listed} {
		if s := beside(name); s != "" {
			if err := json.Unmarshal([]byte(s), v); err != nil {
				t.Fatalf("%s of %s: %v", name, file, err)
			}
		}
	}
	return b, opts
}

// golden compares with the want.json beside a fixture.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	name := filepath.Join(filepath.Dir(file), "want.json")
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// pageJSON is a record as want.json keeps it: one paragraph a line, empty fields left out.
func pageJSON(t *testing.T, rec ingest.Record) []byte {
	t.Helper()
	type want struct {
		Error       string                `json:"error,omitempty"`
		Title       string                `json:"title,omitempty"`
		Published   string                `json:"published,omitempty"`
		Precision   zonewire.Precision    `json:"precision,omitempty"`
		Suspect     bool                  `json:"suspect,omitempty"`
		Source      string                `json:"source,omitempty"`
		Author      string                `json:"author,omitempty"`
		Zone        string                `json:"zone_raw,omitempty"`
		City        string                `json:"city,omitempty"`
		Category    string                `json:"category,omitempty"`
		Language    string                `json:"language,omitempty"`
		URL         string                `json:"url,omitempty"`
		Canon       string                `json:"url_canon,omitempty"`
		Image       string                `json:"image,omitempty"`
		Summary     string                `json:"summary,omitempty"`
		Content     []string              `json:"content,omitempty"`
		Attachments []zonewire.Attachment `json:"attachments,omitempty"`
		Layers      map[string]string     `json:"layers,omitempty"`
		Charset     string                `json:"charset,omitempty"`
		Replaced    int                   `json:"replaced,omitempty"`
		Warnings    []string              `json:"warnings,omitempty"`
	}
	a := rec.Article
	w := want{Title: a.Title, Precision: a.Precision, Suspect: a.Suspect, Source: a.Source, Author: a.Author, Zone: a.ZoneRaw,
		City: a.City, Category: a.Category, Language: a.Language, URL: a.URL, Canon: a.URLCanon, Image: a.Image, Summary: a.Summary,
		Content: strings.Split(a.ContentHTML, "\n"), Attachments: a.Attachments, Layers: a.Layers, Charset: a.Charset, Replaced: a.Replaced, Warnings: rec.Warnings}
	if rec.Err != nil {
		w = want{Error: rec.Err.Error()}
	} else {
		w.Published = a.Published.Format(time.RFC3339)
	}
	return readableJSON(t, w)
}

func readableJSON(t *testing.T, v any) []byte {
	t.Helper()
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func one(t *testing.T, records func(func(ingest.Record) bool)) ingest.Record {
	t.Helper()
	var all []ingest.Record
	for r := range records {
		all = append(all, r)
	}
	if len(all) != 1 {
		t.Fatalf("got %d records, want 1: %+v", len(all), all)
	}
	return all[0]
}

// TestSamplePage reads a real page that is kept outside the repository. What it says is compared by shape and by hash.
func TestSamplePage(t *testing.T) {
	f, err := os.Open("../../shared/sample/portal-page.txt")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the sample page is not here")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	raw, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	rec := one(t, ingest.Read("portal-page.txt", bytes.NewReader(raw), ingest.Options{Now: now}))
	if rec.Err != nil || len(rec.Warnings) > 0 {
		t.Fatalf("err %v, warnings %q", rec.Err, rec.Warnings)
	}
	a := rec.Article
	lines := strings.Split(string(raw), "\n")
	if a.Title != lines[2] {
		t.Errorf("title %q, want the third line", a.Title)
	}
	if got := a.Published.Format(time.RFC3339); got != "2022-12-29T00:00:00+08:00" || a.Precision != zonewire.PrecisionDay || a.Suspect {
		t.Errorf("published %s, precision %q, suspect %t", got, a.Precision, a.Suspect)
	}
	if a.City != "常州" || a.Category != "文字新闻" {
		t.Errorf("city %q, category %q", a.City, a.Category)
	}
	for field, want := range map[string][2]string{
		"source": {a.Source, "f60cdb8e0766d1dd"},
		"zone":   {a.ZoneRaw, "704b920c1e9e9253"},
	} {
		sum := sha256.Sum256([]byte(want[0]))
		if got := hex.EncodeToString(sum[:8]); got != want[1] {
			t.Errorf("%s %q has hash %s, want %s", field, want[0], got, want[1])
		}
	}
	paragraphs := strings.Split(a.ContentHTML, "\n")
	if len(paragraphs) != 15 {
		t.Errorf("%d paragraphs, want 15", len(paragraphs))
	}
	whole := regexp.MustCompile(`^<p>[^<>]+</p>$`)
	for i, p := range paragraphs {
		if !whole.MatchString(p) {
			t.Errorf("paragraph %d is no single p element", i+1)
		}
	}
	text := ingest.PlainText(strings.ReplaceAll(a.ContentHTML, "\n", ""))
	if n := len([]rune(strings.ReplaceAll(text, " ", ""))); n < 2300 || n > 2342 {
		t.Errorf("the body has %d characters, want nearly 2342", n)
	}
	for _, c := range []string{"上一条", "下一条", "与我们联系", "联系电话", "Copyright", "版权所有", "您现在的位置", "发布时间", "发布开发区", "@"} {
		if strings.Contains(a.ContentHTML, c) || strings.Contains(a.Summary, c) {
			t.Errorf("chrome in the body: %s", c)
		}
	}
	if a.TitleKey == "" || a.ContentHash == "" || a.URLCanon != "" {
		t.Errorf("identity: title key %q, content hash %q, url %q", a.TitleKey, a.ContentHash, a.URLCanon)
	}
}

func TestPageRefuses(t *testing.T) {
	for _, tt := range []struct{ name, page, want string }{
		{"nothing", "", "the page is empty"},
		{"white space", " \n\u3000\n", "the page is empty"},
		{"a page without any text", "<html><body><div></div></body></html>", "no title was found in the page"},
		{"a title alone", "<html><head><title>只有标题没有正文的页面</title></head><body></body></html>", "no text of an article was found in the page"},
		{"an error of the server", "<title>500 Internal Server Error</title><h1>Internal Server Error</h1><p>nginx</p>", "the page is an error of its server (500internalservererror)"},
		{"an error of the program", "<body><h1>系统错误</h1><p>请稍后再试，或与管理员联系。</p></body>", "the page is an error of its server (系统错误)"},
		{"a wall for browsers only", "<title>门户</title><body><noscript>请开启JavaScript并刷新该页。</noscript><p>请开启JavaScript并刷新该页</p></body>", "the page wants a browser (请开启javascript): nothing is read from it"},
		{"a page that leads elsewhere by a script", "<script>window.location.href='/waf?'+document.cookie</script>", "the page wants a browser: it is empty but for a script that sets a cookie or leads elsewhere"},
		{"an article that is no longer", "<title>门户</title><body><p>您访问的文章已被删除或不存在</p></body>", "the page says that it does not exist (您访问的文章已被删除或不存在)"},
		{"a page nested too deep", "<html><body>" + strings.Repeat("<div>", 600) + "正文", "the page cannot be parsed: html: open stack of elements exceeds 512 nodes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec := ingest.ReadPage([]byte(tt.page), ingest.Options{Now: now})
			if !errors.Is(rec.Err, zonewire.ErrInvalid) || rec.Err.Error() != tt.want {
				t.Errorf("got %v, want %s", rec.Err, tt.want)
			}
		})
	}
}

func TestPageLargerThanTheLimitIsRefused(t *testing.T) {
	rec := one(t, ingest.Read("big.html", io.LimitReader(repeat("<p>长"), 11<<20), ingest.Options{Now: now}))
	if rec.Err == nil || rec.Err.Error() != "the page is larger than 10 MB" {
		t.Errorf("got %v", rec.Err)
	}
}

// repeat is a reader of s without end.
type repeat string

func (s repeat) Read(p []byte) (int, error) {
	n := 0
	for n+len(s) <= len(p) {
		n += copy(p[n:], s)
	}
	if n == 0 {
		return 0, io.ErrShortBuffer
	}
	return n, nil
}
