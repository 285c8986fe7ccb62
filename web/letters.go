package web

import (
	"cmp"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"

	"zonewire"
)

// letter is what the templates mail/letter.* read. Nothing in it was typed by whoever asked for it: a form must not
// become a way to send one's own words to strangers.
type letter struct {
	Kind          zonewire.Letter // phrases letter.KIND.subject, .text, .button, .ignore
	Site          string
	Heading       string // the subject
	List          string // title; empty for a letter about the person
	Secret        bool   // the link is power over an account
	Zones         int    // picked; 0 = all of the list
	URL           string
	Hours         int // how long the link is good; 0: Days tells
	Days          int
	Contact       string
	PostalAddress string
}

// paths are where the ticket of each letter leads, by its purpose.
var paths = map[zonewire.Purpose]string{
	zonewire.PurposeConfirm:     "/confirm/",
	zonewire.PurposePreferences: "/preferences/",
	zonewire.PurposeAddress:     "/address/",
}

// NewLetters composes the mails that carry people's tickets. Its errors are those of a template or of a ticket whose
// purpose has no page.
func NewLetters(cfg Config) zonewire.Letters {
	return func(kind zonewire.Letter, t zonewire.Ticket, l zonewire.List, locale string) (zonewire.Mail, error) {
		path, ok := paths[t.Purpose]
		if !ok {
			return zonewire.Mail{}, fmt.Errorf("letter %s: no page for purpose %q", kind, t.Purpose)
		}
		m := zonewire.Mail{
			From: cmp.Or(l.From, cfg.From), ReplyTo: cmp.Or(l.ReplyTo, cfg.ReplyTo), Host: cfg.MailHost, BaseURL: cfg.BaseURL,
			Locale: locale, Date: t.Created,
		}
		data := letter{
			Kind: kind, Site: cfg.Templates.SiteTitle(locale), List: title(kind, l), Zones: len(t.Wish.Zones),
			URL:     cfg.BaseURL + path + cfg.Secret.Token(t.Purpose, t.ID),
			Contact: contact(m), PostalAddress: cfg.PostalAddress,
		}
		data.Days, data.Hours = lasting(t.Expires.Sub(t.Created))
		data.Secret = t.Purpose == zonewire.PurposePreferences
		var subject, html, text strings.Builder
		if err := cfg.Templates.Text(&subject, "mail/letter.subject.txt", locale, data); err != nil {
			return zonewire.Mail{}, fmt.Errorf("compose letter %s: %w", kind, err)
		}
		m.Subject = strings.Join(strings.Fields(subject.String()), " ")
		data.Heading = m.Subject
		err := errors.Join(
			cfg.Templates.HTML(&html, "mail/letter.html", locale, data),
			cfg.Templates.Text(&text, "mail/letter.txt", locale, data))
		if err != nil {
			return zonewire.Mail{}, fmt.Errorf("compose letter %s: %w", kind, err)
		}
		m.HTML, m.Text = []string{html.String()}, []string{strings.TrimSpace(text.String()) + "\n"}
		return m, nil
	}
}

// title is the list's, where the letter's phrases have room for one.
func title(kind zonewire.Letter, l zonewire.List) string {
	if kind == zonewire.LetterConfirm || kind == zonewire.LetterKnown {
		return l.Title
	}
	return ""
}

// lasting is a time in days from two days on, else in hours. A letter that waits its turn is good for longer than it
// says; nobody is promised more than there is.
func lasting(d time.Duration) (days, hours int) {
	hours = int(d / time.Hour)
	if hours >= 48 {
		return hours / 24, 0
	}
	return 0, hours
}

// contact is the address to which an answer goes, without the name beside it; empty if there is none.
func contact(m zonewire.Mail) string {
	a, err := mail.ParseAddress(cmp.Or(m.ReplyTo, m.From))
	if err != nil {
		return ""
	}
	return a.Address
}
