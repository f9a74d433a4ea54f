// Drawn data. Arrays are checked before a pointer is used.
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <utility>
#include <vector>

#include "bind/sample.h"
#include "bind/sequence.h"

using namespace carrousel;

namespace {

void draw_panel(std::uint64_t key, std::uint32_t stream, std::uint32_t attempt,
                std::uint64_t number, nb::object words, const std::string& instruction_set) {
  Call call(key, instruction_set);
  auto* const to = call.take<std::uint32_t>(words, "words", {kPanelWords}, true);
  call.kernel.panel({key, static_cast<Stream>(stream)}, number, attempt, to);
}

void gaussians(nb::object words, double deviation, nb::object values,
               const std::string& instruction_set) {
  Call call(0, instruction_set);
  const Index n = length_of<const std::uint32_t>(words, "words");
  if (n % kPanelWords) refuse("words has ", n, " entries, expected a multiple of ", kPanelWords);
  const auto* const from = call.take<const std::uint32_t>(words, "words", {n}, false);
  auto* const to = call.take<float>(values, "values", {n}, true);
  call.check();
  const float narrow = expect_finite("deviation", deviation);
  const nb::gil_scoped_release unlocked;
  for (Index i = 0; i < n; i += kPanelWords) call.kernel.normal(from + i, narrow, to + i);
}

void normals(std::uint64_t key, std::uint32_t stream, double deviation, nb::object values,
             const std::string& instruction_set) {
  Call call(key, instruction_set);
  const Index n = length_of<float>(values, "values");
  auto* const to = call.take<float>(values, "values", {n}, true);
  const float narrow = expect_finite("deviation", deviation);
  const nb::gil_scoped_release unlocked;
  call.kernel.normals({key, static_cast<Stream>(stream)}, 0, n, narrow, to);
}

void lengths(std::uint64_t key, Index least, Index most, nb::object offsets,
             const std::string& instruction_set) {
  Call call(key, instruction_set);
  expect_number("least", least, 1, Index{1} << 25);
  expect_number("most", most, least, Index{1} << 25);
  const Index n = length_of<Index>(offsets, "offsets") - 1;
  Index* const to = call.take<Index>(offsets, "offsets", {n + 1}, true);
  const nb::gil_scoped_release unlocked;
  draw_lengths(call.kernel, key, n, least, most, to);
}

void geometric_lengths(std::uint64_t key, Index least, nb::object offsets,
                       const std::string& instruction_set) {
  Call call(key, instruction_set);
  expect_number("least", least, 1, Index{1} << 25);
  const Index n = length_of<Index>(offsets, "offsets") - 1;
  Index* const to = call.take<Index>(offsets, "offsets", {n + 1}, true);
  const nb::gil_scoped_release unlocked;
  draw_geometric_lengths(call.kernel, key, n, least, to);
}

void pairs(std::uint64_t key, nb::object offsets, nb::object inputs, nb::object targets,
           Index length, bool product, bool hide_value, bool hide_marker, bool skip_first,
           bool second_counts, const std::string& instruction_set) {
  Call call(key, instruction_set);
  expect_number("length", length, 11, kMostSymbols);
  const Sample sample = call.sample(offsets, length);
  const Pairs task{length, product, hide_value, hide_marker, skip_first, second_counts,
                   call.take<float>(inputs, "inputs", {sample.steps(), 2}, true),
                   call.take<float>(targets, "targets", {sample.n, 1}, true)};
  call.check();
  const nb::gil_scoped_release unlocked;
  draw_pairs(sample, task);
}

void two_classes(std::uint64_t key, nb::object offsets, nb::object inputs, nb::object targets,
                 Index informative, bool noisy, double deviation, double first_goal,
                 double second_goal, double target_deviation, const std::string& instruction_set) {
  Call call(key, instruction_set);
  expect_number("informative", informative, 1, kMostSymbols);
  const Sample sample = call.sample(offsets, informative);
  const TwoClasses task{
      informative,
      noisy,
      expect_finite("deviation", deviation),
      {expect_finite("first_goal", first_goal, true),
       expect_finite("second_goal", second_goal, true)},
      expect_finite("target_deviation", target_deviation),
      call.take<float>(inputs, "inputs", {sample.steps(), 1}, true),
      call.take<float>(targets, "targets", {sample.n, 1}, true)};
  call.check();
  const nb::gil_scoped_release unlocked;
  draw_two_classes(sample, task);
}

void latched(std::uint64_t key, nb::object offsets, nb::object inputs, nb::object targets,
             bool wide, double deviation, double goal, const std::string& instruction_set) {
  Call call(key, instruction_set);
  const Sample sample = call.sample(offsets, 1);
  const Latched task{wide, expect_finite("deviation", deviation),
                     expect_finite("goal", goal, true),
                     call.take<float>(inputs, "inputs", {sample.steps(), wide ? 3 : 1}, true),
                     call.take<float>(targets, "targets", {sample.n, 1}, true)};
  call.check();
  const nb::gil_scoped_release unlocked;
  draw_latched(sample, task);
}

void ones(std::uint64_t key, nb::object offsets, nb::object inputs, nb::object targets,
          Index pause, double noise, const std::string& instruction_set) {
  Call call(key, instruction_set);
  expect_number("pause", pause, 0, kMostSymbols);
  const Sample sample = call.sample(offsets, pause + 1);
  const Ones task{pause, expect_finite("noise", noise),
                  call.take<float>(inputs, "inputs", {sample.steps(), 1}, true),
                  call.take<float>(targets, "targets", {sample.n, 1}, true)};
  call.check();
  const nb::gil_scoped_release unlocked;
  draw_ones(sample, task);
}

void lags(std::uint64_t key, Index p, Index first_target, nb::object inputs,
          nb::object targets, nb::object target_steps, const std::string& instruction_set) {
  Call call(key, instruction_set);
  expect_number("p", p, 2, kMostSymbols - 1);
  expect_number("first_target", first_target, 0, p - 1);
  const Index steps = length_of<std::int32_t>(inputs, "inputs"), n = steps / (p + 1);
  expect_number("the number of inputs", steps, n * (p + 1), n * (p + 1));
  const Index goals = n * (p - first_target);
  const Lags task{p, first_target,
                  call.take<std::int32_t>(inputs, "inputs", {steps}, true),
                  call.take<std::int32_t>(targets, "targets", {goals}, true),
                  call.take<Index>(target_steps, "target_steps", {goals}, true)};
  call.check();
  const nb::gil_scoped_release unlocked;
  draw_lags(call.kernel, key, n, task);
}

void long_lags(std::uint64_t key, nb::object offsets, Index p, nb::object inputs,
               nb::object targets, const std::string& instruction_set) {
  Call call(key, instruction_set);
  expect_number("p", p, 1, kMostSymbols - 4);
  const Sample sample = call.sample(offsets, 3);
  const LongLags task{p, call.take<std::int32_t>(inputs, "inputs", {sample.steps()}, true),
                      call.take<std::int32_t>(targets, "targets", {sample.n}, true)};
  call.check();
  const nb::gil_scoped_release unlocked;
  draw_long_lags(sample, task);
}

void order(std::uint64_t key, nb::object offsets, const std::vector<std::pair<Index, Index>>& places,
           nb::object inputs, nb::object targets, const std::string& instruction_set) {
  Call call(key, instruction_set);
  Order task{};
  task.relevant = static_cast<int>(places.size());
  expect_number("the number of places", task.relevant, 1, 3);
  Index last = 0;
  for (int k = 0; k < task.relevant; ++k) {
    const auto [low, high] = places[k];
    expect_number("a place", low, last + 1, kMostSymbols);
    expect_number("a place", high, low, kMostSymbols);
    task.places[k][0] = low, task.places[k][1] = last = high;
  }
  const Sample sample = call.sample(offsets, last + 2);
  task.inputs = call.take<std::int32_t>(inputs, "inputs", {sample.steps()}, true);
  task.targets = call.take<std::int32_t>(targets, "targets", {sample.n}, true);
  call.check();
  const nb::gil_scoped_release unlocked;
  draw_order(sample, task);
}

}  // namespace

void bind_samples(nb::module_& m) {
  const auto set = nb::arg("instruction_set") = "";
  m.attr("panel_words") = kPanelWords;
  m.def("draw_panel", &draw_panel, nb::arg("key"), nb::arg("stream"), nb::arg("attempt"),
        nb::arg("number"), nb::arg("words"), set,
        "Write the words [128] of a panel of Philox 4x32-10.");
  m.def("gaussians", &gaussians, nb::arg("words"), nb::arg("deviation"), nb::arg("values"), set,
        "Turn whole panels of words [n] into Gaussians [n] with mean 0.");
  m.def("draw_gaussians", &normals, nb::arg("key"), nb::arg("stream"), nb::arg("deviation"),
        nb::arg("values"), set, "Draw Gaussians [n] with mean 0 from one stream.");
  m.def("draw_lengths", &lengths, nb::arg("key"), nb::arg("least"), nb::arg("most"),
        nb::arg("offsets"), set,
        "Write offsets [N + 1] of sequences whose lengths are uniform on least to most.");
  m.def("draw_geometric_lengths", &geometric_lengths, nb::arg("key"), nb::arg("least"),
        nb::arg("offsets"), set,
        "Write offsets [N + 1] of lengths least + k, with probability 0.1 * 0.9^k.");
  m.def("draw_pairs", &pairs, nb::arg("key"), nb::arg("offsets"), nb::arg("inputs"),
        nb::arg("targets"), nb::kw_only(), nb::arg("length"), nb::arg("product"),
        nb::arg("hide_value"), nb::arg("hide_marker"), nb::arg("skip_first"),
        nb::arg("second_counts"), set,
        "Draw inputs [steps, 2] and targets [N, 1] of the adding or the multiplication problem.");
  m.def("draw_two_classes", &two_classes, nb::arg("key"), nb::arg("offsets"), nb::arg("inputs"),
        nb::arg("targets"), nb::kw_only(), nb::arg("informative"), nb::arg("noisy"),
        nb::arg("deviation"), nb::arg("first_goal"), nb::arg("second_goal"),
        nb::arg("target_deviation"), set,
        "Draw inputs [steps, 1] and targets [N, 1] of the 2-sequence problem.");
  m.def("draw_latched", &latched, nb::arg("key"), nb::arg("offsets"), nb::arg("inputs"),
        nb::arg("targets"), nb::kw_only(), nb::arg("wide"), nb::arg("deviation"), nb::arg("goal"),
        set, "Draw inputs [steps, 3 if wide else 1] and targets [N, 1] of the latch problem.");
  m.def("draw_ones", &ones, nb::arg("key"), nb::arg("offsets"), nb::arg("inputs"),
        nb::arg("targets"), nb::kw_only(), nb::arg("pause"), nb::arg("noise"), set,
        "Draw inputs [steps, 1] and targets [N, 1] of the parity problem.");
  m.def("draw_lags", &lags, nb::arg("key"), nb::arg("p"), nb::arg("first_target"),
        nb::arg("inputs"), nb::arg("targets"), nb::arg("target_steps"), set,
        "Draw inputs [N (p + 1)] of Experiment 2b, with targets [N (p - first_target)].");
  m.def("draw_long_lags", &long_lags, nb::arg("key"), nb::arg("offsets"), nb::arg("p"),
        nb::arg("inputs"), nb::arg("targets"), set,
        "Draw inputs [steps] and targets [N] of Experiment 2c.");
  m.def("draw_order", &order, nb::arg("key"), nb::arg("offsets"), nb::arg("places"),
        nb::arg("inputs"), nb::arg("targets"), set,
        "Draw inputs [steps] and targets [N] of Experiment 6; places are (first, last) steps.");
  bind_strings(m);
}
