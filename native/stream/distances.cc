// Squared distances of one row to many, for one instruction set. Compiled without contraction, so
// that equal distances are equal on all of them.
#include "sequence/vector.h"
#include "stream/stream.h"

namespace carrousel::CARROUSEL_ISA {

void distances(const Distances& d) {
  constexpr Index lanes = static_cast<Index>(sizeof(Vec<float>) / sizeof(float));
  static_assert(Distances::kAtOnce % (2 * lanes) == 0);
  for (Index row = 0; row < d.rows; row += 2 * lanes) {
    Vec<float> first{}, second{};
    const float* at = d.table + row;
    for (Index i = 0; i < d.inputs; ++i, at += d.stride) {
      const Vec<float> a = load(at) - d.x[i], b = load(at + lanes) - d.x[i];
      first += a * a, second += b * b;
    }
    store(d.to + row, first), store(d.to + row + lanes, second);
  }
}

}  // namespace carrousel::CARROUSEL_ISA
