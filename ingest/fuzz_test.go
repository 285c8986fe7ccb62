package ingest_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"zonewire/ingest"
)

// sound holds what every article must be, whatever it was read from.
func sound(t *testing.T, rec ingest.Record) {
	t.Helper()
	if rec.Err != nil {
		return
	}
	a := rec.Article
	for name, s := range map[string]string{"title": a.Title, "summary": a.Summary, "content": a.ContentHTML, "source": a.Source, "author": a.Author,
		"category": a.Category, "zone": a.ZoneRaw, "city": a.City, "province": a.Province, "id": a.ExternalID, "url": a.URL, "image": a.Image} {
		storable(t, name, s)
	}
	harmless(t, a.ContentHTML)
	if a.Title == "" || len([]rune(a.Title)) > 500 || strings.ContainsAny(a.Title, "\r\n") {
		t.Fatalf("title %q", a.Title)
	}
	if a.Published.IsZero() || a.Received.IsZero() || a.ContentHash == "" || a.URLCanon == "" && a.ExternalID == "" && a.TitleKey == "" {
		t.Fatalf("not identified: %+v", a)
	}
	if a.Suspect != (a.Precision == "") || a.Suspect && !a.Published.Equal(now) {
		t.Fatalf("published %v, precision %q, suspect %t", a.Published, a.Precision, a.Suspect)
	}
	if again := ingest.CleanHTML(a.ContentHTML, nil); again != a.ContentHTML {
		t.Fatalf("content %q, cleaned again %q", a.ContentHTML, again)
	}
}

func fuzzRows(f *testing.F, format ingest.Format, seeds ...string) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		last, total := 0, bytes.Count(b, []byte("\n"))+1
		for rec := range ingest.Read("x", bytes.NewReader(b), ingest.Options{Now: now, Format: format}) {
			if rec.Line < last || rec.Line > total+1 && len(b) > 1 && b[0] < 0xfe {
				t.Fatalf("line %d after %d, of %d", rec.Line, last, total)
			}
			last = rec.Line
			sound(t, rec)
		}
	})
}

func FuzzNDJSON(f *testing.F) {
	fuzzRows(f, ingest.NDJSON, `{"title":"a","id":1,"content_html":"<p>x","published":"2024-01-01","attachments":[{"url":"http://x.example/a.pdf"}]}`,
		"{\"title\":\"a\x00\",\"url\":\"http://例子.中国/?q=%zz#/x\",\"content_text\":\"一\\n\\n二\",\"image\":\"//x\"}\n\n5", "[{\"title\":\"a\"},\n{}", "\xff\xfe{\x00")
}

func FuzzCSV(f *testing.F) {
	fuzzRows(f, ingest.CSV, "title,content\na,\"b\nc\"\n\nd,e", "标题\t附件\na\thttp://x.example/a.pdf", "\xb1\xea\xcc\xe2\na", "title\n\"a", "\xfe\xff\x00t")
}

func FuzzZonesCSV(f *testing.F) {
	f.Add([]byte("代码,名称,别名\nG1,甲,乙、丙"))
	f.Add([]byte("slug;name\na;\"b"))
	f.Fuzz(func(t *testing.T, b []byte) {
		zones, _ := ingest.ZonesCSV(bytes.NewReader(b))
		for i := range zones {
			zones[i].ID = int64(i + 1)
			if err := zones[i].Validate(); err != nil {
				t.Fatal(err)
			}
		}
		match := ingest.NewMatcher(zones)
		for _, z := range zones {
			if id, ok := match(z.Slug, "", ""); !ok || id != z.ID {
				t.Fatalf("zone %+v is not found by its slug: %d", z, id)
			}
		}
	})
}

func FuzzCanonicalURL(f *testing.F) {
	for _, s := range []string{"http://例子.中国:80/a/../b?utm_x=1&b#/c", "https://mp.weixin.qq.com/s?__biz=a&mid=1", "http://[::1]:8080/%zz", "https://x/a;jsessionid=1?a=%2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		canon, ok := ingest.CanonicalURL(s)
		if !ok {
			return
		}
		for i := range len(canon) {
			if canon[i] <= ' ' || canon[i] >= 0x7f {
				t.Fatalf("CanonicalURL(%q) = %q is not ASCII", s, canon)
			}
		}
		if again, ok := ingest.CanonicalURL(canon); len(canon) < 2000 && (!ok || again != canon) {
			t.Fatalf("CanonicalURL(%q) = %q, and again %q", s, canon, again)
		}
	})
}

func BenchmarkReadNDJSON(b *testing.B) {
	paragraph := strings.Repeat("青禾湖新能源产业园二期工程正式开工，主要建设电池材料车间。", 8)
	var file strings.Builder
	const rows = 1000
	for i := range rows {
		fmt.Fprintf(&file, `{"zone":"金坛经开区","id":%d,"url":"https://x.example/%d.html","title":"青禾湖开工 %d","content_html":"%s","published":"2024-05-01 10:30"}`+"\n",
			i, i, i, strings.Repeat("<p>　　"+paragraph+"</p>", 10))
	}
	b.SetBytes(int64(file.Len()))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for rec := range ingest.Read("a.ndjson", strings.NewReader(file.String()), ingest.Options{Now: now}) {
			if rec.Err != nil {
				b.Fatal(rec.Err)
			}
			n++
		}
		if n != rows {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "articles/s")
}
