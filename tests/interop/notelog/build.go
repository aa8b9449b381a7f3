package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func buildLog(dir, name, sizeText string) error {
	size, err := strconv.ParseInt(sizeText, 10, 64)
	if err != nil {
		return err
	}
	skey, vkey, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return err
	}
	var stored memory
	for i := int64(0); i < size; i++ {
		if stored, err = stored.add(i, entry(i)); err != nil {
			return err
		}
	}
	if err := writeTiles(dir, size, stored); err != nil {
		return err
	}
	if err := writeCheckpoint(dir, name, skey, size, stored); err != nil {
		return err
	}
	fmt.Println(vkey)
	return nil
}

func entry(i int64) []byte { return []byte(strings.Repeat(fmt.Sprintf("entry %d ", i), int(i%4))) }

func writeTiles(dir string, size int64, reader tlog.HashReader) error {
	for _, t := range tlog.NewTiles(height, 0, size) {
		data, err := tlog.ReadTileData(t, reader)
		if err != nil {
			return err
		}
		if err := write(dir, tilePath(t), data); err != nil {
			return err
		}
	}
	for n := int64(0); n*width < size; n++ {
		w := min(size-n*width, width)
		var bundle []byte
		for i := n * width; i < n*width+w; i++ {
			bundle = binary.BigEndian.AppendUint16(bundle, uint16(len(entry(i))))
			bundle = append(bundle, entry(i)...)
		}
		if err := write(dir, tilePath(tlog.Tile{H: height, L: -1, N: n, W: int(w)}), bundle); err != nil {
			return err
		}
	}
	return nil
}

func writeCheckpoint(dir, name, skey string, size int64, stored memory) error {
	root, err := stored.root(size)
	if err != nil {
		return err
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%s\n%d\n%s\n", name, size, base64.StdEncoding.EncodeToString(root[:]))
	msg, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		return err
	}
	return write(dir, "checkpoint", msg)
}

func write(dir, path string, data []byte) error {
	full := filepath.Join(dir, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return err
	}
	return os.WriteFile(full, data, 0o644)
}
