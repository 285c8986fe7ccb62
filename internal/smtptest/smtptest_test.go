package smtptest_test

import (
	"crypto/tls"
	"net/smtp"
	"strconv"
	"strings"
	"testing"

	"zonewire/internal/smtptest"
)

// The client here is that of the standard library, so that server and product cannot share a mistake.
func send(t *testing.T, s *smtptest.Server, auth smtp.Auth) error {
	t.Helper()
	c, err := smtp.Dial(s.Host + ":" + strconv.Itoa(s.Port))
	if err != nil {
		return err
	}
	defer c.Close()
	if s.RootCAs != nil {
		if err := c.StartTLS(&tls.Config{ServerName: s.Host, RootCAs: s.RootCAs}); err != nil {
			return err
		}
	}
	if auth != nil {
		if err := c.Auth(auth); err != nil {
			return err
		}
	}
	if err := c.Mail("a@example.com"); err != nil {
		return err
	}
	if err := c.Rcpt("b@example.net"); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write([]byte("Message-ID: <1@example.com>\r\n\r\n.dot\r\nend\r\n")); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return c.Quit()
}

func TestServer(t *testing.T) {
	tests := []struct {
		name  string
		opts  smtptest.Options
		auth  smtp.Auth
		want  string // part of the client's error
		taken int
	}{
		{"plain server takes a mail", smtptest.Options{}, nil, "", 1},
		{"starttls server takes a mail", smtptest.Options{TLS: smtptest.StartTLS}, nil, "", 1},
		{"a certificate for another name is found out", smtptest.Options{TLS: smtptest.StartTLS, BadCertificate: true}, nil, "certificate", 0},
		{"login is demanded", smtptest.Options{TLS: smtptest.StartTLS, Username: "u", Password: "p"}, nil, "530", 0},
		{"wrong password is refused", smtptest.Options{TLS: smtptest.StartTLS, Username: "u", Password: "p"}, smtp.PlainAuth("", "u", "x", "127.0.0.1"), "535", 0},
		{"right password is welcome", smtptest.Options{TLS: smtptest.StartTLS, Username: "u", Password: "p"}, smtp.PlainAuth("", "u", "p", "127.0.0.1"), "", 1},
		{"scripted refusal", smtptest.Options{Script: smtptest.At(smtptest.Rcpt, 1, smtptest.Action{Reply: "550 no"})}, nil, "550", 0},
		{"hang-up after the dot takes nothing", smtptest.Options{Script: smtptest.At(smtptest.Dot, 1, smtptest.Action{Close: true})}, nil, "EOF", 0},
		{"hang-up after the dot may take the mail", smtptest.Options{Script: smtptest.At(smtptest.Dot, 1, smtptest.Action{Close: true, Take: true})}, nil, "EOF", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := smtptest.New(t, tt.opts)
			err := send(t, s, tt.auth)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			mails := s.Mails()
			if len(mails) != tt.taken {
				t.Fatalf("took %d mails, want %d", len(mails), tt.taken)
			}
			if tt.taken == 0 {
				return
			}
			if got := s.MessageIDs()["<1@example.com>"]; got != 1 {
				t.Errorf("message id counted %d times, want once", got)
			}
			if raw := string(mails[0].Raw); !strings.Contains(raw, "\r\n.dot\r\n") || mails[0].To != "b@example.net" {
				t.Errorf("took %q for %s", raw, mails[0].To)
			}
		})
	}
}
