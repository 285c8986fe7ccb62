package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newRoot builds the whole command tree. Every noun is registered here, by name.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "zonewire",
		Short: "News of development zones as feeds and mail digests",
		Long: `zonewire keeps the news of development zones, gives each zone a feed, and mails
each subscriber one digest of what is new, on the schedule of their list.`,
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true, // run prints them
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknown(cmd, "command", args[0])
		},
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.flags.config, "config", "", "configuration `FILE`, before $ZONEWIRE_CONFIG and ./zonewire.toml")
	flags.StringVar(&a.flags.db, "db", "", "database: a `FILE`, before the configuration")
	flags.StringVarP(&a.flags.output, "output", "o", "table", "`FORMAT` of what is printed: table or json")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return a.prepare(cmd) }

	root.AddCommand(
		newArticle(a),
		newZone(a),
		newList(a),
		newSubscriber(a),
		newSuppression(a),
		newAudit(a),
		newBounce(a),
		newConfig(a),
		newDB(a),
		newKey(a),
		newSource(a),
		newDemo(a),
		newDigest(a),
		newDoctor(a),
		newFeed(a),
		newOutbox(a),
		newServe(a),
		newVersion(a),
	)
	finish(root)
	return root
}

// noConfig marks a command that works without a configuration, or that reads it itself.
const noConfig = "no-config"

// prepare reads the global flags and the configuration before a verb runs.
func (a *app) prepare(cmd *cobra.Command) error {
	switch a.flags.output {
	case "table", "json":
		a.out.json = a.flags.output == "json"
	default:
		return usagef(cmd, "output %q is neither table nor json", a.flags.output)
	}
	for c := cmd; c != nil; c = c.Parent() {
		if c.Annotations[noConfig] != "" || c.Name() == "completion" || strings.HasPrefix(c.Name(), "__") {
			return nil
		}
	}
	settings, err := loadSettings(a.flags.config, a.flags.db, a.environ)
	if err != nil {
		return err
	}
	if problems := settings.problems(); len(problems) > 0 {
		return problems[0]
	}
	a.settings = settings
	return nil
}

// noun is a command that only holds verbs. A missing or unknown verb is a usage mistake: left alone, cobra prints help
// and exits 0.
func noun(use, short string, verbs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:   use + " VERB",
		Short: short,
		Args:  cobra.ArbitraryArgs,
		RunE:  refuse,
	}
	cmd.AddCommand(verbs...)
	return cmd
}

// refuse is what a noun does without one of its verbs.
func refuse(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return unknown(cmd, "verb", args[0])
	}
	var names []string
	for _, verb := range cmd.Commands() {
		if verb.IsAvailableCommand() {
			names = append(names, verb.Name())
		}
	}
	return usagef(cmd, "a verb is missing: %s", strings.Join(names, ", "))
}

func unknown(cmd *cobra.Command, kind, name string) error {
	hint := ""
	if near := cmd.SuggestionsFor(name); len(near) > 0 {
		hint = fmt.Sprintf(", did you mean %s?", strings.Join(near, " or "))
	}
	return usagef(cmd, "unknown %s %q%s", kind, name, hint)
}

// finish makes every mistake in arguments and flags a usage error, and settles what cobra adds by itself.
func finish(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" {
			cmd.Short = "Print a completion script for a shell"
			cmd.Args, cmd.RunE = cobra.ArbitraryArgs, refuse
		}
	}
	root.SetHelpCommand(newHelp())
	root.SetUsageFunc(usage)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usagef(cmd, "%w", err) })
	walk(root, func(cmd *cobra.Command) {
		cmd.DisableFlagsInUseLine = true
		cmd.SuggestionsMinimumDistance = 2 // for cmd.SuggestionsFor, which takes 0 as it is
		if cmd.Name() == "ls" {
			cmd.Aliases = append(cmd.Aliases, "list")
		}
		args := cmd.Args
		cmd.Args = func(cmd *cobra.Command, given []string) error {
			if args != nil {
				if err := args(cmd, given); err != nil {
					return usagef(cmd, "%w", err)
				}
			}
			// cobra checks these only after the configuration was read
			if err := cmd.ValidateRequiredFlags(); err != nil {
				return usagef(cmd, "%w", err)
			}
			if err := cmd.ValidateFlagGroups(); err != nil {
				return usagef(cmd, "%w", err)
			}
			return nil
		}
	})
}

func walk(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, c := range cmd.Commands() {
		walk(c, visit)
	}
}

// require makes flags obligatory.
func require(cmd *cobra.Command, flags ...string) {
	for _, name := range flags {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag does not exist
		}
	}
}

// anyFlag reports whether one of the command's own flags was given.
func anyFlag(cmd *cobra.Command) bool {
	given := false
	cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) { given = given || f.Changed })
	return given
}

// orNothing is the mistake of an edit that changes nothing, unless there is a worse one.
func orNothing(cmd *cobra.Command, err error) error {
	if err != nil {
		return err
	}
	return usagef(cmd, "nothing to change: give at least one flag")
}

// Argument checks whose messages name what is missing.

// exactly takes one argument for each name.
func exactly(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return fmt.Errorf("%s is missing", strings.Join(names[len(args):], " "))
		case len(args) > len(names):
			return fmt.Errorf("%q is one argument too many: quote an argument that holds spaces", args[len(names)])
		}
		return nil
	}
}

// atLeastOne takes any number of arguments but none.
func atLeastOne(name string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("%s is missing", name)
		}
		return nil
	}
}
