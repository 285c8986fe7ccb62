package ingest_test

import (
	"testing"
	"unicode/utf8"

	"zonewire/ingest"
)

func TestQuickObject(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     bool
	}{
		{"an empty object", " {} ", true},
		{"strings", `{"title":"一","zone":"","wibble":"x"}`, true},
		{"white space", "{ \"title\" :\t\"一\" ,\r\n\"url\": null }", true},
		{"escapes", `{"title":"\"\\\/\b\f\n\r\t\u4e00\ud83c\udf89","ti\u0074le":"二"}`, true},
		{"half of a surrogate pair", `{"title":"a\ud83cb\udf89c\ud83c\u4e00"}`, true},
		{"numbers and other values", `{"id":-12.5e3,"published":1733011200,"a":true,"b":null,"c":[1,{"d":"]}\""}],"title":"一"}`, true},
		{"attachments", `{"title":"一","attachments":[{"url":"https://x.example/a.pdf","length":3}]}`, true},
		{"the last of two of a name counts", `{"title":"一","title":null,"attachments":[{"url":"a","name":"b"}],"attachments":[{"url":"c"}],"id":"1","id":2}`, true},

		{"nothing", "", false},
		{"no object", "[]", false},
		{"more than one", "{}{}", false},
		{"an object that breaks off", `{"title":"一"`, false},
		{"a string that breaks off", `{"title":"一`, false},
		{"an escape that breaks off", `{"title":"一\`, false},
		{"a number that breaks off", `{"id":1`, false},
		{"a comma too many", `{"title":"一",}`, false},
		{"an unknown escape", `{"title":"\x"}`, false},
		{"a short escape", `{"title":"\u12"}`, false},
		{"a raw control character", "{\"title\":\"a\tb\"}", false},
		{"a word that is no value", `{"a":nil}`, false},
		{"a number that is none", `{"id":01}`, false},
		{"brackets that do not match", `{"a":[1}}`, false},
		{"a field of a wrong type", `{"title":5}`, false},
		{"attachments of a wrong type", `{"attachments":"x"}`, false},
		{"attachments of a wrong type inside", `{"attachments":[{"url":5}]}`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, taken, _, _ := ingest.ObjectBothWays(tt.in); taken != tt.want {
				t.Errorf("%s: taken %t", tt.in, taken)
			}
			sameObject(t, tt.in)
		})
	}
}

// sameObject fails if the short way reads an object otherwise than the long way does.
func sameObject(t *testing.T, s string) {
	t.Helper()
	quick, taken, long, err := ingest.ObjectBothWays(s)
	if taken && (err != nil || quick != long) {
		t.Errorf("%q\nis read the short way as %s\nand the long way as %s, %v", s, quick, long, err)
	}
}

func FuzzQuickObject(f *testing.F) {
	for _, s := range []string{
		`{"title":"一\u4e8c\n","id":1,"attachments":[{"url":"a"}],"x":{"y":[null]}}`, `{"title":"\ud83c\udf89","published":null}`,
		`{"a":"\\","b":"\/"}`, `{"id":1e5 , "id" : "x"}`, "{\"a\":1\n}", `{"title":"` + "\u2028" + `"}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if utf8.ValidString(s) {
			sameObject(t, s)
		}
	})
}
