package outbox

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"time"

	"github.com/wneessen/go-mail/smtp"
)

// smtpConn is a dialled SMTP connection. The transaction is ours, not go-mail's: pipelined it takes two round trips
// instead of seven, and it never goes on with a connection in an unknown state.
type smtpConn struct {
	raw        net.Conn // under TLS, if any: closing it cuts whatever is under way
	client     *smtp.Client
	pipelining bool // RFC 2920
	timeouts   Timeouts
	broken     bool
	out        []byte // as it was sent last; kept for its room
}

func (c *smtpConn) Usable() bool { return !c.broken }

// Send runs MAIL, RCPT, DATA and the message for one recipient.
func (c *smtpConn) Send(ctx context.Context, e Envelope) Reply {
	stop := context.AfterFunc(ctx, func() { c.raw.Close() })
	r := c.transaction(e)
	if !stop() {
		c.broken = true
	}
	if r.Code == 0 || r.Code == 421 { // 421: the server hangs up (RFC 5321 section 3.8)
		c.broken = true
	}
	if !c.broken && !r.Accepted() {
		c.reset()
	}
	return r
}

// quitTimeout bounds QUIT and RSET, on which nothing hangs.
const quitTimeout = 10 * time.Second

// Close ends the session politely if it can. What QUIT brings is of no interest.
func (c *smtpConn) Close() error {
	if c.broken {
		return c.raw.Close()
	}
	c.broken = true
	c.deadline(quitTimeout)
	if c.client.Text.PrintfLine("QUIT") == nil {
		_, _, _ = c.client.Text.ReadResponse(0)
	}
	return c.client.Text.Close()
}

// reset makes the connection fit for the next mail. Some servers know no RSET: then a new connection is needed.
func (c *smtpConn) reset() {
	c.deadline(quitTimeout)
	if err := c.client.Text.PrintfLine("RSET"); err != nil {
		c.broken = true
		return
	}
	if r := c.read(StageMail); r.Code/100 != 2 {
		c.broken = true
	}
}

// deadline bounds all reading and writing from now on. On a closed connection it fails, and so does what follows.
func (c *smtpConn) deadline(d time.Duration) { _ = c.raw.SetDeadline(time.Now().Add(d)) }

func (c *smtpConn) transaction(e Envelope) Reply {
	if r, ok := c.envelope(e); !ok {
		return r
	}
	// From here on a failure leaves the server in the middle of a message: the connection is never used again. The dot
	// goes in the same write, yet a failure is known to be before it: a write that fails has not sent all, the dot ends
	// what it sends, and without its dot no server takes a mail.
	c.out = append(appendStuffed(c.out[:0], e.Message), ".\r\n"...)
	c.deadline(c.timeouts.Message)
	w := c.client.Text.W
	_, err := w.Write(c.out)
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		c.broken = true
		return c.parting(err)
	}
	c.deadline(c.timeouts.Dot)
	return c.read(StageDot)
}

// envelope sends MAIL, RCPT and DATA and reports whether the server now waits for the message.
func (c *smtpConn) envelope(e Envelope) (Reply, bool) {
	commands := []string{
		StageMail: "MAIL FROM:<" + e.From + ">\r\n",
		StageRcpt: "RCPT TO:<" + e.To + ">\r\n",
		StageData: "DATA\r\n",
	}
	c.deadline(c.timeouts.Command)
	if c.pipelining {
		if err := c.write(commands...); err != nil {
			c.broken = true
			return Reply{Stage: StageMail, Text: err.Error()}, false
		}
	}
	var refused *Reply
	for i, command := range commands {
		stage := Stage(i)
		if !c.pipelining {
			c.deadline(c.timeouts.Command)
			if err := c.write(command); err != nil {
				c.broken = true
				return Reply{Stage: stage, Text: err.Error()}, false
			}
		}
		r := c.read(stage)
		wanted := r.Code/100 == 2
		if stage == StageData {
			wanted = r.Code == 354
		}
		switch {
		case wanted && refused == nil:
			continue
		case wanted && stage == StageData:
			c.broken = true // it waits for a message that has no recipient (RFC 2920 section 3.1)
		case wanted: // RCPT after a refused MAIL: DATA will be refused
		case r.Code < 400:
			c.broken = true // no reply, or one out of place
			r = Reply{Stage: stage, Text: r.Text}
		}
		if refused == nil && !wanted {
			refused = &r
		}
		if refused != nil && (!c.pipelining || c.broken) {
			return *refused, false
		}
	}
	if refused != nil {
		return *refused, false
	}
	return Reply{}, true
}

// parting looks for what a server said before it hung up in the middle of a message, such as that it is too big.
func (c *smtpConn) parting(cause error) Reply {
	c.deadline(min(2*time.Second, c.timeouts.Command))
	if r := c.read(StageData); r.Code >= 400 {
		return r
	}
	return Reply{Stage: StageData, Text: cause.Error()}
}

// read takes one reply. A reply with a code that SMTP does not have counts as none.
func (c *smtpConn) read(stage Stage) Reply {
	code, text, err := c.client.Text.ReadResponse(0)
	if err != nil {
		return Reply{Stage: stage, Text: err.Error()}
	}
	if code < 200 || code > 599 || code/100 == 3 && stage == StageDot {
		return Reply{Stage: stage, Text: fmt.Sprintf("unexpected reply %d %s", code, text)}
	}
	return Reply{Stage: stage, Code: code, Text: text}
}

func (c *smtpConn) write(lines ...string) error {
	for _, l := range lines {
		if _, err := c.client.Text.W.WriteString(l); err != nil {
			return err
		}
	}
	return c.client.Text.W.Flush()
}

// appendStuffed appends a message, doubles each dot at the start of a line (RFC 5321 section 4.5.2) and ends the last
// line.
func appendStuffed(out, message []byte) []byte {
	if bytes.HasPrefix(message, []byte(".")) {
		out = append(out, '.')
	}
	for {
		dot := bytes.Index(message, []byte("\r\n."))
		if dot < 0 {
			break
		}
		out = append(append(out, message[:dot+3]...), '.')
		message = message[dot+3:]
	}
	out = append(out, message...)
	if !bytes.HasSuffix(out, []byte("\r\n")) {
		out = append(out, "\r\n"...)
	}
	return out
}
