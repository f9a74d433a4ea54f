// Counts of the symbols that followed recent symbols: predictions by partial matching, PPM
// (Cleary & Witten 1984), with interpolated orders (Witten & Bell 1991).
//
// The context of order n are the last n symbols of a stream. All streams share one table of fixed
// size. A context is found by its hash, and by 16 further bits that tell contexts of one place
// apart. It holds two counts of each symbol that followed: `all`, and `novel`, which skips symbols
// that a context two or more orders longer has predicted (update exclusion, Moffat 1990).
//
// Both kinds of counts give probabilities p_n of orders n = 0, 1, ...:
//   p_0(k) = (c(k) + 0.3) / (sum c + 0.3 O)
//   p_n(k) = trust c(k) / sum c + (1 - trust) p_{n-1}(k)
// The trust in a context is learned, one number for each order, number of distinct symbols and sum
// of counts: its logit grows by rate (share of the context in p_n(target) - trust).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "common/carrousel.h"

namespace carrousel {

class Contexts {
 public:
  static constexpr Index kLongest = 8;       // largest order
  static constexpr Index kPairs = 7;         // symbols of one place of the table
  static constexpr Index kChain = 12;        // places of one context
  static constexpr Index kMostSymbols = 1 << 16;  // those after these are counted without context
  static constexpr Index kSums = 8, kDistinct = 8;  // classes of contexts that share a trust

  // Contexts of up to `order` symbols in `places` places, a power of two. Throws
  // std::invalid_argument.
  Contexts(Index symbols, Index streams, Index order, Index places);

  // Probabilities of the symbols after the stream's context and `symbol`, which is not added to it:
  // novel [O] of the longest order, all [O] mixed over orders. Returns the class of the context,
  // below classes().
  Index look(Index stream, Index symbol, double* novel, double* all);
  Index classes() const { return 4 * (order_ + 1); }
  // Appends a symbol to a stream's context.
  void keep(Index stream, Index symbol);
  // Counts the symbol that followed the stream's context.
  void learn(Index stream, Index target);
  void reset(Index stream);
  void copy(Index from, Index to);

  std::size_t bytes() const;
  // Numbers as floating point: history [order] of a stream; places [places, 2 + 2 kPairs]; shares
  // [order + 1]; singles [O, 2] counts of symbols without context; trusts [2, order, kDistinct,
  // kSums, 2] logits, and how often they changed.
  void read_history(Index stream, double* to) const;
  void write_history(Index stream, const double* from);
  void read_places(double* to) const;
  void write_places(const double* from);
  std::vector<double> shares, singles, trusts;
  void bound_trusts();  // after they were written
  Index places() const { return static_cast<Index>(table_.size()); }

 private:
  struct Pair { std::uint16_t symbol; std::uint8_t all, novel; };
  struct Place { std::uint16_t check, used; std::array<Pair, kPairs> pairs; };
  struct Found { Index first, last; double sums[2]; Index distinct[2]; };  // pairs of one context
  using Hashes = std::array<std::uint64_t, kLongest>;

  Index hash(const std::int32_t* history, Hashes& hashes) const;
  Place* find(std::uint64_t hash, Index link);
  Place& make(std::uint64_t hash, Index link);
  void gather(const Hashes& hashes, Index orders);
  double* trust(Index kind, Index order, const Found& of);
  void count(std::uint64_t hash, std::uint16_t target, bool novel);
  double single(Index kind, Index symbol) const;

  Index symbols_, order_;
  std::vector<std::int32_t> history_;  // [B, order], the latest first; -1: none
  std::vector<Place> table_;
  std::vector<Pair> pairs_;            // of the contexts of one call
  std::array<Found, kLongest> found_;
};

}  // namespace carrousel
