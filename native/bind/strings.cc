// Strings of a fixed set. Arrays are checked before a pointer is used.
#include <nanobind/stl/string.h>

#include <algorithm>

#include "bind/sample.h"
#include "sample/strings.h"

using namespace carrousel;

namespace {

void picks(std::uint64_t key, Index count, nb::object picks, const std::string& instruction_set) {
  Call call(key, instruction_set);
  expect_number("count", count, 1, kMostSymbols);
  const Index n = length_of<Index>(picks, "picks");
  Index* const to = call.take<Index>(picks, "picks", {n}, true);
  const nb::gil_scoped_release unlocked;
  draw_picks(call.kernel, key, n, count, to);
}

void copies(nb::object symbols, nb::object set_offsets, nb::object picks, nb::object offsets,
             nb::object inputs, nb::object targets, nb::object target_steps) {
  Call call(0, "");
  const Sample set = call.sample(set_offsets, 1);
  const Strings from{set.n, set.offsets,
                     call.take<const std::int32_t>(symbols, "symbols", {set.steps()}, false)};
  const Sample sample = call.sample(offsets, 1);
  const Index* const which = call.take<const Index>(picks, "picks", {sample.n}, false);
  const Index goals = sample.steps() - sample.n;
  auto* const to_inputs = call.take<std::int32_t>(inputs, "inputs", {sample.steps()}, true);
  auto* const to_targets = call.take<std::int32_t>(targets, "targets", {goals}, true);
  auto* const to_steps = call.take<Index>(target_steps, "target_steps", {goals}, true);
  call.check();
  for (Index i = 0; i < sample.n; ++i) {
    expect_number("a pick", which[i], 0, set.n - 1);
    const Index length = set.offsets[which[i] + 1] - set.offsets[which[i]];
    if (sample.offsets[i + 1] - sample.offsets[i] != length)
      refuse("sequence ", i, " has ", sample.offsets[i + 1] - sample.offsets[i],
             " steps, expected ", length, ", as its string");
  }
  const nb::gil_scoped_release unlocked;
  copy_strings(from, which, sample, to_inputs, to_targets, to_steps);
}

Automaton take_automaton(Call& call, nb::object after) {
  Array<const std::int32_t> found;
  if (!nb::try_cast(after, found, false) || found.ndim() != 2)
    refuse_array("after", "has the wrong type or layout: expected a contiguous int32 array with "
                          "2 axes");
  Automaton automaton{static_cast<Index>(found.shape(0)), static_cast<Index>(found.shape(1)), {}};
  expect_number("the number of states", automaton.states, 1, kMostSymbols);
  expect_number("the number of symbols", automaton.symbols, 1, kMostSymbols);
  automaton.after = call.take<const std::int32_t>(after, "after",
                                                  {automaton.states, automaton.symbols}, false);
  const Index size = automaton.states * automaton.symbols;
  for (Index i = 0; i < size; ++i) expect_number("a state", automaton.after[i], -1,
                                                 automaton.states - 1);
  return automaton;
}

Strings take_strings(Call& call, const Automaton& automaton, nb::object symbols,
                     nb::object offsets) {
  const Sample sample = call.sample(offsets, 1);
  const Strings strings{
      sample.n, sample.offsets,
      call.take<const std::int32_t>(symbols, "symbols", {sample.steps()}, false)};
  for (Index t = 0; t < sample.steps(); ++t)
    expect_number("a symbol", strings.symbols[t], 0, automaton.symbols - 1);
  return strings;
}

Index states(nb::object after, nb::object symbols, nb::object offsets, nb::object states) {
  Call call(0, "");
  const Automaton automaton = take_automaton(call, after);
  const Strings strings = take_strings(call, automaton, symbols, offsets);
  Index* const to = call.take<Index>(states, "states", {strings.offsets[strings.n]}, true);
  call.check();
  const nb::gil_scoped_release unlocked;
  return walk(automaton, strings, to);
}

template <class Real>
Index ranked(nb::object after, nb::object symbols, nb::object offsets, nb::object target_steps,
             nb::object target_offsets, nb::object outputs, nb::object right) {
  Call call(0, "");
  const Automaton automaton = take_automaton(call, after);
  const Strings strings = take_strings(call, automaton, symbols, offsets);
  const Index* const ends =
      call.take<const Index>(target_offsets, "target_offsets", {strings.n + 1}, false);
  for (Index i = 0; i < strings.n; ++i)
    if (ends[0] != 0 || ends[i + 1] < ends[i] || ends[i + 1] > strings.offsets[strings.n])
      refuse("target_offsets must ascend from 0, with at most one target for each step");
  const Index goals = ends[strings.n];
  const Index* const at = call.take<const Index>(target_steps, "target_steps", {goals}, false);
  const Real* const from =
      call.take<const Real>(outputs, "outputs", {goals, automaton.symbols}, false);
  bool* const to = call.take<bool>(right, "right", {strings.n}, true);
  call.check();
  const nb::gil_scoped_release unlocked;
  return judge(automaton, strings, at, ends, from, to);
}

}  // namespace

void bind_strings(nb::module_& m) {
  m.def("draw_picks", &picks, nb::arg("key"), nb::arg("count"), nb::arg("picks"), nb::arg("instruction_set") = "",
        "Draw numbers [N] that are uniform on 0 to count - 1.");
  m.def("copy_strings", &copies, nb::arg("symbols"), nb::arg("set_offsets"), nb::arg("picks"),
        nb::arg("offsets"), nb::arg("inputs"), nb::arg("targets"), nb::arg("target_steps"),
        "Copy strings of a set, with the next symbol as the target of every step but the last.");
  m.def("walk_strings", &states, nb::arg("after"), nb::arg("symbols"), nb::arg("offsets"),
        nb::arg("states"),
        "Write the state of an automaton after each step; return the first illegal step, if any, "
        "else the number of steps.");
  m.def("judge_strings", &ranked<float>, nb::arg("after"), nb::arg("symbols"), nb::arg("offsets"),
        nb::arg("target_steps"), nb::arg("target_offsets"), nb::arg("outputs"), nb::arg("right"),
        "Write whether all legal next symbols have the largest outputs (float32) at all targets "
        "of a string; return what walk_strings returns.");
  m.def("judge_strings_double", &ranked<double>, nb::arg("after"), nb::arg("symbols"),
        nb::arg("offsets"), nb::arg("target_steps"), nb::arg("target_offsets"), nb::arg("outputs"),
        nb::arg("right"), "The same for outputs in float64.");
}
