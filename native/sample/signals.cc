// Tasks whose inputs are values: Experiments 3 to 5, the latch problem and parity.
#include <algorithm>

#include "sample/numbers.h"

namespace carrousel {

void draw_pairs(const Sample& sample, const Pairs& p) {
  sample.kernel.pairs({sample.key, Stream::steps}, 0, sample.steps(), !p.product, p.inputs);
  Numbers numbers(sample.kernel, sample.key, Stream::sequences);
  const float neutral = p.product ? 1.0f : 0.0f;
  for (Index i = 0; i < sample.n; ++i) {
    float* const pair = p.inputs + 2 * sample.offsets[i];
    const Index last = sample.offsets[i + 1] - sample.offsets[i] - 1;
    const Index first = numbers.below(i, 0, 10);
    // The first candidate of the second mark is the first pair, unless that is already marked.
    const Index least = p.skip_first && first > 0;
    Index second = least + numbers.below(i, 1, p.length / 2 - 1 - least);
    second += second >= first;
    pair[1] = pair[2 * last + 1] = -1.0f;
    pair[2 * first + 1] = pair[2 * second + 1] = 1.0f;
    const bool first_hits = first == 0, second_hits = second == 0 && !p.second_counts;
    const float x1 = first_hits ? neutral : pair[2 * first];
    const float x2 = second_hits ? neutral : pair[2 * second];
    if ((first_hits || second_hits) && p.hide_value) pair[0] = neutral;
    if ((first_hits || second_hits) && p.hide_marker) pair[1] = -1.0f;
    p.targets[i] = p.product ? x1 * x2 : 0.5f + (x1 + x2) / 4.0f;
  }
}

void draw_two_classes(const Sample& sample, const TwoClasses& task) {
  const auto& kernel = sample.kernel;
  kernel.normals({sample.key, Stream::steps}, 0, sample.steps(), task.deviation, task.inputs);
  if (task.target_deviation > 0)
    kernel.normals({sample.key, Stream::targets}, 0, sample.n, task.target_deviation,
                   task.targets);
  else std::fill_n(task.targets, sample.n, 0.0f);
  Numbers numbers(kernel, sample.key, Stream::sequences);
  for (Index i = 0; i < sample.n; ++i) {
    const Index second_class = numbers.below(i, 0, 2);
    const float sign = second_class ? -1.0f : 1.0f;
    float* const inputs = task.inputs + sample.offsets[i];
    for (Index t = 0; t < task.informative; ++t)
      inputs[t] = task.noisy ? inputs[t] + sign : sign;
    task.targets[i] += task.goals[second_class];
  }
}

void draw_latched(const Sample& sample, const Latched& task) {
  const Source source{sample.key, Stream::steps};
  const Index steps = sample.steps();
  if (task.wide) {
    constexpr Index kPart = 16 * kPanelWords;
    alignas(64) float noise[kPart];
    for (Index start = 0; start < steps; start += kPart) {
      const Index n = std::min(kPart, steps - start);
      sample.kernel.normals(source, static_cast<std::uint64_t>(start / kPanelWords), n,
                            task.deviation, noise);
      float* const to = task.inputs + 3 * start;
      for (Index t = 0; t < n; ++t) to[3 * t] = to[3 * t + 1] = 0.0f, to[3 * t + 2] = noise[t];
    }
  } else {
    sample.kernel.normals(source, 0, steps, task.deviation, task.inputs);
  }
  Numbers numbers(sample.kernel, sample.key, Stream::sequences);
  for (Index i = 0; i < sample.n; ++i) {
    const Index second_class = numbers.below(i, 0, 2);
    float* const first = task.inputs + (task.wide ? 3 : 1) * sample.offsets[i];
    if (task.wide) first[second_class] = 1.0f, first[2] = 0.0f;
    else first[0] = second_class ? -1.0f : 1.0f;
    task.targets[i] = second_class ? -task.goal : task.goal;
  }
}

namespace {

// Word j of a panel has the signs of its elements j, 128 + j, 256 + j, ... from its lowest bit on.
void draw_signs(const Sample& sample, float* signs) {
  const Index steps = sample.steps();
  std::uint32_t words[kPanelWords];
  for (Index start = 0; start < steps; start += kPanelWords) {
    const Index place = start / kPanelWords;
    if (place % 32 == 0)
      sample.kernel.panel({sample.key, Stream::steps}, static_cast<std::uint64_t>(place / 32), 0,
                          words);
    const Index n = std::min(kPanelWords, steps - start);
    for (Index j = 0; j < n; ++j)
      signs[start + j] =
          static_cast<float>(static_cast<std::int32_t>(words[j] >> (place % 32) & 1)) * 2.0f - 1.0f;
  }
}

void add_uniform(const Sample& sample, float noise, float* values) {
  const Index steps = sample.steps();
  std::uint32_t words[kPanelWords];
  for (Index start = 0; start < steps; start += kPanelWords) {
    sample.kernel.panel({sample.key, Stream::noise},
                        static_cast<std::uint64_t>(start / kPanelWords), 0, words);
    const Index n = std::min(kPanelWords, steps - start);
    for (Index j = 0; j < n; ++j)
      values[start + j] +=
          noise * (static_cast<float>(static_cast<std::int32_t>(words[j] >> 8)) * 0x1p-23f - 1.0f);
  }
}

}  // namespace

void draw_ones(const Sample& sample, const Ones& task) {
  draw_signs(sample, task.inputs);
  for (Index i = 0; i < sample.n; ++i) {
    const Index end = sample.offsets[i + 1] - task.pause;
    const Index ones = std::count(task.inputs + sample.offsets[i], task.inputs + end, 1.0f);
    task.targets[i] = static_cast<float>(ones % 2);
  }
  if (task.noise > 0) add_uniform(sample, task.noise, task.inputs);
  for (Index i = 0; i < sample.n; ++i)
    std::fill_n(task.inputs + sample.offsets[i + 1] - task.pause, task.pause, 0.0f);
}

}  // namespace carrousel
