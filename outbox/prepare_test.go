package outbox

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"zonewire"
)

// TestFilledTemplateIsTheMailWithItsTokenInPlace holds that filling a template gives what composing the same mail with
// the token already in it gives, byte for byte, and that its parts decode to the chunks and the token.
func TestFilledTemplateIsTheMailWithItsTokenInPlace(t *testing.T) {
	c := Composer{Secret: zonewire.Secret("0123456789abcdef0123456789abcdef")}
	prepare := func(t *rapid.T, text, html []string) *Prepared {
		p, err := c.Prepare(zonewire.Mail{
			Subject: "晨报", From: "news@example.com", Host: "news.example.com", BaseURL: "https://news.example.com", List: "morning",
			Date: time.Unix(1772409600, 0), Text: text, HTML: html,
		})
		if err != nil {
			t.Fatal(err)
		}
		p.boundary = "zw-0"
		return p
	}
	rapid.Check(t, func(t *rapid.T) {
		chunk := rapid.Custom(func(t *rapid.T) string {
			s := rapid.StringOfN(rapid.RuneFrom([]rune("ax<.\r\n -=新闻🙂\x00")), 0, 60, -1).Draw(t, "chunk")
			return strings.Repeat(s, rapid.SampledFrom([]int{1, 1, 1, 3, 20}).Draw(t, "times"))
		})
		chunks := rapid.SliceOfN(chunk, 1, 8)
		text := chunks.Draw(t, "text")
		html := rapid.OneOf(chunks, rapid.Just(text)).Draw(t, "html")
		p := prepare(t, text, html)
		for range 3 {
			token := rapid.StringMatching(`[0-9a-z]{1,13}-[a-z2-7]{8,26}`).Draw(t, "token")
			template, err := p.template(len(token))
			if err != nil {
				t.Fatal(err)
			}
			got := bytes.Clone(template.bytes)
			template.fill(got, token)

			body := func(chunks []string) string { // the plain way
				s := strings.ReplaceAll(strings.Join(chunks, token), "\r\n", "\n")
				return strings.ReplaceAll(s, "\n", "\r\n")
			}
			slow, err := prepare(t, []string{body(text)}, []string{body(html)}).template(0)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, slow.bytes) {
				t.Fatalf("filled:\n%s\ncomposed with the token:\n%s", got, slow.bytes)
			}
			for i, decoded := range decode(t, got) {
				if want := body([][]string{text, html}[i]); decoded != want {
					t.Fatalf("part %d is %q, want %q", i, decoded, want)
				}
			}
		}
	})
}

// decode gives the parts of a message, decoded.
func decode(t *rapid.T, message []byte) []string {
	msg, err := mail.ReadMessage(bytes.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for r := multipart.NewReader(msg.Body, params["boundary"]); ; {
		part, err := r.NextPart()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, part))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(b))
	}
}

func TestPreparedMailIsComposedOnceForEachLengthOfTokens(t *testing.T) {
	c := Composer{Secret: zonewire.Secret("0123456789abcdef0123456789abcdef")}
	m := zonewire.Mail{From: "news@example.com", Host: "example.com", Date: time.Unix(1772409600, 0), Text: []string{"a", "b"}, HTML: []string{"a", "b"}}
	for name, tt := range map[string]struct {
		edit func(*zonewire.Mail)
		want int
	}{
		"a mail with holes":    {func(*zonewire.Mail) {}, 2},
		"a mail without holes": {func(m *zonewire.Mail) { m.Text, m.HTML = m.Text[:1], m.HTML[:1] }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			m := m
			tt.edit(&m)
			p, err := c.Prepare(m)
			if err != nil {
				t.Fatal(err)
			}
			before := p.size()
			for _, subscription := range []int64{1, 2, 35, 36, 37} { // one digit in base 36, then two
				if _, err := p.Compose(zonewire.Job{ID: 1, Subscription: subscription}, zonewire.Address{Wire: "a@example.net"}); err != nil {
					t.Fatal(err)
				}
			}
			if len(p.made) != tt.want || p.size() <= before {
				t.Errorf("composed %d times, want %d; weighs %d bytes, before %d", len(p.made), tt.want, p.size(), before)
			}
		})
	}
}
