package zonewire_test

import (
	"strings"
	"testing"

	"zonewire"
)

func TestCleanTextDropsWhatNoReaderCanParse(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain text stays", "开发区 A & B\t\r\n", "开发区 A & B\t\r\n"},
		{"NUL, ESC and DEL go", "a\x00b\x1bc\x7fd", "abcd"},
		{"C1 controls go", "a\u0085b\u009fc", "abc"},
		{"bad UTF-8 and its stand-in go", "a\xffb\ufffdc", "abc"},
		{"noncharacters go", "a\ufdd0b\uffffc\U0001fffed", "abcd"},
		{"emoji, four-byte Han, bidi marks and zero-width spaces stay", "😀𠮷\u200f\u200b", "😀𠮷\u200f\u200b"},
	} {
		if got := zonewire.CleanText(c.in); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestShorten(t *testing.T) {
	for _, c := range []struct {
		name string
		max  int
		in   string
		want string
	}{
		{"a short text stays", 5, "开发区", "开发区"},
		{"one that just fits stays", 5, "经济开发区", "经济开发区"},
		{"a longer one ends in an ellipsis", 5, "国家级开发区", "国家级开…"},
		{"no space before the ellipsis", 5, "abc defg", "abc…"},
		{"bytes are not characters", 2, "𠮷𠮷𠮷", "𠮷…"},
		{"nothing stays nothing", 5, "", ""},
	} {
		if got := zonewire.Shorten(c.in, c.max); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func FuzzShorten(f *testing.F) {
	f.Add("国家级开发区")
	f.Add("\xff\xfe")
	f.Add(strings.Repeat(" ", 9))
	f.Fuzz(func(t *testing.T, s string) {
		if got := len([]rune(zonewire.Shorten(s, 5))); got > 5 {
			t.Errorf("Shorten(%q, 5) has %d characters", s, got)
		}
	})
}
