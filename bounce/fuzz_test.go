package bounce_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zonewire/bounce"
)

func FuzzParse(f *testing.F) {
	mails, err := filepath.Glob("testdata/*/mail.eml")
	if err != nil {
		f.Fatal(err)
	}
	for _, m := range mails {
		raw, err := os.ReadFile(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, "")
		f.Add(raw, leave)
	}
	f.Add([]byte("Content-Type: text/plain; charset=utf-16\nContent-Transfer-Encoding: base64\n\n//5hAGI"), "@")
	f.Add([]byte("Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\nSubject: =3D?x?=\n=\n"), ofNotice)
	f.Fuzz(func(t *testing.T, raw []byte, to string) {
		b := bounce.Reader{Secret: secret}.Parse(raw, to)
		sound(t, raw, b)
	})
}

// Whoever knows an address of ours can make us read anything. Each of these would take minutes if some step did not
// take linear time, or had no bound.
func TestParseTakesBoundedTime(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector makes it twenty times as slow")
	}
	const size = 1 << 20
	fill := func(head, unit, tail string) string {
		return head + strings.Repeat(unit, max(0, size-len(head)-len(tail))/len(unit)) + tail
	}
	report := "Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n"
	daemon := "From: MAILER-DAEMON@a.example\nSubject: failure notice\n\n"
	var nested strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&nested, "Content-Type: multipart/mixed; boundary=%d\n\n--%d\n", i, i)
	}
	for name, mail := range map[string]string{
		"many fields":                       fill("", "a:\n", ""),
		"one field of many lines":           fill("Subject: a", "\n b", "\n\n"),
		"encoded words without an end":      fill("Subject: ", "=?a?Q?", "?=\n\n"),
		"many parameters":                   fill("Content-Type: multipart/mixed", "; boundary=b", "\n\n"),
		"many parts":                        fill("Content-Type: multipart/mixed; boundary=b\n\n", "--b\n\na\n", ""),
		"parts within parts":                nested.String(),
		"mails within mails":                fill("", "Content-Type: message/rfc822\n\n", ""),
		"lines of a report that say naught": fill(report, "-\n", ""),
		"many failed recipients":            fill(report, "Final-Recipient: rfc822; a@b.example\nAction: failed\n\n", ""),
		"a text of codes":                   fill(daemon, "550 ", ""),
		"a text of addresses":               fill(daemon, "a@b.example ", ""),
		"a text of lines of addresses":      fill(daemon, "<a@b.example>:\n", ""),
		"a text that looks like failing":    fill(daemon, "delivery to the following ", ""),
		"a text that looks like a quote":    fill("From: a@b.example\n\n", "on at le el ", ""),
		"a text that nearly asks to leave":  fill("From: a@b.example\n\n", "不要取消不 unsubscrib ", ""),
		"tags":                              fill("Content-Type: text/html\n\n", "<blockquote><p", ""),
		"what looks like our addresses":     fill(daemon, "b-1-aaaaaaaaaaaaaaaa@ ", ""),
		"what looks like our mails":         fill(daemon, "d1.s1.1.aaaaaaaaaaaaa@ ", ""),
		"digits":                            fill(daemon, "4.1", ""),
		"NUL":                               fill("", "\x00", ""),
		"high bytes":                        fill("From: \xb1\xea\n\n", "\xcc\xe2", ""),
	} {
		begun := time.Now()
		b := bounce.Reader{Secret: secret}.Parse([]byte(mail), "")
		took := time.Since(begun)
		sound(t, []byte(mail), b)
		t.Logf("%-36s %v", name, took.Round(time.Millisecond))
		if took > 10*time.Second { // it takes less than one, on one slow core
			t.Errorf("%s: took %v", name, took)
		}
	}
}

func TestParseReadsNoMoreThanAMebibyte(t *testing.T) {
	head := []byte("Subject: a\n\n")
	whole := append(head, bytes.Repeat([]byte("x"), 1<<20)...)
	r := bounce.Reader{Secret: secret}
	if r.Parse(whole, "").Hash != r.Parse(whole[:1<<20], "").Hash {
		t.Error("what lies beyond counts")
	}
}
