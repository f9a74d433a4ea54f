// Arrays of random numbers.
#include <algorithm>
#include <cstring>

#include "sample/normal.h"
#include "sample/philox.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

struct alignas(64) Words {
  std::uint32_t at[kPanelWords];
};

void panel(Source source, std::uint64_t first, std::uint32_t attempt, std::uint32_t* words) {
  Philox(source).panel(first, attempt, words);
}

// Calls write(words, number of the panel, where to write) for each whole panel of `values`, and
// copies what is needed of the last one. An item has `width` numbers.
template <int width, class T, class Write>
void fill(Source source, std::uint64_t first, Index n, T* values, const Write& write) {
  const Philox philox(source);
  Words words;
  for (Index i = 0; i < n; i += kPanelWords, ++first) {
    philox.panel(first, 0, words.at);
    if (n - i >= kPanelWords) {
      write(words.at, first, values + width * i);
    } else {
      T last[width * kPanelWords];
      write(words.at, first, last);
      std::memcpy(values + width * i, last, (n - i) * width * sizeof(T));
    }
  }
}

void normals(Source source, std::uint64_t first, Index n, float deviation, float* values) {
  fill<1>(source, first, n, values, [&](const std::uint32_t* words, std::uint64_t, float* to) {
    normal_panel(words, deviation, to);
  });
}

template <bool symmetric>
void write_pairs(const std::uint32_t* words, std::uint64_t, float* to) {
  for (Index j = 0; j < kPanelWords; ++j) {
    const auto upper = static_cast<float>(static_cast<std::int32_t>(words[j] >> 8));
    to[2 * j] = symmetric ? upper * 0x1p-23f - 1.0f : upper * 0x1p-24f;  // exact
    to[2 * j + 1] = 0.0f;
  }
}

void pairs(Source source, std::uint64_t first, Index n, bool symmetric, float* values) {
  if (symmetric) fill<2>(source, first, n, values, write_pairs<true>);
  else fill<2>(source, first, n, values, write_pairs<false>);
}

// The whole number of a word and its attempts: the upper half of count times the word, unless the
// lower half is among the 2^32 mod count least (Lemire, "Fast random integer generation in an
// interval", 2019).
std::int32_t again(const Philox& philox, std::uint64_t number, Index j, std::uint32_t count,
                   std::uint32_t threshold) {
  Words words;
  for (std::uint32_t attempt = 1;; ++attempt) {
    philox.panel(number, attempt, words.at);
    const std::uint64_t scaled = std::uint64_t{words.at[j]} * count;
    if (static_cast<std::uint32_t>(scaled) >= threshold)
      return static_cast<std::int32_t>(scaled >> 32);
  }
}

void below(Source source, std::uint64_t first, Index n, std::uint32_t count, std::int32_t* values) {
  const Philox philox(source);
  const std::uint32_t threshold = (0u - count) % count;
  const wide factor = wide_splat(count), lower = wide_splat(0xffffffffu);
  const wide limit = wide_splat(threshold);
  const auto write = [&](const std::uint32_t* words, std::uint64_t number, std::int32_t* to) {
    wide refused{};
    for (Index j = 0; j < kPanelWords; j += kWide) {
      const wide scaled = product(load_words(words + j), factor);
      refused |= ((scaled & lower) - limit) >> 32;  // not 0 if it is below the limit
      store_lower(scaled >> 32, to + j);
    }
    std::uint64_t any = 0;
    for (int i = 0; i < kWide; ++i) any |= refused[i];
    if (!any) [[likely]] return;
    for (Index j = 0; j < kPanelWords; ++j)
      if (words[j] * count < threshold) to[j] = again(philox, number, j, count, threshold);
  };
  fill<1>(source, first, n, values, write);
}

}  // namespace

#define CARROUSEL_STRINGIFY_(x) #x
#define CARROUSEL_STRINGIFY(x) CARROUSEL_STRINGIFY_(x)

extern const SampleKernels sample_kernels;
const SampleKernels sample_kernels = {
    CARROUSEL_STRINGIFY(CARROUSEL_ISA), panel, normal_panel, normals, pairs, below};

}  // namespace carrousel::CARROUSEL_ISA
