// Package bounce understands the mail that comes back: what it is, which mail of ours it is about, and what the server
// said. It reads such mail from its own SMTP or LMTP listener ([Listen]) and from files ([Files]).
//
// What a mail is, the first that fits:
//
//   - A report for machines says it by itself: of delivery (RFC 3464, RFC 6533), of a complaint (RFC 5965), of a
//     receipt (RFC 8098). These come before everything, since they call themselves automatic replies as well.
//   - A bounce in plain words, as old servers and those of China's providers write it: a sender that is no person, and
//     words of failure. The reply code, the status and the recipient are taken out of the text.
//   - An automatic reply (RFC 3834) is nobody's wish and nobody's fault: it changes nothing.
//   - A mail to a leave address asks to leave; so does a person's reply whose own first words do, if it answers a mail
//     of ours. The footer of our mails says 退订, so what is quoted never counts.
//   - Everything else is kept for a person to read.
//
// Anyone can write anything into a mail. It is about a mail or a subscription of ours only if it carries a text that no
// one could make without the secret: the address that a mail was sent from or to, or a Message-ID. Addresses of people
// prove nothing: of a file they are handed on, for whoever vouches for it; what a stranger sent is kept for a person.
//
// Whose fault a refusal is says package provider.
package bounce

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"zonewire"
	"zonewire/internal/address"
	"zonewire/internal/provider"
)

// maxRaw bounds what is kept of a mail that nobody understands.
const maxRaw = 256 << 10

// Bounds of what is handed on.
const (
	maxText       = 400 // bytes
	maxRecipients = 20
	maxAddress    = 320 // bytes; RFC 6531 leaves the local part its 64 octets
)

// Reader understands returned mail. It is pure.
type Reader struct {
	Secret zonewire.Secret
}

// Parse reads one mail as it arrived for the envelope recipient to, which is empty if nobody knows it any more. It
// never fails: what it cannot understand is [zonewire.BounceUnknown], with the subject as its text.
//
// The Recipients of a mail that asks to leave are its sender: whoever got a mail forwarded can answer it, too.
func (r Reader) Parse(raw []byte, to string) zonewire.Bounce {
	return r.parse(raw, to, false)
}

// parse also takes what only the envelope says: that nobody wants an answer.
func (r Reader) parse(raw []byte, to string, nullSender bool) zonewire.Bounce {
	raw = raw[:min(len(raw), maxMail)]
	m := newMail(raw, to, nullSender)
	b := r.understand(m)
	b.Text = line(b.Text, maxText)
	b.Recipients = sound(b.Recipients)
	b.Job = r.job(m)
	if b.Kind == zonewire.BounceLeave && b.Subscription == 0 && b.Job.ID == 0 {
		b.Kind, b.Recipients = zonewire.BounceUnknown, nil // a wish to leave, but what?
	}
	if b.Kind == zonewire.BounceUnknown {
		b.Text = line(m.subject, maxText)
		b.Raw = bytes.Clone(raw[:min(len(raw), maxRaw)])
	}
	// A file has other line ends than the wire.
	hash := sha256.Sum256(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")))
	b.Hash = hex.EncodeToString(hash[:])
	return b
}

func (r Reader) understand(m *mail) zonewire.Bounce {
	if b, ok := report(m); ok {
		return b
	}
	if b, ok := plainBounce(m); ok {
		return b
	}
	leave := r.leaveTarget(m)
	if automatic(m, leave != 0) {
		return zonewire.Bounce{Kind: zonewire.BounceAuto}
	}
	// Who wants no answer is no person, and only a button that says what it wants may speak for one.
	if leave != 0 && (!m.nullSender || leaveWord.MatchString(m.subject)) || !m.nullSender && asksToLeave(m) {
		return zonewire.Bounce{Kind: zonewire.BounceLeave, Subscription: leave, Recipients: []string{m.from}}
	}
	return zonewire.Bounce{Kind: zonewire.BounceUnknown}
}

// mail is a mail with what is asked of it again and again.
type mail struct {
	*part
	raw        []byte
	to         string // envelope recipient, or empty
	nullSender bool
	from       string // address, or empty
	subject    string
	words      string // what its sender wrote, without mails within
}

// maxWords is how much of the own text is looked at; more is no message from a person or about one mail.
const maxWords = 32 << 10

func newMail(raw []byte, to string, nullSender bool) *mail {
	m := &mail{part: readMail(raw), raw: raw, to: to}
	m.nullSender = nullSender || m.header.get("return-path") == "<>"
	m.from = firstAddress(m.header.text("from"))
	m.subject = strings.Join(strings.Fields(m.header.text("subject")), " ")
	var plain, markup string
	for _, p := range m.own() {
		switch p.kind {
		case "text/plain":
			plain += p.text() + "\n"
		case "text/html":
			markup += p.text() + "\n"
		}
	}
	if m.words = plain; strings.TrimSpace(plain) == "" {
		m.words = htmlText(markup)
	}
	m.words = m.words[:min(len(m.words), maxWords)]
	m.words = strings.ReplaceAll(strings.ToValidUTF8(m.words, ""), "\r", "")
	return m
}

// refusal is what a server said, as far as it was found.
type refusal struct {
	recipient string
	code      int
	status    string
	text      string
}

// bounce is what the refusal means. A report of failure is final, so where the reply code got lost it was a 5xx, unless
// the status says otherwise; 554 is the one that says nothing else (RFC 5321 section 4.2.2).
func (f refusal) bounce() zonewire.Bounce {
	f.text = line(f.text, maxReply)
	r := provider.Refusal{Stage: provider.Report, Code: f.code, Enhanced: f.status, Text: f.text, Address: f.recipient}
	if a, err := address.Parse(f.recipient); err == nil {
		r.Provider = a.Provider
	}
	if f.code == 0 && !strings.HasPrefix(f.status, "4") {
		r.Code = 554
	}
	return zonewire.Bounce{
		Kind:      zonewire.BounceReport,
		Judgement: provider.Judge(r),
		Status:    f.status,
		Code:      f.code,
		Text:      f.text,
		Reason:    line(provider.Redact(f.text, f.recipient), maxText),
	}
}

// line makes one line of clean text, at most so many bytes long.
func line(s string, most int) string {
	s = strings.Join(strings.Fields(zonewire.CleanText(s)), " ")
	if len(s) > most {
		s = strings.TrimSpace(strings.ToValidUTF8(s[:most], ""))
	}
	return s
}

// sound keeps what can be an address, each once.
func sound(addresses []string) []string {
	var kept []string
	for _, a := range addresses {
		same := func(b string) bool { return strings.EqualFold(a, b) }
		if clean := line(a, maxAddress); clean == a && strings.Contains(a, "@") && len(kept) < maxRecipients && !slices.ContainsFunc(kept, same) {
			kept = append(kept, a)
		}
	}
	return kept
}
