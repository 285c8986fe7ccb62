package main

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
)

// TestMain makes the command zonewire for the scripts: this test binary under another name.
func TestMain(m *testing.M) {
	testscript.Main(cleaning{m}, map[string]func(){"zonewire": main})
}

// TestScripts runs testdata/script/*.txtar. Each begins in an empty folder, without any ZONEWIRE_ variable, and reads
// like the manual. Besides testscript's own commands there is
//
//	exits CODE zonewire …   runs zonewire and wants this exit code
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: false,
		RequireUniqueNames:  true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
		Setup: func(env *testscript.Env) error {
			var kept []string
			for _, v := range env.Vars {
				if !strings.HasPrefix(v, envPrefix) {
					kept = append(kept, v)
				}
			}
			env.Vars = append(kept, "TZ=Asia/Shanghai")
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
