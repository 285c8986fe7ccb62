package templates

import (
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"regexp"
	"strings"
	"time"

	"zonewire"
)

// readPhrases reads locales/LOCALE.txt, and over it the file of the same name in the operator's folder, which may hold
// only the phrases that it changes.
func readPhrases(files overlay, locale string) (map[string]string, error) {
	name := "locales/" + locale + ".txt"
	phrases := map[string]string{}
	for _, layer := range []fs.FS{files.under, files.over} {
		body, err := fs.ReadFile(layer, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("locale %s: %w", name, err)
		}
		own, err := parsePhrases(string(body))
		if err != nil {
			return nil, fmt.Errorf("locale %s: %w", name, err)
		}
		maps.Copy(phrases, own)
	}
	return phrases, nil
}

// parsePhrases reads a line "key = phrase" each; # opens a comment.
func parsePhrases(body string) (map[string]string, error) {
	phrases := map[string]string{}
	for i, line := range strings.Split(body, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, phrase, ok := strings.Cut(line, " = ")
		if !ok {
			return nil, fmt.Errorf("line %d: want key = phrase", i+1)
		}
		phrases[strings.TrimSpace(key)] = strings.TrimSpace(phrase)
	}
	return phrases, nil
}

// phraseCall finds the calls {{t "key"}} and {{n "key" count}} whose key is written out.
var phraseCall = regexp.MustCompile(`\b([tn]) "([^"]+)"`)

// checkPhrases reports the first phrase that the template asks for and the locale lacks: found on loading, not on the
// first morning that needs it.
func checkPhrases(body string, phrases map[string]string) error {
	for _, call := range phraseCall.FindAllStringSubmatch(body, -1) {
		keys := []string{call[2]}
		if call[1] == "n" {
			keys = []string{call[2] + ".one", call[2] + ".other"}
		}
		for _, key := range keys {
			if _, ok := phrases[key]; !ok {
				return fmt.Errorf("phrase %q: %w", key, zonewire.ErrNotFound)
			}
		}
	}
	return nil
}

// say gives a phrase with args in its %s and %d.
func say(locale string, phrases map[string]string, key string, args ...any) (string, error) {
	p, ok := phrases[key]
	if !ok {
		return "", fmt.Errorf("locale %s: phrase %q: %w", locale, key, zonewire.ErrNotFound)
	}
	if len(args) == 0 {
		return p, nil
	}
	return fmt.Sprintf(p, args...), nil
}

// helpers is the one table of functions that templates may call.
func helpers(locale string, phrases map[string]string) template.FuncMap {
	phrase := func(key string, args ...any) (string, error) { return say(locale, phrases, key, args...) }
	funcs := template.FuncMap{
		// t gives the locale's phrase, with args in its %s and %d.
		"t": phrase,
		// n gives the phrase for a count: key.one or key.other, with the count in its %d.
		"n": func(key string, count int) (string, error) {
			if count == 1 {
				return phrase(key+".one", count)
			}
			return phrase(key+".other", count)
		},
		"locale":   func() string { return locale },
		"longdate": func(t time.Time) string { return LongDate(locale, t) },
		"date":     func(t time.Time) string { return Date(locale, t) },
		"day":      func(t time.Time) string { return Day(locale, t) },
	}
	maps.Copy(funcs, webHelpers(locale))
	return funcs
}

var weekdays = [...]string{"日", "一", "二", "三", "四", "五", "六"}

// Weekday is the day of the week in Chinese, as it stands behind 星期 or 周.
func Weekday(t time.Time) string { return weekdays[t.Weekday()] }

// LongDate is the date as a newspaper prints it: 2026年11月24日 星期二, or Tuesday, 24 November 2026.
func LongDate(locale string, t time.Time) string {
	if locale == zonewire.LocaleZH {
		return t.Format("2006年1月2日 星期") + Weekday(t)
	}
	return t.Format("Monday, 2 January 2006")
}

// Date is the date with its year: 2026年11月24日, or 24 November 2026.
func Date(locale string, t time.Time) string {
	if locale == zonewire.LocaleZH {
		return t.Format("2006年1月2日")
	}
	return t.Format("2 January 2006")
}

// Day is the date where the year goes without saying: 11月24日, or 24 November.
func Day(locale string, t time.Time) string {
	if locale == zonewire.LocaleZH {
		return t.Format("1月2日")
	}
	return t.Format("2 January")
}
