package ingest_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"zonewire"
	"zonewire/ingest"
)

// Whatever a short way of cleaning takes, it must clean as the long way does.
func sameAsTheLongWay(t interface{ Fatalf(string, ...any) }, s string) (short bool) {
	want, err := ingest.CleanAny(s, pageBase)
	if ingest.IsClean(s) {
		if short = true; err != nil || want != s {
			t.Fatalf("recognised as clean:\n%q\ncleaned it is\n%q, %v", s, want, err)
		}
	}
	if trimmed := strings.TrimSpace(s); ingest.IsClean(trimmed) && (err != nil || want != trimmed) {
		t.Fatalf("recognised as clean but for white space around it:\n%q\ncleaned it is\n%q, %v", s, want, err)
	}
	if got, ok := ingest.CleanPlain(s, pageBase); ok {
		if short = true; err != nil || want != got {
			t.Fatalf("cleaned\n%q\nthe short way\n%q\nthe long way\n%q, %v", s, got, want, err)
		}
	}
	return short
}

func TestIsClean(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     bool
	}{
		{"nothing", "", true},
		{"text", "一 &amp; &#34;二&#34;", true},
		{"paragraphs", "<p>一</p>\n<p>二<br/>三</p>", true},
		{"headings and quotes", "<h2>一</h2><blockquote><p>二</p></blockquote><blockquote>三</blockquote>", true},
		{"lists in lists", "<ul>\n<li>一<ul><li>二</li></ul></li>\n<li><p>三</p></li></ul><ol start=\"3\"><li>四</li></ol>", true},
		{"inline elements", "<p><strong>一<em>二</em></strong><sub>三</sub> 四</p>", true},
		{"a link as we write it", `<p><a href="https://x.example/a?b=1&amp;c=%E4%B8%80" rel="nofollow noopener" title="一">二</a></p>`, true},
		{"an image as we write it", `<p><img src="https://x.example/a.png" alt="图" width="300" height="200"/></p>`, true},
		{"a table as it is parsed", `<table><tbody><tr><th colspan="2">一</th><td></td></tr></tbody></table>`, true},
		{"accents and rare letters", "<p>é Ω ạ 𠮷 カ 가</p>", true},

		{"white space around it", " <p>一</p>", false},
		{"an indent", "<p>　　一</p>", false},
		{"an indent inside an inline element", "<p><b>　一</b></p>", false},
		{"an indent after a break", "<p>一<br/> 二</p>", false},
		{"white space at a block's end", "<p>一 </p>", false},
		{"an empty paragraph", "<p>一</p><p></p>", false},
		{"a paragraph of breaks", "<p><br/></p>", false},
		{"a void element written short", "<p>一<br>二</p>", false},
		{"capitals", "<P>一</P>", false},
		{"an attribute", `<p class="a">一</p>`, false},
		{"a naked quote", `<p>"一"</p>`, false},
		{"another reference", "<p>一&nbsp;</p>", false},
		{"a link that does not say nofollow", `<a href="https://x.example/a">一</a>`, false},
		{"a relative link", `<a href="/a" rel="nofollow noopener">一</a>`, false},
		{"another scheme", `<a href="javascript:x" rel="nofollow noopener">一</a>`, false},
		{"a link without a path", `<a href="https://x.example" rel="nofollow noopener">一</a>`, false},
		{"an address of Chinese", `<a href="https://x.example/一" rel="nofollow noopener">一</a>`, false},
		{"user-info", `<a href="https://a:b@x.example/" rel="nofollow noopener">一</a>`, false},
		{"a counting pixel", `<img src="https://x.example/a.png" alt="" width="1"/>`, false},
		{"attributes in another order", `<img alt="" src="https://x.example/a.png"/>`, false},
		{"a link in a link", `<a href="https://x.example/a" rel="nofollow noopener">一<b><a href="https://x.example/a" rel="nofollow noopener">二</a></b></a>`, false},
		{"a block in a paragraph", "<p>一<ul><li>二</li></ul></p>", false},
		{"an item without a list", "<li>一</li>", false},
		{"text in a table", "<table>一<tbody><tr><td>二</td></tr></tbody></table>", false},
		{"a table without a body", "<table><tr><td>二</td></tr></table>", false},
		{"an element left open", "<p>一", false},
		{"elements that cross", "<p><b><i>一</b></i></p>", false},
		{"a div", "<div><p>一</p></div>", false},
		{"a script", "<script>x</script>", false},
		{"a comment", "<p>一<!-- 二 --></p>", false},
		{"text that is not NFC", "<p>e\u0301</p>", false},
		{"a mark behind a tag", "<p>\u0301一</p>", false},
		{"a mark behind a reference", "<p>一&gt;\u0338</p>", false},
		{"a control character", "<p>一\u0085</p>", false},
		{"bytes that are no text", "<p>一\xff</p>", false},
		{"a hundred links", strings.Repeat(`<a href="https://x.example/a" rel="nofollow noopener">一</a>`, 100), true},
		{"more", strings.Repeat(`<a href="https://x.example/a" rel="nofollow noopener">一</a>`, 101), false},
		{"nested thirty deep", strings.Repeat("<blockquote>", 30) + "一" + strings.Repeat("</blockquote>", 30), true},
		{"nested deeper", strings.Repeat("<blockquote>", 40) + "一" + strings.Repeat("</blockquote>", 40), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := ingest.IsClean(tt.in); got != tt.want {
				t.Errorf("IsClean(%.200q) = %t", tt.in, got)
			}
			sameAsTheLongWay(t, tt.in)
		})
	}
}

// What editors and portals write is cleaned the short way, or the short way saves nothing.
func TestOrdinaryHTMLIsCleanedTheShortWay(t *testing.T) {
	for _, in := range []string{
		`<p style="text-indent:2em"><span style="font-size:16px">　　一&nbsp;二</span></p><p>&nbsp;</p><p><br></p>`,
		`<div class="TRS_Editor"><p align=center><img src="./W1.jpg" OLDSRC="W1.jpg" /></p><p>&ensp;&ensp;一<font face="宋体">二</font>三</p></div>`,
		`<section><section><p><span><strong><span>一</span></strong></span>二</p></section></section>`,
		`<DIV><DIV>一</DIV><DIV>二<BR>　　三</DIV></DIV>`,
		`<table border="1"><colgroup><col></colgroup><tr><td width="20">一<td>二</table><p>三<o:p></o:p></p>`,
		`<ul><li> 一<li><a href="/a.pdf" target="_blank">二</a></ul><center>三</center>`,
		`　　一<br>　　二<br><br>　　三`,
		`<p>一<a name="x"></a>二<a href="javascript:;">三</a><script>x</script><!-- y --></p>`,
	} {
		if _, ok := ingest.CleanPlain(in, pageBase); !ok {
			t.Errorf("not cleaned the short way: %s", in)
		}
		sameAsTheLongWay(t, in)
	}
}

var htmlPieces = []string{
	"<p>", "</p>", "<p style='a:b'>", "<div>", "</div>", "<section>", "</section>", "<span>", "</span>", "<font>", "</font>", "<b>", "</b>",
	"<strong>", "</strong>", "<i>", "</i>", "<a>", "<a href=/x>", `<a href="https://x.example/a" rel="nofollow noopener">`, "</a>", "<ul>",
	"</ul>", "<ol start=2>", "</ol>", "<li>", "</li>", "<h2>", "</h2>", "<blockquote>", "</blockquote>", "<table>", "</table>", "<tbody>",
	"</tbody>", "<tr>", "</tr>", "<td>", "</td>", "<th colspan=2>", "</th>", "<br>", "<br/>", "<hr>", "<pre>", "</pre>", "<col>", "<q>", "</q>",
	`<img src="https://x.example/a.png" alt=""/>`, "<img data-src=b.png title=' 一' width=9>", "<o:p>", "</o:p>", "<marquee>", "</marquee>",
	"<button>", "</button>", "<figcaption>", "</figcaption>", "<form>", "</form>", "<nobr>", "</nobr>", "<script>", "</script>", "<!--", "-->",
	"<caption>", "</caption>", "<dd>", "</dd>", "<label>", "</label>", "<tt>", "</tt>", "<svg>", "</svg>", "<code>", "</code>",
	"一", "二", " ", "　", "\n", "&nbsp;", "&amp;", "&lt;", "<", ">", "\"", "'", "\u0338", "e", "\u0301", "\u200b", "\r", "\x00",
}

// paired are elements in the order that a parser keeps, so that more of what is drawn is near clean.
func paired(t *rapid.T, depth int) string {
	var out strings.Builder
	for range rapid.IntRange(0, 3).Draw(t, "n") {
		name := rapid.SampledFrom([]string{"", "", "p", "p", "div", "span", "b", "em", "ul><li", "blockquote", "h3", "table><tbody><tr><td", "font", "a href=/x", "i"}).Draw(t, "name")
		if name == "" || depth == 0 {
			out.WriteString(rapid.SampledFrom([]string{"一", "二 ", " 三", "　四", "<br>", "&nbsp;", "\n", "<img src=/a.png>", "e\u0301"}).Draw(t, "text"))
			continue
		}
		out.WriteString("<" + name + ">" + paired(t, depth-1))
		elements := strings.Split(name, "><")
		for i := range elements {
			end, _, _ := strings.Cut(elements[len(elements)-1-i], " ")
			out.WriteString("</" + end + ">")
		}
	}
	return out.String()
}

func TestShortWaysOfCleaningAgreeWithTheLongOne(t *testing.T) {
	short, all := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		s := paired(t, 4)
		if rapid.Bool().Draw(t, "wild") {
			at := rapid.IntRange(0, len(s)).Draw(t, "at")
			s = s[:at] + strings.Join(rapid.SliceOfN(rapid.SampledFrom(htmlPieces), 0, 8).Draw(t, "pieces"), "") + s[at:]
		}
		if all++; sameAsTheLongWay(t, s) {
			short++
		}
		white := rapid.SampledFrom([]string{"", " ", "\n", "\u3000", "\u0085", "\u00a0\n", "\u2028"})
		sameAsTheLongWay(t, white.Draw(t, "before")+ingest.CleanHTML(s, pageBase)+white.Draw(t, "behind"))
	})
	if short < all/3 {
		t.Errorf("of %d fragments only %d went a short way: this tests little", all, short)
	}
}

func FuzzShortWaysOfCleaning(f *testing.F) {
	for _, s := range []string{
		`<p>一</p><p><a href="https://x.example/a" rel="nofollow noopener">二</a></p>`, `<table><tbody><tr><td>一</td></tr></tbody></table>`,
		"<p><span>一<p>二</span>", "<div><font><b>一</font>二</b></div>", "<ul><li>一<li>二</ul>", "<figcaption><p>一", "<p><marquee><p>一", "<b><b>一",
		strings.Join(htmlPieces, ""),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { sameAsTheLongWay(t, s) })
}

// The ranges that settled takes for granted are as the tables of Unicode have them.
func TestSettledTextIsCleanWhereverItIsCut(t *testing.T) {
	n := 0
	for r := rune(0); r <= utf8.MaxRune; r++ {
		s := string(r)
		if !ingest.Settled(s) {
			continue
		}
		n++
		if !zonewire.TextRune(r) || !norm.NFC.IsNormalString(s) || !norm.NFC.PropertiesString(s).BoundaryBefore() {
			t.Errorf("%U passes", r)
		}
	}
	if n < 100_000 {
		t.Errorf("only %d characters pass", n)
	}
}
