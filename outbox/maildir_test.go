package outbox_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zonewire"
	"zonewire/outbox"
)

// files lists what stands in a folder of the Maildir.
func files(t testing.TB, dir, sub string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, sub))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func maildirSend(t testing.TB, dir string, e outbox.Envelope) {
	t.Helper()
	c, err := outbox.NewMaildir(dir).Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if r := c.Send(t.Context(), e); !r.Accepted() || !c.Usable() {
		t.Fatalf("reply %+v", r)
	}
}

func TestMaildirHoldsEachMailOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "mail")
	first, second := envelope(t, 1), envelope(t, 2)
	maildirSend(t, dir, first)
	maildirSend(t, dir, second)
	maildirSend(t, dir, first) // as after a crash between sending and recording
	names := files(t, dir, "new")
	if len(names) != 2 || len(files(t, dir, "tmp")) != 0 {
		t.Fatalf("new holds %v, tmp %v", names, files(t, dir, "tmp"))
	}
	for _, name := range names {
		got, err := os.ReadFile(filepath.Join(dir, "new", name))
		if err != nil || !bytes.Equal(got, first.Message) && !bytes.Equal(got, second.Message) {
			t.Errorf("%s holds %q, %v", name, got, err)
		}
		if strings.ContainsAny(name, ":/") {
			t.Errorf("name %q", name)
		}
	}

	// A mail reader has seen both; the repeat must not come as new.
	for _, name := range names {
		if err := os.Rename(filepath.Join(dir, "new", name), filepath.Join(dir, "cur", name+":2,S")); err != nil {
			t.Fatal(err)
		}
	}
	maildirSend(t, dir, first)
	maildirSend(t, dir, envelope(t, 3))
	if names := files(t, dir, "new"); len(names) != 1 {
		t.Errorf("new holds %v, want the third mail alone", names)
	}
}

func TestMaildirReplacesWhatACrashLeft(t *testing.T) {
	dir := t.TempDir()
	e := envelope(t, 1)
	maildirSend(t, dir, e)
	name := files(t, dir, "new")[0]
	// The crash was in the middle of writing: half a file in tmp, nothing in new.
	if err := os.Rename(filepath.Join(dir, "new", name), filepath.Join(dir, "tmp", name)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tmp", name), append(e.Message, "and more than before"...), 0o600); err != nil {
		t.Fatal(err)
	}
	maildirSend(t, dir, e)
	got, err := os.ReadFile(filepath.Join(dir, "new", name))
	if err != nil || !bytes.Equal(got, e.Message) || len(files(t, dir, "tmp")) != 0 {
		t.Errorf("new holds %q, %v", got, err)
	}
}

func TestMaildirThatCannotBeWritten(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := outbox.NewMaildir(filepath.Join(blocked, "mail")).Dial(t.Context()); err == nil || !strings.Contains(err.Error(), blocked) {
		t.Errorf("dial: error %v, want one that names the folder", err)
	}

	dir := t.TempDir()
	c, err := outbox.NewMaildir(dir).Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "tmp")); err != nil {
		t.Fatal(err)
	}
	if r := c.Send(t.Context(), envelope(t, 1)); r.Code != 0 || r.Lost() || r.Text == "" {
		t.Errorf("reply %+v, want a failure that may be tried again", r)
	}
	if r := c.Send(t.Context(), outbox.Envelope{Message: []byte("Subject: x\r\n\r\n")}); r.Accepted() {
		t.Errorf("a message without Message-ID is %+v", r)
	}
}

func TestDrainIntoAMaildir(t *testing.T) {
	dir, st := t.TempDir(), newStore(t, 40)
	counts, err := newAgent(st, outbox.NewMaildir(dir), outbox.Options{}).Drain(t.Context(), nil)
	if err != nil || counts[zonewire.Accepted] != 40 {
		t.Fatalf("counts %v, error %v", counts, err)
	}
	if n := len(files(t, dir, "new")); n != 40 {
		t.Errorf("%d files, want 40", n)
	}
	st.settled()
}
