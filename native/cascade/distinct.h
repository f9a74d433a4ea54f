// The distinct sequences of an epoch.
#pragma once

#include <string>

#include "common/carrousel.h"

namespace carrousel {

// Rows of bytes. Two sequences are equal if all their bytes are, and their steps with a target.
struct SequenceBytes {
  Index count;                  // n
  Index input_bytes, target_bytes;
  const unsigned char* inputs;   // [steps, input_bytes]
  const unsigned char* targets;  // [targets, target_bytes]
  const Index* offsets;          // [n + 1], ascending from 0
  const Index* target_offsets;   // [n + 1], not descending, from 0
  const Index* target_steps;     // [targets]
};

// Writes to which [n] the place of each sequence among the distinct ones: longest first, then by
// their bytes. Returns the distinct sequences and how often each occurs, as bytes. Batches with
// equal bytes have equal sequences, in whatever order.
std::string distinct(const SequenceBytes& batch, Index* which);

}  // namespace carrousel
