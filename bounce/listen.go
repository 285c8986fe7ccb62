package bounce

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/emersion/go-smtp"

	"zonewire"
	"zonewire/internal/trouble"
)

// Bounds of the listener, beside the size of a mail.
const (
	maxConnections = 50
	idleFor        = time.Minute
	finishWithin   = 10 * time.Second // what is under way when it has to stop
	storeWithin    = 20 * time.Second // then the sender is told to come again; it would wait for minutes (RFC 5321 section 4.5.3.2)
)

// Sink takes what the listener has accepted.
type Sink interface {
	// Known reports whether the mail or subscription that an address names still exists and is not older than 60 days.
	// One of the two is zero.
	Known(ctx context.Context, job zonewire.JobRef, subscription int64) (bool, error)
	// Record stores a returned mail and acts on it. Until it returns nil the sender is told to try again, so it may get
	// the same mail twice, with the same hash.
	Record(ctx context.Context, b zonewire.Bounce) error
}

// Options says where mail comes in, and for whom.
type Options struct {
	// Listen is host:port for SMTP, or "unix:" and a path for LMTP behind a mail server.
	Listen string
	// Domain is the only one that mail is taken for.
	Domain string
	// TLS offers STARTTLS; nil does not.
	TLS *tls.Config
	Log *slog.Logger // required
}

// Listener takes mail for the addresses that we have given out, and for postmaster and abuse, and nothing else: it can
// relay nothing. A mail is taken once it is stored, not before. Each goes to one recipient, so that each has an answer
// of its own.
type Listener struct {
	opts     Options
	reader   Reader
	sink     Sink
	server   *smtp.Server
	listener net.Listener
	work     context.Context // of the transactions: it outlives the one that Run got
	begun    sync.WaitGroup  // calls of Data: some run on goroutines that go-smtp does not wait for
	seldom   trouble.Seldom

	mu       sync.Mutex
	stopping bool
	links    map[*link]bool // true while in a transaction
	slots    chan struct{}
}

// Listen binds. Its error names the address and the key bounce.listen.
//
// The mode of a Unix socket is 0666, since the mail server delivers as a user of its own: who may reach it is said by
// the mode of its folder. A socket that a dead process left behind is replaced.
func Listen(opts Options, reader Reader, sink Sink) (*Listener, error) {
	network, addr := "tcp", opts.Listen
	if path, ok := strings.CutPrefix(opts.Listen, "unix:"); ok {
		network, addr = "unix", path
	}
	l := &Listener{
		opts: opts, reader: reader, sink: sink, work: context.Background(),
		links: make(map[*link]bool), slots: make(chan struct{}, maxConnections),
	}
	listener, err := net.Listen(network, addr)
	if network == "unix" && errors.Is(err, syscall.EADDRINUSE) && abandoned(addr) {
		if err = os.Remove(addr); err == nil {
			listener, err = net.Listen(network, addr)
		}
	}
	if err == nil && network == "unix" {
		if err = os.Chmod(addr, 0o666); err != nil {
			listener.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("bounce.listen %q: %w", opts.Listen, err)
	}
	l.listener = listener

	s := smtp.NewServer(smtp.BackendFunc(l.session))
	s.LMTP = network == "unix"
	s.Domain = opts.Domain
	s.TLSConfig = opts.TLS
	s.MaxMessageBytes = maxMail
	s.MaxRecipients = 1
	s.MaxLineLength = maxMail // bad reports have lines as long as the page that they quote
	s.ReadTimeout, s.WriteTimeout = idleFor, idleFor
	s.EnableSMTPUTF8 = true // RFC 6533 reports need it
	s.ErrorLog = quiet{opts.Log}
	l.server = s
	return l, nil
}

// abandoned reports whether nobody listens on the socket at path.
func abandoned(path string) bool {
	if info, err := os.Lstat(path); err != nil || info.Mode().Type() != fs.ModeSocket {
		return false
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		conn.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// Addr is where it listens.
func (l *Listener) Addr() net.Addr { return l.listener.Addr() }

// Run serves until ctx ends, then lets transactions under way finish, for ten seconds at most, and removes its Unix
// socket. It fails only if nothing more can be accepted.
func (l *Listener) Run(ctx context.Context) error {
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	l.work = work
	served := make(chan error, 1)
	go func() { served <- l.server.Serve(gate{l.listener, l}) }()
	var err error
	select {
	case err = <-served:
	case <-ctx.Done():
	}
	l.listener.Close() // which removes the socket
	l.stop(false)
	late := time.AfterFunc(finishWithin, func() {
		cut()
		l.stop(true)
	})
	defer late.Stop()
	if err == nil {
		<-served // no connection begins after that
	}
	// Its one error is that the listener is closed already. It waits for every connection.
	_ = l.server.Shutdown(context.WithoutCancel(ctx))
	l.begun.Wait()
	if err != nil {
		return fmt.Errorf("accept on bounce.listen %q: %w", l.opts.Listen, err)
	}
	return nil
}

// stop hangs up on those who are in no transaction, or on all.
func (l *Listener) stop(all bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopping = true
	for k, busy := range l.links {
		if !busy || all {
			k.Conn.Close()
		}
	}
}

// gate lets in as many connections as there are slots; the others wait in the queue of the system.
type gate struct {
	net.Listener
	owner *Listener
}

func (g gate) Accept() (net.Conn, error) {
	g.owner.slots <- struct{}{}
	conn, err := g.Listener.Accept()
	if err != nil {
		<-g.owner.slots
		return nil, err
	}
	k := &link{Conn: conn, owner: g.owner}
	g.owner.mu.Lock()
	defer g.owner.mu.Unlock()
	g.owner.links[k] = false
	if g.owner.stopping {
		conn.Close()
	}
	return k, nil
}

// link is a connection that is known to its listener.
type link struct {
	net.Conn
	owner *Listener
	once  sync.Once
}

func (k *link) Close() error {
	k.once.Do(func() {
		k.owner.mu.Lock()
		delete(k.owner.links, k)
		k.owner.mu.Unlock()
		<-k.owner.slots
	})
	return k.Conn.Close()
}

// begin marks a transaction; false if no more may begin.
func (k *link) begin() bool {
	k.owner.mu.Lock()
	defer k.owner.mu.Unlock()
	if k.owner.stopping {
		return false
	}
	k.owner.links[k] = true
	return true
}

// end marks that there is none, and hangs up if it was the last. By then its reply is written.
func (k *link) end() {
	k.owner.mu.Lock()
	defer k.owner.mu.Unlock()
	if _, open := k.owner.links[k]; !open {
		return
	}
	k.owner.links[k] = false
	if k.owner.stopping {
		k.Conn.Close()
	}
}

// session is one client's; a transaction has one recipient.
type session struct {
	*Listener
	link       *link
	nullSender bool
	to         string
}

func (l *Listener) session(c *smtp.Conn) (smtp.Session, error) {
	conn := c.Conn()
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	return &session{Listener: l, link: conn.(*link)}, nil // it accepts from gate only
}

// Replies that say more than go-smtp's own.
var (
	errNoAddress = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such address"}
	errLater     = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "cannot store mail now, try again later"}
	errStopping  = &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 3, 2}, Message: "stopping, try again later"}
)

// Mail takes any sender: reports have none.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if !s.link.begin() {
		return errStopping
	}
	s.nullSender = from == ""
	return nil
}

// Rcpt refuses here what the mail would be refused for later, before it is sent.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if !strings.EqualFold(domainOf(to), s.opts.Domain) {
		return errNoAddress
	}
	if !gathers(to) {
		job, subscription, ok := s.reader.Secret.OpenAddress(localPart(to))
		if !ok {
			return errNoAddress
		}
		ctx, cancel := context.WithTimeout(s.work, storeWithin)
		defer cancel()
		known, err := s.sink.Known(ctx, job, subscription)
		if err != nil {
			return s.later("look up the address of a returned mail", err)
		}
		if !known {
			return errNoAddress
		}
	}
	s.to = to
	return nil
}

// Data takes the mail once it is recorded.
func (s *session) Data(r io.Reader) error {
	s.begun.Add(1)
	defer s.begun.Done()
	raw, err := io.ReadAll(r)
	if errors.Is(err, smtp.ErrDataTooLarge) {
		return smtp.ErrDataTooLarge
	}
	if err != nil { // it hung up, and hears nothing more
		return errLater
	}
	b := s.reader.parse(raw, s.to, s.nullSender)
	if b.Job.ID == 0 && (b.Kind == zonewire.BounceReport || b.Kind == zonewire.BounceComplaint) {
		// Anyone can write to postmaster that a reader is gone. Without proof it is for a person to judge.
		b = zonewire.Bounce{Kind: zonewire.BounceUnknown, Text: b.Text, Hash: b.Hash, Raw: raw[:min(len(raw), maxRaw)]}
	}
	ctx, cancel := context.WithTimeout(s.work, storeWithin)
	defer cancel()
	if err := s.sink.Record(ctx, b); err != nil {
		return s.later("record a returned mail", err)
	}
	s.opts.Log.Info("mail returned", "kind", string(b.Kind), "verdict", string(b.Judgement.Verdict), "delivery", delivery(b))
	return nil
}

// later answers when the database fails: nothing is taken that is not stored.
func (l *Listener) later(what string, err error) error {
	if l.seldom.Fails(what, err, time.Now()) {
		l.opts.Log.Error(what, "error", err)
	}
	return errLater
}

func delivery(b zonewire.Bounce) int64 {
	if b.Job.Kind == zonewire.DigestJob {
		return b.Job.ID
	}
	return 0
}

// Reset ends the transaction.
func (s *session) Reset() {
	s.nullSender, s.to = false, ""
	s.link.end()
}

// Logout ends the session.
func (s *session) Logout() error { return nil }

// quiet keeps out of the log what go-smtp puts in: the peer's address, and a line for each peer that goes without a
// word. What remains is what was raised: an error of the system, a panic with its stack.
type quiet struct{ log *slog.Logger }

func (q quiet) Printf(format string, v ...any) {
	if strings.HasPrefix(format, "error handling") {
		return
	}
	for _, x := range v {
		switch x := x.(type) {
		case []byte:
			q.log.Error("returned mail broke its reader", "stack", string(x))
		case error:
			q.log.Warn("serve returned mail", "error", x)
		}
	}
}

func (q quiet) Println(v ...any) { q.Printf("", v...) }
