// Package templates holds the HTML and text templates of pages and mails with their locales, embedded in the binary;
// a folder given by the operator overrides any of them by file name.
package templates

import (
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	texttemplate "text/template"

	"zonewire"
)

//go:embed mail/* web/* locales/*
var embedded embed.FS

// Set is every template, parsed once for each locale. It is safe for concurrent use.
type Set struct {
	html map[string]*template.Template     // locale/name
	text map[string]*texttemplate.Template // locale/name

	phrases map[string]map[string]string // by locale and key
}

// Load parses the embedded templates, those in dir taking their place by file name, such as mail/digest.html; a locale
// file in dir may hold only the phrases that it changes. An empty dir overrides nothing. A template that does not parse,
// a phrase that a locale lacks, and a file in dir that overrides nothing are errors that name the file.
func Load(dir string) (*Set, error) {
	files := overlay{over: embed.FS{}, under: embedded}
	if dir != "" {
		if err := checkDir(dir); err != nil {
			return nil, err
		}
		files.over = os.DirFS(dir)
	}
	s := &Set{html: map[string]*template.Template{}, text: map[string]*texttemplate.Template{}, phrases: map[string]map[string]string{}}
	for _, locale := range zonewire.Locales() {
		if err := s.load(files, locale); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// checkDir refuses a folder that is none, and a template in it whose name is misspelt: it would be ignored in silence.
func checkDir(dir string) error {
	if _, err := os.ReadDir(dir); err != nil {
		return fmt.Errorf("templates folder: %w", err)
	}
	names, err := fs.Glob(os.DirFS(dir), "*/*")
	if err != nil {
		return fmt.Errorf("templates folder %s: %w", dir, err)
	}
	for _, name := range names {
		if ext := path.Ext(name); ext != ".html" && ext != ".txt" {
			continue
		}
		if _, err := fs.Stat(embedded, name); err != nil {
			return fmt.Errorf("template %s: it overrides nothing: %w", path.Join(dir, name), zonewire.ErrNotFound)
		}
	}
	return nil
}

// overlay reads from the first file system that has the file.
type overlay struct{ over, under fs.FS }

func (o overlay) Open(name string) (fs.File, error) {
	f, err := o.over.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return o.under.Open(name)
	}
	return f, err
}

func (s *Set) load(files overlay, locale string) error {
	phrases, err := readPhrases(files, locale)
	if err != nil {
		return err
	}
	s.phrases[locale] = phrases
	funcs := helpers(locale, phrases)
	names, err := fs.Glob(embedded, "*/*")
	if err != nil {
		return fmt.Errorf("list templates: %w", err)
	}
	for _, name := range names {
		if path.Dir(name) == "locales" {
			continue
		}
		body, err := fs.ReadFile(files, name)
		if err == nil {
			err = checkPhrases(string(body), phrases)
		}
		if err != nil {
			return fmt.Errorf("template %s in %s: %w", name, locale, err)
		}
		switch {
		case path.Ext(name) == ".txt":
			t, err := texttemplate.New(path.Base(name)).Funcs(texttemplate.FuncMap(funcs)).Parse(string(body))
			if err != nil {
				return fmt.Errorf("template %s: %w", name, err)
			}
			s.text[locale+"/"+name] = t
		case path.Ext(name) == ".html" && !strings.HasPrefix(path.Base(name), "_"):
			t, err := parseHTML(files, name, funcs)
			if err != nil {
				return err
			}
			s.html[locale+"/"+name] = t
		}
	}
	return nil
}

// parseHTML parses one page together with the shared pieces of its folder, whose names begin with an underscore.
func parseHTML(files fs.FS, name string, funcs template.FuncMap) (*template.Template, error) {
	t := template.New("").Funcs(funcs) // not the page's name: html/template would empty the set when the page is parsed
	shared, err := fs.Glob(embedded, path.Dir(name)+"/_*.html")
	if err != nil {
		return nil, fmt.Errorf("template %s: %w", name, err)
	}
	for _, piece := range append(shared, name) {
		body, err := fs.ReadFile(files, piece)
		if err != nil {
			return nil, fmt.Errorf("template %s: %w", piece, err)
		}
		if _, err := t.New(path.Base(piece)).Parse(string(body)); err != nil {
			return nil, fmt.Errorf("template %s: %w", piece, err)
		}
	}
	return t, nil
}

// HTML writes the page or mail of that name, such as "web/zone.html", in the locale.
func (s *Set) HTML(w io.Writer, name, locale string, data any) error {
	t, ok := s.html[locale+"/"+name]
	if !ok {
		return fmt.Errorf("template %s in %s: %w", name, locale, zonewire.ErrNotFound)
	}
	if err := t.ExecuteTemplate(w, path.Base(name), data); err != nil {
		return fmt.Errorf("template %s: %w", name, err)
	}
	return nil
}

// Text writes the plain-text template of that name, such as "mail/digest.txt", in the locale.
func (s *Set) Text(w io.Writer, name, locale string, data any) error {
	t, ok := s.text[locale+"/"+name]
	if !ok {
		return fmt.Errorf("template %s in %s: %w", name, locale, zonewire.ErrNotFound)
	}
	if err := t.Execute(w, data); err != nil {
		return fmt.Errorf("template %s: %w", name, err)
	}
	return nil
}

// SiteTitle is the name of the whole service in the locale: the phrase site.title, which an operator may change.
func (s *Set) SiteTitle(locale string) string { return s.phrases[locale]["site.title"] }

// Phrase is the locale's phrase for a key, with args in its %s and %d. [zonewire.ErrNotFound].
func (s *Set) Phrase(locale, key string, args ...any) (string, error) {
	return say(locale, s.phrases[locale], key, args...)
}
