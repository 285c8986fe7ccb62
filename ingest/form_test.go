package ingest_test

import (
	"net/url"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"

	"zonewire/ingest"
)

// shortRecord tells what was read of a form or an object in one line.
func shortRecord(rec ingest.Record) string {
	if rec.Err != nil {
		return "! " + rec.Err.Error()
	}
	a := rec.Article
	return strings.Join([]string{a.ZoneRaw, a.ExternalID, a.Title, a.Source, a.Category, a.Summary, a.Published.Format("2006-01-02 15:04"), a.ContentHTML, a.Charset}, "|")
}

func TestAFormIsReadUnderAnyOfItsNames(t *testing.T) {
	gbk := func(s string) string {
		t.Helper()
		return string(encode(t, simplifiedchinese.GB18030, s))
	}
	big5 := func(s string) string {
		t.Helper()
		return string(encode(t, traditionalchinese.Big5, s))
	}
	for _, tc := range []struct {
		name   string
		form   url.Values
		header string // charset of the Content-Type
		want   string
	}{
		{"the names of the NDJSON form",
			url.Values{"zone": {"a"}, "id": {"7"}, "title": {"青禾湖开工"}, "source": {"青禾报"}, "category": {"要闻"}, "summary": {"一"}, "content_html": {"<p>正文</p>"}, "published": {"2025-01-10 08:30"}}, "",
			"a|7|青禾湖开工|青禾报|要闻|一|2025-01-10 08:30|<p>正文</p>|utf-8"},
		{"the names of collector tools",
			url.Values{"title": {"青禾湖开工"}, "origin": {"青禾报"}, "cate_name": {"要闻"}, "description": {"一"}, "content": {"<p>正文</p>"}, "publish_time": {"1736469000"}, "tags": {"甲,乙"}}, "",
			"||青禾湖开工|青禾报|要闻|一|2025-01-10 08:30|<p>正文</p>|utf-8"},
		{"Chinese names in GBK, with nothing that says so",
			url.Values{gbk("标题"): {gbk("青禾湖开工")}, gbk("正文"): {gbk("第一段。\n\n第二段。")}, gbk("来源"): {gbk("青禾报")}, gbk("发布时间"): {gbk("2025年1月10日 08时30分")}}, "",
			"||青禾湖开工|青禾报||第一段。第二段。|2025-01-10 08:30|<p>第一段。</p>\n<p>第二段。</p>|gb18030"},
		{"a word that happens to be UTF-8 among those that are not",
			url.Values{"title": {gbk("联通")}, "content": {gbk("青禾湖与联通签约。")}, "published": {"2025-01-10"}}, "",
			"||联通|||青禾湖与联通签约。|2025-01-10 00:00|<p>青禾湖与联通签约。</p>|gb18030"},
		{"the charset of the header",
			url.Values{"title": {big5("青禾湖開工")}, "published": {"2025-01-10"}}, "big5",
			"||青禾湖開工||||2025-01-10 00:00||big5"},
		{"the charset of the form before that of the header",
			url.Values{"_charset_": {"big5"}, "title": {big5("青禾湖開工")}, "published": {"2025-01-10"}}, "gbk",
			"||青禾湖開工||||2025-01-10 00:00||big5"},
		{"a name of ours before another's",
			url.Values{"title": {"题"}, "origin": {"乙"}, "source": {"甲"}, "published": {"2025-01-10"}}, "",
			"||题|甲|||2025-01-10 00:00||utf-8"},
		{"another's name where ours is blank",
			url.Values{"title": {"题"}, "origin": {"乙"}, "source": {" "}, "published": {"2025-01-10"}}, "",
			"||题|乙|||2025-01-10 00:00||utf-8"},
		{"without a title", url.Values{"content": {"正文"}}, "", "! title is missing"},
		{"nothing", url.Values{}, "", "! title is missing"},
		{"no text", url.Values{"title": {strings.Repeat("\x00\x01", 40)}}, "", "! this is not text: 80 of 86 characters cannot be read as utf-8"},
		{"a mark of UTF-16 hides where the fields end", url.Values{"\xff\xfe": {"abc"}}, "", "! the form cannot be read as utf-16le"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := shortRecord(ingest.Form(tc.form, ingest.Options{Now: now, HTTPCharset: tc.header})); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestAPostedObjectIsReadUnderAnyOfItsNames(t *testing.T) {
	gbk := func(s string) string {
		t.Helper()
		return string(encode(t, simplifiedchinese.GB18030, s))
	}
	for _, tc := range []struct{ name, body, want string }{
		{"ours", `{"zone":"a","id":7,"title":"题","source":"甲","content_text":"正文","published":"2025-01-10"}`,
			"a|7|题|甲||正文|2025-01-10 00:00|<p>正文</p>|utf-8"},
		{"those of collector tools, HTML", `{"title":"题","origin":"甲","cate_name":"要闻","content":"<p>正文</p>","publish_time":1736469000,"keywords":["甲"]}`,
			"||题|甲|要闻|正文|2025-01-10 08:30|<p>正文</p>|utf-8"},
		{"those of collector tools, text", `{"Title":"题","content":"正文","date":"2025-01-10"}`, "||题|||正文|2025-01-10 00:00|<p>正文</p>|utf-8"},
		{"ours before another's", `{"title":"题","source":"甲","origin":"乙","published":"2025-01-10","date":"2020-01-01"}`, "||题|甲|||2025-01-10 00:00||utf-8"},
		{"another's where ours is null", `{"title":"题","source":null,"origin":"乙","published":"","date":"2025-01-10"}`, "||题|乙|||2025-01-10 00:00||utf-8"},
		{"GBK", gbk(`{"标题":"青禾湖开工","发布时间":"2025-01-10"}`), "||青禾湖开工||||2025-01-10 00:00||gb18030"},
		{"a field of another type", `{"title":["题"]}`, "! field title must be a string, not an array"},
		{"no object", `[1]`, "! this must be a JSON object, not an array"},
		{"no JSON", `{"title":`, "! not JSON: unexpected end of JSON input"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := shortRecord(ingest.Posted([]byte(tc.body), ingest.Options{Now: now})); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}
