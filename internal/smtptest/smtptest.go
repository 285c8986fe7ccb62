// Package smtptest gives tests an SMTP server that behaves as its script says: it accepts, refuses, hangs up, stays
// silent or talks nonsense at any stage of a session, and remembers every mail that it took.
//
// Without a script it is a correct small server (RFC 5321) that is strict about the order of commands, so that a client
// that goes on in an unknown state is found out. A mail counts as taken once the server decided to accept it, even if
// its reply is lost: [Server.MessageIDs] therefore shows what a recipient would see twice.
package smtptest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/mail"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Modes of encryption, the values of mail.tls.
const (
	None     = "none"
	StartTLS = "starttls"
	Implicit = "implicit"
)

// Options describes a server. The zero value speaks plain SMTP with PIPELINING and accepts everything.
type Options struct {
	Host           string // address to listen on; 127.0.0.1 if empty
	TLS            string // None if empty
	BadCertificate bool   // the certificate is for another name
	NoPipelining   bool   // do not offer PIPELINING
	Username       string // demanded by AUTH PLAIN if not empty
	Password       string
	Script         Script // may be nil
}

// Stages of a session, in the order in which a client reaches them.
const (
	Connect = "CONNECT" // the banner
	Ehlo    = "EHLO"
	TLS     = "STARTTLS"
	Auth    = "AUTH"
	Mail    = "MAIL"
	Rcpt    = "RCPT"
	Data    = "DATA"
	Body    = "BODY" // after 354, before anything of the message was read: a reply here is an early one
	Dot     = "DOT"  // the message is complete
	Rset    = "RSET"
	Quit    = "QUIT"
)

// Event is the moment before the server would answer.
type Event struct {
	Stage string
	N     int    // how often any client has reached this stage, from 1
	Arg   string // what followed the command
}

// Action says what to do instead of the usual answer; the zero Action is the usual answer.
type Action struct {
	Reply  string // the lines of the reply, without the last line break; at Dot a 2xx takes the mail
	Close  bool   // hang up, after Reply if there is one
	Take   bool   // at Dot: take the mail although the client will not learn of it
	Silent bool   // say nothing more until the client hangs up
	Deaf   bool   // read nothing more, after Reply if there is one
}

// Script decides on each event. It may be called by several connections at once.
type Script func(Event) Action

// At is the script that acts the nth time that a stage is reached, or each time if n is 0.
func At(stage string, n int, a Action) Script {
	return func(e Event) Action {
		if e.Stage == stage && (n == 0 || e.N == n) {
			return a
		}
		return Action{}
	}
}

// Received is a mail that the server took.
type Received struct {
	From, To  string // of the envelope
	Raw       []byte // as it was before dot-stuffing
	MessageID string // with its angle brackets
}

// Server is a running server. It ends with its test.
type Server struct {
	Host    string
	Port    int
	RootCAs *x509.CertPool // trusts the server's certificate; nil without TLS

	opts Options
	tls  *tls.Config
	ln   net.Listener
	wg   sync.WaitGroup

	closed  chan struct{}
	closing sync.Once

	mu     sync.Mutex
	conns  map[net.Conn]bool
	counts map[string]int
	mails  []Received
}

// New starts a server on a free port.
func New(t testing.TB, opts Options) *Server {
	t.Helper()
	if opts.Host == "" {
		opts.Host = "127.0.0.1"
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(opts.Host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{opts: opts, ln: ln, Host: opts.Host, closed: make(chan struct{}), conns: map[net.Conn]bool{}, counts: map[string]int{}}
	s.Port = ln.Addr().(*net.TCPAddr).Port
	if opts.TLS == StartTLS || opts.TLS == Implicit {
		s.tls, s.RootCAs, err = certificate(opts.BadCertificate)
		if err != nil {
			t.Fatal(err)
		}
	}
	s.wg.Go(s.accept)
	t.Cleanup(s.Close)
	return s
}

// Close hangs up on everyone and waits until all is quiet. It may be called twice.
func (s *Server) Close() {
	s.closing.Do(func() { close(s.closed) })
	s.ln.Close()
	s.HangUp()
	s.wg.Wait()
}

// HangUp cuts every open connection; the server goes on.
func (s *Server) HangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.Close()
	}
}

// Mails gives the mails taken so far, in order.
func (s *Server) Mails() []Received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Received(nil), s.mails...)
}

// MessageIDs says how often each Message-ID was taken: 2 is a mail that somebody got twice.
func (s *Server) MessageIDs() map[string]int {
	ids := map[string]int{}
	for _, m := range s.Mails() {
		ids[m.MessageID]++
	}
	return ids
}

// Count is how often a stage was reached.
func (s *Server) Count(stage string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[stage]
}

// Open is how many connections are open.
func (s *Server) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

func (s *Server) accept() {
	for {
		c, err := s.ln.Accept()
		if err != nil {
			return // closed
		}
		s.mu.Lock()
		s.conns[c] = true
		s.mu.Unlock()
		s.wg.Go(func() {
			defer func() {
				s.mu.Lock()
				delete(s.conns, c)
				s.mu.Unlock()
				c.Close()
			}()
			// A session ends with an error in most tests: hanging up is how faults are played.
			_ = (&session{s: s, secure: s.opts.TLS == Implicit}).run(c)
		})
	}
}

// decide asks the script.
func (s *Server) decide(stage, arg string) Action {
	s.mu.Lock()
	s.counts[stage]++
	n := s.counts[stage]
	s.mu.Unlock()
	if s.opts.Script == nil {
		return Action{}
	}
	return s.opts.Script(Event{Stage: stage, N: n, Arg: arg})
}

var errHangUp = errors.New("hang up")

// session is one connection.
type session struct {
	s        *Server
	conn     net.Conn
	r        *bufio.Reader
	secure   bool
	loggedIn bool
	from, to string
	mail     bool // MAIL was accepted
	rcpt     bool // RCPT was accepted
}

func (c *session) run(conn net.Conn) error {
	c.conn = conn
	if c.secure {
		c.conn = tls.Server(conn, c.s.tls)
	}
	c.r = bufio.NewReader(c.conn)
	if _, err := c.answer(Connect, "", "220 smtptest ESMTP"); err != nil {
		return err
	}
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		verb, arg, _ := strings.Cut(line, " ")
		verb = strings.ToUpper(verb)
		if err := c.command(verb, arg); err != nil {
			return err
		}
	}
}

func (c *session) command(verb, arg string) error {
	switch verb {
	case "EHLO", "HELO":
		c.mail, c.rcpt = false, false
		_, err := c.answer(Ehlo, arg, c.greeting())
		return err
	case "STARTTLS":
		if c.secure || c.s.opts.TLS != StartTLS {
			return c.say("502 5.5.1 not offered")
		}
		if code, err := c.answer(TLS, arg, "220 go ahead"); err != nil || code != 220 {
			return err
		}
		c.conn, c.secure = tls.Server(c.conn, c.s.tls), true
		c.r = bufio.NewReader(c.conn)
		return nil
	case "AUTH":
		return c.auth(arg)
	case "MAIL":
		usual := "250 2.1.0 ok"
		if c.mail {
			usual = "503 5.5.1 nested MAIL"
		} else if c.s.opts.Username != "" && !c.loggedIn {
			usual = "530 5.7.0 authentication required"
		}
		code, err := c.answer(Mail, arg, usual)
		c.mail, c.from = c.mail || code == 250, path(arg)
		return err
	case "RCPT":
		usual := "250 2.1.5 ok"
		if !c.mail {
			usual = "503 5.5.1 MAIL first"
		}
		code, err := c.answer(Rcpt, arg, usual)
		c.rcpt, c.to = c.rcpt || code/10 == 25, path(arg)
		return err
	case "DATA":
		usual := "354 end with a dot"
		if !c.rcpt {
			usual = "503 5.5.1 no valid recipients"
		}
		code, err := c.answer(Data, "", usual)
		if err != nil || code != 354 {
			return err
		}
		return c.data()
	case "RSET":
		c.mail, c.rcpt = false, false
		_, err := c.answer(Rset, "", "250 2.0.0 ok")
		return err
	case "QUIT":
		if _, err := c.answer(Quit, "", "221 2.0.0 bye"); err != nil {
			return err
		}
		return errHangUp
	default:
		return c.say("500 5.5.2 unknown command")
	}
}

func (c *session) greeting() string {
	lines := []string{"smtptest", "8BITMIME", "ENHANCEDSTATUSCODES"}
	if !c.s.opts.NoPipelining {
		lines = append(lines, "PIPELINING")
	}
	if c.s.opts.TLS == StartTLS && !c.secure {
		lines = append(lines, "STARTTLS")
	}
	if c.s.opts.Username != "" {
		lines = append(lines, "AUTH PLAIN")
	}
	for i, l := range lines {
		sep := "-"
		if i == len(lines)-1 {
			sep = " "
		}
		lines[i] = "250" + sep + l
	}
	return strings.Join(lines, "\r\n")
}

func (c *session) auth(arg string) error {
	want := base64.StdEncoding.EncodeToString([]byte("\x00" + c.s.opts.Username + "\x00" + c.s.opts.Password))
	usual := "535 5.7.8 bad credentials"
	if arg == "PLAIN "+want {
		usual = "235 2.7.0 welcome"
	}
	code, err := c.answer(Auth, "", usual)
	c.loggedIn = code == 235
	return err
}

// data reads the message and answers its final dot.
func (c *session) data() error {
	early := c.s.decide(Body, "")
	if early != (Action{}) {
		if err := c.act(early); err != nil {
			return err
		}
	}
	raw, err := c.message()
	if err != nil {
		return err
	}
	c.mail, c.rcpt = false, false
	if early != (Action{}) {
		return nil // it was answered before it was read
	}
	a := c.s.decide(Dot, "")
	if a == (Action{}) {
		a.Reply = "250 2.0.0 queued"
	}
	if a.Take || strings.HasPrefix(a.Reply, "2") {
		c.s.take(c.from, c.to, raw)
	}
	return c.act(a)
}

func (s *Server) take(from, to string, raw []byte) {
	m := Received{From: from, To: to, Raw: raw}
	if parsed, err := mail.ReadMessage(bytes.NewReader(raw)); err == nil {
		m.MessageID = parsed.Header.Get("Message-ID")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, m)
}

// message reads up to the final dot and undoes the dot-stuffing (RFC 5321 section 4.5.2). It keeps the bytes as they
// are, bare line feeds too, so that a test may look for them.
func (c *session) message() ([]byte, error) {
	var raw []byte
	atStart := true // after CRLF: only there a dot means something
	for {
		line, err := c.r.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		if atStart && line[0] == '.' {
			if string(line) == ".\r\n" {
				return raw, nil
			}
			line = line[1:]
		}
		raw = append(raw, line...)
		atStart = bytes.HasSuffix(line, []byte("\r\n"))
	}
}

// answer plays the script's action for the stage, or gives the usual reply, and tells the code that was sent.
func (c *session) answer(stage, arg, usual string) (code int, err error) {
	a := c.s.decide(stage, arg)
	if a == (Action{}) {
		a.Reply = usual
	}
	if len(a.Reply) >= 3 {
		code, _ = strconv.Atoi(a.Reply[:3]) // 0 for garbage: no state changes
	}
	return code, c.act(a)
}

func (c *session) act(a Action) error {
	if a.Silent {
		_, err := io.Copy(io.Discard, c.r)
		return errors.Join(err, errHangUp)
	}
	if a.Reply != "" {
		if err := c.say(a.Reply); err != nil {
			return err
		}
	}
	if a.Deaf {
		<-c.s.closed
	}
	if a.Close || a.Deaf {
		return errHangUp
	}
	return nil
}

func (c *session) say(reply string) error {
	_, err := fmt.Fprintf(c.conn, "%s\r\n", reply)
	return err
}

func (c *session) line() (string, error) {
	line, err := c.r.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}

// path is the address between the angle brackets.
func path(arg string) string {
	_, rest, _ := strings.Cut(arg, "<")
	p, _, _ := strings.Cut(rest, ">")
	return p
}
