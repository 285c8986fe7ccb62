package ingest_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/text/unicode/norm"

	"zonewire/ingest"
)

var pageBase = &url.URL{Scheme: "https", Host: "www.zone.example", Path: "/news/2024/t1.html"}

func TestCleanHTML(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"nothing stays nothing", "", ""},
		{"a paragraph stays", "<p>一</p>", "<p>一</p>"},
		{"text without tags stays", "一 & 二", "一 &amp; 二"},
		{"scripts go with what is in them", "<p>一</p><script>alert(1)</script><style>p{}</style>", "<p>一</p>"},
		{"handlers and styles go", `<p onclick="x()" style="color:red" class="a" id="b">一</p>`, "<p>一</p>"},
		{"a javascript link leaves its words", `<p><a href="javascript:alert(1)">一</a></p>`, "<p>一</p>"},
		{"a disguised javascript link too", "<p><a href=\" java\tscript:alert(1)\">一</a></p>", "<p>一</p>"},
		{"a data link too", `<p><a href="data:text/html,x">一</a></p>`, "<p>一</p>"},
		{"a tel link too", `<p><a href="tel:123">一</a></p>`, "<p>一</p>"},
		{"data images go", `<p>一<img src="data:image/png;base64,AAAA"></p>`, "<p>一</p>"},
		{"frames, svg, video and forms go", `<iframe src="//x"></iframe><svg onload=x><text>a</text></svg><video src=x></video><p>一<input><button>b</button></p>`, "<p>一</p>"},
		{"comments go", "<p>一<!-- [if mso] x --></p>", "<p>一</p>"},
		{"a link is absolute and not followed", `<a href="../a.html?x=1&y=2" target=_blank>一</a>`, `<a href="https://www.zone.example/news/a.html?x=1&amp;y=2" rel="nofollow noopener">一</a>`},
		{"a link without scheme gets the page's", `<a href="//cdn.example/a">一</a>`, `<a href="https://cdn.example/a" rel="nofollow noopener">一</a>`},
		{"a Chinese address is encoded", `<a href="/中文 名.pdf">一</a>`, `<a href="https://www.zone.example/%E4%B8%AD%E6%96%87%20%E5%90%8D.pdf" rel="nofollow noopener">一</a>`},
		{"a Chinese host is ASCII", `<a href="http://例子.中国/a">一</a>`, `<a href="http://xn--fsqu00a.xn--fiqs8s/a" rel="nofollow noopener">一</a>`},
		{"user-info in an address is refused", `<a href="https://a:b@x.example/">一</a>`, "一"},
		{"a mail address stays", `<a href="mailto:a@b.example">一</a>`, `<a href="mailto:a@b.example" rel="nofollow noopener">一</a>`},
		{"a place in the page goes", `<a href="#top">一</a><a name="x">二</a>`, "一二"},
		{"a lazy image is made real", `<img src="/blank.gif" data-src="a.jpg" alt="图">`, `<img src="https://www.zone.example/news/2024/a.jpg" alt="图"/>`},
		{"an image without alt gets an empty one", `<img src="a.jpg">`, `<img src="https://www.zone.example/news/2024/a.jpg" alt=""/>`},
		{"a counting pixel goes", `<p>一<img src="https://t.example/x.gif" width="1" height="1"></p>`, "<p>一</p>"},
		{"sizes stay if they are numbers", `<img src="a.jpg" width="100%" height="300">`, `<img src="https://www.zone.example/news/2024/a.jpg" alt="" height="300"/>`},
		{"open tags are closed", "<div><p>一<b>二", "<p>一<b>二</b></p>"},
		{"stray ends go", "</div></p>一</b>", "一"},
		{"tags that cross are sorted", "<p><b>一<i>二</b>三</i></p>", "<p><b>一<i>二</i></b><i>三</i></p>"},
		{"a quote in an attribute opens nothing", `<a href="https://x.example/" title='"><script>x</script>'>一</a>`, `<a href="https://x.example/" rel="nofollow noopener" title="&#34;&gt;&lt;script&gt;x&lt;/script&gt;">一</a>`},
		{"elements of editors turn into paragraphs", "<section><section><span style='x'>一</span></section></section><center>二</center>", "<p>一</p><p>二</p>"},
		{"elements of Word and of portals go, their words stay", "<ucapcontent><p>一<o:p>二</o:p><font color=red>三</font></p></ucapcontent>", "<p>一二三</p>"},
		{"indents and empty paragraphs go", "<p>　　一</p><p>&nbsp;</p><p><br></p><p>&ensp;<b>　二</b></p>", "<p>一</p><p><b>二</b></p>"},
		{"indents behind line breaks go", "<p>一<br>　　二<br>\n三</p>", "<p>一<br/>二<br/>三</p>"},
		{"full-width text is not folded", "<p>１２，（三）：</p>", "<p>１２，（三）：</p>"},
		{"control characters go", "<p>一\x00\x0b\u0085\ufffe&#0;&#11;&#x9f;二\ufffd</p>", "<p>一Ÿ二</p>"},
		{"text is NFC", "<p>e\u0301</p>", "<p>é</p>"},
		{"a mark cannot melt into a tag", "<p>\u0338一</p>", "<p>一</p>"},
		{"a table stays a table", "<table border=1><tr><td colspan=2 bgcolor=red>一<td>二</table>", `<table><tbody><tr><td colspan="2">一</td><td>二</td></tr></tbody></table>`},
		{"what is nested too deep is read as text", strings.Repeat("<div>", 600) + "一", "<p>一</p>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ingest.CleanHTML(tt.in, pageBase)
			if got != tt.want {
				t.Errorf("CleanHTML(%.200q)\n got %q\nwant %q", tt.in, got, tt.want)
			}
			if again := ingest.CleanHTML(got, pageBase); again != got {
				t.Errorf("cleaned again it is %q, not %q", again, got)
			}
		})
	}
}

func TestCleanHTMLWithoutBaseDropsRelativeAddresses(t *testing.T) {
	got := ingest.CleanHTML(`<p><a href="/a">一</a><img src="b.jpg"><a href="https://x.example/c">二</a></p>`, nil)
	if want := `<p>一<a href="https://x.example/c" rel="nofollow noopener">二</a></p>`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCleanHTMLLimitsLinksAndImages(t *testing.T) {
	got := ingest.CleanHTML(strings.Repeat(`<p><a href="https://x.example/">词</a><img src="https://x.example/a.png"></p>`, 300), nil)
	links, images, words := strings.Count(got, "<a "), strings.Count(got, "<img "), strings.Count(got, "词")
	if links != 100 || images != 200 || words != 300 {
		t.Errorf("%d links, %d images, %d words; want 100, 200, 300", links, images, words)
	}
}

func TestPlainText(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain text stays", "石桥河 2024", "石桥河 2024"},
		{"tags go", "<b>石桥河</b><br/>开工", "石桥河 开工"},
		{"entities are decoded", "A&amp;B&nbsp;&lt;C&#26032;", "A&B <C新"},
		{"entities encoded twice are decoded twice", "A&amp;amp;B", "A&B"},
		{"tags that entities hide go", "&lt;b&gt;石桥河&lt;/b&gt;", "石桥河"},
		{"angle brackets that are no tags stay", "5 < 6 > 4, <AI> 与 <<规划>>", "5 < 6 > 4, <AI> 与 <<规划>>"},
		{"a script goes with what is in it", "石<script>alert(1)</script>桥", "石桥"},
		{"control characters go and white space collapses", " 石\x00桥\u0085\t\n　河 ", "石桥 河"},
		{"full-width punctuation stays", "石桥河：开工（图）", "石桥河：开工（图）"},
		{"text is NFC", "Cafe\u0301", "Café"},
		{"emoji and rare characters stay", "𠮷祥🎉", "𠮷祥🎉"},
	} {
		if got := ingest.PlainText(tt.in); got != tt.want {
			t.Errorf("%s: PlainText(%q) = %q, want %q", tt.name, tt.in, got, tt.want)
		}
	}
}

func TestTextToHTML(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"nothing stays nothing", " \n\n", ""},
		{"a line is a paragraph", "一", "<p>一</p>"},
		{"without blank lines each line is a paragraph", "一\r\n　　二\n", "<p>一</p>\n<p>二</p>"},
		{"blank lines part paragraphs, others break lines", "一\n二\n\n  三\n", "<p>一<br/>二</p>\n<p>三</p>"},
		{"what looks like HTML is text", "<b>&amp;", "<p>&lt;b&gt;&amp;amp;</p>"},
	} {
		got := ingest.TextToHTML(tt.in)
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
		if clean := ingest.CleanHTML(got, nil); clean != got {
			t.Errorf("%s: cleaned it is %q, not %q", tt.name, clean, got)
		}
	}
}

// storable reports what may not be in stored text.
func storable(t *testing.T, what, s string) {
	t.Helper()
	if !utf8.ValidString(s) {
		t.Fatalf("%s is not UTF-8: %q", what, s)
	}
	for _, r := range s {
		if r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r >= 0x7f && r <= 0x9f || r == 0xfffd ||
			r >= 0xfdd0 && r <= 0xfdef || r&0xfffe == 0xfffe {
			t.Fatalf("%s holds %U: %q", what, r, s)
		}
	}
	if !norm.NFC.IsNormalString(s) {
		t.Fatalf("%s is not NFC: %+q", what, s)
	}
}

var (
	safeElements = " p br hr div h1 h2 h3 h4 h5 h6 ul ol li dl dt dd blockquote pre code b strong i em u s del ins sub sup small table caption thead tbody tfoot tr td th a img "
	safeAddress  = regexp.MustCompile(`^(?:https?://[^/]|mailto:)`)
)

// harmless reports markup that should not have passed.
func harmless(t *testing.T, s string) {
	t.Helper()
	z := html.NewTokenizer(strings.NewReader(s))
	for z.Next() != html.ErrorToken {
		switch token := z.Token(); token.Type {
		case html.StartTagToken, html.SelfClosingTagToken:
			if !strings.Contains(safeElements, " "+token.Data+" ") {
				t.Fatalf("element %s in %q", token.Data, s)
			}
			for _, a := range token.Attr {
				switch a.Key {
				case "href", "src":
					if !safeAddress.MatchString(a.Val) {
						t.Fatalf("address %q in %q", a.Val, s)
					}
				case "alt", "title", "rel", "width", "height", "colspan", "rowspan", "start":
				default:
					t.Fatalf("attribute %s in %q", a.Key, s)
				}
			}
		case html.CommentToken, html.DoctypeToken:
			t.Fatalf("comment or doctype in %q", s)
		}
	}
}

func FuzzCleanHTML(f *testing.F) {
	for _, s := range []string{
		`<p onclick=x>一<script>x</script><a href="javascript:x">二</a><img data-src=/a.png src=b>`,
		"<table><b><tr><td>一</b></table><p><table>", "<a href=x><a href=y><div><p></a>", "<b><p></b>\u0338", "<select><option><math><mi><svg><p>",
		"<pre>\n\n一</pre>", "<p><b><i></p>一</b>", "<dl><dt><dd><li><ul>", "</p></br>", "<h1><h2><hr></h1>", "&#0;&ampamp;&lt;script&gt;",
		"<div><div>一</div>二<div><img src=/x></div></div>", "<frameset><frame>", "<table><td><table><td>一<caption>", "<form><form><button><nobr><nobr>",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := ingest.CleanHTML(s, pageBase)
		storable(t, "CleanHTML", got)
		harmless(t, got)
		if again := ingest.CleanHTML(got, pageBase); again != got {
			t.Fatalf("CleanHTML(%q) = %q, cleaned again %q", s, got, again)
		}
	})
}

func FuzzStripTags(f *testing.F) {
	for _, s := range []string{"<p>一<b>二</b></p>", "5 < 6 <AI> <p>", "<p a=b>一</p", "一<script><p></script>二", "<o:p>一</o:p>", "<p/><br/>", "</title><p>一", "<p>一\x00<i>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if short, long := ingest.StripBothWays(s); short != long {
			t.Fatalf("%q without tags is %q the short way, %q the long way", s, short, long)
		}
	})
}
