package address_test

import (
	"errors"
	"strings"
	"testing"

	"zonewire"
	"zonewire/internal/address"
	"zonewire/internal/provider"
)

func TestParse(t *testing.T) {
	long := strings.Repeat("a", 64)
	for _, tt := range []struct {
		name, in, given, key, wire string
	}{
		{"a plain address is its own three forms", "a@example.com", "a@example.com", "a@example.com", "a@example.com"},
		{"white space around goes", "  a@example.com\t", "a@example.com", "a@example.com", "a@example.com"},
		{"case is kept for mail and dropped for comparing", "Li.Wei@Example.COM", "Li.Wei@Example.COM", "li.wei@example.com", "Li.Wei@example.com"},
		{"a Chinese domain goes to ASCII", "li@例子.中国", "li@例子.中国", "li@xn--fsqu00a.xn--fiqs8s", "li@xn--fsqu00a.xn--fiqs8s"},
		{"a Chinese full stop is a dot", "li@qq。com", "li@qq。com", "li@qq.com", "li@qq.com"},
		{"full-width letters of a domain are narrowed", "li@ｑｑ.com", "li@ｑｑ.com", "li@qq.com", "li@qq.com"},
		{"localhost needs no dot", "root@localhost", "root@localhost", "root@localhost", "root@localhost"},
		{"signs and digits are fine", "12345+news_x@qq.com", "12345+news_x@qq.com", "12345+news_x@qq.com", "12345+news_x@qq.com"},
		{"64 characters before the @ are fine", long + "@example.com", long + "@example.com", long + "@example.com", long + "@example.com"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := address.Parse(tt.in)
			_, domain, _ := strings.Cut(tt.wire, "@")
			want := zonewire.Address{Given: tt.given, Key: tt.key, Wire: tt.wire, Provider: provider.Group(domain)}
			if err != nil || got != want {
				t.Errorf("Parse(%q) = %+v, %v; want %+v", tt.in, got, err, want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":                     "",
		"only spaces":                 "   ",
		"no at sign":                  "example.com",
		"two at signs":                "a@b@example.com",
		"nothing before the at sign":  "@example.com",
		"nothing after it":            "a@",
		"a display name":              "Li Wei <li@example.com>",
		"angle brackets":              "<li@example.com>",
		"quotes with spaces":          `"li wei"@example.com`,
		"a header injected":           "li@example.com\r\nBcc: x@example.com",
		"a line break at the end":     "li@example.com\n",
		"a NUL":                       "li\x00@example.com",
		"a control character":         "li\x01@example.com",
		"bytes that are not UTF-8":    "li@\xff.com",
		"a local part in Chinese":     "李伟@example.com",
		"a domain without a dot":      "li@example",
		"two addresses":               "a@example.com,b@example.com",
		"a dot at the end":            "li.@example.com",
		"two dots in a row":           "l..i@example.com",
		"an empty label":              "li@example..com",
		"a domain that ends in a dot": "li@example.com.",
		"a label that ends in -":      "li@example-.com",
		"an underscore in the domain": "li@ex_ample.com",
		"an address literal":          "li@[127.0.0.1]",
		"65 characters":               strings.Repeat("a", 65) + "@example.com",
		"255 characters":              strings.Repeat("a", 64) + "@" + strings.Repeat(strings.Repeat("b", 60)+".", 3) + "cccc.com",
		"a space in the middle":       "li wei@example.com",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := address.Parse(in)
			if !errors.Is(err, zonewire.ErrInvalid) {
				t.Errorf("Parse(%q) = %+v, %v; want an ErrInvalid", in, got, err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a@example.com", "李@例子.中国", "a@b@c.d", "<a@b.c>", "a@xn--a.com", "a@1.2.3.4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := address.Parse(s)
		if err != nil {
			if !errors.Is(err, zonewire.ErrInvalid) {
				t.Fatalf("Parse(%q): %v is no ErrInvalid", s, err)
			}
			return
		}
		for _, form := range []string{a.Key, a.Wire} {
			for i := range len(form) {
				if form[i] <= ' ' || form[i] >= 0x7f {
					t.Fatalf("Parse(%q) = %+q: not printable ASCII", s, form)
				}
			}
			again, err := address.Parse(form)
			if err != nil || again.Key != a.Key {
				t.Fatalf("Parse(%q) = %+v, and its form %q gives %+v, %v", s, a, form, again, err)
			}
		}
	})
}
