package web_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"zonewire"
	"zonewire/web"
)

var update = flag.Bool("update", false, "make the goldens anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", filepath.FromSlash(name))
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, name, got, string(want))
}

func newLetters(t *testing.T) zonewire.Letters {
	t.Helper()
	set, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	return web.NewLetters(web.Config{
		BaseURL: base, Secret: secret, Templates: set, From: "开发区要闻 <news@example.cn>", ReplyTo: "editor@example.cn",
		PostalAddress: "江苏省常州市云河路 1 号", MailHost: "news.example.cn",
	})
}

// letters are all that are sent, with what each stands for.
func letters() map[zonewire.Letter]struct {
	ticket int64
	list   string
	path   string
} {
	return map[zonewire.Letter]struct {
		ticket int64
		list   string
		path   string
	}{
		zonewire.LetterConfirm:     {confirmTicket, "morning", "/confirm/"},
		zonewire.LetterKnown:       {prefsTicket, "morning", "/preferences/"},
		zonewire.LetterPreferences: {prefsTicket, "", "/preferences/"},
		zonewire.LetterOldAddress:  {oldTicket, "", "/address/"},
		zonewire.LetterNewAddress:  {newTicket, "", "/address/"},
	}
}

func TestLetters(t *testing.T) {
	st, write := readers(), newLetters(t)
	for kind, of := range letters() {
		for _, locale := range zonewire.Locales() {
			t.Run(fmt.Sprintf("%s in %s", kind, locale), func(t *testing.T) {
				ticket := st.tickets[of.ticket]
				l, _ := find(st.lists, nil, func(l zonewire.List) bool { return l.Slug == of.list })
				m, err := write(kind, ticket, l, locale)
				if err != nil {
					t.Fatal(err)
				}
				golden(t, fmt.Sprintf("letters/%s.%s.html", kind, locale), m.HTML[0])
				golden(t, fmt.Sprintf("letters/%s.%s.txt", kind, locale), "Subject: "+m.Subject+"\n\n"+m.Text[0])
				url := base + of.path + secret.Token(ticket.Purpose, of.ticket)
				if n := strings.Count(m.Text[0], url); n != 1 {
					t.Errorf("the text has its link %d times, want once", n)
				}
				if n := strings.Count(m.HTML[0], `href="`+url+`"`); n != 1 {
					t.Errorf("the page has its link %d times, want once", n)
				}
				for _, part := range []string{m.HTML[0], m.Text[0], m.Subject} {
					if strings.Contains(part, "example.com") || strings.Contains(part, "%!") {
						t.Errorf("an address or a broken phrase: %s", part)
					}
				}
				m.Subject, m.HTML, m.Text = "", nil, nil
				equal(t, "the rest", m, zonewire.Mail{From: "开发区要闻 <news@example.cn>", ReplyTo: "editor@example.cn", Host: "news.example.cn", BaseURL: base, Locale: locale, Date: ticket.Created})
			})
		}
	}
}

func TestALetterIsFromItsList(t *testing.T) {
	st, write := readers(), newLetters(t)
	l := st.lists[0]
	l.From, l.ReplyTo = "早报 <morning@example.cn>", "morning-desk@example.cn"
	m, err := write(zonewire.LetterConfirm, st.tickets[confirmTicket], l, zonewire.LocaleZH)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "sender and address for replies", []string{m.From, m.ReplyTo}, []string{l.From, l.ReplyTo})
	if !strings.Contains(m.HTML[0], "mailto:morning-desk@example.cn") {
		t.Error("the contact is not the list's")
	}
}

// Several webmails drop the style sheet: what must be seen is coloured inline, and nothing is fetched.
func TestLettersReadWithoutTheirStyleSheet(t *testing.T) {
	st, write := readers(), newLetters(t)
	m, err := write(zonewire.LetterPreferences, st.tickets[prefsTicket], zonewire.List{}, zonewire.LocaleZH)
	if err != nil {
		t.Fatal(err)
	}
	html := regexp.MustCompile(`(?s)<style>.*</style>`).ReplaceAllString(m.HTML[0], "")
	for _, want := range []string{`bgcolor="#bb3019"`, "color:#fdfcf9", "color:#1d1b18", "font-size:16px"} {
		if !strings.Contains(html, want) {
			t.Errorf("no %s outside the style sheet", want)
		}
	}
	if found := regexp.MustCompile(`(?i)<(script|img|link|form|iframe)|url\(|src=`).FindString(html); found != "" {
		t.Errorf("the letter holds %q", found)
	}
}

func TestAHostileTitleStaysText(t *testing.T) {
	st, write := readers(), newLetters(t)
	l := st.lists[0]
	l.Title = "<img src=x onerror=alert(1)>\r\nBcc: a@example.org"
	m, err := write(zonewire.LetterConfirm, st.tickets[confirmTicket], l, zonewire.LocaleEN)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(m.HTML[0], "<img") || strings.ContainsAny(m.Subject, "\r\n") {
		t.Errorf("subject %q\n%s", m.Subject, m.HTML[0])
	}
}

func TestLettersSayHowLongTheirLinkWorks(t *testing.T) {
	st, write := readers(), newLetters(t)
	for last, want := range map[time.Duration]string{
		zonewire.ConfirmFor: "链接 7 天内有效。", zonewire.PreferencesFor: "链接 2 小时内有效。", zonewire.AddressFor: "链接 24 小时内有效。", 90 * time.Minute: "链接 1 小时内有效。",
	} {
		ticket := st.tickets[prefsTicket]
		ticket.Expires = ticket.Created.Add(last)
		m, err := write(zonewire.LetterPreferences, ticket, zonewire.List{}, zonewire.LocaleZH)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(m.Text[0], want) || !strings.Contains(m.HTML[0], want) {
			t.Errorf("after %s, want %q in\n%s", last, want, m.Text[0])
		}
	}
}

func TestALetterWithoutAPageIsAnError(t *testing.T) {
	st, write := readers(), newLetters(t)
	if m, err := write(zonewire.LetterConfirm, st.tickets[undoTicket], zonewire.List{}, zonewire.LocaleZH); err == nil {
		t.Errorf("got %q, want an error", m.Subject)
	}
	if _, err := write(zonewire.LetterConfirm, st.tickets[confirmTicket], zonewire.List{}, "fr"); err == nil {
		t.Error("an unknown language: want an error")
	}
}
