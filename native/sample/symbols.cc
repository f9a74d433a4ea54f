// Tasks whose inputs are symbols: Experiments 2 and 6.
#include <algorithm>

#include "sample/numbers.h"

namespace carrousel {

void draw_lags(const SampleKernels& kernel, std::uint64_t key, Index n, const Lags& lags) {
  const Index steps = lags.p + 1, goals = lags.p - lags.from;
  kernel.below({key, Stream::steps}, 0, n * steps, static_cast<std::uint32_t>(lags.p - 1),
               lags.inputs);
  Numbers numbers(kernel, key, Stream::sequences);
  for (Index i = 0; i < n; ++i) {
    std::int32_t* const row = lags.inputs + i * steps;
    row[0] = row[lags.p] = static_cast<std::int32_t>(lags.p - 1 + numbers.below(i, 0, 2));
    std::copy_n(row + lags.from + 1, goals, lags.targets + i * goals);
    Index* const at = lags.target_steps + i * goals;
    for (Index m = 0; m < goals; ++m) at[m] = i * steps + lags.from + m;
  }
}

void draw_long_lags(const Sample& sample, const LongLags& lags) {
  sample.kernel.below({sample.key, Stream::steps}, 0, sample.steps(),
                      static_cast<std::uint32_t>(lags.p), lags.inputs);
  Numbers numbers(sample.kernel, sample.key, Stream::sequences);
  const auto p = static_cast<std::int32_t>(lags.p);
  for (Index i = 0; i < sample.n; ++i) {
    const auto second = static_cast<std::int32_t>(numbers.below(i, 0, 2));
    std::int32_t* const inputs = lags.inputs + sample.offsets[i];
    inputs[0] = p + 1, inputs[1] = p + 2 + second;
    lags.inputs[sample.offsets[i + 1] - 1] = p;
    lags.targets[i] = second;
  }
}

void draw_order(const Sample& sample, const Order& order) {
  const Index steps = sample.steps();
  // Word j of a panel has the symbols j, 128 + j, 256 + j, ... from its two lowest bits on.
  std::uint32_t words[kPanelWords];
  for (Index start = 0; start < steps; start += kPanelWords) {
    const Index place = start / kPanelWords;
    if (place % 16 == 0)
      sample.kernel.panel({sample.key, Stream::steps}, static_cast<std::uint64_t>(place / 16), 0,
                          words);
    const Index n = std::min(kPanelWords, steps - start);
    for (Index j = 0; j < n; ++j)
      order.inputs[start + j] =
          2 + static_cast<std::int32_t>(words[j] >> (2 * (place % 16)) & 3);
  }
  Numbers numbers(sample.kernel, sample.key, Stream::sequences);
  for (Index i = 0; i < sample.n; ++i) {
    std::int32_t* const inputs = order.inputs + sample.offsets[i];
    const auto digits = static_cast<std::int32_t>(numbers.below(i, 0, 1 << order.relevant));
    for (int k = 0; k < order.relevant; ++k) {
      const auto [low, high] = order.places[k];
      inputs[low + numbers.below(i, 1 + k, high - low + 1)] =
          6 + (digits >> (order.relevant - 1 - k) & 1);
    }
    inputs[0] = 0;
    order.inputs[sample.offsets[i + 1] - 1] = 1;
    order.targets[i] = digits;
  }
}

}  // namespace carrousel
