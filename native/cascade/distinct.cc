#include "cascade/distinct.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <vector>

namespace carrousel {
namespace {

// One sequence, and the order of sequences.
struct Piece {
  const SequenceBytes& b;
  Index n;

  Index first() const { return b.offsets[n]; }
  Index steps() const { return b.offsets[n + 1] - first(); }
  Index first_target() const { return b.target_offsets[n]; }
  Index targets() const { return b.target_offsets[n + 1] - first_target(); }
  const unsigned char* inputs() const { return b.inputs + first() * b.input_bytes; }
  const unsigned char* goals() const { return b.targets + first_target() * b.target_bytes; }
  // The step of a target, counted from the first step of the sequence. It wraps around.
  std::uint64_t position(Index m) const {
    return static_cast<std::uint64_t>(b.target_steps[first_target() + m]) -
           static_cast<std::uint64_t>(first());
  }

  static int order(std::uint64_t a, std::uint64_t b) { return a < b ? -1 : a > b; }

  // Negative if this sequence comes before the other one, 0 if they are equal.
  int compare(const Piece& other) const {
    if (steps() != other.steps()) return steps() > other.steps() ? -1 : 1;
    if (targets() != other.targets()) return targets() < other.targets() ? -1 : 1;
    int found = bytes(inputs(), other.inputs(), steps() * b.input_bytes);
    for (Index m = 0; m < targets() && !found; ++m)
      found = order(position(m), other.position(m));
    return found ? found : bytes(goals(), other.goals(), targets() * b.target_bytes);
  }

  void append_to(std::string& all) const {
    number(all, static_cast<std::uint64_t>(steps()));
    number(all, static_cast<std::uint64_t>(targets()));
    for (Index m = 0; m < targets(); ++m) number(all, position(m));
    text(all, inputs(), steps() * b.input_bytes);
    text(all, goals(), targets() * b.target_bytes);
  }

  static void number(std::string& all, std::uint64_t value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    all.append(bytes, sizeof value);
  }

 private:
  static int bytes(const unsigned char* a, const unsigned char* b, Index count) {
    return count ? std::memcmp(a, b, static_cast<std::size_t>(count)) : 0;
  }
  static void text(std::string& all, const unsigned char* from, Index count) {
    if (count) all.append(reinterpret_cast<const char*>(from), static_cast<std::size_t>(count));
  }
};

}  // namespace

std::string distinct(const SequenceBytes& b, Index* which) {
  std::vector<Index> sorted(static_cast<std::size_t>(b.count));
  std::iota(sorted.begin(), sorted.end(), Index{0});
  std::sort(sorted.begin(), sorted.end(), [&](Index x, Index y) {
    return Piece{b, x}.compare(Piece{b, y}) < 0;
  });
  std::string all;
  Index rank = -1;
  std::uint64_t times = 0;
  for (std::size_t i = 0; i < sorted.size(); ++i, ++times) {
    const Piece piece{b, sorted[i]};
    if (i == 0 || piece.compare({b, sorted[i - 1]}) != 0) {
      if (i) Piece::number(all, times);
      times = 0, ++rank;
      piece.append_to(all);
    }
    which[sorted[i]] = rank;
  }
  Piece::number(all, times);
  return all;
}

}  // namespace carrousel
