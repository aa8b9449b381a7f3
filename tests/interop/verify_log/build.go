package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// stored holds every hash of a tree in the order in which tlog numbers them.
type stored []tlog.Hash

func (s stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index < 0 || index >= int64(len(s)) {
			return nil, fmt.Errorf("expected a hash below %d, got %d", len(s), index)
		}
		hashes[i] = s[index]
	}
	return hashes, nil
}

// buildLog writes a log of so many leaves into a folder, signed with a new key, and returns that key.
func buildLog(folder, origin string, size int64) (string, error) {
	secret, vkey, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return "", err
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		return "", err
	}
	records, hashes, err := growTree(size)
	if err != nil {
		return "", err
	}
	if err := writeTiles(folder, records, hashes); err != nil {
		return "", err
	}
	signed, err := signTree(signer, size, hashes)
	if err != nil {
		return "", err
	}
	return vkey, write(folder, "checkpoint", signed)
}

// growTree makes the leaves, of different lengths and one of them empty, and all hashes of their tree.
func growTree(size int64) ([][]byte, stored, error) {
	var records [][]byte
	var hashes stored
	for n := int64(0); n < size; n++ {
		record := []byte(strings.Repeat(fmt.Sprintf("record %d ", n), int(n%5)))
		added, err := tlog.StoredHashes(n, record, hashes)
		if err != nil {
			return nil, nil, err
		}
		records, hashes = append(records, record), append(hashes, added...)
	}
	return records, hashes, nil
}

func writeTiles(folder string, records [][]byte, hashes stored) error {
	for _, tile := range tlog.NewTiles(tileHeight, 0, int64(len(records))) {
		data, err := tlog.ReadTileData(tile, hashes)
		if err != nil {
			return err
		}
		if err := write(folder, tilePath(tile), data); err != nil {
			return err
		}
		if tile.L > 0 {
			continue
		}
		first := int(tile.N) * tileWidth
		tile.L = entries
		if err := write(folder, tilePath(tile), joinBundle(records[first:first+tile.W])); err != nil {
			return err
		}
	}
	return nil
}

func joinBundle(records [][]byte) []byte {
	var data []byte
	for _, record := range records {
		data = append(data, byte(len(record)>>8), byte(len(record)))
		data = append(data, record...)
	}
	return data
}

func signTree(signer note.Signer, size int64, hashes stored) ([]byte, error) {
	root, err := tlog.TreeHash(size, hashes)
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("%s\n%d\n%v\n", signer.Name(), size, root)
	return note.Sign(&note.Note{Text: text}, signer)
}

func write(folder, path string, data []byte) error {
	place := filepath.Join(folder, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
		return err
	}
	return os.WriteFile(place, data, 0o644)
}
