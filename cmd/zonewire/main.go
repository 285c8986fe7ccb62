// Command zonewire is the wire service for development zones: articles in, a feed for each zone out, and one digest
// a slot to each subscriber.
//
// This folder is the command line and the wiring of the daemon, one file a noun. A verb is thin: it reads its flags,
// makes one call to the store, and prints. Policy:
//
//   - Results go to stdout, as a table for people or as JSON for scripts; all else goes to stderr.
//   - An error is one line, "zonewire: what: why", and says what to do where that is not plain.
//   - The exit code is 0 when the work is done, 1 when it failed or a row was rejected, 2 for a usage mistake.
//   - Nothing is asked on a pipe: a verb that destroys refuses there, unless --yes is given.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // lists name time zones, and a container has no zone database
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program: every test enters here. It returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdin: stdin, out: printer{w: stdout, note: stderr}, stderr: stderr, environ: os.Environ()}
	root := newRoot(a)
	root.SetArgs(append([]string{}, args...)) // cobra takes nil for "read os.Args"
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = errInterrupted
	}
	if !errors.Is(err, errReported) {
		fmt.Fprintf(stderr, "%s: %s\n", where(cmd), oneLine(err.Error()))
	}
	var usage *usageError
	if errors.As(err, &usage) {
		fmt.Fprintf(stderr, "Try: %s --help\n", usage.try)
		return 2
	}
	return 1
}
