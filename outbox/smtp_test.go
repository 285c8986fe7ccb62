package outbox_test

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"zonewire/internal/smtptest"
	"zonewire/outbox"
)

type action = smtptest.Action

// config is that of a client of the server.
func config(s *smtptest.Server, tls string) outbox.SMTPConfig {
	return outbox.SMTPConfig{Host: s.Host, Port: s.Port, TLS: tls, HELO: "client.example", RootCAs: s.RootCAs}
}

func dial(t testing.TB, cfg outbox.SMTPConfig) (outbox.Conn, error) {
	t.Helper()
	tr, err := outbox.NewSMTP(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return tr.Dial(t.Context())
}

func mustDial(t testing.TB, s *smtptest.Server, change func(*outbox.SMTPConfig)) outbox.Conn {
	t.Helper()
	cfg := config(s, outbox.NoTLS)
	if change != nil {
		change(&cfg)
	}
	c, err := dial(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() }) // a broken one is closed already
	return c
}

func envelope(t testing.TB, id int64) outbox.Envelope {
	job := digestJob()
	job.ID = id
	return compose(t, zhMail(), job)
}

func TestSendArrivesUnchanged(t *testing.T) {
	for _, mode := range []string{outbox.NoTLS, outbox.StartTLS, outbox.ImplicitTLS} {
		for _, pipelining := range []bool{true, false} {
			t.Run(mode+" pipelining "+strconv.FormatBool(pipelining), func(t *testing.T) {
				s := smtptest.New(t, smtptest.Options{TLS: mode, NoPipelining: !pipelining, Username: "user", Password: "pass"})
				cfg := config(s, mode)
				cfg.Username, cfg.Password = "user", "pass"
				c, err := dial(t, cfg)
				if err != nil {
					t.Fatal(err)
				}
				sent := []outbox.Envelope{
					envelope(t, 1),
					{From: "a@example.com", To: "b@example.net", Message: []byte(".\r\n..\r\n.x\r\nMessage-ID: <dots@x>\r\n\r\n.\r\nend")},
					envelope(t, 2),
				}
				for _, e := range sent {
					if r := c.Send(t.Context(), e); !r.Accepted() || !c.Usable() {
						t.Fatalf("reply %+v, usable %v", r, c.Usable())
					}
				}
				if err := c.Close(); err != nil {
					t.Error(err)
				}
				got := s.Mails()
				if len(got) != len(sent) {
					t.Fatalf("%d mails arrived, want %d", len(got), len(sent))
				}
				for i, m := range got {
					want := bytes.TrimSuffix(sent[i].Message, []byte("\r\n"))
					if !bytes.Equal(bytes.TrimSuffix(m.Raw, []byte("\r\n")), want) || m.From != sent[i].From || m.To != sent[i].To {
						t.Errorf("mail %d arrived as\n%q\nfrom %s to %s, sent\n%q", i, m.Raw, m.From, m.To, sent[i].Message)
					}
				}
				if n := s.Count(smtptest.Quit); n != 1 {
					t.Errorf("QUIT %d times", n)
				}
			})
		}
	}
}

// TestSendFaults plays each fault to the first mail of two. What matters: which stage and code come back, whether the
// connection may be used again, that the second mail then arrives whole, and that the first arrives only if it was
// accepted or nobody knows.
func TestSendFaults(t *testing.T) {
	closing := action{Close: true}
	tests := []struct {
		name   string
		script smtptest.Script
		stage  outbox.Stage
		code   int
		usable bool
		taken  int // copies of the first mail
	}{
		{"MAIL refused for now", smtptest.At(smtptest.Mail, 1, action{Reply: "451 4.3.0 later"}), outbox.StageMail, 451, true, 0},
		{"MAIL refused", smtptest.At(smtptest.Mail, 1, action{Reply: "550 5.7.1 not you"}), outbox.StageMail, 550, true, 0},
		{"MAIL refused in many lines", smtptest.At(smtptest.Mail, 1, action{Reply: "550-5.7.1 not\r\n550 5.7.1 you"}), outbox.StageMail, 550, true, 0},
		{"421 at MAIL and gone", smtptest.At(smtptest.Mail, 1, action{Reply: "421 4.7.0 too much", Close: true}), outbox.StageMail, 421, false, 0},
		{"gone at MAIL", smtptest.At(smtptest.Mail, 1, closing), outbox.StageMail, 0, false, 0},
		{"garbage at MAIL", smtptest.At(smtptest.Mail, 1, action{Reply: "HTTP/1.1 400 Bad Request"}), outbox.StageMail, 0, false, 0},
		{"a code that is none at MAIL", smtptest.At(smtptest.Mail, 1, action{Reply: "999 what"}), outbox.StageMail, 0, false, 0},
		{"a reply out of place at MAIL", smtptest.At(smtptest.Mail, 1, action{Reply: "354 go on"}), outbox.StageMail, 0, false, 0},
		{"silence at MAIL", smtptest.At(smtptest.Mail, 1, action{Silent: true}), outbox.StageMail, 0, false, 0},
		{"RCPT refused", smtptest.At(smtptest.Rcpt, 1, action{Reply: "550 5.1.1 nobody"}), outbox.StageRcpt, 550, true, 0},
		{"RCPT refused for now", smtptest.At(smtptest.Rcpt, 1, action{Reply: "450 4.2.0 greylisted"}), outbox.StageRcpt, 450, true, 0},
		{"gone at RCPT", smtptest.At(smtptest.Rcpt, 1, closing), outbox.StageRcpt, 0, false, 0},
		{"RCPT refused and RSET unknown", both(
			smtptest.At(smtptest.Rcpt, 1, action{Reply: "550 5.1.1 nobody"}),
			smtptest.At(smtptest.Rset, 1, action{Reply: "502 5.5.1 not implemented"})), outbox.StageRcpt, 550, false, 0},
		{"RCPT refused but DATA welcome", both(
			smtptest.At(smtptest.Rcpt, 1, action{Reply: "550 5.1.1 nobody"}),
			smtptest.At(smtptest.Data, 1, action{Reply: "354 go on"})), outbox.StageRcpt, 550, false, 0},
		{"DATA refused", smtptest.At(smtptest.Data, 1, action{Reply: "451 4.3.0 no room"}), outbox.StageData, 451, true, 0},
		{"DATA answered like MAIL", smtptest.At(smtptest.Data, 1, action{Reply: "250 ok"}), outbox.StageData, 0, false, 0},
		{"gone at DATA", smtptest.At(smtptest.Data, 1, closing), outbox.StageData, 0, false, 0},
		{"final dot refused", smtptest.At(smtptest.Dot, 1, action{Reply: "554 5.7.1 spam"}), outbox.StageDot, 554, true, 0},
		{"final dot refused for now", smtptest.At(smtptest.Dot, 1, action{Reply: "451 4.3.0 later"}), outbox.StageDot, 451, true, 0},
		{"421 at the final dot", smtptest.At(smtptest.Dot, 1, action{Reply: "421 4.3.2 going down", Close: true}), outbox.StageDot, 421, false, 0},
		{"an early reply counts as the reply to the dot", smtptest.At(smtptest.Body, 1, action{Reply: "552 5.3.4 too big"}), outbox.StageDot, 552, true, 0},
		{"gone after the final dot, mail taken", smtptest.At(smtptest.Dot, 1, action{Close: true, Take: true}), outbox.StageDot, 0, false, 1},
		{"gone after the final dot, mail not taken", smtptest.At(smtptest.Dot, 1, closing), outbox.StageDot, 0, false, 0},
		{"garbage after the final dot", smtptest.At(smtptest.Dot, 1, action{Reply: "what?", Take: true}), outbox.StageDot, 0, false, 1},
		{"354 after the final dot", smtptest.At(smtptest.Dot, 1, action{Reply: "354 more", Take: true}), outbox.StageDot, 0, false, 1},
		{"silence after the final dot", smtptest.At(smtptest.Dot, 1, action{Silent: true, Take: true}), outbox.StageDot, 0, false, 1},
	}
	for _, pipelining := range []bool{true, false} {
		for _, tt := range tests {
			name := tt.name
			if !pipelining {
				name += " without pipelining"
			}
			t.Run(name, func(t *testing.T) {
				s := smtptest.New(t, smtptest.Options{Script: tt.script, NoPipelining: !pipelining})
				shortly := func(cfg *outbox.SMTPConfig) {
					if strings.Contains(tt.name, "silence") {
						cfg.Timeouts = outbox.Timeouts{Command: 50 * time.Millisecond, Dot: 50 * time.Millisecond}
					}
				}
				c := mustDial(t, s, shortly)
				first, second := envelope(t, 1), envelope(t, 2)
				r := c.Send(t.Context(), first)
				if r.Stage != tt.stage || r.Code != tt.code || r.Accepted() || r.Text == "" {
					t.Errorf("reply %+v, want stage %v code %d", r, tt.stage, tt.code)
				}
				if r.Lost() != (tt.stage == outbox.StageDot && tt.code == 0) {
					t.Errorf("lost is %v for %+v", r.Lost(), r)
				}
				// Only a pipelining client has asked for DATA before it knows.
				usable := tt.usable || tt.name == "RCPT refused but DATA welcome" && !pipelining
				if c.Usable() != usable {
					t.Fatalf("usable is %v, want %v", c.Usable(), usable)
				}
				if !usable {
					c = mustDial(t, s, shortly)
				}
				if r := c.Send(t.Context(), second); !r.Accepted() {
					t.Errorf("second mail: %+v", r)
				}
				ids := s.MessageIDs()
				if got := ids[messageID(first)]; got != tt.taken {
					t.Errorf("first mail arrived %d times, want %d", got, tt.taken)
				}
				if got := ids[messageID(second)]; got != 1 {
					t.Errorf("second mail arrived %d times, want once", got)
				}
				for _, m := range s.Mails() {
					if !bytes.Equal(m.Raw, first.Message) && !bytes.Equal(m.Raw, second.Message) {
						t.Errorf("half a mail arrived: %q", m.Raw)
					}
				}
			})
		}
	}
}

// TestSendHearsWhyTheServerStopped: a server that will not read a big message to its end says so and stops reading, or
// hangs up, and then its words may be lost. Neither may look like a lost reply to a dot that was not sent.
func TestSendHearsWhyTheServerStopped(t *testing.T) {
	tests := []struct {
		name  string
		fault action
		codes []int
	}{
		{"stops reading", action{Reply: "552 5.3.4 too big", Deaf: true}, []int{552}},
		{"stops reading and says nothing", action{Deaf: true}, []int{0}},
		{"hangs up", action{Reply: "552 5.3.4 too big", Close: true}, []int{552, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := smtptest.New(t, smtptest.Options{Script: smtptest.At(smtptest.Body, 1, tt.fault)})
			c := mustDial(t, s, func(cfg *outbox.SMTPConfig) {
				cfg.Timeouts = outbox.Timeouts{Command: 200 * time.Millisecond, Message: 200 * time.Millisecond}
			})
			e := envelope(t, 1)
			e.Message = append(e.Message, bytes.Repeat([]byte("0123456789012345678901234567890123456789012345678901234567890123456789\r\n"), 400_000)...)
			r := c.Send(t.Context(), e)
			if r.Lost() || r.Accepted() || r.Stage != outbox.StageData || !slices.Contains(tt.codes, r.Code) {
				t.Errorf("reply %+v, want one of %v at DATA", r, tt.codes)
			}
			if c.Usable() {
				t.Error("the connection is in the middle of a message and called usable")
			}
		})
	}
}

func TestSendIsCutWhenTheContextEnds(t *testing.T) {
	for _, tt := range []struct {
		stage string
		lost  bool
	}{{smtptest.Mail, false}, {smtptest.Dot, true}} {
		t.Run(tt.stage, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			s := smtptest.New(t, smtptest.Options{Script: func(e smtptest.Event) action {
				if e.Stage == tt.stage {
					cancel()
					return action{Silent: true}
				}
				return action{}
			}})
			c := mustDial(t, s, nil)
			r := c.Send(ctx, envelope(t, 1)) // would wait for minutes
			if r.Code != 0 || r.Lost() != tt.lost || c.Usable() {
				t.Errorf("reply %+v, usable %v", r, c.Usable())
			}
		})
	}
}

func TestDialIsCutWhenTheContextEnds(t *testing.T) {
	for _, stage := range []string{smtptest.Connect, smtptest.Ehlo, smtptest.TLS} {
		t.Run(stage, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			s := smtptest.New(t, smtptest.Options{TLS: smtptest.StartTLS, Script: func(e smtptest.Event) action {
				if e.Stage == stage {
					cancel()
					return action{Silent: true}
				}
				return action{}
			}})
			cfg := config(s, outbox.StartTLS)
			cfg.Timeouts.Dial = time.Hour
			tr, err := outbox.NewSMTP(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tr.Dial(ctx); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestDialTellsWhatToDo(t *testing.T) {
	down := smtptest.New(t, smtptest.Options{})
	down.Close()
	tests := []struct {
		name   string
		server smtptest.Options
		change func(*outbox.SMTPConfig)
		want   []string
	}{
		{"no STARTTLS offered", smtptest.Options{}, func(c *outbox.SMTPConfig) { c.TLS = "" }, []string{"offers no STARTTLS", "mail.tls"}},
		{"certificate for another name", smtptest.Options{TLS: smtptest.StartTLS, BadCertificate: true}, nil, []string{"certificate", "mail.host"}},
		{"certificate of a stranger", smtptest.Options{TLS: smtptest.StartTLS}, func(c *outbox.SMTPConfig) { c.RootCAs = nil }, []string{"certificate"}},
		{"certificate under implicit TLS", smtptest.Options{TLS: smtptest.Implicit, BadCertificate: true}, nil, []string{"certificate", "mail.host"}},
		{"STARTTLS refused", smtptest.Options{TLS: smtptest.StartTLS, Script: smtptest.At(smtptest.TLS, 1, action{Reply: "454 4.7.0 TLS not available"})}, nil, []string{"454"}},
		{"wrong password", smtptest.Options{TLS: smtptest.StartTLS, Username: "postmaster@example.com", Password: "right"}, func(c *outbox.SMTPConfig) { c.Username, c.Password = "postmaster@example.com", "wrong-secret" }, []string{"535", "mail.password_file"}},
		{"login not offered", smtptest.Options{TLS: smtptest.StartTLS}, func(c *outbox.SMTPConfig) { c.Username = "postmaster@example.com" }, []string{"mail.username"}},
		{"refused at the door", smtptest.Options{Script: smtptest.At(smtptest.Connect, 0, action{Reply: "554 5.7.1 no service", Close: true})}, nil, []string{"554"}},
		{"hung up at the door", smtptest.Options{Script: smtptest.At(smtptest.Connect, 0, action{Close: true})}, nil, []string{"is it running"}},
		{"silence at the door", smtptest.Options{Script: smtptest.At(smtptest.Connect, 0, action{Silent: true})}, func(c *outbox.SMTPConfig) { c.Timeouts.Dial = 50 * time.Millisecond }, []string{"mail.port"}},
		{"silence at EHLO", smtptest.Options{Script: smtptest.At(smtptest.Ehlo, 0, action{Silent: true})}, func(c *outbox.SMTPConfig) { c.Timeouts.Dial = 50 * time.Millisecond }, []string{"mail.port"}},
		{"nobody there", smtptest.Options{}, func(c *outbox.SMTPConfig) { c.Port = down.Port }, []string{"refused", "is it running", strconv.Itoa(down.Port)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := smtptest.New(t, tt.server)
			cfg := config(s, tt.server.TLS)
			if cfg.TLS == "" {
				cfg.TLS = outbox.NoTLS
			}
			if tt.change != nil {
				tt.change(&cfg)
			}
			c, err := dial(t, cfg)
			if err == nil {
				c.Close()
				t.Fatal("no error")
			}
			for _, want := range append(tt.want, "mail server 127.0.0.1:") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
			for _, secret := range []string{"wrong-secret", "postmaster@example.com", "\n"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("error %q holds %q", err, secret)
				}
			}
			if n := s.Count(smtptest.Mail); n != 0 {
				t.Errorf("MAIL was sent %d times", n)
			}
			for try := 0; s.Open() > 0; try++ { // the server needs a moment to see the end
				if try == 500 {
					t.Fatal("the connection is left open")
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
}

func TestPasswordIsNotSentInClearText(t *testing.T) {
	// 127.0.0.2 is loopback on Linux, but not a name that counts as this machine.
	s := smtptest.New(t, smtptest.Options{Host: "127.0.0.2", Username: "user", Password: "pass"})
	cfg := config(s, outbox.NoTLS)
	cfg.Username, cfg.Password = "user", "pass"
	_, err := dial(t, cfg)
	if err == nil || !strings.Contains(err.Error(), "without encryption") || s.Count(smtptest.Auth) != 0 {
		t.Errorf("error %v, AUTH %d times", err, s.Count(smtptest.Auth))
	}
}

func TestNewSMTPRefuses(t *testing.T) {
	for name, cfg := range map[string]outbox.SMTPConfig{
		"mail.host":     {},
		"mail.tls":      {Host: "a", TLS: "sometimes"},
		"mail.port":     {Host: "a", Port: 70000},
		"mail.port -1 ": {Host: "a", Port: -1},
	} {
		if _, err := outbox.NewSMTP(cfg); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(strings.TrimSuffix(name, "-1 "))) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// both plays two scripts; the first that acts wins.
func both(a, b smtptest.Script) smtptest.Script {
	return func(e smtptest.Event) action {
		if got := a(e); got != (action{}) {
			return got
		}
		return b(e)
	}
}

func messageID(e outbox.Envelope) string {
	_, rest, _ := bytes.Cut(e.Message, []byte("Message-ID: "))
	id, _, _ := bytes.Cut(rest, []byte("\r\n"))
	return string(id)
}
