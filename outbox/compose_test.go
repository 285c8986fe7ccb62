package outbox_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"zonewire"
	"zonewire/outbox"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var secret = zonewire.Secret("0123456789abcdef0123456789abcdef")

// testAddress stands in for the real reader of addresses: one that has no "@" is none.
func testAddress(s string) (zonewire.Address, error) {
	if !strings.Contains(s, "@") {
		return zonewire.Address{}, zonewire.Invalidf("address %q has no @", s)
	}
	return zonewire.Address{Given: s, Key: strings.ToLower(s), Wire: s}, nil
}

var composer = outbox.Composer{Secret: secret, Address: testAddress}

func zhMail() zonewire.Mail {
	return zonewire.Mail{
		Subject:   "开发区晨报：金坛经济开发区等三个园区的十二条新闻",
		HTML:      []string{"<!DOCTYPE html>\n<html lang=\"zh-CN\"><body><p>今日要闻</p>\n<a href=\"https://news.example.com/unsubscribe/", "\">退订</a></body></html>\n"},
		Text:      []string{"今日要闻\n\n退订：https://news.example.com/unsubscribe/", "\n"},
		From:      "开发区新闻通讯社编辑部 <news@example.com>",
		ReplyTo:   "编辑部 <desk@example.com>",
		Host:      "news.example.com",
		BaseURL:   "https://news.example.com",
		List:      "morning",
		ListTitle: "晨报",
		Locale:    zonewire.LocaleZH,
		Digest:    7,
		Date:      time.Date(2026, 3, 2, 8, 0, 0, 0, zonewire.Shanghai),
	}
}

func enMail() zonewire.Mail {
	m := zhMail()
	m.Subject = "Zone News: 12 stories from 3 development zones"
	m.HTML = []string{"<!DOCTYPE html>\n<html lang=\"en\"><body><p>Today</p>\n<a href=\"https://news.example.com/unsubscribe/", "\">Leave</a></body></html>\n"}
	m.Text = []string{"Today\n\nLeave: https://news.example.com/unsubscribe/", "\n"}
	m.From, m.ReplyTo, m.Locale = "Zone News <news@example.com>", "", zonewire.LocaleEN
	return m
}

func digestJob() zonewire.Job {
	return zonewire.Job{ID: 41, Digest: 7, Subscriber: 12, Subscription: 33, Email: "reader@example.net"}
}

func compose(t testing.TB, m zonewire.Mail, job zonewire.Job) outbox.Envelope {
	t.Helper()
	to, err := testAddress(job.Email)
	if err != nil {
		t.Fatal(err)
	}
	e, err := composer.Compose(m, job, to)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestComposeGolden(t *testing.T) {
	notice := enMail()
	notice.List, notice.HTML, notice.Text = "", []string{"<p>Please confirm.</p>\n"}, []string{"Please confirm.\n"}
	notice.Subject = "Confirm your subscription"
	tests := []struct {
		file string
		mail zonewire.Mail
		job  zonewire.Job
	}{
		{"digest-zh.eml", zhMail(), digestJob()},
		{"digest-en.eml", enMail(), digestJob()},
		{"notice-en.eml", notice, zonewire.Job{Kind: zonewire.NoticeJob, ID: 3, Subscriber: 12, Email: "reader@example.net"}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			e := compose(t, tt.mail, tt.job)
			if e.From != "news@example.com" || e.To != tt.job.Email {
				t.Errorf("envelope from %q to %q", e.From, e.To)
			}
			checkMessage(t, e.Message, tt.mail)
			retry := tt.job
			retry.Attempts, retry.Claim, retry.Losses = 3, 99, 2
			if again := compose(t, tt.mail, retry); !bytes.Equal(again.Message, e.Message) {
				t.Errorf("a retry is another message:\n%s", cmp.Diff(string(e.Message), string(again.Message)))
			}
			golden := filepath.Join("testdata", tt.file)
			if *update {
				if err := os.WriteFile(golden, e.Message, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(e.Message)); diff != "" {
				t.Errorf("message differs from %s (-want +got):\n%s", golden, diff)
			}
		})
	}
}

func TestComposeFillsTheReadersOwnLinks(t *testing.T) {
	m, job := zhMail(), digestJob()
	token := secret.Token(zonewire.PurposeUnsubscribe, job.Subscription)
	msg, err := mail.ReadMessage(bytes.NewReader(compose(t, m, job).Message))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"List-Unsubscribe":         "<https://news.example.com/unsubscribe/" + token + ">",
		"List-Unsubscribe-Post":    "List-Unsubscribe=One-Click",
		"List-Id":                  "<morning.list.news.example.com>",
		"Precedence":               "bulk",
		"Auto-Submitted":           "auto-generated",
		"X-Auto-Response-Suppress": "All",
		"Message-Id":               "<" + secret.MessageID(job, m.Host) + ">",
		"User-Agent":               "",
		"X-Mailer":                 "",
		"Bcc":                      "",
	}
	for name, value := range want {
		if got := msg.Header.Get(name); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
	for kind, body := range parts(t, msg) {
		if !strings.Contains(body, "/unsubscribe/"+token) {
			t.Errorf("%s part lacks the reader's link:\n%s", kind, body)
		}
	}
}

func TestComposeRefuses(t *testing.T) {
	tests := []struct {
		name    string
		mail    func(*zonewire.Mail)
		job     func(*zonewire.Job)
		wire    string
		address bool // the fault is the recipient's
	}{
		{"an address without a domain", nil, nil, "reader@", true},
		{"an address that ends the path early", nil, nil, "a>@example.net", true},
		{"an address with a line break", nil, nil, "a@example.net\r\nRCPT TO:<b@example.net", true},
		{"an address with a space", nil, nil, "a b@example.net", true},
		{"an address beyond ASCII", nil, nil, "读者@example.net", true},
		{"an address of 255 characters", nil, nil, strings.Repeat("a", 250) + "@b.cn", true},
		{"a sender that is none", func(m *zonewire.Mail) { m.From = "Zone News" }, nil, "a@example.net", false},
		{"a reply address that is none", func(m *zonewire.Mail) { m.ReplyTo = "x" }, nil, "a@example.net", false},
		{"a host with a line break", func(m *zonewire.Mail) { m.Host = "a\r\nBcc: x" }, nil, "a@example.net", false},
		{"a base URL beyond ASCII", func(m *zonewire.Mail) { m.BaseURL = "https://新闻.example" }, nil, "a@example.net", false},
		{"a base URL too long for a line", func(m *zonewire.Mail) { m.BaseURL = "https://" + strings.Repeat("a", 1000) }, nil, "a@example.net", false},
		{"a mail without a date", func(m *zonewire.Mail) { m.Date = time.Time{} }, nil, "a@example.net", false},
		{"holes without a subscription", nil, func(j *zonewire.Job) { j.Subscription = 0 }, "a@example.net", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, job := zhMail(), digestJob()
			if tt.mail != nil {
				tt.mail(&m)
			}
			if tt.job != nil {
				tt.job(&job)
			}
			e, err := composer.Compose(m, job, zonewire.Address{Wire: tt.wire})
			if err == nil || errors.Is(err, outbox.ErrAddress) != tt.address {
				t.Errorf("error %v, message %q; want an error that is ErrAddress: %v", err, e.Message, tt.address)
			}
		})
	}
}

// FuzzCompose holds that no subject, name or body can break the form of a message, and that what was put in comes out.
func FuzzCompose(f *testing.F) {
	f.Add("开发区晨报", "新闻社", "今日要闻\n.\n..x\r\n")
	f.Add("Zone News", "Zone, \"News\"", "plain")
	f.Add("=?utf-8?b?5byA?= literal", "a\\b", "")
	f.Add("two  spaces ", " name", "\x00\r")
	f.Add("line\r\nBcc: x@example.com", "x\ny", "From here\n")
	f.Add(strings.Repeat("长", 400), strings.Repeat("n", 300), strings.Repeat("x", 3000))
	f.Fuzz(func(t *testing.T, subject, name, body string) {
		m := zhMail()
		m.Subject = strings.ToValidUTF8(subject, "?")
		m.From = (&mail.Address{Name: strings.ToValidUTF8(name, "?"), Address: "news@example.com"}).String()
		m.Text = []string{body, "\n"}
		if _, err := mail.ParseAddress(m.From); err != nil {
			t.Skip("no address")
		}
		checkMessage(t, compose(t, m, digestJob()).Message, m)
	})
}

// checkMessage holds the form that every mail must have on the wire.
func checkMessage(t *testing.T, message []byte, m zonewire.Mail) {
	t.Helper()
	for i, line := range bytes.Split(message, []byte("\r\n")) {
		if len(line) > 998 {
			t.Errorf("line %d has %d octets", i+1, len(line))
		}
		if bytes.ContainsAny(line, "\r\n\x00") {
			t.Errorf("line %d has a bare line break or NUL: %q", i+1, line)
		}
		if i > 0 && len(line) > 0 && len(bytes.TrimSpace(line)) == 0 {
			t.Errorf("line %d is nothing but space", i+1)
		}
		if slices.ContainsFunc(line, func(b byte) bool { return b > '~' }) {
			t.Errorf("line %d has raw 8-bit: %q", i+1, line)
		}
	}
	msg, err := mail.ReadMessage(bytes.NewReader(message))
	if err != nil {
		t.Fatalf("read: %v\n%s", err, message)
	}
	for _, name := range []string{"Date", "Message-Id", "Mime-Version", "To", "From", "Subject", "Content-Type"} {
		if n := len(msg.Header[name]); n != 1 {
			t.Errorf("%s stands %d times", name, n)
		}
	}
	word := mime.WordDecoder{}
	if got, err := word.DecodeHeader(msg.Header.Get("Subject")); err != nil || got != m.Subject {
		t.Errorf("subject decodes to %q, %v; want %q", got, err, m.Subject)
	}
	want, err := mail.ParseAddress(m.From)
	if err != nil {
		t.Fatal(err)
	}
	got, err := mail.ParseAddress(msg.Header.Get("From"))
	if err != nil || got.Name != want.Name || got.Address != want.Address {
		t.Errorf("from decodes to %v, %v; want %v", got, err, want)
	}
	if date, err := msg.Header.Date(); err != nil || !date.Equal(m.Date) {
		t.Errorf("date is %v, %v; want %v", date, err, m.Date)
	}
	if n := len(parts(t, msg)); n != 2 {
		t.Errorf("%d parts", n)
	}
}

// parts decodes a multipart/alternative, the text first.
func parts(t *testing.T, msg *mail.Message) map[string]string {
	t.Helper()
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("content type %q: %v", kind, err)
	}
	bodies := map[string]string{}
	r := multipart.NewReader(msg.Body, params["boundary"])
	for _, want := range []string{"text/plain; charset=UTF-8", "text/html; charset=UTF-8"} {
		p, err := r.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Header.Get("Content-Type"); got != want || p.Header.Get("Content-Transfer-Encoding") != "base64" {
			t.Errorf("part %v, want %s in base64", p.Header, want)
		}
		b, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, p))
		if err != nil {
			t.Fatal(err)
		}
		bodies[want] = string(b)
	}
	if _, err := r.NextPart(); !errors.Is(err, io.EOF) {
		t.Error(fmt.Errorf("after the parts: %w", err))
	}
	return bodies
}
