package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The documents are read from the folder above: they must stay true of this command line.
func readDoc(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDocumentedConfigurationIsTheDefault(t *testing.T) {
	_, block, found := strings.Cut(readDoc(t, "docs/configuration.md"), "```toml\n")
	block, _, closed := strings.Cut(block, "```")
	if !found || !closed {
		t.Fatal("docs/configuration.md has no toml block")
	}
	dir := t.TempDir()
	load := func(name, text string) settings {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := loadSettings(path, "", nil)
		if err != nil {
			t.Fatalf("docs/configuration.md: %v", err)
		}
		return s
	}
	documented, defaults := load("documented.toml", block), load("empty.toml", "")
	if diff := cmp.Diff(defaults.values, documented.values); diff != "" {
		t.Errorf("docs/configuration.md gives other defaults than the code (-code +docs):\n%s", diff)
	}
	for key, origin := range documented.origin {
		if origin == defaultOrigin {
			t.Errorf("docs/configuration.md does not name the key %s", key)
		}
	}
}

func TestReadmeCommandsExist(t *testing.T) {
	lines := regexp.MustCompile(`(?m)^\./zonewire (.*)$`).FindAllStringSubmatch(readDoc(t, "README.md"), -1)
	if len(lines) < 5 {
		t.Fatalf("README.md shows %d commands: did their form change?", len(lines))
	}
	word := regexp.MustCompile(`'[^']*'|#.*|\S+`)
	for _, line := range lines {
		var words []string
		for _, w := range word.FindAllString(line[1], -1) {
			if !strings.HasPrefix(w, "#") {
				words = append(words, strings.Trim(w, "'"))
			}
		}
		cmd, args, err := newRoot(&app{}).Find(words)
		if err == nil {
			err = cmd.ParseFlags(args)
		}
		if err == nil {
			err = cmd.ValidateArgs(cmd.Flags().Args())
		}
		if err == nil {
			err = cmd.ValidateRequiredFlags()
		}
		if err != nil {
			t.Errorf("README.md: ./zonewire %s: %v", line[1], err)
		}
	}
}
