package bounce_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"zonewire"
	"zonewire/bounce"
)

// sink keeps what it gets in memory, and fails or waits as it is told.
type sink struct {
	mu       sync.Mutex
	got      []zonewire.Bounce
	lookup   error
	fail     error
	unknown  bool
	entered  chan struct{} // if set: Record says that it began, and waits for leave or its context
	released chan struct{}
}

func (s *sink) Known(context.Context, zonewire.JobRef, int64) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.unknown, s.lookup
}

func (s *sink) Record(ctx context.Context, b zonewire.Bounce) error {
	if s.entered != nil {
		s.entered <- struct{}{}
		select {
		case <-s.released:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	s.got = append(s.got, b)
	return nil
}

func (s *sink) all() []zonewire.Bounce {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got
}

// start runs a listener; stop ends it and waits for it. The test fails if the log holds an address.
func start(t *testing.T, listen string, s *sink) (l *bounce.Listener, stop func()) {
	t.Helper()
	return startWith(t, bounce.Options{Listen: listen}, s)
}

func startWith(t *testing.T, opts bounce.Options, s *sink) (l *bounce.Listener, stop func()) {
	t.Helper()
	var log lockedBuffer
	opts.Domain, opts.Log = bounceDomain, slog.New(slog.NewTextHandler(&log, nil))
	l, err := bounce.Listen(opts, bounce.Reader{Secret: secret}, s)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if text := log.String(); strings.Contains(text, "@") {
			t.Errorf("the log holds an address:\n%s", text)
		}
	})
	t.Cleanup(stop)
	return l, stop
}

type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func fixture(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name, "mail.eml"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), "\n", "\r\n")
}

func TestListenerTakesAMailOverSMTP(t *testing.T) {
	s := new(sink)
	l, _ := start(t, "127.0.0.1:0", s)
	c, err := smtp.Dial(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	mail := fixture(t, "postfix-user-unknown")
	for _, to := range []string{ofDigest, strings.ToUpper(ofDigest), "Postmaster@" + bounceDomain, leave} {
		if err := c.SendMail("", []string{to}, strings.NewReader(mail)); err != nil {
			t.Errorf("to %s: %v", to, err)
		}
	}
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
	got := s.all()
	if len(got) != 4 {
		t.Fatalf("recorded %d mails, want 4", len(got))
	}
	for _, b := range got {
		if b.Kind != zonewire.BounceReport || b.Job.ID != 41 || b.Code != 550 {
			t.Errorf("got %+v", b)
		}
	}
}

func TestListenerTakesAMailOverLMTP(t *testing.T) {
	s := new(sink)
	path := filepath.Join(t.TempDir(), "lmtp.sock")
	_, stop := start(t, "unix:"+path, s)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("socket %v, %v: the mail server writes as another user", info, err)
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c := smtp.NewClientLMTP(conn)
	defer c.Close()
	if err := c.SendMail("lin.yue@example.net", []string{leave}, strings.NewReader(fixture(t, "mail-to-the-leave-address"))); err != nil {
		t.Error(err)
	}
	if got := s.all(); len(got) != 1 || got[0].Kind != zonewire.BounceLeave || got[0].Subscription != 5 {
		t.Errorf("got %+v", got)
	}
	stop()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

func TestListenerTakesAMailOverTLS(t *testing.T) {
	https := httptest.NewTLSServer(nil) // for its certificate, which is for example.com
	defer https.Close()
	trust := https.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	trust.ServerName = "example.com"
	s := new(sink)
	l, stop := startWith(t, bounce.Options{Listen: "127.0.0.1:0", TLS: &tls.Config{Certificates: https.TLS.Certificates}}, s)
	c, err := smtp.DialStartTLS(l.Addr().String(), trust)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SendMail("", []string{ofNotice}, strings.NewReader(fixture(t, "garbage"))); err != nil {
		t.Error(err)
	}
	if got := s.all(); len(got) != 1 || got[0].Job != (zonewire.JobRef{Kind: zonewire.NoticeJob, ID: 7}) {
		t.Errorf("got %+v", got)
	}
	begun := time.Now()
	if stop(); time.Since(begun) > 5*time.Second {
		t.Errorf("stopping took %v: the connection was idle", time.Since(begun))
	}
}

// talk is a session by hand: it gives the replies to the lines, and to the greeting before them.
func talk(t *testing.T, l *bounce.Listener, lines ...string) []string {
	t.Helper()
	c, err := textproto.Dial(l.Addr().Network(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var replies []string
	for _, s := range append([]string{""}, lines...) {
		if s != "" {
			if err := c.PrintfLine("%s", s); err != nil {
				t.Fatal(err)
			}
		}
		code, text, err := c.ReadResponse(0)
		if err != nil {
			t.Fatalf("after %.60q: %v", s, err)
		}
		replies = append(replies, fmt.Sprintf("%d %s", code, text))
	}
	return replies
}

func TestListenerRefuses(t *testing.T) {
	const mail = "Subject: a\r\n\r\nb\r\n."
	down := errors.New("database is locked")
	tests := []struct {
		name  string
		sink  *sink
		lines []string
		want  string // how the last reply begins
	}{
		{"an address that nobody made", new(sink), []string{"RCPT TO:<b-15-aaaaaaaaaaaaaaaa@" + bounceDomain + ">"}, "550 5.1.1 no such address"},
		{"a token of ours at another domain", new(sink), []string{"RCPT TO:<" + secret.LeaveAddress(5) + "@example.org>"}, "550 5.1.1 "},
		{"to relay", new(sink), []string{"RCPT TO:<postmaster@example.org>"}, "550 5.1.1 "},
		{"a person's address in our domain", new(sink), []string{"RCPT TO:<news@" + bounceDomain + ">"}, "550 5.1.1 "},
		{"what is too old", &sink{unknown: true}, []string{"RCPT TO:<" + ofDigest + ">"}, "550 5.1.1 "},
		{"for now, if nobody can tell", &sink{lookup: down}, []string{"RCPT TO:<" + ofDigest + ">"}, "451 4.3.0 "},
		{"a second recipient until it comes by itself", new(sink), []string{"RCPT TO:<" + ofDigest + ">", "RCPT TO:<" + ofNotice + ">"}, "452 4.5.3 "},
		{"for now, if it cannot be stored", &sink{fail: down}, []string{"RCPT TO:<" + ofDigest + ">", "DATA", mail}, "451 4.3.0 "},
		{"a mail that says it is too big", new(sink), []string{"RSET", "MAIL FROM:<> SIZE=2000000"}, "552 5.3.4 "},
		{"a mail that is too big", new(sink), []string{"RCPT TO:<" + ofDigest + ">", "DATA", strings.Repeat(strings.Repeat("x", 998)+"\r\n", 1100) + "."}, "552 5.3.4 "},
		{"chunks that are too big", new(sink), []string{"RCPT TO:<" + ofDigest + ">", "BDAT 1048577 LAST\r\n" + strings.Repeat("x", 1048575)}, "552 5.3.4 "},
		{"a login", new(sink), []string{"AUTH PLAIN AGEAYg=="}, "523 "},
		{"to say who is there", new(sink), []string{"VRFY postmaster"}, "252 "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, _ := start(t, "127.0.0.1:0", tt.sink)
			replies := talk(t, l, append([]string{"EHLO relay.example.com", "MAIL FROM:<>"}, tt.lines...)...)
			if last := replies[len(replies)-1]; !strings.HasPrefix(last, tt.want) {
				t.Errorf("last reply %q, want %q", last, tt.want)
			}
			if got := tt.sink.all(); len(got) != 0 {
				t.Errorf("recorded %+v", got)
			}
		})
	}
}

func TestListenerTakes(t *testing.T) {
	mail := []string{"RCPT TO:<" + ofDigest + ">", "DATA", "Subject: a\r\n\r\nb\r\n."}
	tests := []struct {
		name  string
		lines []string
		want  int // mails
	}{
		{"another mail on the same connection", append(append([]string{}, mail...), append([]string{"MAIL FROM:<a@example.org>"}, mail...)...), 2},
		{"what lies between RSET and RSET as nothing", []string{mail[0], "RSET", "MAIL FROM:<>", mail[0], mail[1], mail[2]}, 1},
		{"a mail in chunks", []string{mail[0], "BDAT 12\r\nSubject: a", "BDAT 6 LAST\r\n\r\n\r\nb"}, 1},
		{"a mail of one long line", []string{mail[0], "DATA", "Subject: a\r\n\r\n" + strings.Repeat("x", 500_000) + "\r\n."}, 1},
		{"an address for people", []string{"RCPT TO:<ABUSE@" + strings.ToUpper(bounceDomain) + ">", mail[1], mail[2]}, 1},
		{"a sender with characters beyond ASCII", []string{"RSET", "MAIL FROM:<林悦@例子.example> SMTPUTF8", mail[0], mail[1], mail[2]}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := new(sink)
			l, _ := start(t, "127.0.0.1:0", s)
			replies := talk(t, l, append([]string{"EHLO relay.example.com", "MAIL FROM:<>"}, tt.lines...)...)
			for _, r := range replies {
				if r[0] != '2' && r[0] != '3' {
					t.Errorf("reply %q", r)
				}
			}
			if got := s.all(); len(got) != tt.want {
				t.Errorf("recorded %d mails, want %d", len(got), tt.want)
			}
		})
	}
}

// RFC 3834 wants replies of machines to come from nobody. A copy without Return-Path has it in the envelope only.
func TestListenerKnowsTheEnvelopesSender(t *testing.T) {
	s := new(sink)
	l, _ := start(t, "127.0.0.1:0", s)
	talk(t, l, "EHLO a", "MAIL FROM:<>", "RCPT TO:<"+leave+">", "DATA", "From: a@example.org\r\nSubject: hello\r\n\r\nb\r\n.",
		"MAIL FROM:<a@example.org>", "RCPT TO:<"+leave+">", "DATA", "From: a@example.org\r\nSubject: hello\r\n\r\nb\r\n.")
	got := s.all()
	if len(got) != 2 || got[0].Kind != zonewire.BounceUnknown || got[1].Kind != zonewire.BounceLeave {
		t.Errorf("got %+v", got)
	}
	if got[0].Hash != got[1].Hash {
		t.Error("the same bytes have two hashes")
	}
}

func TestListenerBelievesNoReportWithoutProof(t *testing.T) {
	s := new(sink)
	l, _ := start(t, "127.0.0.1:0", s)
	talk(t, l, "EHLO a", "MAIL FROM:<>", "RCPT TO:<postmaster@"+bounceDomain+">", "DATA", fixture(t, "forged-tokens")+"\r\n.",
		"MAIL FROM:<>", "RCPT TO:<abuse@"+bounceDomain+">", "DATA", fixture(t, "complaint-with-the-original")+"\r\n.")
	got := s.all()
	if len(got) != 2 || got[0].Kind != zonewire.BounceUnknown || got[0].Recipients != nil || len(got[0].Raw) == 0 {
		t.Fatalf("got %+v, want the first kept for a person", got)
	}
	if got[1].Kind != zonewire.BounceComplaint || got[1].Job.ID != 41 {
		t.Errorf("got %+v, want a complaint about delivery 41, which its copy of our mail proves", got[1])
	}
}

func TestListenFails(t *testing.T) {
	taken, _ := start(t, "127.0.0.1:0", new(sink))
	dir := write(t, map[string]string{"file": "no socket"})
	live := filepath.Join(dir, "live.sock")
	start(t, "unix:"+live, new(sink))
	for name, addr := range map[string]string{
		"the port is taken":           taken.Addr().String(),
		"the socket is another's":     "unix:" + live,
		"a file is in the place":      "unix:" + filepath.Join(dir, "file"),
		"there is no such folder":     "unix:" + filepath.Join(dir, "none", "lmtp.sock"),
		"it is no address to bind to": "example",
	} {
		_, err := bounce.Listen(bounce.Options{Listen: addr, Domain: bounceDomain, Log: slog.Default()}, bounce.Reader{Secret: secret}, new(sink))
		if err == nil || !strings.Contains(err.Error(), "bounce.listen") || !strings.Contains(err.Error(), addr) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "file")); string(b) != "no socket" {
		t.Errorf("the file in the place: %q, %v", b, err)
	}
}

func TestListenReplacesTheSocketOfADeadProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lmtp.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	l, _ := start(t, "unix:"+path, new(sink))
	if replies := talk(t, l, "LHLO a"); !strings.HasPrefix(replies[1], "250 ") {
		t.Errorf("replies %q", replies)
	}
}

func TestRunEnds(t *testing.T) {
	data := []string{"EHLO a", "MAIL FROM:<>", "RCPT TO:<" + ofDigest + ">", "DATA", "Subject: a\r\n\r\nb\r\n."}
	begin := func(t *testing.T, l *bounce.Listener) *bufio.Reader {
		t.Helper()
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		r := bufio.NewReader(conn)
		for i, s := range data {
			if _, err := r.ReadString('\n'); i == 0 && err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(conn, "%s\r\n", s)
		}
		return r
	}
	last := func(r *bufio.Reader) string {
		var s string
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return s
			}
			s = line
		}
	}
	t.Run("a transaction under way is finished, its reply heard", func(t *testing.T) {
		s := &sink{entered: make(chan struct{}), released: make(chan struct{})}
		l, stop := start(t, "127.0.0.1:0", s)
		r := begin(t, l)
		<-s.entered
		time.AfterFunc(50*time.Millisecond, func() { close(s.released) })
		stop()
		if reply := last(r); !strings.HasPrefix(reply, "250 ") || len(s.all()) != 1 {
			t.Errorf("last reply %q, recorded %d", reply, len(s.all()))
		}
	})
	t.Run("who idles is not waited for", func(t *testing.T) {
		l, stop := start(t, "127.0.0.1:0", new(sink))
		for range 60 { // some wait for a slot
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
		}
		time.Sleep(20 * time.Millisecond)
		begun := time.Now()
		if stop(); time.Since(begun) > 5*time.Second {
			t.Errorf("took %v", time.Since(begun))
		}
	})
	t.Run("a record that hangs is cut off and not acknowledged", func(t *testing.T) {
		if testing.Short() {
			t.Skip("waits ten seconds")
		}
		s := &sink{entered: make(chan struct{}), released: make(chan struct{})}
		l, stop := start(t, "127.0.0.1:0", s)
		r := begin(t, l)
		<-s.entered
		stop()
		if reply := last(r); strings.HasPrefix(reply, "250 ") || len(s.all()) != 0 {
			t.Errorf("last reply %q, recorded %d", reply, len(s.all()))
		}
	})
	t.Run("before it began", func(t *testing.T) {
		l, err := bounce.Listen(bounce.Options{Listen: "127.0.0.1:0", Domain: bounceDomain, Log: slog.Default()}, bounce.Reader{Secret: secret}, new(sink))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := l.Run(ctx); err != nil {
			t.Error(err)
		}
	})
}

func TestNoMoreThanFiftyAtOnce(t *testing.T) {
	l, _ := start(t, "127.0.0.1:0", new(sink))
	greeted := make(chan net.Conn, 60)
	for range 60 {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go func() {
			if _, err := bufio.NewReader(conn).ReadString('\n'); err == nil {
				greeted <- conn
			}
		}()
	}
	var first net.Conn
	for range 50 {
		first = <-greeted
	}
	select {
	case <-greeted:
		t.Error("the 51st was let in")
	case <-time.After(100 * time.Millisecond):
	}
	first.Close()
	<-greeted
}
