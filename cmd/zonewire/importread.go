package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/sync/semaphore"

	"zonewire/ingest"
)

// inputs are the files that a command was given.
type inputs struct {
	paths []string
	stdin io.Reader
	size  int // bytes of all, -1 if standard input is among them
}

// record is what was read, and from where.
type record struct {
	path string
	ingest.Record
}

// openInputs finds every file before the first is read, so that a wrong path stores nothing. Folders are walked, hidden
// files in them left alone.
func openInputs(paths []string, stdin io.Reader) (inputs, error) {
	in := inputs{stdin: stdin}
	unknown := false
	for _, path := range paths {
		if path == "-" {
			in.paths, unknown = append(in.paths, path), true
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return in, fmt.Errorf("%s: %w", path, errors.Unwrap(err))
		}
		if !info.IsDir() {
			in.paths, in.size = append(in.paths, path), in.size+int(info.Size())
			continue
		}
		err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if strings.HasPrefix(d.Name(), ".") && p != path {
				if d.IsDir() {
					return filepath.SkipDir
				}
				return nil
			}
			info, err := os.Stat(p) // follows a link to a file
			if err != nil {
				return err
			}
			if info.Mode().IsRegular() {
				in.paths, in.size = append(in.paths, p), in.size+int(info.Size())
			}
			return nil
		})
		if err != nil {
			return in, err
		}
	}
	if unknown || in.size == 0 {
		in.size = -1
	}
	return in, nil
}

// intake is what is read from the inputs, in its order.
type intake struct {
	next <-chan reading
	room *semaphore.Weighted
}

// free says that so many bytes of input, and what was made of them, are no longer held.
func (i intake) free(bytes int64) { i.room.Release(bytes) }

// reading is a record that is being parsed.
type reading struct {
	path  string
	bytes int64 // of the input, which are held until they are freed
	parse func() ingest.Record
	done  chan ingest.Record // takes one
}

// record waits until it is parsed, or ctx ends.
func (r reading) record(ctx context.Context) (record, error) {
	select {
	case rec := <-r.done:
		return record{r.path, rec}, nil
	case <-ctx.Done():
		return record{}, ctx.Err()
	}
}

// parse reads every file and parses it on all processors, until ctx ends. Not more than readAhead bytes are held: a file of
// long lines needs no more memory than another. wait returns when all parsing has ended; what reads may still hang in a read.
func (in inputs) parse(ctx context.Context, opts ingest.Options, bar *progressbar.ProgressBar) (all intake, wait func()) {
	const readAhead = 4 * importBytes
	work, ordered := make(chan reading), make(chan reading, importBatch)
	room := semaphore.NewWeighted(readAhead)
	go func() {
		defer close(ordered)
		defer close(work)
		for _, path := range in.paths {
			taken := 0
			for parse := range in.tasks(path, opts, &taken, bar) {
				r := reading{path, min(int64(taken), readAhead), parse, make(chan ingest.Record, 1)}
				taken = 0
				if room.Acquire(ctx, r.bytes) != nil {
					return
				}
				for _, to := range []chan<- reading{ordered, work} {
					select {
					case to <- r:
					case <-ctx.Done():
						return
					}
				}
			}
		}
	}()
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for {
				select {
				case r, more := <-work:
					if !more {
						return
					}
					r.done <- r.parse()
				case <-ctx.Done():
					return
				}
			}
		})
	}
	return intake{ordered, room}, workers.Wait
}

// tasks cuts a file into its articles; taken grows by what is read.
func (in inputs) tasks(path string, opts ingest.Options, taken *int, bar *progressbar.ProgressBar) iter.Seq[func() ingest.Record] {
	return func(yield func(func() ingest.Record) bool) {
		r := in.stdin
		if path != "-" {
			f, err := os.Open(path)
			if err != nil {
				yield(func() ingest.Record { return ingest.Record{Err: errors.Unwrap(err)} })
				return
			}
			defer f.Close() // only read
			r = f
		}
		ingest.Tasks(path, io.TeeReader(r, meter{taken, bar}), opts)(yield)
	}
}

// meter counts bytes; a bar that cannot be drawn is no failure of the import.
type meter struct {
	taken *int
	bar   *progressbar.ProgressBar
}

func (m meter) Write(b []byte) (int, error) {
	*m.taken += len(b)
	_ = m.bar.Add(len(b))
	return len(b), nil
}
