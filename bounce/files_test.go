package bounce_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"zonewire"
	"zonewire/bounce"
)

// write puts files under a new folder, each given by its slash-separated name.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// collect gives the mails under dir/path, named without dir.
func collect(t *testing.T, dir, path string) map[string]string {
	t.Helper()
	got := make(map[string]string)
	err := bounce.Files(filepath.Join(dir, path), func(path string, raw []byte) error {
		rel, err := filepath.Rel(dir, path)
		got[filepath.ToSlash(rel)] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestFiles(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	dir := write(t, map[string]string{
		"one.eml": "Subject: a\n\nFrom here on\n",
		"box.mbox": "From MAILER-DAEMON Mon Nov 23 08:00:00 2026\nSubject: a\n\n>From the start\n>>From twice\n" + long + "From x 10:00\n\n" +
			"From here it is a text\n\nFrom - Mon Nov 23 08:00:01 2026\nSubject: b\n\nb\n\n",
		"crlf.mbox":            "From a Mon Nov 23 08:00:00 2026\r\nSubject: a\r\n\r\na\r\n\r\nFrom b Mon Nov 23 08:00:00 2026\r\nSubject: b\r\n",
		"postmark.eml":         "From somebody\nSubject: a\n\na\n",
		"mail/new/2.host":      "Subject: new\n\n",
		"mail/cur/1.host:2,S":  "From b Mon Nov 23 08:00:00 2026\nSubject: cur\n\n",
		"mail/cur/.lock":       "no mail",
		"mail/cur/folder/file": "no mail",
		"mail/tmp/3.host":      "half a mail",
	})
	tests := []struct {
		name, path string
		want       map[string]string
	}{
		{"a file is a mail", "one.eml", map[string]string{"one.eml": "Subject: a\n\nFrom here on\n"}},
		{"an mbox has many, and its quotes are undone", "box.mbox", map[string]string{
			"box.mbox:1": "Subject: a\n\nFrom the start\n>From twice\n" + long + "From x 10:00\n\nFrom here it is a text\n",
			"box.mbox:2": "Subject: b\n\nb\n",
		}},
		{"an mbox may come from Windows", "crlf.mbox", map[string]string{
			"crlf.mbox:1": "Subject: a\r\n\r\na\r\n", "crlf.mbox:2": "Subject: b\r\n",
		}},
		{"a postmark without a date begins a mail, too", "postmark.eml", map[string]string{"postmark.eml:1": "Subject: a\n\na\n"}},
		{"a Maildir has new and cur", "mail", map[string]string{
			"mail/new/2.host": "Subject: new\n\n", "mail/cur/1.host:2,S": "From b Mon Nov 23 08:00:00 2026\nSubject: cur\n\n",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, collect(t, dir, tt.path)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestFilesCutsAHugeMail(t *testing.T) {
	huge := "Subject: a\n\n" + strings.Repeat("0123456789\n", 200_000)
	dir := write(t, map[string]string{"huge.eml": huge, "huge.mbox": "From a 10:00\n" + huge + "\nFrom b 10:00\nSubject: b\n"})
	for name, raw := range collect(t, dir, "huge.eml") {
		if raw != huge[:1<<20] {
			t.Errorf("%s has %d bytes", name, len(raw))
		}
	}
	got := collect(t, dir, "huge.mbox")
	if got["huge.mbox:1"] != huge[:1<<20] || got["huge.mbox:2"] != "Subject: b\n" {
		t.Errorf("%d mails, the first of %d bytes", len(got), len(got["huge.mbox:1"]))
	}
}

func TestFilesFails(t *testing.T) {
	dir := write(t, map[string]string{"folder/one.eml": "Subject: a\n", "mail/new/1": "a", "mail/new/2": "b"})
	never := func(path string, _ []byte) error { t.Errorf("got %s", path); return nil }
	if err := bounce.Files(filepath.Join(dir, "folder"), never); !errors.Is(err, zonewire.ErrInvalid) {
		t.Errorf("a folder that is no Maildir: %v", err)
	}
	if err := bounce.Files(filepath.Join(dir, "none"), never); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
	enough, calls := errors.New("enough"), 0
	err := bounce.Files(filepath.Join(dir, "mail"), func(string, []byte) error { calls++; return enough })
	if err != enough || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
}

// The same mail may be imported that the listener has seen.
func TestOneMailHasOneHash(t *testing.T) {
	raw := []byte("Subject: a\r\n\r\nb\r\n")
	dir := write(t, map[string]string{"box": "From a 10:00\nSubject: a\n\nb\n\n", "one.eml": "Subject: a\n\nb\n"})
	want := bounce.Reader{Secret: secret}.Parse(raw, ofDigest).Hash
	for _, name := range []string{"box", "one.eml"} {
		for path, text := range collect(t, dir, name) {
			if got := (bounce.Reader{Secret: secret}).Parse([]byte(text), "").Hash; got != want {
				t.Errorf("%s: hash %s, want %s", path, got, want)
			}
		}
	}
	if other := (bounce.Reader{Secret: secret}).Parse(bytes.ToUpper(raw), "").Hash; other == want {
		t.Error("another mail has the same hash")
	}
}
