// What must hold before a pointer of a lane is used.
#include <cmath>
#include <stdexcept>

#include "carrousel.h"

namespace carrousel {
namespace {

[[noreturn]] void refuse(Index lane, const std::string& what) {
  throw std::invalid_argument("data[" + std::to_string(lane) + "]: " + what);
}

bool all_finite(const float* values, Index count) {
  float zero = 0.0f;  // x * 0 is NaN for NaN and infinities, and stays so in the sum
  for (Index i = 0; i < count; ++i) zero += values[i] * 0.0f;
  return zero == 0.0f;
}

bool all_below(const std::int32_t* symbols, Index count, Index limit) {
  std::uint32_t worst = 0;
  for (Index i = 0; i < count; ++i) {
    const auto symbol = static_cast<std::uint32_t>(symbols[i]);  // negative ones become large
    worst = symbol > worst ? symbol : worst;
  }
  return count == 0 || worst < limit;
}

void check_sequences(const Lane& lane, Index number) {
  if (lane.offsets[0] != 0 || lane.offsets[lane.n_sequences] != lane.n_steps)
    refuse(number, "offsets must run from 0 to the number of steps");
  for (Index n = 0; n < lane.n_sequences; ++n)
    if (lane.offsets[n] >= lane.offsets[n + 1])
      refuse(number, "sequence " + std::to_string(n) + " is empty or offsets descend");
}

void check_targets(const Lane& lane, Index number) {
  if (lane.target_offsets[0] != 0 || lane.target_offsets[lane.n_sequences] != lane.n_targets)
    refuse(number, "target_offsets must run from 0 to the number of targets");
  for (Index n = 0; n < lane.n_sequences; ++n) {
    const Index from = lane.target_offsets[n], to = lane.target_offsets[n + 1];
    if (from > to || to > lane.n_targets) refuse(number, "target_offsets descend");
    for (Index m = from; m < to; ++m) {
      const Index least = m > from ? lane.target_steps[m - 1] + 1 : lane.offsets[n];
      if (lane.target_steps[m] < least || lane.target_steps[m] >= lane.offsets[n + 1])
        refuse(number, "target_steps must ascend within their sequence");
    }
  }
}

}  // namespace

Index weight_count(const Shape& s) {
  Index biased = 0;
  for (Index u = 0; u < s.units(); ++u) biased += s.biased(u);
  const Index hidden = s.units() * (s.inputs + (s.full ? s.units() : 0)) + biased;
  const Index output = s.outputs * (s.cells() + (s.full ? 0 : s.inputs));
  return hidden + output + (s.output_bias ? s.outputs : 0);
}

void check(const Job& job, const Lane& lane, Index number) {
  const Shape& s = job.shape;
  check_sequences(lane, number);
  check_targets(lane, number);
  if (lane.values && !all_finite(lane.values, lane.n_steps * s.inputs))
    refuse(number, "inputs are not finite; clean or impute the data");
  if (lane.symbols && !all_below(lane.symbols, lane.n_steps, s.inputs))
    refuse(number, "an input symbol is outside the alphabet 0.." + std::to_string(s.inputs - 1));
  if (!job.learn) return;
  if (lane.targets && !all_finite(lane.targets, lane.n_targets * s.outputs))
    refuse(number, "targets are not finite; clean or impute the data");
  if (lane.classes && !all_below(lane.classes, lane.n_targets, s.outputs))
    refuse(number, "a target class is outside 0.." + std::to_string(s.outputs - 1));
  if (!std::isfinite(lane.rate)) refuse(number, "the learning rate is not finite");
}

}  // namespace carrousel
