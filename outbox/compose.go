package outbox

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/mail"
	"strconv"
	"strings"
	"unicode/utf8"

	gomail "github.com/wneessen/go-mail"

	"zonewire"
)

// ErrAddress means that the recipient's address cannot be mailed to, now or later.
var ErrAddress = errors.New("address cannot be mailed to")

// Composer makes each reader's copy of a mail.
type Composer struct {
	Secret zonewire.Secret
	// Address reads an address as a person spelt it. Required.
	Address func(string) (zonewire.Address, error)
}

// Compose makes one reader's copy of a mail: [Composer.Prepare] and [Prepared.Compose] in one.
func (c Composer) Compose(m zonewire.Mail, job zonewire.Job, to zonewire.Address) (Envelope, error) {
	p, err := c.Prepare(m)
	if err != nil {
		return Envelope{}, err
	}
	return p.Compose(job, to)
}

func (c Composer) compose(m zonewire.Mail, job zonewire.Job, to zonewire.Address) (Envelope, error) {
	if !wirePath(to.Wire) {
		return Envelope{}, ErrAddress
	}
	from, err := mail.ParseAddress(m.From)
	if err != nil || !wirePath(from.Address) {
		return Envelope{}, fmt.Errorf("sender %q is no address", m.From)
	}
	if m.Date.IsZero() || m.Host == "" {
		return Envelope{}, errors.New("mail has no date or no host")
	}
	token := ""
	if job.Subscription != 0 {
		token = c.Secret.Token(zonewire.PurposeUnsubscribe, job.Subscription)
	} else if len(m.HTML) > 1 || len(m.Text) > 1 {
		return Envelope{}, errors.New("mail has holes but its reader has no subscription")
	}

	id := c.Secret.MessageID(job, m.Host)
	headers := []header{
		{"Date", m.Date.Format("Mon, 02 Jan 2006 15:04:05 -0700")}, // RFC 5322 section 3.3
		{"From", encodeAddress(from)},
		{"To", "<" + to.Wire + ">"},
		{"Message-ID", "<" + id + ">"},
		{"Subject", encodeText(m.Subject)},
		{"Auto-Submitted", "auto-generated"}, // RFC 3834 section 5
		{"X-Auto-Response-Suppress", "All"},  // the same for Exchange
	}
	if m.ReplyTo != "" {
		reply, err := mail.ParseAddress(m.ReplyTo)
		if err != nil {
			return Envelope{}, fmt.Errorf("reply address %q is no address", m.ReplyTo)
		}
		headers = append(headers, header{"Reply-To", encodeAddress(reply)})
	}
	if m.List != "" {
		// No phrase before the identifier: filters and their authors compare the whole header (RFC 2919 section 3).
		headers = append(headers, header{"List-Id", "<" + m.List + ".list." + m.Host + ">"}, header{"Precedence", "bulk"})
	}
	if token != "" {
		headers = append(headers,
			header{"List-Unsubscribe", "<" + m.BaseURL + "/unsubscribe/" + token + ">"},
			header{"List-Unsubscribe-Post", "List-Unsubscribe=One-Click"}) // RFC 8058 section 3.1
	}

	msg := gomail.NewMsg(
		gomail.WithCharset(gomail.CharsetUTF8),
		gomail.WithEncoding(gomail.EncodingB64), // quoted-printable doubles Chinese text
		gomail.WithBoundary(c.Secret.Boundary(id)),
		gomail.WithNoDefaultUserAgent(),
	)
	for _, h := range headers {
		if err := h.valid(); err != nil {
			return Envelope{}, err
		}
		msg.SetGenHeader(gomail.Header(h.name), h.value)
	}
	msg.SetBodyString(gomail.TypeTextPlain, canonical(m.Text, token))
	msg.AddAlternativeString(gomail.TypeTextHTML, canonical(m.HTML, token))

	var b bytes.Buffer
	if _, err := msg.WriteTo(&b); err != nil {
		return Envelope{}, fmt.Errorf("compose mail: %w", err)
	}
	return Envelope{From: from.Address, To: to.Wire, Message: b.Bytes()}, nil
}

// canonical joins the chunks and gives them the line ends that text has on the wire (RFC 2046 section 4.1.1).
func canonical(chunks []string, token string) string {
	s := strings.ReplaceAll(strings.Join(chunks, token), "\r\n", "\n")
	return strings.ReplaceAll(s, "\n", "\r\n")
}

type header struct{ name, value string }

// valid refuses what could break out of the header, or what no fold could bring under 998 octets (RFC 5322 section
// 2.1.1). All encoding was done before, so what is left must be printable ASCII.
func (h header) valid() error {
	for word := range strings.SplitSeq(h.value, " ") {
		if len(word) > 900 {
			return fmt.Errorf("header %s: a word of %d characters is too long", h.name, len(word))
		}
	}
	for i := range len(h.value) {
		if c := h.value[i]; c < ' ' || c > '~' {
			return fmt.Errorf("header %s: %s is not printable ASCII", h.name, strconv.QuoteToASCII(h.value))
		}
	}
	return nil
}

// wordLength is the longest word that go-mail puts on the line of the name Subject. With a longer one it leaves that
// line empty, which is legal, but some readers then show a leading space.
const wordLength = 60

const (
	wordOpen  = "=?UTF-8?b?"
	wordClose = "?="
)

// encodeText makes a header value that decodes to exactly s: s itself if folding cannot hurt it, else encoded words
// (RFC 2047) that break between characters.
func encodeText(s string) string {
	if plain(s) {
		return s
	}
	const room = (wordLength - len(wordOpen) - len(wordClose)) / 4 * 3 // bytes in a word
	var words []string
	for s = strings.ToValidUTF8(s, "\uFFFD"); s != ""; {
		n := min(room, len(s))
		for n < len(s) && !utf8.RuneStart(s[n]) {
			n--
		}
		words = append(words, wordOpen+base64.StdEncoding.EncodeToString([]byte(s[:n]))+wordClose)
		s = s[n:]
	}
	return strings.Join(words, " ")
}

// plain reports whether s can stand in a header as it is.
func plain(s string) bool {
	if strings.Contains(s, "=?") {
		return false // would be decoded
	}
	for word := range strings.SplitSeq(s, " ") {
		if word == "" || len(word) > wordLength {
			return false // spaces at an end or in a row do not survive folding
		}
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// encodeAddress writes an address with its name for a header.
func encodeAddress(a *mail.Address) string {
	if a.Name == "" || plain(a.Name) {
		return a.String()
	}
	return encodeText(a.Name) + " <" + a.Address + ">"
}

// wirePath reports whether an address may stand in MAIL and RCPT: printable ASCII that cannot end the path early.
// A quoted local part with a space or a bracket is legal (RFC 5321 section 4.1.2), used by nobody, and refused.
func wirePath(a string) bool {
	at := strings.LastIndexByte(a, '@')
	if at < 1 || at == len(a)-1 || len(a) > 254 {
		return false
	}
	for i := range len(a) {
		if a[i] <= ' ' || a[i] > '~' || a[i] == '<' || a[i] == '>' {
			return false
		}
	}
	return true
}
