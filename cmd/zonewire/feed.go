package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"zonewire/feed"
)

// newFeed is "zonewire feed".
func newFeed(a *app) *cobra.Command {
	return noun("feed", "Feeds as files", newFeedExport(a))
}

// exported is what an export did, as -o json prints it.
type exported struct {
	Written   int `json:"written"`
	Unchanged int `json:"unchanged"`
	Removed   int `json:"removed"`
}

func newFeedExport(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "export DIR",
		Short: "Write every feed and its compressed forms as files, for a CDN or a web server",
		Long: `Write every feed, archive and list of feeds into a folder, byte for byte as serve answers, each beside
its compressed forms (.gz, .br, .zst). A file that is as it should be is left alone, down to its date; a
changed one is put in place whole; files of zones that were renamed or closed are removed. The dates are
those of Last-Modified. docs/feeds.md shows a web server's configuration.`,
		Example: `  zonewire feed export /var/www/feeds
  */5 * * * * zonewire feed export /var/www/feeds    # in a crontab`,
		Args: exactly("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				e, err := newEngine(cmd.Context(), a, db, a.logger())
				if err != nil {
					return err
				}
				done, err := a.export(cmd.Context(), e.feeds, args[0])
				if err != nil {
					return err
				}
				return a.out.say(done, "%s written, %d unchanged, %d removed", count(done.Written, "file"), done.Unchanged, done.Removed)
			})
		},
	}
}

func (a *app) export(ctx context.Context, feeds *feed.Server, dir string) (exported, error) {
	var done exported
	bar := a.bar(-1, "feeds", "files")
	x := exporter{dir: dir, mine: map[string]bool{}, done: &done}
	err := feeds.Files(ctx, func(f feed.File) error {
		if err := x.put(f.Path, f.Body, f.Modified); err != nil {
			return err
		}
		for ending, packed := range f.Codings {
			if err := x.put(f.Path+ending, packed, f.Modified); err != nil {
				return err
			}
		}
		return bar.Add(1 + len(f.Codings))
	})
	if err == nil {
		err = x.clear()
	}
	return done, errors.Join(err, bar.Finish())
}

// exporter makes a folder hold the files that it is given, and touches none that is right already.
type exporter struct {
	dir  string
	mine map[string]bool // the paths of this export, with slashes
	done *exported
}

// put makes a file hold the bytes. A web server that reads it meanwhile has the old ones or the new, never a part.
func (x *exporter) put(path string, body []byte, modified time.Time) error {
	if !filepath.IsLocal(filepath.FromSlash(path)) {
		return fmt.Errorf("%s leads out of the folder", path)
	}
	x.mine[path] = true
	name := filepath.Join(x.dir, filepath.FromSlash(path))
	old, err := os.ReadFile(name)
	switch {
	case err == nil && bytes.Equal(old, body):
		x.done.Unchanged++
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	if err := replace(name, body, modified); err != nil {
		return err
	}
	x.done.Written++
	return nil
}

// replace writes a file under another name and renames it.
func replace(name string, body []byte, modified time.Time) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".export-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(body)
	if err == nil {
		err = f.Chmod(0o644) // a web server is another user
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if !modified.IsZero() { // it is the validator of a web server
		if err := os.Chtimes(f.Name(), modified, modified); err != nil {
			return err
		}
	}
	return os.Rename(f.Name(), name)
}

// exportedFile matches the paths that exports write, and temporary files that a killed one has left. Whatever else lies in
// the folder is not ours.
var exportedFile = regexp.MustCompile(`^(feed\.(rss|atom|json)|zones\.opml|feed\.css|zones/[a-z0-9-]+/(feed\.(rss|atom|json)|archive/[0-9-]+\.atom))(\.(gz|br|zst))?$|(^|/)\.export-[0-9]+$`)

// clear removes the files of earlier exports that this one has not given, and the folders that are empty then.
func (x *exporter) clear() error {
	var folders []string
	err := filepath.WalkDir(x.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(x.dir, name)
		if err != nil {
			return err
		}
		path := filepath.ToSlash(rel)
		if d.IsDir() {
			if path != "." && path != "zones" && !exportedFolder.MatchString(path) {
				return fs.SkipDir
			}
			folders = append(folders, name)
			return nil
		}
		if x.mine[path] || !exportedFile.MatchString(path) {
			return nil
		}
		x.done.Removed++
		return os.Remove(name)
	})
	for i := len(folders) - 1; i > 0 && err == nil; i-- { // the deepest first; the first is the folder itself
		left, failed := os.ReadDir(folders[i])
		if err = failed; err == nil && len(left) == 0 {
			err = os.Remove(folders[i])
		}
	}
	return err
}

// exportedFolder matches the folders that exports make below zones/.
var exportedFolder = regexp.MustCompile(`^zones/[a-z0-9-]+(/archive)?$`)
