package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
	entries    = -1       // the level that tlog gives to tiles of data
	maxFile    = 64 << 20 // more than any bundle holds
)

// source is where the files of a log are: a folder, or a URL.
type source string

func (s source) read(path string) ([]byte, error) {
	if !strings.HasPrefix(string(s), "http://") && !strings.HasPrefix(string(s), "https://") {
		return os.ReadFile(filepath.Join(string(s), filepath.FromSlash(path)))
	}
	client := http.Client{Timeout: 10 * time.Second}
	answer, err := client.Get(strings.TrimSuffix(string(s), "/") + "/" + path)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: expected status 200, got %s", path, answer.Status)
	}
	return io.ReadAll(io.LimitReader(answer.Body, maxFile))
}

// Height, ReadTiles and SaveTiles make a source a tlog.TileReader.
func (s source) Height() int { return tileHeight }

func (s source) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	contents := make([][]byte, len(tiles))
	for i, tile := range tiles {
		data, err := s.read(tilePath(tile))
		if err != nil {
			return nil, err
		}
		if len(data) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%s: expected %d hashes, got %d bytes", tilePath(tile), tile.W, len(data))
		}
		contents[i] = data
	}
	return contents, nil
}

// SaveTiles keeps nothing: every tile is read, and verified, anew.
func (s source) SaveTiles([]tlog.Tile, [][]byte) {}

// tilePath names a tile as C2SP tlog-tiles does: tlog's own paths begin with the height and say data for entries.
func tilePath(tile tlog.Tile) string {
	level := strconv.Itoa(tile.L)
	if tile.L == entries {
		level = "entries"
	}
	own := tile.Path() // tile/H/L/NNN.p/W
	return "tile/" + level + "/" + strings.SplitN(own, "/", 4)[3]
}

// splitBundle returns the records of a bundle, each of which stands after its length in two bytes.
func splitBundle(data []byte, count int) ([][]byte, error) {
	records := make([][]byte, 0, count)
	for len(records) < count {
		if len(data) < 2 {
			return nil, fmt.Errorf("expected %d entries, got %d", count, len(records))
		}
		length := int(data[0])<<8 | int(data[1])
		if len(data) < 2+length {
			return nil, errors.New("the last entry is cut short")
		}
		records, data = append(records, data[2:2+length]), data[2+length:]
	}
	if len(data) > 0 {
		return nil, fmt.Errorf("%d bytes after the last entry", len(data))
	}
	return records, nil
}
