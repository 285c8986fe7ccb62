package zonewire_test

import (
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// rooms says which rooms of the module the shipped code of each room may import; "" is the root. Tests may open more
// doors: an external test package may use a real store, and only tests use internal/pgtest and internal/smtptest.
var rooms = map[string][]string{
	"":                  {},
	"ingest":            {"", "internal/address"},
	"poll":              {"", "ingest", "internal/outbound", "internal/trouble"},
	"store":             {""},
	"feed":              {"", "internal/trouble"},
	"websub":            {"", "internal/outbound", "internal/trouble"},
	"digest":            {"", "templates", "internal/trouble"},
	"outbox":            {"", "internal/address", "internal/provider", "internal/trouble"},
	"bounce":            {"", "internal/address", "internal/provider", "internal/trouble"},
	"web":               {"", "templates", "internal/address", "internal/trouble"},
	"api":               {"", "ingest", "internal/trouble"},
	"templates":         {""},
	"internal/address":  {"", "internal/provider"},
	"internal/provider": {""},
	"internal/outbound": {},
	"internal/pgtest":   {},
	"internal/smtptest": {},
	"internal/trouble":  {""},
	"cmd/zonewire": {
		"", "ingest", "store", "feed", "websub", "digest", "outbox", "bounce", "web", "api", "poll", "templates", "internal/address", "internal/outbound", "internal/provider",
		"internal/trouble",
	},
}

// owners names the packages from outside that one room alone may import, for what nobody else should know of.
var owners = map[string]string{
	"database/sql":                      "store", // the only SQL
	"github.com/mattn/go-sqlite3":       "store",
	"github.com/jackc/pgx":              "store",
	"github.com/gorilla/feeds":          "feed",
	"github.com/andybalholm/brotli":     "feed",
	"github.com/klauspost/compress":     "feed",
	"github.com/wneessen/go-mail":       "outbox",
	"github.com/emersion/go-msgauth":    "outbox",
	"github.com/emersion/go-smtp":       "bounce",
	"github.com/mmcdole/gofeed":         "ingest",
	"code.dny.dev/ssrf":                 "internal/outbound",
	"github.com/temoto/robotstxt":       "poll",
	"github.com/spf13/cobra":            "cmd/zonewire",
	"github.com/schollz/progressbar/v3": "cmd/zonewire",
}

// ownerOf finds who alone may import a package, or one below it.
func ownerOf(path string) (string, bool) {
	for name, owner := range owners {
		if path == name || strings.HasPrefix(path, name+"/") {
			return owner, true
		}
	}
	return "", false
}

// outside are the packages that would give the root, which holds values only, something to talk to.
var outside = []string{"context", "database/sql", "io", "io/fs", "log", "log/slog", "math/rand", "net", "net/http", "os", "os/exec"}

// goList gives one line a package, as the format says.
func goList(t *testing.T, format string) []string {
	t.Helper()
	// The test cache does not see what go list reads, and would go on saying ok: read every folder here as well.
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if entry != nil && entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && path != "." {
			return filepath.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "list", "-e", "-f", format, "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

// room is the part of an import path behind the module; false for packages from outside.
func room(path string) (string, bool) {
	if path == "zonewire" {
		return "", true
	}
	return strings.CutPrefix(path, "zonewire/")
}

func TestRoomsImportOnlyWhatTheTableAllows(t *testing.T) {
	for _, line := range goList(t, `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`) {
		fields := strings.Fields(line)
		from, _ := room(fields[0])
		allowed, known := rooms[from]
		if !known {
			t.Errorf("package %s is no room: add it to this table and to ARCHITECTURE.md, or put its code into a room", fields[0])
			continue
		}
		for _, path := range fields[1:] {
			if to, ours := room(path); ours && !slices.Contains(allowed, to) {
				t.Errorf("%s imports %s: a room may import %q", fields[0], path, allowed)
			}
			if owner, owned := ownerOf(path); owned && owner != from {
				t.Errorf("%s imports %s: only %s may", fields[0], path, owner)
			}
			if from != "" {
				continue
			}
			if strings.Contains(strings.Split(path, "/")[0], ".") || slices.Contains(outside, path) {
				t.Errorf("the root imports %s: it holds values only, on the pure part of std", path)
			}
		}
	}
}

func TestEveryPackageSaysWhatItGives(t *testing.T) {
	for _, line := range goList(t, `{{.ImportPath}} {{.Name}} {{.Doc}}`) {
		fields := strings.SplitN(line, " ", 3)
		path, name, doc := fields[0], fields[1], fields[2]
		want := "Package " + name + " "
		if name == "main" {
			want = "Command " + path[strings.LastIndex(path, "/")+1:] + " "
		}
		if !strings.HasPrefix(doc, want) {
			t.Errorf("%s: its doc comment begins %q, want %q", path, doc, want+"…")
		}
	}
}
