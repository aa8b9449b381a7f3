// Verify_log reads and writes transparency logs with golang.org/x/mod alone, and shares no code with vetonet.
//
//	verify_log log -vkey KEY [-older FILE]... FOLDER|URL     every leaf, every bundle, consistency with older checkpoints
//	verify_log proof -vkey KEY -leaf FILE PROOF              a proof file (C2SP tlog-proof)
//	verify_log build -origin NAME -size N FOLDER             writes a log of its own, prints its key
//
// It exits with 0, or with 1 and one line that says why.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "verify_log: %q\n", err.Error())
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) == 0 {
		return errors.New("expected log, proof or build")
	}
	switch mode, rest := args[0], args[1:]; mode {
	case "log":
		return runLog(rest, out)
	case "proof":
		return runProof(rest, out)
	case "build":
		return runBuild(rest, out)
	default:
		return fmt.Errorf("expected log, proof or build, got %s", mode)
	}
}

// paths is a flag that may be given several times.
type paths []string

func (p *paths) String() string { return fmt.Sprint(*p) }

func (p *paths) Set(value string) error {
	*p = append(*p, value)
	return nil
}

func runLog(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("log", flag.ExitOnError)
	vkey := flags.String("vkey", "", "verifier key of the log")
	var older paths
	flags.Var(&older, "older", "an older checkpoint of the log; may be repeated")
	place, err := parse(flags, args)
	if err != nil {
		return err
	}
	log, err := openLog(place, *vkey)
	if err != nil {
		return err
	}
	if err := log.verifyLeaves(); err != nil {
		return err
	}
	for _, path := range older {
		if err := log.verifyExtends(path); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	fmt.Fprintf(out, "%d leaves, %d older checkpoints, root %v\n", log.tree.N, len(older), log.tree.Hash)
	return nil
}

func runProof(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("proof", flag.ExitOnError)
	vkey := flags.String("vkey", "", "verifier key of the log")
	leaf := flags.String("leaf", "", "the file that holds the leaf")
	path, err := parse(flags, args)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	record, err := os.ReadFile(*leaf)
	if err != nil {
		return err
	}
	index, tree, err := verifyProof(data, record, *vkey)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "leaf %d of %d, root %v\n", index, tree.N, tree.Hash)
	return nil
}

func runBuild(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("build", flag.ExitOnError)
	origin := flags.String("origin", "", "name of the log and of its key")
	size := flags.Int64("size", 0, "how many leaves")
	folder, err := parse(flags, args)
	if err != nil {
		return err
	}
	vkey, err := buildLog(folder, *origin, *size)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, vkey)
	return nil
}

// parse returns the one argument that stands after the flags.
func parse(flags *flag.FlagSet, args []string) (string, error) {
	if err := flags.Parse(args); err != nil {
		return "", err
	}
	if flags.NArg() != 1 {
		return "", fmt.Errorf("%s: expected one argument after the options, got %d", flags.Name(), flags.NArg())
	}
	return flags.Arg(0), nil
}
