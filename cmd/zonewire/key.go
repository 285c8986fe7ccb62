package main

import (
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"zonewire"
)

// newKey is "zonewire key".
func newKey(a *app) *cobra.Command {
	cmd := noun("key", "Keys with which publishers push articles", newKeyAdd(a), newKeyLs(a), newKeyRevoke(a))
	cmd.Long = `A key lets a publisher push articles to /api/v1. Its token is shown once, when it is made;
zonewire keeps only its hash. A key that is bound to zones changes nothing elsewhere.`
	return cmd
}

// keyView is a key as -o json prints it.
type keyView struct {
	Name    string   `json:"name"`
	Zones   []string `json:"zones"` // empty: every zone
	Created string   `json:"created"`
	Used    *string  `json:"used"`
	Token   string   `json:"token,omitempty"` // only when it is made
}

func viewKey(k zonewire.APIKey) keyView {
	return keyView{k.Name, append([]string{}, k.Slugs...), stamp(k.Created), stampOrNull(k.Used), ""}
}

// keyTokenBytes are random bytes of a token: 160 bits.
const keyTokenBytes = 20

func newKeyAdd(a *app) *cobra.Command {
	var slugs []string
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Make a key and print its token, once",
		Long: `Make a key and print its token. Write it down: it cannot be shown again. With --zone the key
may push to these zones only; with one zone, its articles need not name any.`,
		Example: `  zonewire key add jintan-cms --zone jintan-edz
  curl -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
    -d @article.json http://localhost:8080/api/v1/articles`,
		Args: exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := strings.TrimSpace(args[0])
			if name == "" || len(name) > 64 || zonewire.CleanText(oneLine(name)) != name {
				return usagef(cmd, "the name %q: it must be one line of 1 to 64 bytes", args[0])
			}
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				var zones []int64
				for _, slug := range slugs {
					z, err := db.Zone(cmd.Context(), slug)
					if err != nil {
						return err
					}
					if !z.Closed.IsZero() {
						return fmt.Errorf("zone %s is closed: %w", z.Slug, zonewire.ErrGone)
					}
					zones = append(zones, z.ID)
				}
				random := make([]byte, keyTokenBytes)
				rand.Read(random) // never fails: it would end the program
				token := zonewire.NewKeyToken(random)
				k, err := db.AddKey(cmd.Context(), a.act(), name, zonewire.HashKeyToken(token), zones)
				if err != nil {
					return err
				}
				view := viewKey(k)
				view.Token = token
				if !a.out.json {
					fmt.Fprintf(a.stderr, "added key %s for %s; its token, shown only now:\n", k.Name, keyZones(k))
				}
				return a.out.say(view, "%s", token)
			})
		},
	}
	cmd.Flags().StringArrayVar(&slugs, "zone", nil, "a zone's `SLUG` that it may push to, default every zone; may be given again")
	return cmd
}

func keyZones(k zonewire.APIKey) string {
	if len(k.Slugs) == 0 {
		return "every zone"
	}
	return strings.Join(k.Slugs, ", ")
}

func newKeyLs(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Short:   "List the keys that stand",
		Example: "  zonewire key ls",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				all, err := db.Keys(cmd.Context())
				if err != nil {
					return err
				}
				var views []keyView
				var rows [][]string
				for _, k := range all {
					views = append(views, viewKey(k))
					used := stamp(k.Used)
					if used == "" {
						used = "never"
					}
					rows = append(rows, []string{k.Name, keyZones(k), stamp(k.Created), used})
				}
				return a.out.list(views, []string{"NAME", "ZONES", "CREATED", "USED"}, rows, "no keys: zonewire key add makes one")
			})
		},
	}
}

func newKeyRevoke(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:     "revoke NAME",
		Short:   "End a key at once",
		Example: "  zonewire key revoke jintan-cms --yes",
		Args:    exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				if err := a.confirm(cmd, yes, "end key %s: whoever pushes with it is refused", args[0]); err != nil {
					return err
				}
				if err := db.RevokeKey(cmd.Context(), a.act(), args[0]); err != nil {
					return err
				}
				return a.out.say(map[string]string{"name": args[0]}, "revoked key %s", args[0])
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}
