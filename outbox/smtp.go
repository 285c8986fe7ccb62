package outbox

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"zonewire"
)

// Values of [SMTPConfig.TLS].
const (
	StartTLS    = "starttls" // required: a server that does not offer it gets no mail
	ImplicitTLS = "implicit"
	NoTLS       = "none"
)

// SMTPConfig says where mail goes and how.
type SMTPConfig struct {
	Host     string
	Port     int    // 0: 587, or 465 for implicit TLS
	TLS      string // empty: StartTLS
	Username string // empty: no login
	Password string
	HELO     string         // empty: the host's name
	RootCAs  *x509.CertPool // nil: the system's
	Timeouts Timeouts
}

// Timeouts bound the waits for a server; a zero one means that of RFC 5321 section 4.5.3.2, except for Dial, where
// half a minute is enough for TCP, TLS and login together.
type Timeouts struct {
	Dial    time.Duration
	Command time.Duration // MAIL, RCPT, DATA
	Message time.Duration // to take the message, before its final dot
	Dot     time.Duration // to answer the final dot
}

func (t Timeouts) withDefaults() Timeouts {
	for _, d := range []struct {
		value *time.Duration
		usual time.Duration
	}{{&t.Dial, 30 * time.Second}, {&t.Command, 5 * time.Minute}, {&t.Message, 10 * time.Minute}, {&t.Dot, 10 * time.Minute}} {
		if *d.value == 0 {
			*d.value = d.usual
		}
	}
	return t
}

type smtpTransport struct {
	cfg  SMTPConfig
	addr string // host:port, for messages
	tls  *tls.Config
}

// NewSMTP gives a transport to one mail server. It fails with [zonewire.ErrInvalid] if a value cannot be used, and
// does not connect.
func NewSMTP(cfg SMTPConfig) (Transport, error) {
	if cfg.Host == "" {
		return nil, zonewire.Invalidf("mail.host is empty: name the mail server, or set mail.transport to \"maildir\"")
	}
	switch cfg.TLS {
	case "":
		cfg.TLS = StartTLS
	case StartTLS, ImplicitTLS, NoTLS:
	default:
		return nil, zonewire.Invalidf("mail.tls %q is none of starttls, implicit, none", cfg.TLS)
	}
	if cfg.Port == 0 {
		cfg.Port = 587
		if cfg.TLS == ImplicitTLS {
			cfg.Port = 465
		}
	}
	if cfg.Port < 1 || cfg.Port > 65535 {
		return nil, zonewire.Invalidf("mail.port %d is not between 1 and 65535", cfg.Port)
	}
	if cfg.HELO == "" {
		cfg.HELO = "localhost"
		if name, err := os.Hostname(); err == nil && name != "" {
			cfg.HELO = name
		}
	}
	cfg.Timeouts = cfg.Timeouts.withDefaults()
	return &smtpTransport{
		cfg:  cfg,
		addr: net.JoinHostPort(cfg.Host, strconv.Itoa(cfg.Port)),
		tls:  &tls.Config{ServerName: cfg.Host, RootCAs: cfg.RootCAs, MinVersion: tls.VersionTLS12},
	}, nil
}

// Dial connects, encrypts and logs in. Its error names host, port and what the operator can do.
func (t *smtpTransport) Dial(ctx context.Context) (Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, t.cfg.Timeouts.Dial)
	defer cancel()
	c := &smtpConn{timeouts: t.cfg.Timeouts}
	err := t.dial(ctx, c)
	if err != nil && c.raw != nil {
		c.raw.Close() // go-mail leaves it open after a failed greeting
	}
	if err != nil {
		return nil, t.explain(err)
	}
	return c, nil
}

// dial fills c in. c.raw is set as soon as there is a connection, also when dial fails later.
func (t *smtpTransport) dial(ctx context.Context, c *smtpConn) error {
	policy := gomail.NoTLS // also for implicit TLS, which go-mail leaves to the dial function
	if t.cfg.TLS == StartTLS {
		policy = gomail.TLSMandatory
	}
	// go-mail minds a context only while it connects: a server that never greets is cut off here.
	watched := func() bool { return true }
	connect := func(dialing context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(dialing, network, addr)
		if err != nil {
			return nil, err
		}
		c.raw = conn
		watched = context.AfterFunc(ctx, func() { conn.Close() })
		if t.cfg.TLS != ImplicitTLS {
			return conn, nil
		}
		secure := tls.Client(conn, t.tls)
		return secure, secure.HandshakeContext(dialing)
	}
	client, err := gomail.NewClient(t.cfg.Host,
		gomail.WithPort(t.cfg.Port),
		gomail.WithHELO(t.cfg.HELO),
		gomail.WithTimeout(t.cfg.Timeouts.Dial),
		gomail.WithTLSPolicy(policy),
		gomail.WithTLSConfig(t.tls),
		gomail.WithoutSMTPUTF8(),
		gomail.WithDialContextFunc(connect),
	)
	if err != nil {
		return err
	}
	c.client, err = client.DialToSMTPClientWithContext(ctx)
	if err == nil {
		err = t.login(c.client)
	}
	if !watched() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return err
	}
	c.pipelining, _ = c.client.Extension("PIPELINING")
	return nil
}

// login authenticates with the best mechanism that both sides know. go-mail's own choice takes an implicit TLS
// connection for a plain one, hence ours. None of them sends a password in clear text over an unencrypted connection,
// except to this machine.
func (t *smtpTransport) login(c *smtp.Client) error {
	user, pass := t.cfg.Username, t.cfg.Password
	if user == "" {
		return nil
	}
	_, offered := c.Extension("AUTH")
	mechanisms := []struct {
		name string
		auth func() smtp.Auth
	}{
		{"SCRAM-SHA-256", func() smtp.Auth { return smtp.ScramSHA256Auth(user, pass) }},
		{"PLAIN", func() smtp.Auth { return smtp.PlainAuth("", user, pass, t.cfg.Host, false) }},
		{"LOGIN", func() smtp.Auth { return smtp.LoginAuth(user, pass, t.cfg.Host, false) }},
		{"CRAM-MD5", func() smtp.Auth { return smtp.CRAMMD5Auth(user, pass) }},
	}
	for _, m := range mechanisms {
		if slices.Contains(strings.Fields(strings.ToUpper(offered)), m.name) {
			if err := c.Auth(m.auth()); err != nil {
				return &loginError{err}
			}
			return nil
		}
	}
	return &loginError{fmt.Errorf("server offers %q, none of SCRAM-SHA-256, PLAIN, LOGIN, CRAM-MD5", offered)}
}

type loginError struct{ err error }

func (e *loginError) Error() string { return "login: " + e.err.Error() }
func (e *loginError) Unwrap() error { return e.err }

// explain names the server and what the operator can do about the failure.
func (t *smtpTransport) explain(err error) error {
	var (
		login       *loginError
		certificate *tls.CertificateVerificationError
		reply       *textproto.Error
		remedy      string
	)
	switch {
	case errors.Is(err, context.Canceled):
		remedy = "interrupted"
	case errors.As(err, &login) && errors.Is(err, smtp.ErrUnencrypted):
		remedy = "the password is not sent without encryption: set mail.tls to \"starttls\" or \"implicit\""
	case errors.As(err, &login):
		remedy = "check mail.username and mail.password_file"
	case errors.As(err, &certificate):
		remedy = "its certificate is not valid for the name in mail.host"
	case strings.Contains(err.Error(), "does not support STARTTLS"): // go-mail gives this error no name
		return fmt.Errorf("mail server %s offers no STARTTLS: set mail.tls to \"implicit\", or to \"none\" if nobody else can listen", t.addr)
	case errors.As(err, &reply):
		remedy = "it refuses this host"
	default:
		remedy = "is it running, and are mail.host, mail.port and mail.tls right?"
	}
	// Servers repeat the user name, which often is an address, and this text is logged.
	text := err.Error()
	if t.cfg.Username != "" {
		text = strings.ReplaceAll(text, t.cfg.Username, "(user)")
	}
	return fmt.Errorf("mail server %s: %s: %s", t.addr, strings.Join(strings.Fields(text), " "), remedy)
}
