// Whole numbers of sequences.
#pragma once

#include "sample/sample.h"

namespace carrousel {

// Sequence i has the four outputs of block i of a stream. Sequences are best visited in order.
class Numbers {
 public:
  Numbers(const SampleKernels& kernel, std::uint64_t key, Stream stream)
      : kernel_(kernel), source_{key, stream} {}

  // A number uniform on 0 to count - 1, from one output; 1 <= count < 2^32.
  Index below(Index sequence, int output, Index count) {
    for (std::uint32_t attempt = 0;; ++attempt) {
      const std::uint64_t scaled =
          static_cast<std::uint64_t>(word(sequence, output, attempt)) * count;
      const auto lower = static_cast<std::uint32_t>(scaled);
      // See below() in fill.cc; the bound is at most `count`, and dividing takes time.
      const auto narrow = static_cast<std::uint32_t>(count);
      if (lower >= narrow || lower >= (0u - narrow) % narrow)
        return static_cast<Index>(scaled >> 32);
    }
  }

  std::uint32_t word(Index sequence, int output, std::uint32_t attempt) {
    const Index number = sequence / kPanelBlocks;
    if (number != number_ || attempt != attempt_) {
      kernel_.panel(source_, static_cast<std::uint64_t>(number), attempt, words_);
      number_ = number, attempt_ = attempt;
    }
    return words_[output * kPanelBlocks + sequence % kPanelBlocks];
  }

 private:
  const SampleKernels& kernel_;
  const Source source_;
  Index number_ = -1;
  std::uint32_t attempt_ = 0;
  std::uint32_t words_[kPanelWords];
};

}  // namespace carrousel
