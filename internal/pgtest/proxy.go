package pgtest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// Line is a TCP proxy on loopback before a PostgreSQL server, which a test cuts and lets hang. It reads the messages that pass
// (PostgreSQL's frontend/backend protocol, version 3), so that it can be cut at a statement.
type Line struct {
	t       testing.TB
	dsn     url.URL
	server  string
	running sync.WaitGroup

	mu    sync.Mutex
	ln    net.Listener // nil while the line is cut
	calls map[*call]bool
	flow  chan struct{} // closed while messages pass
	trap  *Trap
}

// Proxy puts a line before the server of a DSN. It ends with the test.
func Proxy(t testing.TB, dsn string) *Line {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	l := &Line{t: t, dsn: *u, server: u.Host, calls: map[*call]bool{}, flow: make(chan struct{})}
	close(l.flow)
	l.dsn.Host = "127.0.0.1:0"
	l.Heal()
	t.Cleanup(func() {
		l.Cut()
		l.running.Wait()
	})
	return l
}

// DSN leads over the line.
func (l *Line) DSN() string { return l.dsn.String() }

// Cut ends every connection, and new ones are refused until [Line.Heal].
func (l *Line) Cut() {
	l.mu.Lock()
	ln := l.ln
	l.ln = nil
	l.mu.Unlock()
	if ln != nil {
		if err := ln.Close(); err != nil {
			l.t.Error(err)
		}
	}
	l.Drop()
}

// Drop ends every connection. New ones may come at once.
func (l *Line) Drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.calls {
		c.end()
	}
}

// Heal lets connections come again after [Line.Cut], at the same address.
func (l *Line) Heal() {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ln != nil {
		return
	}
	var err error
	for range 50 { // a connection of somebody else may pass through the port
		if l.ln, err = net.Listen("tcp", l.dsn.Host); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	l.dsn.Host = l.ln.Addr().String()
	ln := l.ln
	l.running.Go(func() { l.accept(ln) })
}

// Hang makes the line a black hole: connections stay and are accepted, and nothing passes until [Line.Resume].
func (l *Line) Hang() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flow = make(chan struct{})
}

// Resume lets pass what has waited since [Line.Hang].
func (l *Line) Resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.flow)
}

// Moment says when a connection is cut at a statement.
type Moment int

// The moments.
const (
	Before Moment = iota // the server has not got the statement
	During               // it was sent, and nobody knows whether the server runs it
	After                // the server has run it, and its answer is swallowed
)

func (m Moment) String() string { return [...]string{"before", "during", "after"}[m] }

// Trap cuts the connection that runs a statement, once.
type Trap struct {
	At   Moment
	Text string // within the statement, in any case; COMMIT alone is only the end of a transaction. Empty: COMMIT
	Of   string // within a statement of the same transaction, in any case; empty: of any transaction
	Stay bool   // the whole line is cut then, until [Line.Heal]
	// Sprung is closed when the connection is cut.
	Sprung chan struct{}
}

// Set lays a trap, in place of the one before it that has not sprung.
func (l *Line) Set(trap Trap) *Trap {
	if trap.Text == "" {
		trap.Text = "COMMIT"
	}
	trap.Text, trap.Of = strings.ToLower(trap.Text), strings.ToLower(trap.Of)
	trap.Sprung = make(chan struct{})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trap = &trap
	return &trap
}

// spring gives the trap if a statement springs it.
func (l *Line) spring(text string, holds bool) *Trap {
	l.mu.Lock()
	defer l.mu.Unlock()
	trap := l.trap
	if trap == nil || trap.Of != "" && !holds || !strings.Contains(text, trap.Text) || trap.Text == "commit" && text != "commit" {
		return nil
	}
	l.trap = nil
	return trap
}

// holds reports whether a statement is one that the trap wants in its transaction.
func (l *Line) holds(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.trap != nil && l.trap.Of != "" && strings.Contains(text, l.trap.Of)
}

func (l *Line) accept(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil { // it was closed
			return
		}
		c := &call{line: l, client: conn, gone: make(chan struct{}), answered: make(chan struct{}), texts: map[string]string{}, portals: map[string]string{}}
		l.mu.Lock()
		if l.ln != ln {
			l.mu.Unlock()
			_ = conn.Close() // cut meanwhile
			return
		}
		l.calls[c] = true
		l.mu.Unlock()
		l.running.Go(c.carry)
	}
}

// call is one connection over the line.
type call struct {
	line           *Line
	client, server net.Conn
	once           sync.Once
	gone           chan struct{}

	texts, portals map[string]string // SQL by the name of a prepared statement, and of a portal
	holds          bool              // the transaction has what the trap wants

	mu       sync.Mutex
	mute     bool          // the client hears nothing more
	answered chan struct{} // closed when the server was ready again while mute
}

// end ends the call. The caller holds the line's lock.
func (c *call) end() {
	c.once.Do(func() {
		delete(c.line.calls, c)
		close(c.gone)
		_ = c.client.Close() // either side may have gone before
		if c.server != nil {
			_ = c.server.Close()
		}
	})
}

func (c *call) hangUp() {
	c.line.mu.Lock()
	defer c.line.mu.Unlock()
	c.end()
}

// pass waits while the line hangs; false when the call has ended.
func (c *call) pass() bool {
	c.line.mu.Lock()
	flow := c.line.flow
	c.line.mu.Unlock()
	select {
	case <-flow:
		return true
	case <-c.gone:
		return false
	}
}

func (c *call) carry() {
	defer c.hangUp()
	first, err := c.greet()
	if err != nil || !c.pass() {
		return
	}
	server, err := net.DialTimeout("tcp", c.line.server, 10*time.Second)
	if err != nil {
		return // the client sees a connection that ends
	}
	c.line.mu.Lock()
	c.server = server
	c.line.mu.Unlock()
	select {
	case <-c.gone: // before the server was known
		_ = server.Close()
		return
	default:
	}
	if _, err := server.Write(first); err != nil {
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		c.fromServer()
		c.hangUp()
	})
	c.fromClient()
	c.hangUp()
	back.Wait()
}

// greet reads a client's first message. To one that asks for encryption it says no: the server would too.
func (c *call) greet() ([]byte, error) {
	for {
		m := make([]byte, 8)
		if _, err := io.ReadFull(c.client, m); err != nil {
			return nil, err
		}
		length, code := binary.BigEndian.Uint32(m), binary.BigEndian.Uint32(m[4:])
		if code == 80877103 || code == 80877104 { // SSLRequest, GSSENCRequest
			if !c.pass() {
				return nil, net.ErrClosed
			}
			if _, err := c.client.Write([]byte("N")); err != nil {
				return nil, err
			}
			continue
		}
		if length < 8 || length > 1<<20 {
			return nil, fmt.Errorf("a first message of %d bytes", length)
		}
		rest := make([]byte, length-8)
		_, err := io.ReadFull(c.client, rest)
		return append(m, rest...), err
	}
}

// message is one of the protocol, with its type and its length.
type message []byte

func (m message) kind() byte { return m[0] }

// words gives the first n texts of a message's body, which end in a zero.
func (m message) words(n int) []string {
	parts := bytes.SplitN(m[5:], []byte{0}, n+1)
	words := make([]string, n)
	for i := range min(n, len(parts)) {
		words[i] = string(parts[i])
	}
	return words
}

var errTooLong = errors.New("a message of more than a gigabyte")

func read(r io.Reader) (message, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(head[1:])
	if length < 4 || length > 1<<30 {
		return nil, errTooLong
	}
	m := make(message, 1+length)
	copy(m, head[:])
	_, err := io.ReadFull(r, m[5:])
	return m, err
}

// fromClient carries what the client says, up to the trap.
func (c *call) fromClient() {
	r, w := bufio.NewReader(c.client), bufio.NewWriter(c.server)
	var trap *Trap
	for {
		m, err := read(r)
		if err != nil || !c.pass() {
			return
		}
		if trap == nil {
			if trap = c.caught(m); trap != nil {
				if trap.At == Before {
					c.snap(trap)
					return
				}
				c.silence()
			}
		}
		if _, err := w.Write(m); err != nil {
			return
		}
		if r.Buffered() == 0 || trap != nil {
			if w.Flush() != nil {
				return
			}
		}
		if trap != nil && (m.kind() == 'Q' || m.kind() == 'S') { // the server runs it now
			if trap.At == After {
				select {
				case <-c.answered:
				case <-c.gone:
				}
			}
			c.snap(trap)
			return
		}
	}
}

// caught gives the trap if a message runs a statement that springs it.
func (c *call) caught(m message) *Trap {
	var text string
	switch m.kind() {
	case 'Q': // Query
		text = m.words(1)[0]
	case 'P': // Parse
		w := m.words(2)
		c.texts[w[0]] = w[1]
		return nil
	case 'B': // Bind
		w := m.words(2)
		c.portals[w[0]] = c.texts[w[1]]
		return nil
	case 'E': // Execute
		text = c.portals[m.words(1)[0]]
	default:
		return nil
	}
	text = strings.ToLower(strings.Trim(text, " \t\r\n;"))
	if strings.HasPrefix(text, "begin") {
		c.holds = false
	}
	c.holds = c.holds || c.line.holds(text)
	return c.line.spring(text, c.holds)
}

// snap ends the call, and with it the line if that is what the trap is for.
func (c *call) snap(trap *Trap) {
	c.hangUp()
	if trap.Stay {
		c.line.Cut()
	}
	close(trap.Sprung)
}

func (c *call) silence() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mute = true
}

func (c *call) muted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mute
}

// fromServer carries what the server answers.
func (c *call) fromServer() {
	r, w := bufio.NewReader(c.server), bufio.NewWriter(c.client)
	for {
		m, err := read(r)
		if err != nil || !c.pass() {
			return
		}
		if c.muted() {
			if m.kind() == 'Z' { // ReadyForQuery
				close(c.answered)
				return
			}
			continue
		}
		if _, err := w.Write(m); err != nil {
			return
		}
		if r.Buffered() == 0 && w.Flush() != nil {
			return
		}
	}
}
