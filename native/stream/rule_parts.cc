// The state of the expert rules, to save and restore it.
#include <algorithm>
#include <cmath>

#include "stream/rules.h"

namespace carrousel {
namespace {

constexpr double kMostRows = 0x1p50;  // counts stay whole numbers

double count_of(double x, double most = kMostRows) {
  return x > 0 ? std::floor(std::min(x, most)) : 0;  // 0 for NaN
}
double at_least_zero(double x) { return x > 0 ? x : 0; }

}  // namespace

void Rules::reset(Index stream) { std::fill_n(key(stream), key_.size, 0.0); }

void Rules::repair(const std::string& block, Index stream) {
  if (block == "rules_key") repair_key(stream);
  if (block == "rules_all") repair_key(settings_.streams);
  if (block == "rules_rows")
    for (Index r = 0; r < settings_.pending; ++r)
      for (Index v = 0; v < settings_.variables; ++v) {
        double& known = row(stream, r)[row_.known + v];
        known = count_of(known);
      }
  if (block == "rules_errors")
    for (double& each : errors_) each = at_least_zero(each);
  if (block != "rules_periods") return;
  for (std::size_t i = 0; i < periods_.size(); ++i) {
    const std::size_t slot = i % static_cast<std::size_t>(settings_.slots());
    periods_[i] = settings_.longest ? count_of(periods_[i], static_cast<double>(settings_.longest))
                                    : static_cast<double>(settings_.periods[slot]);
  }
}

void Rules::repair_key(Index stream) {
  double* const own = key(stream);
  const Index V = settings_.variables, O = settings_.outputs(), E = settings_.rules();
  const double rows = own[0] = count_of(own[0]);
  const auto positive = [&](Index first, Index n, Index step) {
    for (Index i = 0; i < n; ++i) own[first + i * step] = at_least_zero(own[first + i * step]);
  };
  for (Index v = 0; v < V; ++v) {  // values older than all waiting rows are known, once one is
    double& known = own[key_.known + v];
    known = std::min(count_of(known), rows);
    if (known > 0) known = std::max(known, rows - static_cast<double>(settings_.pending));
  }
  positive(key_.change, 2 * V, 1), positive(key_.mean + 1, V, 2), positive(key_.odd, V, 1);
  positive(key_.scale, 2 * O, 1);
  for (const auto& [first, n] : {std::pair{key_.regrets, O * E}, {key_.final_regrets, 2 * O}})
    positive(first + 1, n, 3), positive(first + 2, n, 3);
}

std::map<std::string, Rules::Block> Rules::blocks() {
  const Index V = settings_.variables, O = settings_.outputs(), B = settings_.streams;
  const Index Q = settings_.pending, levels = static_cast<Index>(settings_.levels.size());
  const auto whole = [](std::vector<double>& of, std::vector<Index> shape) {
    return Block{of.data(), std::move(shape), false, 0};
  };
  std::map<std::string, Block> found{
      {"rules_all", {key(B), {key_.size}, false, 0}},
      {"rules_key", {keys_.data(), {key_.size}, true, key_.size}},
      {"rules_history", {history_.data(), {V, span_}, true, V * span_}},
      {"rules_rows", {rows_.data(), {Q, row_.size}, true, Q * row_.size}},
      {"rules_fits", whole(fits_, {O, settings_.fitted(), 1 + width_, width_})},
      {"rules_errors", whole(errors_, {O, 2})}};
  if (settings_.slots()) found["rules_periods"] = whole(periods_, {V, settings_.slots()});
  if (settings_.longest) found["rules_distances"] = whole(distances_, {V, 2, settings_.longest});
  if (levels) found["rules_quantiles"] = whole(quantiles_, {O, 2, levels});
  return found;
}

}  // namespace carrousel
