package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What comes slowly, as from `tail -f`, is stored without waiting for a full batch; and an interrupt, while standard
// input is still open, ends the import with what was stored.
func TestSlowImportIsStoredBeforeItEnds(t *testing.T) {
	dsn := filepath.Join(t.TempDir(), "z.db")
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	stdin, feed := io.Pipe()
	defer feed.Close()
	var stdout, stderr bytes.Buffer
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"--db", dsn, "article", "import", "-"}, stdin, &stdout, &stderr)
	}()
	line := `{"id":"1","zone":"jintan","title":"金坛签约三个项目","content_text":"三个项目今天签约。"}` + "\n"
	// The format is guessed from the first 64 KB: fill them, as any real stream would.
	if _, err := io.WriteString(feed, line+strings.Repeat("\n", 64<<10)); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		var out bytes.Buffer
		if run(ctx, []string{"--db", dsn, "article", "ls", "-o", "json"}, nil, &out, io.Discard) == 0 && strings.Contains(out.String(), "金坛签约") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the article was not stored while standard input was open")
		}
	}
	interrupt()
	if got := <-code; got != 1 {
		t.Errorf("exit code %d, want 1", got)
	}
	if want := "read 1: 1 added, 0 updated, 0 unchanged, 0 rejected\n"; stdout.String() != want {
		t.Errorf("stdout %q, want %q", stdout.String(), want)
	}
	if !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("stderr %q does not say that it was interrupted", stderr.String())
	}
}

// More rows than one batch holds all go in, and are counted.
func TestImportGoesOnPastABatch(t *testing.T) {
	dsn := filepath.Join(t.TempDir(), "z.db")
	var in strings.Builder
	const n = 2*importBatch + 1
	for i := range n {
		fmt.Fprintf(&in, `{"id":"%d","title":"第 %d 条"}`+"\n", i, i)
	}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"--db", dsn, "article", "import", "-"}, strings.NewReader(in.String()), &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	if want := fmt.Sprintf("read %d: %d added, 0 updated, 0 unchanged, 0 rejected\n", n, n); stdout.String() != want {
		t.Errorf("stdout %q, want %q", stdout.String(), want)
	}
}
