// How the kernels of the normalisation layers walk a tensor whose last axis are channels, and the
// sums per channel that they stand on. Include from .cu files only.
//
// x: (outer, rows, channels). Rows are cut into pieces of a fixed number, and each piece is summed
// in order; the sums of the pieces go to sum_to. So the result does not depend on the number of
// threads.
#pragma once
#include <algorithm>

#include "layers/broadcast.h"
#include "tensor/math.h"
#include "tensor/parallel.h"

namespace bbam {

// One block of parallel_blocks per tile of kRows x kColumns.
struct ChannelTiles {
  static constexpr int64_t kRows = 64, kColumns = 512;

  struct Tile {
    int64_t outer, piece, first_row, end_row, column, columns;
  };

  ChannelTiles(int64_t outer_, int64_t rows_, int64_t channels_)
      : outer(outer_), rows(rows_), channels(channels_),
        pieces(std::max<int64_t>(1, (rows + kRows - 1) / kRows)),
        across((channels + kColumns - 1) / kColumns) {}

  int64_t blocks() const { return outer * pieces * across; }
  int threads() const { return int(std::min<int64_t>(128, (channels + 31) / 32 * 32)); }
  HD Tile tile(int64_t block) const {
    const int64_t column = block % across * kColumns, piece = block / across % pieces;
    return {block / across / pieces,         piece,  piece * kRows,
            min_((piece + 1) * kRows, rows), column, min_(channels - column, int64_t(kColumns))};
  }
  // Calls f(element, channel) for this thread's share of a tile, its channels row after row.
  template <class F>
  HD void each(const Block& g, const Tile& t, const F& f) const {
    for (int64_t row = t.first_row; row < t.end_row; ++row) {
      const int64_t begin = (t.outer * rows + row) * channels + t.column;
      for (int64_t j = g.rank(); j < t.columns; j += g.size()) f(begin + j, t.column + j);
    }
  }

  int64_t outer, rows, channels;
  int64_t pieces, across;  // tiles along the rows and along the channels
};

// Term has kSums, and add(sums, stride, element, statistic), which adds the element's k-th term to
// sums[k * stride]; statistic = outer index * channels + channel. y: (outer, pieces, kSums,
// channels).
template <class T, class Term>
struct SumTiles {
  ChannelTiles tiles;
  Term term;
  T* y;
  HD void operator()(Block g, int64_t block) const {
    const auto tile = tiles.tile(block);
    T* sums = g.scratch<T>();  // a thread touches its own channels only: no sync
    for (int k = 0; k < Term::kSums; ++k)
      for (int64_t j = g.rank(); j < tile.columns; j += g.size())
        sums[k * ChannelTiles::kColumns + j] = T(0);
    const int64_t statistics = tile.outer * tiles.channels;
    tiles.each(g, tile, [&](int64_t i, int64_t c) {
      term.add(sums + (c - tile.column), ChannelTiles::kColumns, i, statistics + c);
    });
    T* to = y + (tile.outer * tiles.pieces + tile.piece) * Term::kSums * tiles.channels;
    for (int k = 0; k < Term::kSums; ++k)
      for (int64_t j = g.rank(); j < tile.columns; j += g.size())
        to[k * tiles.channels + tile.column + j] = sums[k * ChannelTiles::kColumns + j];
  }
};

// (outer, kSums, channels): the sums over the rows; 0 where there is none. `bytes` is what the
// terms read, for the profile.
template <class T, class Term>
Tensor channel_sums(const char* label, Device device, const ChannelTiles& tiles, const Term& term,
                    int64_t bytes) {
  const int64_t width = Term::kSums * tiles.channels;
  Tensor y = Tensor::empty({tiles.outer, tiles.pieces, width}, dtype_of<T>::value, device);
  parallel_blocks(label, y.stream(), tiles.blocks(), tiles.threads(),
                  sizeof(T) * Term::kSums * ChannelTiles::kColumns,
                  SumTiles<T, Term>{tiles, term, y.mutable_data<T>()}, 0, bytes);
  return sum_to(y, {tiles.outer, 1, width}).reshape({tiles.outer, Term::kSums, tiles.channels});
}

}  // namespace bbam
