package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/schollz/progressbar/v3"

	"zonewire/ingest"
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

// Articles are parsed on all processors, and stored, counted and refused in the order of the file.
func TestImportKeepsTheOrder(t *testing.T) {
	dsn := filepath.Join(t.TempDir(), "z.db")
	var in strings.Builder
	const n = 400
	for i := range n {
		switch {
		case i%100 == 50:
			in.WriteString("{}\n")
		case i%7 == 0: // takes longer
			fmt.Fprintf(&in, `{"title":"第 %d 条","content_html":"%s"}`+"\n", i, strings.Repeat("<div><font>长", 400))
		default:
			fmt.Fprintf(&in, `{"title":"第 %d 条"}`+"\n", i)
		}
	}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"--db", dsn, "article", "import", "-o", "json", "--dry-run", "-"}, strings.NewReader(in.String()), &stdout, &stderr); code != 1 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	var out struct {
		Rejects  []struct{ Line int }
		Articles []struct{ Title string }
	}
	if err := json.Unmarshal(stdout.Bytes(), &out); err != nil {
		t.Fatal(err)
	}
	if want := []struct{ Line int }{{51}, {151}, {251}, {351}}; !slices.Equal(out.Rejects, want) {
		t.Errorf("rejected lines %v, want %v", out.Rejects, want)
	}
	for i, a := range out.Articles {
		if at := i + (i+49)/99; a.Title != fmt.Sprintf("第 %d 条", at) {
			t.Fatalf("article %d is %s, want number %d", i, a.Title, at)
		}
	}
	if len(out.Articles) != n-4 {
		t.Errorf("%d articles, want %d", len(out.Articles), n-4)
	}
}

// counted is an endless file of lines of a megabyte.
type counted struct{ read int }

func (c *counted) Read(p []byte) (int, error) {
	n := copy(p, bytes.Repeat([]byte("x"), min(len(p), 1<<20-c.read%(1<<20))))
	if c.read += n; c.read%(1<<20) == 0 {
		p[n-1] = '\n'
	}
	return n, nil
}

// However long the lines are, only so much is read ahead of what is stored; and when the import ends, so does all that
// it began.
func TestImportReadsAheadOnlySoFar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		file := &counted{}
		all, wait := inputs{paths: []string{"-"}, stdin: file}.parse(ctx, ingest.Options{Format: ingest.NDJSON}, progressbar.DefaultSilent(1<<40))
		synctest.Wait()
		stopped := file.read
		if low, high := 4*importBytes, 4*importBytes+2<<20; stopped < low || stopped > high {
			t.Errorf("%d MB were read ahead, want %d to %d", stopped>>20, low>>20, high>>20)
		}
		r, err := (<-all.next).record(ctx)
		if err != nil || r.Line != 1 {
			t.Errorf("line %d, %v", r.Line, err)
		}
		synctest.Wait()
		if file.read != stopped {
			t.Errorf("what was taken is still held, but more was read")
		}
		all.free(1 << 20)
		synctest.Wait()
		if file.read <= stopped {
			t.Errorf("nothing more was read after a megabyte had been freed")
		}
		cancel()
		wait() // and the bubble, for whatever else still runs
	})
}
