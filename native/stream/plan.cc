// Checks of a stream's settings, and what its weights can change.
#include <algorithm>
#include <cmath>
#include <utility>

#include "common/refuse.h"
#include "sequence/checks.h"
#include "stream/run.h"

namespace carrousel {
namespace {

constexpr Index kMost = Index{1} << 24;

void expect_number(const char* name, double value, bool good, const char* wanted) {
  if (std::isfinite(value) && good) return;
  refuse(name, " is ", value, ", expected ", wanted);
}

void check_paths(const StreamSettings& s) {
  expect_number("bound", s.bound, s.bound > 0, "a finite number above 0");
  for (const Index from : s.paths)
    if (from < 0 || from >= s.shape.fed_back())
      refuse("paths contain ", from, ", expected units fed back, 0..", s.shape.fed_back() - 1);
  if (static_cast<Index>(s.paths.size()) % s.shape.blocks)
    refuse("paths has ", s.paths.size(), " entries, expected as many for each block");
  if (!s.paths.empty() && std::count(s.reach.begin(), s.reach.end(), 0) + (s.rule != Rule::rtrl))
    refuse("paths are given, expected rule rtrl with all sensitivities");
}

}  // namespace

void check(const StreamSettings& s) {
  const StreamShape& shape = s.shape;
  for (const auto& [name, value] : {std::pair{"inputs", shape.inputs}, {"outputs", shape.outputs},
                                    {"blocks", shape.blocks}, {"block_size", shape.block_size},
                                    {"streams", s.streams}})
    if (check_number(name, value, kMost) < 1)
      refuse(name, " is 0, expected at least 1");
  if (shape.cells() > 1 << 16 || shape.inputs > 1 << 20 || shape.outputs > 1 << 20)
    refuse("the network is too large for a stream: expected at most 2^16 cells, 2^20 inputs and "
           "2^20 outputs");
  const double numbers = static_cast<double>(shape.traces()) * static_cast<double>(shape.cells()) *
                         static_cast<double>(shape.sources()) * static_cast<double>(s.streams);
  if (numbers > 1e12)
    refuse("traces would take terabytes; use fewer streams, cells or inputs");
  if (s.rule == Rule::snap) refuse("rule is snap, expected rtrl with a reach");
  const std::size_t entries =
      s.rule == Rule::rtrl ? static_cast<std::size_t>((shape.units() + shape.cells()) *
                                                      shape.units()) : 0;
  if (s.reach.size() != entries)
    refuse("reach has ", s.reach.size(), " entries, expected ", entries,
           ": (units + cells) * units for rule rtrl, 0 for others");
  check_paths(s);
  double kept = 0;
  for (const std::uint8_t entry : s.reach) kept += entry != 0;
  if (kept * static_cast<double>(shape.sources() + 64) * static_cast<double>(s.streams) > 1e12)
    refuse("sensitivities would take terabytes; use fewer streams, cells or inputs");
  if (s.experts && (shape.head == Head::linear || (shape.head != Head::softmax && shape.outputs > 1)))
    refuse("experts are for classes, expected a softmax head, or a logistic one with 1 output");
  expect_number("rate", s.rate, s.rate >= 0 && s.rate < 1e30, "0 to below 1e30");
  expect_number("decay", s.decay, s.decay >= 0, "a finite number of at least 0");
  expect_number("momentum", s.momentum, s.momentum >= 0 && s.momentum < 1, "0 to below 1");
  expect_number("second", s.second, s.second >= 0 && s.second < 1, "0 to below 1");
  expect_number("epsilon", s.epsilon, s.epsilon >= 1e-30, "at least 1e-30");
  expect_number("horizon", s.horizon, s.horizon >= 0, "at least 0");
  expect_number("largest", s.largest, s.largest > 0, "a number above 0");
  if (!(s.clip > 0)) refuse("clip is ", s.clip, ", expected a number above 0");
}

std::vector<StreamReach> reaches(const StreamShape& shape, const std::vector<std::uint8_t>& table) {
  const Index U = shape.units(), C = shape.cells(), cell = shape.first_cell(), b = shape.blocks;
  std::vector<StreamReach> found;
  Index row = 0;
  for (Index unit = 0; unit < U; ++unit) {
    StreamReach reach{row, {}, {}, {}, {}};
    std::vector<bool> nets(static_cast<std::size_t>(U)), states(static_cast<std::size_t>(C));
    const auto needs = [&](Index u) { nets[static_cast<std::size_t>(u)] = true; };
    for (Index q = 0; q < U + C; ++q) {
      const bool is_cell = q >= cell && q < cell + C, is_state = q >= U;
      const bool matters = shape.gates_fed_back || is_cell || is_state;
      if (!table[static_cast<std::size_t>(q * U + unit)] || !matters) continue;
      (is_state ? reach.cells : reach.units).push_back(is_state ? q - U : q);
      if (is_state || is_cell) states[static_cast<std::size_t>(is_state ? q - U : q - cell)] = true;
      if (is_cell) needs(cell + C + (q - cell) / shape.block_size);
      else if (!is_state) needs(q);
    }
    for (Index c = 0; c < C; ++c) {
      if (!states[static_cast<std::size_t>(c)]) continue;
      reach.states.push_back(c);
      needs(c / shape.block_size), needs(cell + c);
      if (shape.forget_gate) needs(b + c / shape.block_size);
    }
    for (Index u = 0; u < U; ++u)
      if (nets[static_cast<std::size_t>(u)]) reach.nets.push_back(u);
    row += static_cast<Index>(reach.units.size() + reach.cells.size());
    found.push_back(std::move(reach));
  }
  return found;
}

}  // namespace carrousel
