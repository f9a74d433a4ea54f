// Streams whose targets are delayed: a state runs ahead and predicts, another follows and learns.
#include <algorithm>

#include "stream/run.h"

namespace carrousel {

// The state that predicts, of which only activations and cell states exist.
template <class Real>
StreamState<Real> Stream<Real>::front_of(Index stream) const {
  const Index U = settings_.shape.units(), C = settings_.shape.cells();
  StreamState<Real> found{};
  found.y = fronts_.data() + stream * (U + C), found.s = found.y + U;
  return found;
}

template <class Real>
Outcome Stream<Real>::glance(Index stream, const double* x, double* outputs) {
  const Outcome seen = peek(stream, x, outputs);
  if (seen != Outcome::done) return seen;
  flags_[static_cast<std::size_t>(stream)] |= kUsed;
  const StreamState<Real> front = front_of(stream);
  std::copy_n(net_.next.y, settings_.shape.units(), front.y);
  std::copy_n(net_.next.s, settings_.shape.cells(), front.s);
  count(stream, x);
  return Outcome::done;
}

template <class Real>
void Stream<Real>::ready(const double* x, double* to) const {
  if (settings_.symbols) *to = *x;
  else std::copy_n(net_.x, settings_.shape.inputs, to);
}

template <class Real>
Outcome Stream<Real>::follow(Index stream, const double* inputs) {
  const Index I = settings_.shape.inputs;
  if (settings_.symbols) {
    if (!good_input(inputs)) return Outcome::bad_input;
    std::fill_n(net_.x, I, Real{0});
    net_.x[static_cast<Index>(inputs[0])] = 1;
  } else {
    std::transform(inputs, inputs + I, net_.x, [](double x) { return static_cast<Real>(x); });
  }
  StreamState<Real> state = state_of(stream);
  if (!kernel_.look(net_, state)) return Outcome::diverged;
  std::uint8_t& flags = flags_[static_cast<std::size_t>(stream)];
  if (settings_.rule == Rule::uoro) draw(stream);
  kernel_.move(net_, state, flags & kStanding);
  flags = kUsed | kStanding;
  changed_[static_cast<std::size_t>(stream)] = net_.changes;
  return Outcome::done;
}

template <class Real>
void Stream<Real>::meet(Index stream) {
  const StreamState<Real> front = front_of(stream), state = state_of(stream);
  std::copy_n(state.y, settings_.shape.units(), front.y);
  std::copy_n(state.s, settings_.shape.cells(), front.s);
}

template class Stream<float>;
template class Stream<double>;

}  // namespace carrousel
