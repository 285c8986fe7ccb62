package ingest_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"

	"zonewire"
	"zonewire/ingest"
)

const news = "青禾湖新能源产业园二期工程正式开工，镕㙍𠮷"

func encode(t testing.TB, enc encoding.Encoding, s string) []byte {
	t.Helper()
	b, err := enc.NewEncoder().Bytes([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDecode(t *testing.T) {
	gb := encode(t, simplifiedchinese.GB18030, news)
	meta := func(label string) string {
		return `<meta http-equiv="Content-Type" content="text/html; charset=` + label + `">`
	}
	long := strings.Repeat("開發區新聞與招商資訊，歡迎各界人士前來參觀。", 20)
	for _, tt := range []struct {
		name, header string
		in           []byte
		charset      string
		want         string
	}{
		{"plain ASCII is UTF-8", "", []byte("abc"), "utf-8", "abc"},
		{"nothing is UTF-8", "", nil, "utf-8", ""},
		{"a byte order mark goes", "", []byte("\xef\xbb\xbf" + news), "utf-8", news},
		{"UTF-8 that declares gb2312 is UTF-8", "gb2312", []byte(meta("gb2312") + news), "utf-8", meta("gb2312") + news},
		{"UTF-8 cut in a character loses only that", "", []byte(strings.Repeat(news, 3) + "\xe5\xbc"), "utf-8", strings.Repeat(news, 3) + "\ufffd\ufffd"},
		{"gb2312 in the header means gb18030", "gb2312", gb, "gb18030", news},
		{"gbk in the header means gb18030", "GBK", gb, "gb18030", news},
		{"a label that is none of the WHATWG's", "cp936", gb, "gb18030", news},
		{"a label with litter", ` "gb_2312-80"; `, gb, "gb18030", news},
		{"a declaration of gb2312", "", append([]byte(meta("gb2312")), gb...), "gb18030", meta("gb2312") + news},
		{"a declaration far down", "", append([]byte(strings.Repeat(" ", 2000)+meta("gbk")), gb...), "gb18030", strings.Repeat(" ", 2000) + meta("gbk") + news},
		{"an XML declaration", "", append([]byte(`<?xml version="1.0" encoding="GBK"?>`), gb...), "gb18030", `<?xml version="1.0" encoding="GBK"?>` + news},
		{"the server's default says nothing", "ISO-8859-1", append([]byte(meta("gb2312")), gb...), "gb18030", meta("gb2312") + news},
		{"a header that says UTF-8 over GBK bytes is wrong", "utf-8", gb, "gb18030", news},
		{"a label that nobody knows", "x-nonsense", gb, "gb18030", news},
		{"nothing declared is Chinese", "", gb, "gb18030", news},
		{"Big5 is recognised where there is enough of it", "", encode(t, traditionalchinese.Big5, long), "big5", long},
		{"another charset in the header counts", "shift_jis", encode(t, japanese.ShiftJIS, "開発区ニュース"), "shift_jis", "開発区ニュース"},
		{"UTF-16LE with a mark", "", encode(t, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), news), "utf-16le", news},
		{"UTF-16BE with a mark", "", encode(t, unicode.UTF16(unicode.BigEndian, unicode.UseBOM), news), "utf-16be", news},
		{"UTF-16 cut in half", "", append(encode(t, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), news), 'x'), "utf-16le", news + "\ufffd"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ingest.Decode(tt.in, tt.header)
			if err != nil || got.Text != tt.want || got.Charset != tt.charset {
				t.Errorf("got %q from %s, %v; want %q from %s", got.Text, got.Charset, err, tt.want, tt.charset)
			}
			if n := strings.Count(tt.want, "\ufffd"); got.Replaced != n {
				t.Errorf("replaced %d, want %d", got.Replaced, n)
			}
		})
	}
}

func TestDecodeRefusesWhatIsNoText(t *testing.T) {
	noise := make([]byte, 4096)
	for i := range noise {
		noise[i] = byte(i*7919 ^ i>>3)
	}
	for name, b := range map[string][]byte{
		"random bytes":  noise,
		"NUL bytes":     make([]byte, 100),
		"a zip archive": append([]byte("PK\x03\x04\x14\x00\x00\x00\x08\x00"), noise...),
	} {
		if d, err := ingest.Decode(b, ""); !errors.Is(err, zonewire.ErrInvalid) {
			t.Errorf("%s: got %.40q as %s, %v; want an ErrInvalid", name, d.Text, d.Charset, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(news), "gbk")
	f.Add(encode(f, simplifiedchinese.GB18030, news), "")
	f.Add([]byte("\xff\xfea\x00b"), "utf-16")
	f.Add([]byte("<meta charset=hz-gb-2312>~{<:Ky~}"), "replacement")
	f.Fuzz(func(t *testing.T, b []byte, header string) {
		d, err := ingest.Decode(b, header)
		if err != nil {
			return
		}
		if !utf8.ValidString(d.Text) || d.Charset == "" {
			t.Fatalf("Decode(%q, %q) = %q from %q", b, header, d.Text, d.Charset)
		}
	})
}
