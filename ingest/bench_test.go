package ingest_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"zonewire/ingest"
)

// BenchmarkPages reads portal pages: those of testdata, which hold little but what makes them hard, and one as large as
// portals serve, with its menus and an article of 7 KB. The yardstick parses the same bytes once and does nothing with
// the tree; a page is parsed whole, and its body again when it is cleaned.
func BenchmarkPages(b *testing.B) {
	type page struct {
		bytes []byte
		opts  ingest.Options
	}
	var all []page
	for _, file := range fixtures(b, "testdata/page/*/page.html") {
		bytes, opts := fixture(b, file)
		all = append(all, page{bytes, opts})
	}
	for _, set := range []struct {
		name  string
		pages []page
	}{{"fixtures", all}, {"portal", []page{{portalPage(), ingest.Options{Now: now, URL: "https://zone.example/art/1.html"}}}}} {
		b.Run(set.name, func(b *testing.B) {
			var work, yard time.Duration
			n, size := 0, 0
			for b.Loop() {
				began := time.Now()
				for _, p := range set.pages {
					ingest.ReadPage(p.bytes, p.opts)
				}
				work += time.Since(began)
				began = time.Now()
				for _, p := range set.pages {
					if _, err := html.Parse(bytes.NewReader(p.bytes)); err != nil {
						b.Fatal(err)
					}
					size += len(p.bytes)
				}
				yard += time.Since(began)
				n += len(set.pages)
			}
			b.ReportMetric(float64(n)/work.Seconds(), "pages/s")
			b.ReportMetric(float64(size)/float64(n)/1000, "KB/page")
			b.ReportMetric(yard.Seconds()/work.Seconds(), "of-parse")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// portalPage is a page of the size that portals serve.
func portalPage() []byte {
	var menu, body strings.Builder
	for i := range 250 {
		fmt.Fprintf(&menu, "<li class=\"nav-item\"><a href=\"/col/col%d/index.html\" target=\"_blank\" title=\"栏目%d\">政务公开栏目%d</a></li>\n", i, i, i)
	}
	for i := range 15 {
		fmt.Fprintf(&body, "<p style=\"text-indent: 2em\"><span style=\"font-size: 16px\">　　青禾湖开发区第%d批项目今天开工，%s。</span></p>\n", i, strings.Repeat("总投资与去年同期相比稳步增长", 10))
	}
	return []byte(`<!DOCTYPE html><html><head><meta charset="utf-8"><meta name="ArticleTitle" content="青禾湖开发区集中开工"><meta name="PubDate" content="2024-12-01 09:30">
<title>青禾湖开发区集中开工_青禾湖</title></head><body><ul>` + menu.String() + `</ul><h1>青禾湖开发区集中开工</h1><div>发布时间：2024-12-01　来源：青禾湖融媒体中心</div>
<div class="TRS_Editor">` + body.String() + `</div><div>上一篇：云栖港首单</div><ul>` + menu.String() + `</ul><div>版权所有</div></body></html>`)
}
