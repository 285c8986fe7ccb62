package outbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
)

type maildir struct{ dir string }

// NewMaildir gives a transport that writes each mail as a file into a Maildir, which most mail readers open: nothing
// leaves the machine. The folders are made when the first mail goes out.
//
// A file's name is a function of the Message-ID, so that a mail that is sent again after a crash takes the place of the
// first copy. Line ends stay CRLF: the file is what SMTP would have carried.
func NewMaildir(dir string) Transport { return maildir{dir} }

// Dial makes the folders if they are missing. Its error names the folder.
func (m maildir) Dial(ctx context.Context) (Conn, error) {
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := os.MkdirAll(filepath.Join(m.dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("maildir: %w: can mail.maildir be written?", err)
		}
	}
	// A mail reader moves what it has seen to cur, and appends flags to its name. Looking once a connection is enough:
	// only a crash makes repeats, and after a crash the connection is new.
	entries, err := os.ReadDir(filepath.Join(m.dir, "cur"))
	if err != nil {
		return nil, fmt.Errorf("maildir: %w: can mail.maildir be read?", err)
	}
	seen := make(map[string]bool, len(entries))
	for _, e := range entries {
		name, _, _ := strings.Cut(e.Name(), ":")
		seen[name] = true
	}
	return &maildirConn{dir: m.dir, seen: seen}, nil
}

type maildirConn struct {
	dir  string
	seen map[string]bool // in cur
}

func (c *maildirConn) Usable() bool { return true }
func (c *maildirConn) Close() error { return nil }

// Send writes the mail. A failure is a reply without a code: the disk may have room later.
func (c *maildirConn) Send(ctx context.Context, e Envelope) Reply {
	name, err := fileName(e.Message)
	if err == nil && !c.seen[name] {
		err = c.deliver(name, e.Message)
	}
	if err != nil {
		return Reply{Stage: StageData, Text: err.Error()}
	}
	return Reply{Stage: StageDot, Code: 250, Text: "maildir " + name}
}

// deliver makes the file appear in new, whole, and so that a power cut does not take it away again.
func (c *maildirConn) deliver(name string, message []byte) error {
	tmp, final := filepath.Join(c.dir, "tmp", name), filepath.Join(c.dir, "new", name)
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(message)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	if err := os.Rename(tmp, final); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(final))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// fileName is the mail's name in the Maildir, without the flags.
func fileName(message []byte) (string, error) {
	m, err := mail.ReadMessage(bytes.NewReader(message))
	if err != nil {
		return "", fmt.Errorf("read message: %w", err)
	}
	id := m.Header.Get("Message-ID")
	if id == "" {
		return "", errors.New("message has no Message-ID")
	}
	sum := sha256.Sum256([]byte(id))
	return "zonewire-" + hex.EncodeToString(sum[:12]) + ".eml", nil
}
