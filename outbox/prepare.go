package outbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"sync"

	gomail "github.com/wneessen/go-mail"

	"zonewire"
)

// Prepared is a mail from which each reader's copy is made. It is safe for concurrent use.
//
// Copies differ in a few headers, which are written for each, and in the reader's token. go-mail composes the rest once
// for each length that tokens have; in a copy of that, only the lines of base64 that hold a token are encoded again.
type Prepared struct {
	composer Composer
	unfit    error // why the mail cannot be sent to anyone

	sender     string // the envelope sender while no returned mail is received
	host       string
	baseURL    string
	headers    []header // of every copy, written by go-mail
	digest     []byte   // the headers of copies that are digests
	boundary   string
	text, html []string // chunks as on the wire

	mu   sync.Mutex
	made map[int]*template // by the length of the token
}

// Prepare does what is the same for all readers of a mail. It fails if the mail cannot be sent to anyone.
func (c Composer) Prepare(m zonewire.Mail) (*Prepared, error) {
	from, err := mail.ParseAddress(m.From)
	if err != nil || !wirePath(from.Address) {
		return nil, fmt.Errorf("sender %q is no address", m.From)
	}
	if m.Date.IsZero() || m.Host == "" {
		return nil, errors.New("mail has no date or no host")
	}
	headers := []header{
		{"Date", m.Date.Format("Mon, 02 Jan 2006 15:04:05 -0700")}, // RFC 5322 section 3.3
		{"From", encodeAddress(from)},
		{"Subject", encodeText(m.Subject)},
		{"Auto-Submitted", "auto-generated"}, // RFC 3834 section 5
		{"X-Auto-Response-Suppress", "All"},  // the same for Exchange
	}
	contact := from
	if m.ReplyTo != "" {
		if contact, err = mail.ParseAddress(m.ReplyTo); err != nil {
			return nil, fmt.Errorf("reply address %q is no address", m.ReplyTo)
		}
		headers = append(headers, header{"Reply-To", encodeAddress(contact)})
	}
	if m.List != "" {
		// No phrase before the identifier: filters and their authors compare the whole header (RFC 2919 section 3).
		headers = append(headers, header{"List-Id", "<" + m.List + ".list." + m.Host + ">"}, header{"Precedence", "bulk"})
	}
	for _, h := range headers {
		if err := h.valid(); err != nil {
			return nil, err
		}
	}
	for name, s := range map[string]string{
		"host": m.Host, "base address": m.BaseURL, "list's page": m.ListURL, "digest's page": m.WebURL, "bounce domain": c.BounceDomain,
	} {
		if !wireWord(s) {
			return nil, fmt.Errorf("%s %s cannot stand in a header", name, strconv.QuoteToASCII(s))
		}
	}
	return &Prepared{
		composer: c,
		sender:   from.Address,
		host:     m.Host,
		baseURL:  m.BaseURL,
		headers:  headers,
		digest:   c.digestHeaders(m, contact.Address),
		// Of the content, not of the copy: the parts stand between boundaries, and are the same for all.
		boundary: c.Secret.Boundary(contentHash(m)),
		text:     canonical(m.Text),
		html:     canonical(m.HTML),
		made:     map[int]*template{},
	}, nil
}

// digestHeaders are the headers that all copies of a digest have and that no other mail has.
func (c Composer) digestHeaders(m zonewire.Mail, contact string) []byte {
	if m.List == "" {
		return nil
	}
	// RFC 2369 section 3.1 wants full instructions behind List-Help. The list's page gives none, and that of a private list
	// opens only with a key: a person helps.
	b := appendHeader(nil, "List-Help", "<"+mailto(contact, "help")+">")
	b = appendHeader(b, "List-Owner", "<"+mailto(contact, "")+">")
	if m.ListURL != "" {
		b = appendHeader(b, "List-Archive", "<"+m.ListURL+">")
	}
	if m.WebURL != "" {
		b = appendHeader(b, "Archived-At", "<"+m.WebURL+">") // RFC 5064
	}
	// Gmail counts complaints by each field, and by the last one knows the sender: the installation, not a list's From.
	feedback := fmt.Sprintf("d%d:%s:digest:zw%s", m.Digest, m.List, c.Secret.Fingerprint()[:10])
	return appendHeader(b, "Feedback-ID", feedback)
}

// Compose fills the mail's holes for the job's reader and makes the complete message. The same values give the same
// bytes, so that a retry is the same message; only its signature is made anew. It fails with [ErrAddress] if the address
// has no form that SMTP can take, and with another error if the mail itself cannot be sent now.
func (p *Prepared) Compose(job zonewire.Job, to zonewire.Address) (Envelope, error) {
	return p.compose(nil, job, to)
}

// compose is [Prepared.Compose] into room, which the envelope then holds: a sender makes one mail after the other.
func (p *Prepared) compose(room []byte, job zonewire.Job, to zonewire.Address) (Envelope, error) {
	if p.unfit != nil {
		return Envelope{}, p.unfit
	}
	if !wirePath(to.Wire) {
		return Envelope{}, ErrAddress
	}
	secret := p.composer.Secret
	token := ""
	if job.Subscription != 0 {
		token = secret.Token(zonewire.PurposeUnsubscribe, job.Subscription)
	} else if len(p.html) > 1 || len(p.text) > 1 {
		return Envelope{}, errors.New("mail has holes but its reader has no subscription")
	}
	rest, err := p.template(len(token))
	if err != nil {
		return Envelope{}, err
	}

	head := appendHeader(slices.Grow(room[:0], 2048+len(rest.bytes)), "To", "<"+to.Wire+">")
	head = appendHeader(head, "Message-ID", "<"+secret.MessageID(job, p.host)+">")
	if token != "" {
		web := "<" + p.baseURL + "/unsubscribe/" + token + ">"
		if p.composer.BounceDomain != "" {
			leave := secret.LeaveAddress(job.Subscription) + "@" + p.composer.BounceDomain
			head = appendHeader(head, "List-Unsubscribe", web+",", "<"+mailto(leave, "unsubscribe")+">")
		} else {
			head = appendHeader(head, "List-Unsubscribe", web)
		}
		head = appendHeader(head, "List-Unsubscribe-Post", "List-Unsubscribe=One-Click") // RFC 8058 section 3.1
	}
	if job.Kind == zonewire.DigestJob {
		head = append(head, p.digest...)
	}
	e := Envelope{From: p.sender, To: to.Wire, Message: append(head, rest.bytes...)}
	rest.fill(e.Message[len(head):], token)
	if p.composer.BounceDomain != "" {
		e.From = secret.ReturnPath(job.Ref()) + "@" + p.composer.BounceDomain
	}
	if p.composer.Sign != nil {
		if e.Message, err = p.composer.Sign(e.Message); err != nil {
			return Envelope{}, fmt.Errorf("sign mail: %w", err)
		}
	}
	return e, nil
}

// size is what the mail weighs in memory, in bytes.
func (p *Prepared) size() int {
	n := 4096                                            // what is small
	for _, part := range [...][]string{p.text, p.html} { // without a list of both: it is asked for with every copy
		for _, chunk := range part {
			n += len(chunk)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.made {
		n += len(t.bytes)
	}
	return n
}

// template gives the message for tokens of one length.
func (p *Prepared) template(tokenLength int) (*template, error) {
	if len(p.html) < 2 && len(p.text) < 2 {
		tokenLength = 0 // no hole, so any will do
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if t, ok := p.made[tokenLength]; ok {
		return t, nil
	}
	t, err := p.makeTemplate(tokenLength)
	if err == nil {
		p.made[tokenLength] = t
	}
	return t, err
}

// template is a message without the headers that each copy has of its own, for tokens of one length.
type template struct {
	bytes   []byte
	patches []patch
}

// patch is a run of whole lines of base64 that hold a token.
type patch struct {
	at    int    // where it begins in the message
	raw   []byte // what it encodes
	holes []int  // where a token goes in raw
}

// A line of base64 (RFC 2045 section 6.8).
const (
	lineBytes = 57
	lineChars = 76
)

// fill puts a token into a copy of the template.
func (t *template) fill(message []byte, token string) {
	var buf [16 * lineBytes]byte // of the usual size on the stack
	for _, p := range t.patches {
		raw := append(buf[:0], p.raw...)
		for _, hole := range p.holes {
			copy(raw[hole:], token)
		}
		at := p.at
		for line := range slices.Chunk(raw, lineBytes) {
			base64.StdEncoding.Encode(message[at:], line)
			at += lineChars + len("\r\n")
		}
	}
}

// ownID stands in the template for the Message-ID that each copy writes itself: without one go-mail invents one.
const ownID = "<own@zonewire>"

func (p *Prepared) makeTemplate(tokenLength int) (*template, error) {
	token := strings.Repeat("x", tokenLength)
	text, html := strings.Join(p.text, token), strings.Join(p.html, token)
	msg := gomail.NewMsg(
		gomail.WithCharset(gomail.CharsetUTF8),
		gomail.WithEncoding(gomail.EncodingB64), // quoted-printable doubles Chinese text
		gomail.WithBoundary(p.boundary),
		gomail.WithNoDefaultUserAgent(),
	)
	for _, h := range p.headers {
		msg.SetGenHeader(gomail.Header(h.name), h.value)
	}
	msg.SetGenHeader(gomail.HeaderMessageID, ownID)
	msg.SetBodyString(gomail.TypeTextPlain, text)
	msg.AddAlternativeString(gomail.TypeTextHTML, html)
	var b bytes.Buffer
	if _, err := msg.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("compose mail: %w", err)
	}
	before, after, found := bytes.Cut(b.Bytes(), []byte("\r\nMessage-ID: "+ownID+"\r\n"))
	if !found {
		return nil, errors.New("compose mail: go-mail wrote no Message-ID")
	}
	t := &template{bytes: bytes.Join([][]byte{before, after}, []byte("\r\n"))}
	from := 0
	for _, part := range []struct {
		chunks []string
		body   string
	}{{p.text, text}, {p.html, html}} {
		encoded := encodeLines(part.body)
		const before = "\r\n\r\n"
		at := bytes.Index(t.bytes[from:], []byte(before+encoded+"\r\n--"+p.boundary))
		if at < 0 {
			return nil, errors.New("compose mail: go-mail encoded a part in another way")
		}
		from += at + len(before)
		t.patches = append(t.patches, patches(part.chunks, part.body, tokenLength, from)...)
	}
	return t, nil
}

// encodeLines is base64 as it stands in a mail.
func encodeLines(s string) string {
	var b []byte
	for line := range slices.Chunk([]byte(s), lineBytes) {
		b = append(base64.StdEncoding.AppendEncode(b, line), "\r\n"...)
	}
	return string(b)
}

// patches finds the lines that hold tokens in a body whose encoded form begins at at.
func patches(chunks []string, body string, tokenLength, at int) []patch {
	var all []patch
	begin, end := 0, 0 // of the last patch, in body
	hole := 0
	for _, chunk := range chunks[:len(chunks)-1] {
		hole += len(chunk)
		first := hole / lineBytes * lineBytes
		if len(all) == 0 || first >= end { // else it shares a line with the one before
			begin = first
			all = append(all, patch{at: at + begin/lineBytes*(lineChars+len("\r\n"))})
		}
		last := &all[len(all)-1]
		last.holes = append(last.holes, hole-begin)
		hole += tokenLength
		end = min((hole+lineBytes-1)/lineBytes*lineBytes, len(body))
		last.raw = []byte(body[begin:end])
	}
	return all
}

// contentHash is a function of what a mail says.
func contentHash(m zonewire.Mail) string {
	h := sha256.New()
	for _, s := range slices.Concat([]string{m.Subject, m.Date.UTC().String()}, m.Text, m.HTML) {
		fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// canonical gives the chunks the line ends that text has on the wire (RFC 2046 section 4.1.1). No token begins or ends
// with one, so each chunk can be taken by itself.
func canonical(chunks []string) []string {
	wire := make([]string, len(chunks))
	for i, s := range chunks {
		wire[i] = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
	}
	return wire
}
