package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"zonewire/internal/pgtest"
)

// TestMain makes the command zonewire for the scripts: this test binary under another name.
func TestMain(m *testing.M) {
	testscript.Main(servers{cleaning{m}}, map[string]func(){"zonewire": main})
}

// servers is the package's tests, and the end of the PostgreSQL server that they share.
type servers struct{ cleaning }

func (s servers) Run() int { return pgtest.Main(s.cleaning) }

// TestScripts runs testdata/script/*.txtar. Each begins in an empty folder, without any ZONEWIRE_ variable, and reads
// like the manual. Besides testscript's own commands there is
//
//	exits CODE zonewire …   runs zonewire and wants this exit code
//	origin FOLDER           serves a folder as a portal at $ORIGIN, with validators; a file 403 in it closes what is beside it
//	asked FILE              writes what the portal was asked since the last time: a line each, with conditions
//
// Each runs on both engines; what is about a database that is a file stands behind [sqlite].
func TestScripts(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { runScripts(t, nil) })
	t.Run("postgres", func(t *testing.T) {
		if testing.Short() {
			t.Skip("the same once more: not with -short")
		}
		runScripts(t, func() string { return pgtest.Database(t) })
	})
}

// runScripts runs every script on a database of its own: a file in its folder, or what dsn gives.
func runScripts(t *testing.T, dsn func() string) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: false,
		RequireUniqueNames:  true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "origin": origin, "asked": asked},
		Condition: func(cond string) (bool, error) {
			if cond != "sqlite" {
				return false, fmt.Errorf("unknown condition %q", cond)
			}
			return dsn == nil, nil
		},
		Setup: func(env *testscript.Env) error {
			var kept []string
			for _, v := range env.Vars {
				if !strings.HasPrefix(v, envPrefix) {
					kept = append(kept, v)
				}
			}
			env.Vars = append(kept, "TZ=Asia/Shanghai")
			if dsn != nil {
				env.Vars = append(env.Vars, "ZONEWIRE_DB="+dsn())
			}
			return nil
		},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE command [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// portal is a web server on loopback that notes what it is asked.
type portal struct {
	folder string
	mu     sync.Mutex
	log    strings.Builder
}

func (p *portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	file := filepath.Join(p.folder, filepath.FromSlash(r.URL.Path))
	_, closed := os.Stat(filepath.Join(filepath.Dir(file), "403"))
	p.mu.Lock()
	condition := ""
	if r.Header.Get("If-Modified-Since") != "" {
		condition = " if modified"
	}
	fmt.Fprintf(&p.log, "%s %s%s\n", r.Method, r.URL.Path, condition)
	p.mu.Unlock()
	if closed == nil {
		http.Error(w, "browsers only", http.StatusForbidden)
		return
	}
	http.FileServer(http.Dir(p.folder)).ServeHTTP(w, r)
}

func origin(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: origin folder")
	}
	p := &portal{folder: ts.MkAbs(args[0])}
	old := time.Now().Add(-time.Hour) // a file of this second has a Last-Modified that says little
	ts.Check(filepath.WalkDir(p.folder, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chtimes(path, old, old))
	}))
	srv := httptest.NewServer(p)
	ts.Defer(srv.Close)
	ts.Setenv("ORIGIN", srv.URL)
	portals.Store(srv.URL, p)
	ts.Defer(func() { portals.Delete(srv.URL) })
}

// portals are those that run, by their address: a script's commands share nothing else.
var portals sync.Map

func asked(ts *testscript.TestScript, neg bool, args []string) {
	p, ok := portals.Load(ts.Getenv("ORIGIN"))
	if neg || len(args) != 1 || !ok {
		ts.Fatalf("usage: asked file, after origin")
	}
	site := p.(*portal)
	site.mu.Lock()
	defer site.mu.Unlock()
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(site.log.String()), 0o644))
	site.log.Reset()
}

// TestEveryCommandHasHelp keeps each verb's help whole: a summary, and an example that names the verb and its flags as
// they are.
func TestEveryCommandHasHelp(t *testing.T) {
	root := newRoot(&app{})
	walk(root, func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		if cmd.Short == "" {
			t.Errorf("%s: no summary", path)
		}
		if cmd.HasSubCommands() || cmd.Name() == "help" || strings.HasPrefix(path, "zonewire completion") {
			return
		}
		if !strings.Contains(cmd.Example, path+" ") && !strings.HasSuffix(cmd.Example, path) {
			_, verb, _ := strings.Cut(path, " ") // global flags may stand between
			if !strings.Contains(cmd.Example, " "+verb) {
				t.Errorf("%s: its example does not show it:\n%s", path, cmd.Example)
			}
		}
		for _, word := range strings.Fields(cmd.Example) {
			if name, ok := strings.CutPrefix(word, "--"); ok {
				name, _, _ = strings.Cut(name, "=")
				if cmd.Flag(name) == nil && cmd.InheritedFlags().Lookup(name) == nil {
					t.Errorf("%s: its example has --%s, which it does not know", path, name)
				}
			}
		}
	})
}
