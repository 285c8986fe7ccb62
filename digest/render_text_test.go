package digest

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestClip(t *testing.T) {
	tests := []struct {
		name  string
		give  string
		limit int
		want  string
	}{
		{"what fits stays", "开发区早报", 10, "开发区早报"},
		{"a Chinese text is cut at a character", "开发区早报", 9, "开发区…"},
		{"a Latin text is cut at a word", "development zones", 16, "development…"},
		{"a word longer than the room is cut inside", strings.Repeat("x", 100), 12, strings.Repeat("x", 10) + "…"},
		{"punctuation before the ellipsis goes", "开发，区早报", 8, "开发…"},
		{"no room", "开发区", 0, ""},
		{"empty", "", 5, ""},
	}
	for _, tt := range tests {
		if got := clip(tt.give, tt.limit); got != tt.want {
			t.Errorf("%s: clip(%q, %d): got %q, want %q", tt.name, tt.give, tt.limit, got, tt.want)
		}
	}
}

func TestPlainText(t *testing.T) {
	tests := []struct {
		name string
		give string
		want string
	}{
		{"paragraphs", "<p>one</p><p>two</p>", "one two"},
		{"no space after a Chinese full stop", "<p>一。</p><p>二。</p>", "一。二。"},
		{"no space inside a sentence", "开<b>发</b>区", "开发区"},
		{"entities", "<p>A&amp;B &lt;i&gt;</p>", "A&B <i>"},
		{"script and style are not read", "<style>p{}</style><script>x</script><p>y</p>", "y"},
		{"not closed", "<p>一<b>二", "一二"},
		{"a comment", "a<!-- b -->c", "ac"},
	}
	for _, tt := range tests {
		if got := plainText(tt.give, 100); got != tt.want {
			t.Errorf("%s: plainText(%q): got %q, want %q", tt.name, tt.give, got, tt.want)
		}
	}
}

func TestCleanTakesOutWhatIsNotSeen(t *testing.T) {
	if got, want := clean(" a\r\n\tb\u202e\u2066c\x00\u3000d\ufffd "), "a bc d"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestShareIsFair(t *testing.T) {
	tests := []struct {
		name  string
		n     int
		sizes []int
		had   []int
		want  []int
	}{
		{"room for all", 9, []int{3, 1, 2}, []int{0, 0, 0}, []int{3, 1, 2}},
		{"a busy zone leaves room for quiet ones", 5, []int{10, 1, 2}, []int{0, 0, 0}, []int{2, 1, 2}},
		{"the first come first", 2, []int{2, 2, 2}, []int{0, 0, 0}, []int{1, 1, 0}},
		{"who had some waits for the others", 4, []int{5, 5, 5}, []int{2, 0, 0}, []int{0, 2, 2}},
		{"and goes on with them", 6, []int{5, 5, 5}, []int{2, 0, 1}, []int{1, 3, 2}},
		{"or alone once they are through", 4, []int{5, 1, 1}, []int{12, 0, 0}, []int{2, 1, 1}},
		{"none to share", 0, []int{2}, []int{0}, []int{0}},
		{"fewer than none", -1, []int{2}, []int{0}, []int{0}},
		{"none to get", 4, nil, nil, []int{}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, share(tt.n, tt.sizes, tt.had)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.name, diff)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, seed := range []string{"", "开发区 news", "<p>a<b>b</p><script>c", "https://例.cn/新?q=\"", "javascript:x", "\xff\xfe", "&#0;&#x202e;x", "http://[::1]:80/%zz"} {
		f.Add(seed, 7)
	}
	f.Fuzz(func(t *testing.T, s string, limit int) {
		one := clean(s)
		if strings.ContainsFunc(one, unicode.IsControl) || one != clean(one) {
			t.Errorf("clean(%q) = %q", s, one)
		}
		short := clip(one, limit)
		if columns(short) > max(limit, 2) || (utf8.ValidString(one) && !utf8.ValidString(short)) {
			t.Errorf("clip(%q, %d) = %q", one, limit, short)
		}
		if text := plainText(s, 80); strings.ContainsFunc(text, unicode.IsControl) {
			t.Errorf("plainText(%q) = %q", s, text)
		}
	})
}
