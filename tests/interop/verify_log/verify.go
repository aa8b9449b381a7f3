package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const proofHeader = "c2sp.org/tlog-proof@v1"

// publishedLog is a log whose newest checkpoint is signed; its tiles are verified as they are read.
type publishedLog struct {
	files    source
	verifier note.Verifier
	tree     tlog.Tree
	hashes   tlog.HashReader
}

func openLog(place, vkey string) (*publishedLog, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, fmt.Errorf("the key: %w", err)
	}
	files := source(place)
	data, err := files.read("checkpoint")
	if err != nil {
		return nil, err
	}
	tree, err := openCheckpoint(data, verifier)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	return &publishedLog{files, verifier, tree, tlog.TileHashReader(tree, files)}, nil
}

// openCheckpoint returns the tree that a signed note of C2SP tlog-checkpoint commits to.
func openCheckpoint(data []byte, verifier note.Verifier) (tlog.Tree, error) {
	var none tlog.Tree
	opened, err := note.Open(data, note.VerifierList(verifier))
	if err != nil {
		return none, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return none, fmt.Errorf("expected the origin %s, a size and a root", verifier.Name())
	}
	size, err := parseDecimal(lines[1])
	if err != nil {
		return none, err
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return none, err
	}
	return tlog.Tree{N: size, Hash: root}, nil
}

func parseDecimal(text string) (int64, error) {
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil || number < 0 || strconv.FormatInt(number, 10) != text {
		return 0, fmt.Errorf("expected a decimal number, got %q", text)
	}
	return number, nil
}

// verifyLeaves returns nil if the tiles make the signed root, and every entry is the leaf whose place is proven.
func (l *publishedLog) verifyLeaves() error {
	root, err := tlog.TreeHash(l.tree.N, l.hashes)
	if err != nil {
		return err
	}
	if root != l.tree.Hash {
		return fmt.Errorf("the tiles make root %v, the checkpoint says %v", root, l.tree.Hash)
	}
	for first := int64(0); first < l.tree.N; first += tileWidth {
		if err := l.verifyBundle(first); err != nil {
			return err
		}
	}
	return nil
}

func (l *publishedLog) verifyBundle(first int64) error {
	width := int(l.tree.N - first)
	if width > tileWidth {
		width = tileWidth
	}
	path := tilePath(tlog.Tile{H: tileHeight, L: entries, N: first / tileWidth, W: width})
	data, err := l.files.read(path)
	if err != nil {
		return err
	}
	records, err := splitBundle(data, width)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for i, record := range records {
		if err := l.verifyRecord(first+int64(i), record); err != nil {
			return fmt.Errorf("%s: entry %d: %w", path, i, err)
		}
	}
	return nil
}

func (l *publishedLog) verifyRecord(index int64, record []byte) error {
	proof, err := tlog.ProveRecord(l.tree.N, index, l.hashes)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(proof, l.tree.N, l.tree.Hash, index, tlog.RecordHash(record))
}

// verifyExtends returns nil if the log has grown from what an older checkpoint of its says.
func (l *publishedLog) verifyExtends(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	older, err := openCheckpoint(data, l.verifier)
	if err != nil {
		return err
	}
	if older.N < 1 || older.N > l.tree.N {
		return fmt.Errorf("expected a size of 1 to %d, got %d", l.tree.N, older.N)
	}
	proof, err := tlog.ProveTree(l.tree.N, older.N, l.hashes)
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, l.tree.N, l.tree.Hash, older.N, older.Hash)
}

// verifyProof returns the place of the leaf and the tree in which a proof file proves it to be.
func verifyProof(data, leaf []byte, vkey string) (int64, tlog.Tree, error) {
	var none tlog.Tree
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return 0, none, fmt.Errorf("the key: %w", err)
	}
	parts := strings.SplitN(string(data), "\n\n", 2)
	if len(parts) != 2 {
		return 0, none, errors.New("expected an empty line before the checkpoint")
	}
	index, proof, err := parseProof(strings.Split(parts[0], "\n"))
	if err != nil {
		return 0, none, err
	}
	tree, err := openCheckpoint([]byte(parts[1]), verifier)
	if err != nil {
		return 0, none, err
	}
	if index >= tree.N {
		return 0, none, fmt.Errorf("expected an index below %d, got %d", tree.N, index)
	}
	return index, tree, tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(leaf))
}

// parseProof reads the lines before the checkpoint; extra data is nothing that a log vouches for.
func parseProof(lines []string) (int64, tlog.RecordProof, error) {
	if lines[0] != proofHeader {
		return 0, nil, fmt.Errorf("expected the header %s", proofHeader)
	}
	lines = lines[1:]
	if len(lines) > 0 && strings.HasPrefix(lines[0], "extra ") {
		extra := strings.TrimPrefix(lines[0], "extra ")
		if _, err := base64.StdEncoding.Strict().DecodeString(extra); err != nil {
			return 0, nil, fmt.Errorf("extra data: %w", err)
		}
		lines = lines[1:]
	}
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "index ") {
		return 0, nil, errors.New("expected the index")
	}
	index, err := parseDecimal(strings.TrimPrefix(lines[0], "index "))
	if err != nil {
		return 0, nil, err
	}
	proof := tlog.RecordProof{}
	for _, line := range lines[1:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return 0, nil, err
		}
		proof = append(proof, hash)
	}
	return index, proof, nil
}
