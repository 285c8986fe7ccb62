package ingest_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"zonewire"
	"zonewire/ingest"
)

// TestLists reads every testdata/list/<case>/list.html or list.json and compares with want.json. A new case is a folder,
// with the same files beside the page as TestPages knows.
func TestLists(t *testing.T) {
	for _, file := range fixtures(t, "testdata/list/*/list.*") {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			b, opts := fixture(t, file)
			golden(t, file, listJSON(t, b, opts))
		})
	}
}

// listJSON is a list as want.json keeps it: an entry a line.
func listJSON(t *testing.T, b []byte, opts ingest.Options) []byte {
	t.Helper()
	type want struct {
		Error   string   `json:"error,omitempty"`
		Title   string   `json:"title,omitempty"`
		Entries []string `json:"entries,omitempty"` // date | title | address
		Next    string   `json:"next,omitempty"`
		Feeds   []string `json:"feeds,omitempty"`
		Charset string   `json:"charset,omitempty"`
	}
	list, err := ingest.ReadList(b, opts)
	w := want{Title: list.Title, Next: list.Next, Feeds: list.Feeds, Charset: list.Charset}
	if err != nil {
		w.Error = err.Error()
	}
	for _, e := range list.Entries {
		w.Entries = append(w.Entries, e.Date+" | "+e.Title+" | "+e.URL)
	}
	return readableJSON(t, w)
}

// readItems reads a list of two items with the markup of the first given.
func readItems(t *testing.T, item string, more string) ingest.ListDoc {
	t.Helper()
	page := `<html><head><title>动态</title></head><body><ul>` + item + `<li><a href="/a/2002.html">青禾湖码头改造工程完工</a></li></ul>` + more + `</body></html>`
	list, err := ingest.ReadList([]byte(page), ingest.Options{Now: now, URL: "https://x.example/dt/index.html"})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestTheDateOfAnEntry(t *testing.T) {
	link := `<a href="/a/2001.html">青禾湖产业园二期开工</a>`
	for _, tt := range []struct{ name, item, want string }{
		{"behind the link", `<li>` + link + `<span>2025-01-09</span></li>`, "2025-01-09"},
		{"before it", `<li><span>2025.01.09</span>` + link + `</li>`, "2025.01.09"},
		{"with a time", `<li>` + link + ` 2025/1/9 8:05</li>`, "2025/1/9 8:05"},
		{"in Chinese", `<li>` + link + `<i>2025年1月9日</i></li>`, "2025年1月9日"},
		{"in square brackets without a year", `<li>` + link + `[01-09]</li>`, "01-09"},
		{"in full-width brackets", `<li>` + link + `（01-09）</li>`, "01-09"},
		{"month and day in Chinese", `<li>` + link + ` 1月9日</li>`, "1月9日"},
		{"the day set apart in large digits", `<li><b>09</b><i>2025-01</i>` + link + `</li>`, "2025-01-09"},
		{"the day under year and month", `<li><i>2025年01月</i><b>09</b>` + link + `</li>`, "2025年01月 09"},
		{"month and day above the year", `<li><b>01-09</b><i>2025</i>` + link + `</li>`, "2025-01-09"},
		{"relative", `<li>` + link + `<em>3小时前</em></li>`, "3小时前"},
		{"of a time element", `<li>` + link + `<time datetime="2025-01-09T08:00:00+08:00">上周</time></li>`, "2025-01-09T08:00:00+08:00"},
		{"inside the link", `<li><a href="/a/2001.html"><span>01-09</span>青禾湖产业园二期开工</a></li>`, "01-09"},
		{"inside the link at its end", `<li><a href="/a/2001.html">青禾湖产业园二期开工 2025-01-09</a></li>`, "2025-01-09"},
		{"beside the second link to the article", `<li><a href="/a/2001.html"><img alt="青禾湖产业园二期开工"></a></li><li>` + link + `[01-09]</li>`, "01-09"},
		{"not one of the title", `<li><a href="/a/2001.html">关于2025年1月9日停电检修的通知</a></li>`, ""},
		{"not one beside it before one of the title", `<li><a href="/a/2001.html">关于2025年1月9日停电检修的通知</a>[01-07]</li>`, "01-07"},
		{"not a number of views", `<li>` + link + `<span>12-345</span></li>`, ""},
		{"not one in the future", `<li>` + link + `<span>2035-01-09</span></li>`, ""},
		{"none", `<li>` + link + `</li>`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := readItems(t, tt.item, "").Entries[0]; got.Date != tt.want {
				t.Errorf("got %q, want %q, of %s", got.Date, tt.want, tt.item)
			}
		})
	}
}

func TestTheTitleOfAnEntry(t *testing.T) {
	for _, tt := range []struct{ name, link, want string }{
		{"is the text of the link", `<a href="/a/2001.html"> 青禾湖产业园 二期开工 </a>`, "青禾湖产业园 二期开工"},
		{"without bullets", `<a href="/a/2001.html">· 青禾湖产业园二期开工</a>`, "青禾湖产业园二期开工"},
		{"without its date", `<a href="/a/2001.html">[01-09]青禾湖产业园二期开工</a>`, "青禾湖产业园二期开工"},
		{"is the attribute where the text is cut off", `<a href="/a/2001.html" title="青禾湖产业园二期工程正式开工">青禾湖产业园二期工…</a>`, "青禾湖产业园二期工程正式开工"},
		{"also where nothing says so", `<a href="/a/2001.html" title="青禾湖产业园二期工程正式开工">青禾湖产业园二期工</a>`, "青禾湖产业园二期工程正式开工"},
		{"not where the attribute says other things", `<a href="/a/2001.html" title="点击查看">青禾湖产业园二期开工</a>`, "青禾湖产业园二期开工"},
		{"is the first line of an attribute", "<a href=\"/a/2001.html\" title=\"文章标题：青禾湖产业园二期工程正式开工\n作者：江渡\">青禾湖产业..</a>", "青禾湖产业园二期工程正式开工"},
		{"stays cut off where nothing has it whole", `<a href="/a/2001.html">青禾湖产业园二期工程正...</a>`, "青禾湖产业园二期工程正..."},
		{"is the headline of a card", `<a href="/a/2001.html"><img src="1.jpg"><h3>青禾湖产业园二期开工</h3><p>1月9日上午，二期工程正式开工，占地四百二十亩。</p></a>`, "青禾湖产业园二期开工"},
		{"is what a picture says", `<a href="/a/2001.html"><img src="1.jpg" alt="青禾湖产业园二期开工"></a>`, "青禾湖产业园二期开工"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := readItems(t, `<li>`+tt.link+`</li>`, "").Entries[0]; got.Title != tt.want {
				t.Errorf("got %q, want %q, of %s", got.Title, tt.want, tt.link)
			}
		})
	}
}

func TestTheNextPageOfAList(t *testing.T) {
	for _, tt := range []struct{ name, paging, want string }{
		{"by its text", `<a href="index_2.html">下一页</a>`, "https://x.example/dt/index_2.html"},
		{"by its text with an arrow", `<a href="index_2.html">下一页 &gt;&gt;</a>`, "https://x.example/dt/index_2.html"},
		{"by an arrow", `<a href="index_2.html">&gt;</a><a href="index_9.html">&gt;&gt;</a>`, "https://x.example/dt/index_2.html"},
		{"by rel=next", `<a rel="next" href="?page=2">更早</a>`, "https://x.example/dt/index.html?page=2"},
		{"by a script", `<a href="javascript:;" onclick="location.href='index_2.html'">下页</a>`, "https://x.example/dt/index_2.html"},
		{"by numbers, of which this page's is no link", `<b>1</b><a href="index_2.html">2</a><a href="index_3.html">3</a>`, "https://x.example/dt/index_2.html"},
		{"by numbers, of which one leads here", `<a href="index.html">1</a><a href="index_2.html">2</a>`, "https://x.example/dt/index_2.html"},
		{"by numbers in the middle", `<a href="1.html">1</a><b>2</b><a href="3.html">3</a><a href="4.html">4</a>`, "https://x.example/dt/3.html"},
		{"by the script of TRS", `<script>createPageHTML(5, 0, "index", "html");</script>`, "https://x.example/dt/index_1.html"},
		{"by the script of TRS on a later page", `<script>createPageHTML('page', 5, 3, 'index', 'shtml', 99)</script>`, "https://x.example/dt/index_4.shtml"},
		{"none on the last page", `<script>createPageHTML(5, 4, "index", "html");</script>`, ""},
		{"none where it is no link", `<a href="index.html">1</a><span>下一页</span>`, ""},
		{"none on another host", `<a href="https://y.example/dt/2.html">下一页</a>`, ""},
		{"none that is this page", `<a href="index.html">下一页</a>`, ""},
		{"none that only ends like it", `<a href="/app.html">下载APP手机版阅读下一页</a>`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := readItems(t, `<li><a href="/a/2001.html">青禾湖产业园二期开工</a></li>`, `<div class="paging">`+tt.paging+`</div>`).Next; got != tt.want {
				t.Errorf("got %q, want %q, of %s", got, tt.want, tt.paging)
			}
		})
	}
}

func TestReadListRefuses(t *testing.T) {
	for _, tt := range []struct{ name, page, want string }{
		{"nothing", "", "the page is empty"},
		{"no JSON", "{", "the JSON of the list cannot be read: unexpected EOF"},
		{"JSON without a list", `{"code":500,"msg":"系统异常"}`, "no list of articles is in the JSON: none of its arrays has objects with title and url"},
		{"menus only", `<div class="nav"><a href="/1234.html">网上办事服务大厅首页</a><a href="/1235.html">政府信息公开专栏首页</a></div>`,
			"no list of articles is in the page: give a list-selector, or the address that the page's script asks for its list"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ingest.ReadList([]byte(tt.page), ingest.Options{Now: now, URL: "https://x.example/dt/"})
			if !errors.Is(err, zonewire.ErrInvalid) || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestNoMoreThan200Entries(t *testing.T) {
	var page strings.Builder
	for i := range 500 {
		fmt.Fprintf(&page, `<li><a href="/a/%d.html">青禾湖产业园二期开工第%d天</a></li>`, 1000+i, i)
	}
	list, err := ingest.ReadList([]byte(page.String()), ingest.Options{Now: now, URL: "https://x.example/"})
	if err != nil || len(list.Entries) != 200 || list.Entries[199].URL != "https://x.example/a/1199.html" {
		t.Errorf("got %d entries, %v; want the first 200", len(list.Entries), err)
	}
}
