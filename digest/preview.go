package digest

import (
	"regexp"
	"strings"
	"time"

	"zonewire"
	"zonewire/templates"
)

// Held is what an operator is told of a digest that waits before it is sent.
type Held struct {
	Digest     int64
	Now, Until time.Time // in the list's time zone
	Recipients int
	Locale     string // of the operator, not of the list
}

// until is the wall clock of the list, with its day if that is another than today.
func (h Held) until() string {
	clock := h.Until.Format("15:04")
	if h.Until.Format(time.DateOnly) == h.Now.Format(time.DateOnly) {
		return clock
	}
	return templates.Day(h.Locale, h.Until) + " " + clock
}

// Sample fills a mail's holes with a token that opens nothing: a preview or test that is passed around must not let
// anyone take a reader off the list.
func Sample(m zonewire.Mail) zonewire.Mail {
	const token = "sample"
	m.HTML, m.Text = []string{strings.Join(m.HTML, token)}, []string{strings.Join(m.Text, token)}
	return m
}

var bodyTag = regexp.MustCompile(`(?i)<body\b[^>]*>`)

// Preview makes a mail the operator's, with the templates mail/preview.html, mail/preview.txt and
// mail/preview.subject.txt: until when it is held stands in its subject, and on top how many get it and how to stop it.
// These lines are put into the finished mail, so that no template of a digest has to know of them.
//
// It is a notice: without the list in its headers, a filter does not take it for the digest.
func (r *Renderer) Preview(m zonewire.Mail, h Held) (zonewire.Mail, error) {
	data := map[string]any{"Digest": h.Digest, "Until": h.until(), "Recipients": h.Recipients, "Subject": m.Subject}
	subject, err := r.text("mail/preview.subject.txt", h.Locale, data)
	if err != nil {
		return zonewire.Mail{}, err
	}
	line, err := r.text("mail/preview.txt", h.Locale, data)
	if err != nil {
		return zonewire.Mail{}, err
	}
	banner, err := r.html("mail/preview.html", h.Locale, data)
	if err != nil {
		return zonewire.Mail{}, err
	}
	m = Sample(m)
	page, at := m.HTML[0], 0
	if tag := bodyTag.FindStringIndex(page); tag != nil {
		at = tag[1]
	}
	m.HTML = []string{page[:at] + banner + page[at:]}
	m.Text = []string{line + "\n" + m.Text[0]}
	m.Subject, m.List, m.ListTitle, m.Date = clean(subject), "", "", h.Now
	return m, nil
}
