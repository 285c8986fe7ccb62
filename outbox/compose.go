package outbox

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"zonewire"
)

// ErrAddress means that the recipient's address cannot be mailed to, now or later.
var ErrAddress = errors.New("address cannot be mailed to")

// Composer makes each reader's copy of a mail.
type Composer struct {
	Secret zonewire.Secret
	// Address reads an address as a person spelt it. Required.
	Address func(string) (zonewire.Address, error)
	// BounceDomain is where returned mail and mails that leave a list are received; empty: nowhere.
	BounceDomain string
	// Sign adds the signatures to a complete message, anew at each try; nil: none. Safe for concurrent use.
	Sign func(message []byte) ([]byte, error)
}

// Compose makes one reader's copy of a mail: [Composer.Prepare] and [Prepared.Compose] in one.
func (c Composer) Compose(m zonewire.Mail, job zonewire.Job, to zonewire.Address) (Envelope, error) {
	p, err := c.Prepare(m)
	if err != nil {
		return Envelope{}, err
	}
	return p.Compose(job, to)
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

// goalLength is the longest line of a header that RFC 5322 section 2.1.1 likes.
const goalLength = 78

// appendHeader writes a header of words that may stand on lines of their own.
func appendHeader(b []byte, name string, words ...string) []byte {
	b = append(append(b, name...), ':')
	used := len(name) + 1
	for _, word := range words {
		if used+1+len(word) > goalLength {
			b = append(b, "\r\n"...)
			used = 0
		}
		b = append(append(b, ' '), word...)
		used += 1 + len(word)
	}
	return append(b, "\r\n"...)
}

// mailto is the URI of an address (RFC 6068), with a subject if there is one.
func mailto(address, subject string) string {
	uri := "mailto:" + strings.NewReplacer("&", "%26", "=", "%3D").Replace(url.PathEscape(address))
	if subject != "" {
		uri += "?subject=" + subject
	}
	return uri
}

// wireWord reports whether s can stand in a header as a part of one word.
func wireWord(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || s[i] == '<' || s[i] == '>' {
			return false
		}
	}
	return len(s) <= 800
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
	return wireWord(a)
}
