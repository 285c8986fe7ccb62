package bounce

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"zonewire"
)

// Files gives every mail under path to fn: one in a file, those of an mbox, or those of a Maildir, of which tmp is left
// alone. A mail is named as path, "box.mbox:3" or "mail/new/abc". Of one over 1 MiB only the head is given, which
// decides. It changes nothing there. The first error ends it: fn's own, or one of reading; it is a
// [zonewire.ErrInvalid] if path is a folder but no Maildir.
func Files(path string, fn func(path string, raw []byte) error) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("read mail: %w", err)
	}
	if !info.IsDir() {
		return file(path, fn)
	}
	found := false
	// A mail reader moves mails from new to cur, never back: none is missed in this order.
	for _, sub := range []string{"new", "cur"} {
		entries, err := os.ReadDir(filepath.Join(path, sub))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read mail: %w", err)
		}
		found = true
		for _, e := range entries {
			if !e.Type().IsRegular() || e.Name()[0] == '.' {
				continue
			}
			err := single(filepath.Join(path, sub, e.Name()), fn)
			if err != nil && !errors.Is(err, errMoved) {
				return err
			}
		}
	}
	if !found {
		return zonewire.Invalidf("%s is a folder, but no Maildir: it has neither new nor cur", path)
	}
	return nil
}

// errMoved means that a mail has gone since its folder was read.
var errMoved = errors.New("mail was moved")

// single gives the one mail of a file.
func single(path string, fn func(string, []byte) error) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return errMoved
	}
	if err != nil {
		return fmt.Errorf("read mail: %w", err)
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxMail))
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("read mail: %w", err)
	}
	return fn(path, raw)
}

func file(path string, fn func(string, []byte) error) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read mail: %w", err)
	}
	defer f.Close() // it was only read
	r := bufio.NewReader(f)
	if head, _ := r.Peek(len(fromLine)); string(head) != fromLine {
		return single(path, fn)
	}
	return mbox(r, func(n int, raw []byte) error { return fn(path+":"+strconv.Itoa(n), raw) })
}

const fromLine = "From "

var (
	// timeOfDay is in the line that begins a mail, and not in a sentence that happens to begin with From.
	timeOfDay = regexp.MustCompile(`\d:\d\d`)
	// quotedFrom is how mboxrd writes a line of text that begins with From, at any depth.
	quotedFrom = regexp.MustCompile(`^>+From `)
)

// mbox gives the mails of an mbox, counted from 1. A mail begins with a From line behind an empty line.
func mbox(r *bufio.Reader, fn func(n int, raw []byte) error) error {
	var mail []byte
	n, blank := 0, true
	end := func() error {
		if n == 0 {
			return nil
		}
		// The empty line before the next mail belongs to the box.
		if trimmed, ok := bytes.CutSuffix(mail, []byte("\n")); ok && (bytes.HasSuffix(trimmed, []byte("\n")) || bytes.HasSuffix(trimmed, []byte("\n\r"))) {
			mail = bytes.TrimSuffix(trimmed, []byte("\r"))
		}
		return fn(n, mail[:min(len(mail), maxMail)])
	}
	for whole := true; ; {
		text, err := r.ReadSlice('\n')
		begins := whole // of a line, which may be longer than the buffer
		whole = err == nil
		if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
			return fmt.Errorf("read mail: %w", err)
		}
		switch {
		case begins && blank && bytes.HasPrefix(text, []byte(fromLine)) && (n == 0 || timeOfDay.Match(text)):
			if err := end(); err != nil {
				return err
			}
			n, mail = n+1, nil
		case len(mail) <= maxMail:
			if begins && quotedFrom.Match(text) {
				text = text[1:]
			}
			mail = append(mail, text...)
		}
		blank = begins && len(bytes.TrimRight(text, "\r\n")) == 0
		if err == io.EOF {
			return end()
		}
	}
}
