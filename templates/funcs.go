package templates

import (
	"fmt"
	"html/template"
	"io/fs"
	"strings"

	"zonewire"
)

// readPhrases reads locales/LOCALE.txt: a line "key = phrase" each, # opens a comment.
func readPhrases(files fs.FS, locale string) (map[string]string, error) {
	name := "locales/" + locale + ".txt"
	body, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, fmt.Errorf("locale %s: %w", name, err)
	}
	phrases := map[string]string{}
	for i, line := range strings.Split(string(body), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, phrase, ok := strings.Cut(line, " = ")
		if !ok {
			return nil, fmt.Errorf("locale %s line %d: want key = phrase", name, i+1)
		}
		phrases[strings.TrimSpace(key)] = strings.TrimSpace(phrase)
	}
	return phrases, nil
}

// helpers is the one table of functions that templates may call.
func helpers(locale string, phrases map[string]string) template.FuncMap {
	return template.FuncMap{
		// t gives the locale's phrase, with args in its %s and %d.
		"t": func(key string, args ...any) (string, error) {
			phrase, ok := phrases[key]
			if !ok {
				return "", fmt.Errorf("locale %s: phrase %q: %w", locale, key, zonewire.ErrNotFound)
			}
			if len(args) == 0 {
				return phrase, nil
			}
			return fmt.Sprintf(phrase, args...), nil
		},
		"locale": func() string { return locale },
	}
}
