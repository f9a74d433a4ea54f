// The state of a stream's network, part by part, to save and restore it.
#include <algorithm>
#include <cmath>

#include "common/refuse.h"
#include "stream/run.h"

namespace carrousel {

template <class Real>
std::map<std::string, typename Stream<Real>::Part> Stream<Real>::parts() const {
  const StreamShape& shape = settings_.shape;
  const Index U = shape.units(), C = shape.cells(), S = shape.sources(), seen = shape.seen();
  const Index O = shape.outputs;
  const bool by_key = settings_.by_key;
  std::map<std::string, Part> found{
      {"changes", {false, {1}}}, {"hidden", {false, {U, S}}}, {"output", {false, {O, seen}}},
      {"inputs", {by_key, {shape.inputs, 4}}}, {"targets", {by_key, {O, 4}}},
      {"y", {true, {U}}}, {"s", {true, {C}}}, {"h", {true, {C}}}, {"sources", {true, {S}}},
      {"out", {true, {O}}}, {"kept", {true, {C}}}, {"gain_in", {true, {C}}},
      {"gain_forget", {true, {C}}}, {"gain_cell", {true, {C}}}};
  if (by_key)
    found["inputs_all"] = {false, {shape.inputs, 4}}, found["targets_all"] = {false, {O, 4}};
  if (settings_.delayed) found["front"] = {true, {U + C}};
  if (settings_.rule == Rule::truncated) found["traces"] = {true, {shape.traces(), C, S}};
  if (settings_.rule == Rule::rtrl) found["sensitivities"] = {true, {stream_rows(net_), S}};
  if (settings_.rule == Rule::uoro) {
    found["q"] = {true, {U + C}}, found["w"] = {true, {U, S}};
    found["draws"] = {false, {settings_.streams, 2}};
  }
  if (net_.hidden.second)
    found["hidden_second"] = found["hidden"], found["output_second"] = found["output"];
  if (net_.hidden.first)
    found["hidden_first"] = found["hidden"], found["output_first"] = found["output"];
  if (experts_)
    for (const ClassExperts::Part& part : experts_->parts())
      found[part.name] = {part.of_stream, part.shape};
  return found;
}

// Whether a part is one of the experts.
template <class Real>
bool Stream<Real>::of_experts(const std::string& name) const {
  if (!experts_) return false;
  for (const ClassExperts::Part& part : experts_->parts())
    if (name == part.name) return true;
  return false;
}

template <class Real>
typename Stream<Real>::Place Stream<Real>::place(const std::string& name, Index stream) const {
  const StreamShape& shape = settings_.shape;
  const Index U = shape.units(), C = shape.cells(), S = shape.sources(), seen = shape.seen();
  const Index S_stride = stream_stride<Real>(S);
  const Index S_width = stream_width<Real>(S), seen_width = stream_width<Real>(seen);
  const auto& [hidden, output] = std::pair{net_.hidden, net_.output};
  if (name == "hidden") return {hidden.weights, U, S, S_width, hidden.distance};
  if (name == "hidden_first") return {hidden.first, U, S, S_width, hidden.distance};
  if (name == "hidden_second") return {hidden.second, U, S, S_width, hidden.distance};
  if (name == "output") return {output.weights, shape.outputs, seen, seen_width, output.distance};
  if (name == "output_first")
    return {output.first, shape.outputs, seen, seen_width, output.distance};
  if (name == "output_second")
    return {output.second, shape.outputs, seen, seen_width, output.distance};
  if (name == "front") return {front_of(stream).y, 1, U + C, U + C, U + C};
  const StreamState<Real> state = state_of(stream);
  if (name == "sensitivities")
    return {state.sensitivities, stream_rows(net_), S, S_stride, S_stride};
  if (name == "w") return {state.w, U, S, S_stride, S_stride};
  if (name == "q") return {state.q, 1, U + C, U + C, U + C};
  if (name == "traces") return {state.traces, shape.traces() * C, S, S_stride, S_stride};
  if (name == "sources") return {state.sources, 1, S, S_width, S_width};
  const std::map<std::string, std::pair<Real*, Index>> rows{
      {"y", {state.y, U}}, {"s", {state.s, C}}, {"h", {state.h, C}},
      {"out", {state.out, shape.outputs}}, {"kept", {state.kept, C}},
      {"gain_in", {state.gain_in, C}}, {"gain_forget", {state.gain_forget, C}},
      {"gain_cell", {state.gain_cell, C}}};
  const auto row = rows.find(name);
  if (row == rows.end())
    refuse("a stream of this network has no part '", name, "'");
  const Index n = row->second.second;
  return {row->second.first, 1, n, n, n};
}

// The running scales with a name, and their number; 0 if they have another name.
template <class Real>
std::pair<const Running*, Index> Stream<Real>::scales_named(const std::string& name,
                                                            Index stream) const {
  const Index I = settings_.shape.inputs, O = settings_.shape.outputs;
  if (name == "inputs") return {scales(inputs_, stream, I), I};
  if (name == "targets") return {scales(targets_, stream, O), O};
  if (name == "inputs_all") return {scales(inputs_, settings_.streams, I), I};
  if (name == "targets_all") return {scales(targets_, settings_.streams, O), O};
  return {nullptr, 0};
}

template <class Real>
void Stream<Real>::read(const std::string& name, Index stream, double* to) const {
  if (name == "changes") {
    *to = static_cast<double>(net_.changes);
  } else if (name == "draws") {
    std::copy(draws_.begin(), draws_.end(), to);
  } else if (const auto [first, n] = scales_named(name, stream); n) {
    for (const Running* of = first; of < first + n; ++of)
      *to++ = of->seen, *to++ = of->mean, *to++ = of->variance, *to++ = of->odd;
  } else if (of_experts(name)) {
    experts_->read(name, stream, to);
  } else {
    const Place from = place(name, stream);
    for (Index r = 0; r < from.rows; ++r)
      to = std::transform(from.at + r * from.stride, from.at + r * from.stride + from.columns, to,
                          [](Real x) { return static_cast<double>(x); });
  }
}

template <class Real>
void Stream<Real>::write(const std::string& name, Index stream, const double* from) {
  if (name == "changes") {
    net_.changes = static_cast<std::int64_t>(std::clamp(*from, 0.0, 0x1p53));
  } else if (name == "draws") {
    for (double& counted : draws_) counted = std::clamp(*from++, 0.0, 0x1p53);
  } else if (const auto [first, n] = scales_named(name, stream); n) {
    for (Running* of = const_cast<Running*>(first); of < first + n; ++of, from += 4)
      *of = {from[0], from[1], from[2], from[3]};
  } else if (of_experts(name)) {
    experts_->write(name, stream, from);
  } else {
    const Place to = place(name, stream);
    for (Index r = 0; r < to.rows; ++r, from += to.columns) {
      Real* const row = to.at + r * to.stride;
      std::transform(from, from + to.columns, row, [](double x) { return static_cast<Real>(x); });
      std::fill(row + to.columns, row + to.width, Real{0});  // unused streams hold no zeros
    }
  }
}

template <class Real>
bool Stream<Real>::finite() const {
  const auto good = [](const Place& part) {
    for (Index r = 0; part.at && r < part.rows; ++r)
      for (Index i = 0; i < part.columns; ++i)
        if (!std::isfinite(part.at[r * part.stride + i])) return false;
    return true;
  };
  for (const char* name : {"hidden", "hidden_first", "hidden_second", "output", "output_first",
                           "output_second"})
    if (!good(place(name, 0))) return false;
  return true;
}

template class Stream<float>;
template class Stream<double>;

}  // namespace carrousel
