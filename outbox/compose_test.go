package outbox_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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
		ListURL:   "https://news.example.com/lists/morning",
		WebURL:    "https://news.example.com/digests/7",
	}
}

func enMail() zonewire.Mail {
	m := zhMail()
	m.Subject = "Zone News: 12 stories from 3 development zones"
	m.HTML = []string{"<!DOCTYPE html>\n<html lang=\"en\"><body><p>Today</p>\n<a href=\"https://news.example.com/unsubscribe/", "\">Leave</a></body></html>\n"}
	m.Text = []string{"Today\n\nLeave: https://news.example.com/unsubscribe/", "\n"}
	m.From, m.ReplyTo, m.Locale = "Zone News <news@example.com>", "", zonewire.LocaleEN
	m.ListURL, m.WebURL = "", "" // as stored before mails held them
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
	for kind, body := range parts(t, read(t, compose(t, m, job))) {
		if !strings.Contains(body, "/unsubscribe/"+token) {
			t.Errorf("%s part lacks the reader's link:\n%s", kind, body)
		}
	}
}

func TestComposeWritesTheHeadersOfAList(t *testing.T) {
	sender := "zw" + secret.Fingerprint()[:10]
	token := secret.Token(zonewire.PurposeUnsubscribe, 33)
	digest := map[string]string{
		"To":                       "<reader@example.net>",
		"Message-Id":               "<" + secret.MessageID(digestJob(), "news.example.com") + ">",
		"Reply-To":                 "=?UTF-8?b?57yW6L6R6YOo?= <desk@example.com>",
		"List-Id":                  "<morning.list.news.example.com>",
		"List-Unsubscribe":         "<https://news.example.com/unsubscribe/" + token + ">",
		"List-Unsubscribe-Post":    "List-Unsubscribe=One-Click",
		"List-Help":                "<mailto:desk@example.com?subject=help>",
		"List-Owner":               "<mailto:desk@example.com>",
		"List-Archive":             "<https://news.example.com/lists/morning>",
		"Archived-At":              "<https://news.example.com/digests/7>",
		"Feedback-Id":              "d7:morning:digest:" + sender,
		"Precedence":               "bulk",
		"Auto-Submitted":           "auto-generated",
		"X-Auto-Response-Suppress": "All",
		"User-Agent":               "",
		"X-Mailer":                 "",
		"Bcc":                      "",
	}
	notice := func(m *zonewire.Mail, j *zonewire.Job) {
		m.HTML, m.Text = []string{"<p>x</p>\n"}, []string{"x\n"}
		j.Kind, j.Digest, j.Subscription = zonewire.NoticeJob, 0, 0
	}
	bare := map[string]string{ // of a notice
		"Message-Id":            "<" + secret.MessageID(zonewire.Job{Kind: zonewire.NoticeJob, ID: 41, Subscriber: 12}, "news.example.com") + ">",
		"List-Unsubscribe":      "",
		"List-Unsubscribe-Post": "",
		"List-Help":             "",
		"List-Owner":            "",
		"List-Archive":          "",
		"Archived-At":           "",
		"Feedback-Id":           "",
	}
	tests := []struct {
		name   string
		edit   func(*zonewire.Mail, *zonewire.Job)
		domain string // where returned mail is received
		from   string // of the envelope
		want   map[string]string
	}{
		{"a digest", func(*zonewire.Mail, *zonewire.Job) {}, "", "news@example.com", nil},
		{"a digest of a private list", func(m *zonewire.Mail, _ *zonewire.Job) {
			m.ListURL += "?key=k-secret"
			m.WebURL += "?key=k-secret"
		}, "", "news@example.com", map[string]string{
			"List-Archive": "<https://news.example.com/lists/morning?key=k-secret>",
			"Archived-At":  "<https://news.example.com/digests/7?key=k-secret>",
		}},
		{"a digest stored before mails held their pages", func(m *zonewire.Mail, _ *zonewire.Job) {
			m.ListURL, m.WebURL = "", ""
		}, "", "news@example.com", map[string]string{"List-Archive": "", "Archived-At": ""}},
		{"a digest without an address for replies", func(m *zonewire.Mail, _ *zonewire.Job) {
			m.ReplyTo = ""
		}, "", "news@example.com", map[string]string{
			"Reply-To": "", "List-Help": "<mailto:news@example.com?subject=help>", "List-Owner": "<mailto:news@example.com>",
		}},
		{"an address that a URI must escape", func(m *zonewire.Mail, _ *zonewire.Job) {
			m.ReplyTo = "a&b%c=d?e+f@example.com"
		}, "", "news@example.com", map[string]string{
			"Reply-To":  "<a&b%c=d?e+f@example.com>",
			"List-Help": "<mailto:a%26b%25c%3Dd%3Fe+f@example.com?subject=help>", "List-Owner": "<mailto:a%26b%25c%3Dd%3Fe+f@example.com>",
		}},
		{"a digest where returned mail is received", func(*zonewire.Mail, *zonewire.Job) {}, "bounce.example.com",
			secret.ReturnPath(zonewire.JobRef{Kind: zonewire.DigestJob, ID: 41}) + "@bounce.example.com",
			map[string]string{"List-Unsubscribe": "<https://news.example.com/unsubscribe/" + token + ">, <mailto:" +
				secret.LeaveAddress(33) + "@bounce.example.com?subject=unsubscribe>"}},
		{"a notice where returned mail is received", func(m *zonewire.Mail, j *zonewire.Job) {
			notice(m, j)
			m.List = ""
		}, "bounce.example.com", secret.ReturnPath(zonewire.JobRef{Kind: zonewire.NoticeJob, ID: 41}) + "@bounce.example.com",
			with(bare, map[string]string{"List-Id": "", "Precedence": ""})},
		{"a test of a digest is a notice", notice, "", "news@example.com", bare},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, job := zhMail(), digestJob()
			tt.edit(&m, &job)
			c := composer
			c.BounceDomain = tt.domain
			e, err := c.Compose(m, job, zonewire.Address{Wire: job.Email})
			if err != nil {
				t.Fatal(err)
			}
			if e.From != tt.from || e.To != job.Email {
				t.Errorf("envelope from %q to %q, want from %q", e.From, e.To, tt.from)
			}
			checkMessage(t, e.Message, m)
			head, _, _ := bytes.Cut(e.Message, []byte("\r\n\r\n"))
			for line := range strings.SplitSeq(string(head), "\r\n") {
				if len(line) > 78 && strings.Contains(strings.TrimSpace(line), " ") {
					t.Errorf("line of %d characters could be folded: %s", len(line), line)
				}
			}
			got := read(t, e).Header
			for name, value := range with(digest, tt.want) {
				if got.Get(name) != value || len(got[name]) > 1 {
					t.Errorf("%s: %q, want %q", name, got[name], value)
				}
			}
			job.Attempts, job.Claim, job.Losses = 3, 99, 2
			if again, err := c.Compose(m, job, zonewire.Address{Wire: job.Email}); err != nil || again.From != e.From || !bytes.Equal(again.Message, e.Message) {
				t.Errorf("a retry is another mail: from %q, %v\n%s", again.From, err, again.Message)
			}
		})
	}
	if len(sender) < 5 || len(sender) > 15 {
		t.Errorf("sender id %q has not 5 to 15 characters", sender)
	}
}

// with is base and what over says otherwise.
func with(base, over map[string]string) map[string]string {
	all := maps.Clone(base)
	maps.Copy(all, over)
	return all
}

func read(t *testing.T, e outbox.Envelope) *mail.Message {
	t.Helper()
	msg, err := mail.ReadMessage(bytes.NewReader(e.Message))
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

func TestCopiesOfAMailDifferInTheirReaderOnly(t *testing.T) {
	p, err := composer.Prepare(zhMail())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for id := int64(1); id < 40_000; id += 1111 { // tokens of four lengths
		wg.Go(func() {
			job := zonewire.Job{ID: id, Digest: 7, Subscriber: id, Subscription: id, Email: fmt.Sprintf("reader%d@example.net", id)}
			got, err := p.Compose(job, zonewire.Address{Wire: job.Email})
			if err != nil {
				t.Error(err)
				return
			}
			if want := compose(t, zhMail(), job); !bytes.Equal(got.Message, want.Message) || got.From != want.From || got.To != want.To {
				t.Errorf("copy of %d differs from one made by itself:\n%s", id, cmp.Diff(string(want.Message), string(got.Message)))
			}
		})
	}
	wg.Wait()
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
		{"a base URL with a space", func(m *zonewire.Mail) { m.BaseURL = "https://news.example.com/a b" }, nil, "a@example.net", false},
		{"a page that ends its brackets", func(m *zonewire.Mail) { m.ListURL = "https://news.example.com/>" }, nil, "a@example.net", false},
		{"a digest's page beyond ASCII", func(m *zonewire.Mail) { m.WebURL = "https://news.example.com/新闻" }, nil, "a@example.net", false},
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
