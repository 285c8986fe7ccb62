package templates

import "testing"

func FuzzParsePhrases(f *testing.F) {
	for _, seed := range []string{"", "# a\n\nkey = phrase\r\n", "key", "a = b = c", " = \x00", "键 = 值"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		phrases, err := parsePhrases(body)
		if err != nil && phrases != nil {
			t.Errorf("phrases and an error: %v", err)
		}
	})
}
