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
		charset, by  string
		want         string
	}{
		{"plain ASCII is UTF-8", "", []byte("abc"), "utf-8", "utf-8", "abc"},
		{"nothing is UTF-8", "", nil, "utf-8", "utf-8", ""},
		{"a byte order mark goes", "", []byte("\xef\xbb\xbf" + news), "utf-8", "bom", news},
		{"UTF-8 that declares gb2312 is UTF-8", "gb2312", []byte(meta("gb2312") + news), "utf-8", "utf-8", meta("gb2312") + news},
		{"UTF-8 cut in a character loses only that", "", []byte(strings.Repeat(news, 3) + "\xe5\xbc"), "utf-8", "utf-8", strings.Repeat(news, 3) + "\ufffd\ufffd"},
		{"gb2312 in the header means gb18030", "gb2312", gb, "gb18030", "http", news},
		{"gbk in the header means gb18030", "GBK", gb, "gb18030", "http", news},
		{"a label that is none of the WHATWG's", "cp936", gb, "gb18030", "http", news},
		{"a label with litter", ` "gb_2312-80"; `, gb, "gb18030", "http", news},
		{"a declaration of gb2312", "", append([]byte(meta("gb2312")), gb...), "gb18030", "declared", meta("gb2312") + news},
		{"a declaration far down", "", append([]byte(strings.Repeat(" ", 2000)+meta("gbk")), gb...), "gb18030", "declared", strings.Repeat(" ", 2000) + meta("gbk") + news},
		{"an XML declaration", "", append([]byte(`<?xml version="1.0" encoding="GBK"?>`), gb...), "gb18030", "declared", `<?xml version="1.0" encoding="GBK"?>` + news},
		{"the server's default says nothing", "ISO-8859-1", append([]byte(meta("gb2312")), gb...), "gb18030", "declared", meta("gb2312") + news},
		{"a header that says UTF-8 over GBK bytes is wrong", "utf-8", gb, "gb18030", "default", news},
		{"a label that nobody knows", "x-nonsense", gb, "gb18030", "default", news},
		{"nothing declared is Chinese", "", gb, "gb18030", "default", news},
		{"Big5 is recognised where there is enough of it", "", encode(t, traditionalchinese.Big5, long), "big5", "detected", long},
		{"another charset in the header counts", "shift_jis", encode(t, japanese.ShiftJIS, "開発区ニュース"), "shift_jis", "http", "開発区ニュース"},
		{"UTF-16LE with a mark", "", encode(t, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), news), "utf-16le", "bom", news},
		{"UTF-16BE with a mark", "", encode(t, unicode.UTF16(unicode.BigEndian, unicode.UseBOM), news), "utf-16be", "bom", news},
		{"UTF-16 cut in half", "", append(encode(t, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), news), 'x'), "utf-16le", "bom", news + "\ufffd"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ingest.Decode(tt.in, tt.header)
			if err != nil || got.Text != tt.want || got.Charset != tt.charset || got.By != tt.by {
				t.Errorf("got %q from %s by %s, %v; want %q from %s by %s", got.Text, got.Charset, got.By, err, tt.want, tt.charset, tt.by)
			}
			if n := strings.Count(tt.want, "\ufffd"); got.Replaced != n {
				t.Errorf("replaced %d, want %d", got.Replaced, n)
			}
		})
	}
}

func TestTheDefaultOfTheSourceIsTheLastThatCounts(t *testing.T) {
	text := "開發區新聞"
	big5 := encode(t, traditionalchinese.Big5, text)
	for _, tt := range []struct {
		name          string
		in            []byte
		said          ingest.Charsets
		charset, want string
	}{
		{"alone it decides", big5, ingest.Charsets{Default: "big5"}, "big5", text},
		{"before GB18030, not before HTTP", encode(t, simplifiedchinese.GB18030, text), ingest.Charsets{HTTP: "gbk", Default: "big5"}, "gb18030", text},
		{"not before UTF-8", []byte(text), ingest.Charsets{Default: "big5"}, "utf-8", text},
		{"one that cannot be is passed over", encode(t, simplifiedchinese.GB18030, "镕㙍𠮷"), ingest.Charsets{Default: "euc-kr"}, "gb18030", "镕㙍𠮷"},
		{"one that nobody knows is passed over", encode(t, simplifiedchinese.GB18030, text), ingest.Charsets{Default: "x"}, "gb18030", text},
		{"of western pages it may be iso-8859-1", []byte("Gr\xfcn\xdfe"), ingest.Charsets{HTTP: "iso-8859-1", Default: "iso-8859-1"}, "windows-1252", "Grünße"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ingest.DecodeAs(tt.in, tt.said)
			if err != nil || got.Text != tt.want || got.Charset != tt.charset {
				t.Errorf("got %q from %s, %v; want %q from %s", got.Text, got.Charset, err, tt.want, tt.charset)
			}
		})
	}
}

func TestCheckCharset(t *testing.T) {
	for label, ok := range map[string]bool{"": true, "gb18030": true, "GB2312": true, "cp936": true, "big5": true, "utf-8": true, "UTF8": true, "iso-8859-1": true,
		"hz-gb-2312": false, "unicode": false, "chinese-please": false} {
		if err := ingest.CheckCharset(label); (err == nil) != ok || err != nil && !errors.Is(err, zonewire.ErrInvalid) {
			t.Errorf("CheckCharset(%q) = %v, want ok %t", label, err, ok)
		}
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
	f.Add([]byte(news), "gbk", "")
	f.Add(encode(f, simplifiedchinese.GB18030, news), "", "gbk")
	f.Add([]byte("\xff\xfea\x00b"), "utf-16", "")
	f.Add([]byte("<meta charset=hz-gb-2312>~{<:Ky~}"), "replacement", "big5")
	for _, file := range fixtures(f, "testdata/encoding/*/page.*") {
		b, opts := fixture(f, file)
		f.Add(b, opts.HTTPCharset, opts.Charset)
	}
	f.Fuzz(func(t *testing.T, b []byte, header, source string) {
		d, err := ingest.DecodeAs(b, ingest.Charsets{HTTP: header, Default: source})
		if err != nil {
			if !errors.Is(err, zonewire.ErrInvalid) {
				t.Fatalf("DecodeAs(%q, %q, %q): %v", b, header, source, err)
			}
			return
		}
		if !utf8.ValidString(d.Text) || d.Charset == "" || d.By == "" {
			t.Fatalf("DecodeAs(%q, %q, %q) = %q from %q by %q", b, header, source, d.Text, d.Charset, d.By)
		}
		if n := strings.Count(d.Text, "\ufffd"); d.Replaced > n {
			t.Fatalf("DecodeAs(%q, %q, %q) replaced %d, and %d are in the text", b, header, source, d.Replaced, n)
		}
		if d.Charset != "utf-8" {
			return
		}
		again, err := ingest.DecodeAs([]byte(d.Text), ingest.Charsets{})
		if err != nil || again.Text != strings.TrimPrefix(d.Text, "\ufeff") {
			t.Fatalf("text %q, decoded again %q, %v", d.Text, again.Text, err)
		}
	})
}
