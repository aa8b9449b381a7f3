// Command notelog reads and writes transparency logs with the packages of Go's checksum database, so that
// vetonet's own reading and writing of the same files is judged by somebody else's code.
//
//	notelog verify FOLDER VKEY           every tile, entry, inclusion and consistency of a published log
//	notelog growth FOLDER VKEY OLDER...  that the log grew from what these older checkpoints of its say
//	notelog proof FILE LEAF VKEY         a C2SP tlog-proof of the leaf in a file
//	notelog build FOLDER NAME SIZE       a log of SIZE leaves; prints the verifier key of its new key
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	height      = 8
	width       = 1 << height
	maxProofs   = 600 // of each kind: all of a small log, a sample of a large one
	proofHeader = "c2sp.org/tlog-proof@v1"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "notelog:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 3 && args[0] == "verify":
		return verifyLog(args[1], args[2])
	case len(args) >= 4 && args[0] == "growth":
		return verifyGrowth(args[1], args[2], args[3:])
	case len(args) == 4 && args[0] == "proof":
		return verifyProof(args[1], args[2], args[3])
	case len(args) == 4 && args[0] == "build":
		return buildLog(args[1], args[2], args[3])
	}
	return errors.New("usage: notelog verify FOLDER VKEY | growth FOLDER VKEY OLDER... | proof FILE LEAF VKEY | build FOLDER NAME SIZE")
}

// tilePath is the place of a tile by C2SP tlog-tiles, which knows one height and calls data entries.
func tilePath(t tlog.Tile) string {
	path := strings.TrimPrefix(t.Path(), fmt.Sprintf("tile/%d/", height))
	return "tile/" + strings.Replace(path, "data/", "entries/", 1)
}

// folder reads the tiles of a log from files.
type folder string

func (folder) Height() int                         { return height }
func (folder) SaveTiles(_ []tlog.Tile, _ [][]byte) {}

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, t := range tiles {
		var err error
		if data[i], err = f.read(t); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// read returns a tile; a log may keep the full one instead of a partial one.
func (f folder) read(t tlog.Tile) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(string(f), tilePath(t)))
	if err == nil || t.W == width || t.L < 0 {
		return data, err
	}
	full := t
	full.W = width
	data, fullErr := os.ReadFile(filepath.Join(string(f), tilePath(full)))
	if fullErr != nil || len(data) < t.W*tlog.HashSize {
		return nil, err
	}
	return data[:t.W*tlog.HashSize], nil
}

// openCheckpoint returns what a signed checkpoint commits to.
func openCheckpoint(msg []byte, vkey string) (tlog.Tree, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(msg, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("expected a checkpoint of %s", verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// readCheckpoint returns what the signed checkpoint in a file commits to.
func readCheckpoint(path, vkey string) (tlog.Tree, error) {
	msg, err := os.ReadFile(path)
	if err != nil {
		return tlog.Tree{}, err
	}
	return openCheckpoint(msg, vkey)
}

// verifyGrowth holds the log to roots that were signed earlier, and not to those its own tiles make.
func verifyGrowth(dir, vkey string, older []string) error {
	tree, err := readCheckpoint(filepath.Join(dir, "checkpoint"), vkey)
	if err != nil {
		return err
	}
	hashes := tlog.TileHashReader(tree, folder(dir))
	for _, path := range older {
		old, err := readCheckpoint(path, vkey)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if old.N < 1 || old.N > tree.N {
			return fmt.Errorf("%s: expected a size of 1 to %d, got %d", path, tree.N, old.N)
		}
		growth, err := tlog.ProveTree(tree.N, old.N, hashes)
		if err != nil {
			return err
		}
		if err := tlog.CheckTree(growth, tree.N, tree.Hash, old.N, old.Hash); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	fmt.Println("ok", len(older), tree.N)
	return nil
}

// verifyLog computes the tree anew from the entries and holds root, tiles and proofs against it. To read all
// through TileHashReader would not do: below x/mod 0.40 it takes some full tiles on trust (CVE-2026-56865).
func verifyLog(dir, vkey string) error {
	tree, err := readCheckpoint(filepath.Join(dir, "checkpoint"), vkey)
	if err != nil {
		return err
	}
	computed, err := hashEntries(folder(dir), tree.N)
	if err != nil {
		return err
	}
	root, err := computed.root(tree.N)
	if err != nil {
		return err
	}
	if root != tree.Hash {
		return fmt.Errorf("its entries have root %v, it signed %v", root, tree.Hash)
	}
	if err := verifyTiles(folder(dir), tree.N, computed); err != nil {
		return err
	}
	published := tlog.TileHashReader(tree, folder(dir))
	step := tree.N/maxProofs + 1
	for i := int64(0); i < tree.N; i += step {
		if err := verifyPlace(tree, i, computed, published); err != nil {
			return fmt.Errorf("leaf %d: %w", i, err)
		}
	}
	fmt.Println("ok", tree.N, tree.Hash)
	return nil
}

// memory is every hash of a tree, in the order of tlog.StoredHashIndex.
type memory []tlog.Hash

func (m memory) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		found[i] = m[index]
	}
	return found, nil
}

// add returns the hashes with those that leaf number n brings.
func (m memory) add(n int64, entry []byte) (memory, error) {
	hashes, err := tlog.StoredHashes(n, entry, m)
	return append(m, hashes...), err
}

func (m memory) root(size int64) (tlog.Hash, error) {
	if size == 0 {
		return sha256.Sum256(nil), nil // tlog leaves the empty tree to its callers
	}
	return tlog.TreeHash(size, m)
}

// verifyPlace proves by what is published one leaf, and that the log of the size up to it grew into this one.
func verifyPlace(tree tlog.Tree, i int64, computed memory, published tlog.HashReader) error {
	inclusion, err := tlog.ProveRecord(tree.N, i, published)
	if err != nil {
		return err
	}
	leaf := computed[tlog.StoredHashIndex(0, i)]
	if err := tlog.CheckRecord(inclusion, tree.N, tree.Hash, i, leaf); err != nil {
		return err
	}
	old, err := computed.root(i + 1)
	if err != nil {
		return err
	}
	growth, err := tlog.ProveTree(tree.N, i+1, published)
	if err != nil {
		return err
	}
	return tlog.CheckTree(growth, tree.N, tree.Hash, i+1, old)
}

// hashEntries returns the tree of the published entries.
func hashEntries(dir folder, size int64) (memory, error) {
	var computed memory
	for _, t := range tilesOf(0, size) {
		t.L = -1
		bundle, err := dir.read(t)
		if err != nil {
			return nil, err
		}
		entries, err := splitBundle(bundle)
		if err != nil || len(entries) != t.W {
			return nil, fmt.Errorf("%s: expected %d entries, got %d (%v)", tilePath(t), t.W, len(entries), err)
		}
		for i, entry := range entries {
			if computed, err = computed.add(t.N*width+int64(i), entry); err != nil {
				return nil, err
			}
		}
	}
	return computed, nil
}

// verifyTiles holds every tile of the tree against the one that its entries give.
func verifyTiles(dir folder, size int64, computed memory) error {
	for level := 0; size>>(height*level) > 0; level++ {
		for _, t := range tilesOf(level, size) {
			stored, err := dir.read(t)
			if err != nil {
				return err
			}
			expected, err := tlog.ReadTileData(t, computed)
			if err != nil {
				return err
			}
			if !bytes.Equal(stored, expected) {
				return fmt.Errorf("%s: other hashes than those of its entries", tilePath(t))
			}
		}
	}
	return nil
}

// tilesOf lists a level of a tree: full tiles, and perhaps one that is not.
func tilesOf(level int, size int64) []tlog.Tile {
	var tiles []tlog.Tile
	hashes := size >> (height * level)
	for n := int64(0); n*width < hashes; n++ {
		tiles = append(tiles, tlog.Tile{H: height, L: level, N: n, W: int(min(hashes-n*width, width))})
	}
	return tiles
}

func min(a, b int64) int64 {
	if a < b {
		return a
	}
	return b
}

func splitBundle(data []byte) ([][]byte, error) {
	var entries [][]byte
	for len(data) > 0 {
		if len(data) < 2 {
			return entries, errors.New("cut short")
		}
		n := int(binary.BigEndian.Uint16(data))
		if len(data) < 2+n {
			return entries, errors.New("cut short")
		}
		entries, data = append(entries, data[2:2+n]), data[2+n:]
	}
	return entries, nil
}

func verifyProof(file, leafFile, vkey string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	leaf, err := os.ReadFile(leafFile)
	if err != nil {
		return err
	}
	parts := bytes.SplitN(data, []byte("\n\n"), 2)
	lines := strings.Split(string(parts[0]), "\n")
	if len(parts) != 2 || len(lines) < 2 || lines[0] != proofHeader {
		return errors.New("expected a tlog-proof")
	}
	lines = lines[1:]
	if strings.HasPrefix(lines[0], "extra ") {
		lines = lines[1:] // nothing that a log vouches for
	}
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "index ") {
		return errors.New("expected the index of the leaf")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[0], "index "), 10, 64)
	if err != nil {
		return err
	}
	var proof tlog.RecordProof
	for _, line := range lines[1:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		proof = append(proof, hash)
	}
	tree, err := openCheckpoint(parts[1], vkey)
	if err != nil {
		return err
	}
	if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(leaf)); err != nil {
		return err
	}
	fmt.Println("ok", index, tree.N)
	return nil
}
