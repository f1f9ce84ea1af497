package api

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"patchbay.dev/api/access"
	"patchbay.dev/api/store"
	"patchbay.dev/shared/setting"
)

const keysUsage = `Usage: %[1]s keys create -name NAME [-admin] [-all SPACES] [-read SPACES] [-indices PATTERNS] [-expires TIME]
       %[1]s keys list
       %[1]s keys revoke ID...

API keys, in the database of PATCHBAY_DATA_DIR (or -data-dir), also while the API runs on it:
a new key works at once, a revoked one is refused within a second.

`

// Keys is the command "keys" of a program: it makes, lists and revokes API keys.
// The credential of a new key alone goes to stdout, all else to stderr.
func Keys(ctx context.Context, program string, args, environ []string, stdout, stderr io.Writer) error {
	command := keysCommand{stdout: stdout, stderr: stderr}
	var verb string
	if len(args) > 0 {
		verb, args = args[0], args[1:]
	}
	fs := flag.NewFlagSet(program+" keys "+verb, flag.ContinueOnError)
	fs.SetOutput(stderr)
	dir := fs.String("data-dir", "./data", "directory of the SQLite file")
	auditFile := fs.String("audit-file", "", "file of the audit log")
	var run func(context.Context, *store.Store, []string) error
	switch verb {
	case "create":
		command.createFlags(fs)
		run = command.create
	case "list":
		run = command.list
	case "revoke":
		run = command.revoke
	default:
		fmt.Fprintf(stderr, keysUsage, program)
		if verb == "" || verb == "help" || strings.HasPrefix(verb, "-") {
			return flag.ErrHelp
		}
		return fmt.Errorf("keys: unknown command %q", verb)
	}
	ids, args := operands(verb, args)
	if _, err := setting.Parse(fs, args, only(environ, "PATCHBAY_DATA_DIR", "PATCHBAY_MAX_KEYS", "PATCHBAY_AUDIT_FILE")); err != nil {
		return err
	}
	if verb != "create" { // which may come before the first start
		if _, err := os.Stat(filepath.Join(*dir, store.FileName)); err != nil {
			return fmt.Errorf("PATCHBAY_DATA_DIR: there is no Patchbay data: %w", err)
		}
	}
	if *auditFile == "-" { // stdout is for the credential
		*auditFile = ""
	}
	handler, closeAudit, err := openAudit(&Config{AuditFile: *auditFile}, slog.New(slog.NewTextHandler(stderr, nil)))
	if err != nil {
		return err
	}
	command.audit = newAuditor(handler)
	db, err := store.Open(ctx, *dir, store.Options{MaxKeys: command.maxKeys, Beside: true})
	if err != nil {
		return errors.Join(err, closeAudit())
	}
	return errors.Join(run(ctx, db, ids), db.Close(), closeAudit())
}

// operands takes the ids to revoke, which stand before or after flags.
func operands(verb string, args []string) (ids, flags []string) {
	if verb != "revoke" {
		return nil, args
	}
	for len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		ids, args = append(ids, args[0]), args[1:]
	}
	return ids, args
}

// only returns the variables of the environment that a command knows: its flags
// are no settings.
func only(environ []string, names ...string) (some []string) {
	for _, entry := range environ {
		for _, name := range names {
			if strings.HasPrefix(entry, name+"=") {
				some = append(some, entry)
			}
		}
	}
	return some
}

// never is what -expires says of a key that does not. (Not "": a variable of a shell
// that is not set would make such a key.)
const never = "never"

type keysCommand struct {
	stdout, stderr io.Writer
	audit          *auditor

	name             string
	admin            bool
	all, read, index []string
	expires          string
	maxKeys          int
}

func (k *keysCommand) createFlags(fs *flag.FlagSet) {
	fs.StringVar(&k.name, "name", "", "what the key is for")
	fs.BoolVar(&k.admin, "admin", false, "may do everything, and manage keys and spaces")
	setting.List(fs, &k.all, "all", "", "spaces in which it may create, update, delete, get, list and execute, with commas; * for every one")
	setting.List(fs, &k.read, "read", "", "spaces in which it may get, list and execute, with commas; * for every one")
	setting.List(fs, &k.index, "indices", "", "patterns of the indices that it may write to, with commas: alerts-*")
	fs.StringVar(&k.expires, "expires", never, "after which it is refused: 30d, 12h, 90m, or never")
	setting.Count(fs, &k.maxKeys, "max-keys", "10000", "API keys that there may be")
}

func (k *keysCommand) create(ctx context.Context, db *store.Store, _ []string) error {
	if strings.TrimSpace(k.name) == "" || keyName(k.name).Check() != "" {
		return fmt.Errorf("-name: say what the key is for, in at most %d bytes", maxKeyName)
	}
	privileges := access.Privileges{Admin: k.admin, All: k.all, Read: k.read, Indices: k.index}
	if refusal, ok := errors.AsType[*access.FieldError](privileges.Check()); ok {
		return errors.New(refusal.In("-"))
	}
	now := time.Now()
	var expires time.Time
	if k.expires != never {
		duration, err := access.ParseExpiration(k.expires)
		if err != nil {
			return fmt.Errorf("-expires: %w", err)
		}
		expires = now.Add(duration)
	}
	key, secret := access.NewKey(k.name, privileges, now, expires)
	if err := db.CreateKey(ctx, key); err != nil {
		return err
	}
	k.audit.command(object{toCreateKey.event, defaultSpace, key.ID})
	fmt.Fprintf(k.stderr, "Key %s (%s) is made. Its credential is shown only now;\nsend it as \"Authorization: ApiKey …\":\n", key.ID, key.Name)
	_, err := fmt.Fprintln(k.stdout, access.Credential{ID: key.ID, Secret: secret}.Encoded())
	return err
}

func (k *keysCommand) list(ctx context.Context, db *store.Store, _ []string) error {
	keys, err := db.Keys(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(k.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tPRIVILEGES\tCREATED\tEXPIRES\tLAST USED")
	for _, key := range keys {
		fmt.Fprintf(w, "%s\t%q\t%s\t%s\t%s\t%s\n", key.ID, key.Name, inWords(key.Privileges),
			date(key.Created), date(key.Expires), date(key.LastUsed))
	}
	return w.Flush()
}

func inWords(p access.Privileges) string {
	var parts []string
	if p.Admin {
		parts = append(parts, "admin")
	}
	for _, list := range []struct {
		name  string
		items []string
	}{{"all", p.All}, {"read", p.Read}, {"indices", p.Indices}} {
		if len(list.items) > 0 {
			parts = append(parts, list.name+"="+strings.Join(list.items, ","))
		}
	}
	return strings.Join(parts, " ")
}

func date(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

func (k *keysCommand) revoke(ctx context.Context, db *store.Store, ids []string) error {
	if len(ids) == 0 {
		return errors.New("keys revoke: name the ids of the keys, see \"keys list\"")
	}
	revoked, err := db.DeleteKeys(ctx, ids)
	if err != nil {
		return err
	}
	for _, id := range revoked {
		k.audit.command(object{toRevokeKeys.event, defaultSpace, id})
		fmt.Fprintf(k.stderr, "Key %s is revoked.\n", id)
	}
	if len(revoked) < len(ids) {
		unknown := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return slices.Contains(revoked, id) })
		return fmt.Errorf("no API key has the id %s", strings.Join(unknown, ", "))
	}
	return nil
}
