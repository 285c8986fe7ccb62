package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	tomlparser "github.com/knadh/koanf/parsers/toml/v2"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/structs"
	"github.com/knadh/koanf/v2"
	"github.com/pelletier/go-toml/v2"

	"zonewire"
)

// settings is the configuration with the place that each value came from. Flags win over the environment, which wins
// over the file, which wins over Default.
type settings struct {
	cfg     Config
	file    string // the configuration file read; empty if there is none
	values  map[string]any
	origin  map[string]string // key: "default", the file, the variable or the flag
	environ []string
}

const (
	envPrefix     = "ZONEWIRE_"
	envConfig     = "ZONEWIRE_CONFIG"
	systemFile    = "/etc/zonewire/zonewire.toml"
	defaultOrigin = "default"
)

// pathKeys hold paths, which are relative to the configuration file that names them.
var pathKeys = []string{
	"db", "secret_file", "mail.maildir", "mail.password_file", "mail.dkim_key_file", "mail.dkim_ed25519_key_file",
	"backup.dir", "templates.dir", "calendar.cn_file",
}

// secretKeys are no keys of the file: the environment gives them as they are, or the file names a file that holds
// them under the key with _file added.
var secretKeys = []string{"secret", "mail.password", "mail.dkim_key", "mail.dkim_ed25519_key"}

func envName(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// loadSettings reads the configuration. It fails with [zonewire.ErrInvalid] for a key that nobody knows and for a value
// of the wrong type; whether the values make sense is told by problems.
func loadSettings(fileFlag, dbFlag string, environ []string) (settings, error) {
	s := settings{origin: map[string]string{}, environ: environ}
	k := koanf.New(".")
	if err := k.Load(structs.Provider(Default(), "koanf"), nil); err != nil {
		return s, fmt.Errorf("defaults: %w", err)
	}
	defaults := k.All()
	for key := range defaults {
		s.origin[key] = defaultOrigin
	}
	layer := func(values map[string]any, origin func(key string) string) error {
		for key := range values {
			s.origin[key] = origin(key)
		}
		return k.Load(confmap.Provider(values, "."), nil)
	}

	file, err := findConfig(fileFlag, environ)
	if err != nil {
		return s, err
	}
	if file != "" {
		s.file = file
		values, err := readConfig(file, defaults)
		if err != nil {
			return s, err
		}
		if err := layer(values, func(string) string { return file }); err != nil {
			return s, fmt.Errorf("%s: %w", file, err)
		}
	}
	values, err := readEnv(environ, defaults)
	if err != nil {
		return s, err
	}
	if err := layer(values, envName); err != nil {
		return s, fmt.Errorf("environment: %w", err)
	}
	if dbFlag != "" {
		if err := layer(map[string]any{"db": dbFlag}, func(string) string { return "--db" }); err != nil {
			return s, err
		}
	}
	placeDefaults(k, s)
	if err := k.Unmarshal("", &s.cfg); err != nil {
		return s, fmt.Errorf("configuration: %w", err)
	}
	s.values = k.All()
	return s, nil
}

// placeDefaults makes the default paths follow the configuration file, and the secret its database.
func placeDefaults(k *koanf.Koanf, s settings) {
	set := func(key, path string) {
		if s.origin[key] == defaultOrigin {
			_ = k.Set(key, path) // fails only for a key within a value
		}
	}
	dir := ""
	if s.file != "" {
		dir = filepath.Dir(s.file)
	}
	set("db", filepath.Join(dir, k.String("db")))
	set("mail.maildir", filepath.Join(dir, k.String("mail.maildir")))
	if path, ok := databaseFile(k.String("db")); ok {
		dir = filepath.Dir(path)
	}
	set("secret_file", filepath.Join(dir, defaultSecretFile))
}

// databaseFile gives the path of a database that is a file.
func databaseFile(dsn string) (string, bool) {
	return strings.TrimPrefix(dsn, "file:"), !strings.Contains(dsn, "://")
}

// findConfig gives the file to read, or none. A file asked for by name must exist.
func findConfig(flag string, environ []string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	if v, ok := lookup(environ, envConfig); ok && v != "" {
		return v, nil
	}
	for _, path := range []string{"zonewire.toml", systemFile} {
		_, err := os.Stat(path)
		if err == nil {
			return path, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("configuration: %w", err)
		}
	}
	return "", nil
}

func readConfig(path string, defaults map[string]any) (map[string]any, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	tree, err := tomlparser.Parser().Unmarshal(text)
	if err != nil {
		var at *toml.DecodeError
		if errors.As(err, &at) {
			line, _ := at.Position()
			return nil, zonewire.Invalidf("%s:%d: %s", path, line, strings.TrimPrefix(at.Error(), "toml: "))
		}
		return nil, zonewire.Invalidf("%s: %v", path, err)
	}
	k := koanf.New(".")
	if err := k.Load(confmap.Provider(tree, ""), nil); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	values := k.All()
	for _, key := range sortedKeys(values) {
		want, known := defaults[key]
		if !known {
			return nil, zonewire.Invalidf("%s: %s", path, unknownKey(key, defaults))
		}
		v, ok := coerce(values[key], want)
		if !ok {
			return nil, zonewire.Invalidf("%s: %s = %v: want %s", path, key, values[key], typeName(want))
		}
		if s, isText := v.(string); isText && s != "" && slices.Contains(pathKeys, key) {
			v = relativeTo(filepath.Dir(path), s)
		}
		values[key] = v
	}
	return values, nil
}

func relativeTo(dir, path string) string {
	file, ok := databaseFile(path)
	if !ok || filepath.IsAbs(file) {
		return path
	}
	return filepath.Join(dir, file)
}

func readEnv(environ []string, defaults map[string]any) (map[string]any, error) {
	keys := map[string]string{} // by variable
	for key := range defaults {
		keys[envName(key)] = key
	}
	for _, key := range secretKeys {
		keys[envName(key)] = ""
	}
	keys[envConfig] = ""
	values := map[string]any{}
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, envPrefix) {
			continue
		}
		key, known := keys[name]
		if !known {
			return nil, zonewire.Invalidf("environment: unknown variable %s%s", name, didYouMean(name, sortedKeys(keys)))
		}
		if key == "" {
			continue
		}
		v, ok := fromText(text, defaults[key])
		if !ok {
			return nil, zonewire.Invalidf("environment: %s=%s: want %s", name, text, typeName(defaults[key]))
		}
		values[key] = v
	}
	return values, nil
}

// coerce checks a value of the file against the type of its default.
func coerce(v, want any) (any, bool) {
	switch want.(type) {
	case string:
		s, ok := v.(string)
		return s, ok
	case bool:
		b, ok := v.(bool)
		return b, ok
	case int:
		n, ok := v.(int64)
		return int(n), ok
	case float64:
		if n, ok := v.(int64); ok {
			return float64(n), true
		}
		f, ok := v.(float64)
		return f, ok
	case []string:
		items, ok := v.([]any)
		texts := make([]string, len(items))
		for i, item := range items {
			if texts[i], ok = item.(string); !ok {
				return nil, false
			}
		}
		return texts, ok
	}
	return nil, false
}

// fromText reads a variable as the type of its default. Many values stand in one with commas between.
func fromText(text string, want any) (any, bool) {
	var v any
	var err error
	switch want.(type) {
	case string:
		v = text
	case bool:
		v, err = strconv.ParseBool(text)
	case int:
		v, err = strconv.Atoi(text)
	case float64:
		v, err = strconv.ParseFloat(text, 64)
	case []string:
		v = strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
	}
	return v, err == nil
}

func typeName(v any) string {
	switch v.(type) {
	case bool:
		return "true or false"
	case int:
		return "a whole number"
	case float64:
		return "a number"
	case []string:
		return "a list of texts"
	}
	return "a text in quotes"
}

func unknownKey(key string, defaults map[string]any) string {
	keys := sortedKeys(defaults)
	var elsewhere []string // the right name in another section
	for _, known := range keys {
		if strings.HasSuffix("."+known, "."+key[strings.LastIndex(key, ".")+1:]) {
			elsewhere = append(elsewhere, known)
		}
	}
	if len(elsewhere) > 0 {
		return fmt.Sprintf("unknown key %s, did you mean %s?", key, strings.Join(elsewhere, " or "))
	}
	return "unknown key " + key + didYouMean(key, keys)
}

func didYouMean(given string, words []string) string {
	if near := nearest(given, words); near != "" {
		return ", did you mean " + near + "?"
	}
	return ""
}

// sortedKeys gives the keys in order, those outside every section first.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b string) int {
		if c := strings.Count(a, ".") - strings.Count(b, "."); c != 0 {
			return c
		}
		return strings.Compare(a, b)
	})
	return keys
}

func lookup(environ []string, name string) (string, bool) {
	for _, entry := range slices.Backward(environ) { // the last one counts, as in os.Getenv of most shells
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			return v, true
		}
	}
	return "", false
}

// secretText gives a secret, such as "mail.password": from the environment, or from the file that the key with _file
// added names. Empty means that none was given.
func (s settings) secretText(key string) (string, error) {
	if v, ok := lookup(s.environ, envName(key)); ok {
		return v, nil
	}
	path, _ := s.values[key+"_file"].(string)
	if path == "" {
		return "", nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s_file: %w", key, err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}
