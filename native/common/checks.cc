// Checks of a lane's arrays before its pointers are used.
#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "common/carrousel.h"
#include "common/refuse.h"

namespace carrousel {

void append(std::string& text, const char* part) { text += part; }
void append(std::string& text, const std::string& part) { text += part; }
void append(std::string& text, std::int64_t number) { text += std::to_string(number); }
void append(std::string& text, double number) { text += std::to_string(number); }
void refuse_text(const std::string& text) { throw std::invalid_argument(text); }

namespace {

template <class... Parts>
[[noreturn]] void refuse_lane(Index lane, Parts... parts) {
  refuse("data[", lane, "]: ", parts...);
}

constexpr Index kLongest = Index{1} << 29;  // kernels count the steps of a sequence in 32 bits

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
    refuse_lane(number, "offsets run from ", lane.offsets[0], " to ",
                lane.offsets[lane.n_sequences], ", expected 0 to the number of steps, ",
                lane.n_steps);
  for (Index n = 0; n < lane.n_sequences; ++n) {
    if (lane.offsets[n] >= lane.offsets[n + 1])
      refuse_lane(number, "sequence ", n, " runs from step ", lane.offsets[n], " to ",
                  lane.offsets[n + 1],
                  ", expected at least one step; offsets must increase");
    if (lane.offsets[n + 1] - lane.offsets[n] > kLongest)
      refuse_lane(number, "sequence ", n, " has ", lane.offsets[n + 1] - lane.offsets[n],
                  " steps, expected at most ", kLongest);
  }
}

void check_targets(const Lane& lane, Index number) {
  if (lane.target_offsets[0] != 0 || lane.target_offsets[lane.n_sequences] != lane.n_targets)
    refuse_lane(number, "target_offsets run from ", lane.target_offsets[0], " to ",
                lane.target_offsets[lane.n_sequences], ", expected 0 to the number of targets, ",
                lane.n_targets);
  for (Index n = 0; n < lane.n_sequences; ++n) {
    const Index from = lane.target_offsets[n], to = lane.target_offsets[n + 1];
    if (from > to || to > lane.n_targets)
      refuse_lane(number, "target_offsets run from ", from, " to ", to, " in sequence ", n,
                  "; they must not decrease");
    for (Index m = from; m < to; ++m) {
      const Index least = m > from ? lane.target_steps[m - 1] + 1 : lane.offsets[n];
      if (lane.target_steps[m] < least || lane.target_steps[m] >= lane.offsets[n + 1])
        refuse_lane(number, "target_steps[", m, "] is ", lane.target_steps[m], ", expected ", least,
                    "..", lane.offsets[n + 1] - 1,
                    "; target_steps must increase within their sequence");
    }
  }
}

struct Range {
  const char *begin, *end;
  bool written;
};

template <class T>
void add(std::vector<Range>& ranges, T* first, Index count) {
  const char* begin = reinterpret_cast<const char*>(first);
  if (first && count > 0)
    ranges.push_back({begin, begin + count * sizeof(T), !std::is_const_v<T>});
}

}  // namespace

void check_overlaps(const Job& job, const std::vector<Lane>& lanes) {
  std::vector<Range> ranges;
  add(ranges, job.factors, weight_count(job.shape));
  for (const Lane& lane : lanes) {
    add(ranges, lane.values, lane.n_steps * job.shape.inputs);
    add(ranges, lane.symbols, lane.n_steps);
    add(ranges, lane.offsets, lane.n_sequences + 1);
    add(ranges, lane.targets, lane.n_targets * job.shape.outputs);
    add(ranges, lane.classes, lane.n_targets);
    add(ranges, lane.target_steps, lane.n_targets);
    add(ranges, lane.target_offsets, lane.n_sequences + 1);
    add(ranges, lane.weights, weight_count(job.shape));
    add(ranges, lane.gradient, weight_count(job.shape));
    for (float* column : {lane.max_abs, lane.sum_abs, lane.sum_sq})
      add(ranges, column, lane.n_sequences);
    add(ranges, lane.seeds, lane.n_sequences);
    add(ranges, lane.outputs, lane.n_targets * job.shape.outputs);
  }
  const auto by_begin = [](const Range& a, const Range& b) { return a.begin < b.begin; };
  std::sort(ranges.begin(), ranges.end(), by_begin);
  const char *end = nullptr, *end_of_written = nullptr;
  for (const Range& range : ranges) {
    if (range.begin < (range.written ? end : end_of_written))
      refuse("two arrays share memory and one of them is written; copy one");
    end = std::max(end, range.end);
    if (range.written) end_of_written = std::max(end_of_written, range.end);
  }
}

void refuse_inputs(Index lane_number) {
  refuse_lane(lane_number, "inputs are not finite; clean or impute the data");
}

void check_inputs(const Lane& lane, Index inputs, Index lane_number) {
  if (lane.values && !all_finite(lane.values, lane.n_steps * inputs)) refuse_inputs(lane_number);
}

Index weight_count(const Shape& s) {
  const Index recurrent = s.count(s.receivers) * s.count(s.fed_back);
  const Index hidden = s.units() * s.inputs + recurrent + s.count(s.biased_groups);
  if (s.united) return hidden;
  const Index output = s.outputs * (s.cells() + (s.direct ? s.inputs : 0));
  return hidden + output + (s.output_bias ? s.outputs : 0);
}

void check(const Job& job) {
  const std::pair<const char*, float> numbers[] = {{"derivative_floor", job.derivative_floor},
                                                   {"derivative_offset", job.derivative_offset},
                                                   {"error_tolerance", job.error_tolerance}};
  for (const auto& [name, number] : numbers)
    if (!(number >= 0.0f) || !std::isfinite(number))
      refuse(name, " is ", number, ", expected a finite number of at least 0");
  if (job.factors && !all_finite(job.factors, weight_count(job.shape)))
    refuse("factors are not finite");
}

void check(const Job& job, const Lane& lane, Index number) {
  const Shape& s = job.shape;
  check_sequences(lane, number);
  check_targets(lane, number);
  if (lane.symbols && !all_below(lane.symbols, lane.n_steps, s.inputs))
    refuse_lane(number, "an input symbol is outside the alphabet 0..", s.inputs - 1);
  if (!job.learn) return;
  if (lane.targets && !all_finite(lane.targets, lane.n_targets * s.outputs))
    refuse_lane(number, "targets are not finite; clean or impute the data");
  if (lane.classes && !all_below(lane.classes, lane.n_targets, s.outputs))
    refuse_lane(number, "a target class is outside 0..", s.outputs - 1);
  if (!std::isfinite(lane.rate)) refuse_lane(number, "the learning rate is not finite");
}

}  // namespace carrousel
