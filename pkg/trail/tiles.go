package trail

import "golang.org/x/mod/sumdb/tlog"

// Tiles of the tree (C2SP tlog-tiles): a tile of level 0 holds the hashes of 256
// leaves, one of a level above the roots of 256 tiles below.
const (
	TileHeight = 8
	TileWidth  = 1 << TileHeight
)

// TileRoot is the root of a full tile, which its parent holds.
func TileRoot(hashes []Hash) Hash {
	level := append([]Hash(nil), hashes...)
	for len(level) > 1 {
		for i := range len(level) / 2 {
			level[i] = tlog.NodeHash(level[2*i], level[2*i+1])
		}
		level = level[:len(level)/2]
	}
	return level[0]
}

// SplitHashes cuts the bytes of hashes, one behind the other, apart; nil when
// they are none.
func SplitHashes(data []byte) []Hash {
	if len(data)%len(Hash{}) != 0 {
		return nil
	}
	hashes := make([]Hash, 0, len(data)/len(Hash{}))
	for ; len(data) > 0; data = data[len(Hash{}):] {
		hashes = append(hashes, Hash(data[:len(Hash{})]))
	}
	return hashes
}

// JoinHashes is the other way round.
func JoinHashes(hashes []Hash) []byte {
	data := make([]byte, 0, len(hashes)*len(Hash{}))
	for _, h := range hashes {
		data = append(data, h[:]...)
	}
	return data
}
