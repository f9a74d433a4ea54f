// One net of simple units that learns online by truncated back-propagation. Vectors run along the
// units of a layer, so that a symbol reads and changes one row of the input weights.
#pragma once

#include "chunker/chunker.h"
#include "chunker/wide.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

// Hands out parts of a block of memory, each on a cache line. Without memory it only counts.
struct Places {
  float* memory;
  Index size = 0;

  float* take(Index n) {
    float* const here = memory ? memory + size : nullptr;
    size += padded(n);
    return here;
  }
};

// Inputs of a net in one sequence: a symbol or values at each step, and digits of the step.
struct Inputs {
  const std::int32_t* symbols;  // from the first step of the sequence on, or null
  const float* values;          // [steps, width]
  Index width, digits;

  // Calls use(i, x_i) for the inputs of step t that are not 0.
  template <class Use>
  void each(Index t, Use use) const {
    if (symbols) use(Index{symbols[t]}, 1.0f);
    else for (Index i = 0; i < width; ++i) use(i, values[t * width + i]);
    for (Index d = 0; d < digits; ++d)
      if (t >> d & 1) use(width + d, 1.0f);
  }
};

// Arrays of a net. Rows are padded to whole vectors; the padding of weights is 0.
struct Net {
  Index I, H, O, units, outputs;  // the last two: H and O, padded
  Index stride;                   // of `rows`
  Index depth, kept;              // steps that an error reaches; and one more
  Index count = 0, newest = 0;    // steps to go back; the last step, in 0..kept - 1
  bool tanh, direct, hidden_biased, output_biased;
  float* rows;         // [I, stride]: weights from an input, first into hidden units, then outputs
  float* recurrent;    // [H, units]: weights from a hidden unit into all
  float* read;         // [H, outputs]: weights from a hidden unit into outputs
  float *hidden_bias, *output_bias;  // zeros if there are none
  float* y;            // outputs of the last step
  float* goal;         // [outputs] targets of y
  float* delta;        // [outputs] rate times the derivative of the error by net inputs
  float *error, *earlier;  // [units] rate times the error of hidden units
  float* changes;      // [H, units] of `recurrent`
  // A ring of the last `kept` steps: activations of hidden units and their slopes, and the time.
  float *hidden, *slope;
  Index* time;

  Net(const SimpleNet& net, Index reach, Places& from)
      : I(net.inputs), H(net.units), O(net.outputs), units(padded(H)), outputs(padded(O)),
        stride(units + (net.direct ? outputs : 0)), depth(reach), kept(reach + 1),
        tanh(net.tanh), direct(net.direct), hidden_biased(net.hidden_bias),
        output_biased(net.output_bias) {
    rows = from.take(I * stride);
    recurrent = from.take(H * units), read = from.take(H * outputs);
    hidden_bias = from.take(units), output_bias = from.take(outputs);
    y = from.take(outputs), goal = from.take(outputs), delta = from.take(outputs);
    error = from.take(units), earlier = from.take(units), changes = from.take(H * units);
    hidden = from.take(kept * units), slope = from.take(kept * units);
    time = reinterpret_cast<Index*>(from.take(2 * kept));
  }

  Index before(Index step) const { return (step ? step : kept) - 1; }
  float* h(Index step) const { return hidden + step * units; }  // [units]

  // Calls move(w, flat_w) for each weight and its place in the flat weights.
  template <class Flat, class Move>
  void each_weight(Flat* flat, Move move) const {
    for (Index s = 0; s < I; ++s)
      for (Index i = 0; i < H; ++i) move(rows[s * stride + i], flat[i * I + s]);
    flat += H * I;
    for (Index j = 0; j < H; ++j)
      for (Index i = 0; i < H; ++i) move(recurrent[j * units + i], flat[i * H + j]);
    flat += H * H;
    for (Index i = 0; hidden_biased && i < H; ++i) move(hidden_bias[i], *flat++);
    if (direct) {
      for (Index s = 0; s < I; ++s)
        for (Index k = 0; k < O; ++k) move(rows[s * stride + units + k], flat[k * I + s]);
      flat += O * I;
    }
    for (Index j = 0; j < H; ++j)
      for (Index k = 0; k < O; ++k) move(read[j * outputs + k], flat[k * H + j]);
    flat += O * H;
    for (Index k = 0; output_biased && k < O; ++k) move(output_bias[k], *flat++);
  }

  void load(const float* flat) const {
    clear(rows, I * stride), clear(recurrent, H * units), clear(read, H * outputs);
    clear(hidden_bias, units), clear(output_bias, outputs), clear(goal, outputs);
    each_weight(flat, [](float& own, const float& given) { own = given; });
  }

  void save(float* flat) const {
    each_weight(flat, [](const float& own, float& given) { given = own; });
  }

  static void clear(float* x, Index n) {
    for (Index i = 0; i < n; i += V) at(x + i) = splat(0.0f);
  }

  void reset() {
    count = newest = 0;
    clear(h(newest), units);
  }

  static void add(vec& sum, float x, const float* w) { sum = fma(splat(x), at(w), sum); }

  // Computes the hidden units of step t.
  void advance(const Inputs& inputs, Index t) {
    const float* const old = h(newest);
    newest = newest + 1 < kept ? newest + 1 : 0;
    count = count < depth ? count + 1 : depth;
    time[newest] = t;
    float *const now = h(newest), *const slopes = slope + newest * units;
    // Locals, because the compiler assumes that a store to a vector may change the net.
    const float *const bias = hidden_bias, *const by_input = rows, *const by_unit = recurrent;
    const Index all = units, apart = stride, own = H;
    const bool symmetric = tanh;
    for (Index i = 0; i < all; i += V) {
      vec net = at(bias + i);
      inputs.each(t, [&](Index s, float x) { add(net, x, by_input + s * apart + i); });
      for (Index j = 0; j < own; ++j) add(net, old[j], by_unit + j * all + i);
      const vec f = symmetric ? hyperbolic_tangent(net) : logistic(net);
      at(now + i) = f;
      at(slopes + i) = symmetric ? fma(-f, f, splat(1.0f)) : logistic_slope(f);
    }
  }

  // Outputs [n] of step t, after advance(); written by whole vectors.
  void read_out(const Inputs& inputs, Index t, Index n, float* out) const {
    const float *const now = h(newest), *const bias = output_bias, *const by_unit = read;
    const float* const by_input = direct ? rows + units : nullptr;
    const Index apart = stride, wide = outputs, own = H;
    for (Index k = 0; k < n; k += V) {
      vec net = at(bias + k);
      if (by_input)
        inputs.each(t, [&](Index s, float x) { add(net, x, by_input + s * apart + k); });
      for (Index j = 0; j < own; ++j) add(net, now[j], by_unit + j * wide + k);
      at(out + k) = logistic(net);
    }
  }

  void step(const Inputs& inputs, Index t) {
    advance(inputs, t);
    read_out(inputs, t, outputs, y);
  }

  // row [n] -= x by [n]
  static void subtract(float* row, float x, const float* by, Index n) {
    for (Index i = 0; i < n; i += V) at(row + i) = fma(splat(-x), at(by + i), at(row + i));
  }

  // Descends the gradient of half the squared error of the last step, given delta.
  void learn(const Inputs& inputs) {
    products(read, outputs, H, delta, error);
    const float* const now = h(newest);
    for (Index j = 0; j < H; ++j) subtract(read + j * outputs, now[j], delta, outputs);
    if (output_biased) subtract(output_bias, 1.0f, delta, outputs);
    if (direct)
      inputs.each(time[newest], [&](Index s, float x) {
        subtract(rows + s * stride + units, x, delta, outputs);
      });
    go_back(inputs);
  }

  // Changes the weights into hidden units, given the error of the last step.
  void go_back(const Inputs& inputs) {
    for (Index k = 0, step = newest; k < count; ++k, step = before(step)) {
      if (k) send_back();
      const float *const old = h(before(step)), *const slopes = slope + step * units;
      float *const now = error, *const change = changes;
      const Index all = units, own = H;
      for (Index i = 0; i < all; i += V) at(now + i) *= at(slopes + i);
      for (Index j = 0; j < own; ++j)
        for (Index i = 0; i < all; i += V) {
          vec& sum = at(change + j * all + i);
          sum = fma(splat(old[j]), at(now + i), k ? sum : splat(0.0f));
        }
      inputs.each(time[step], [&](Index s, float x) { subtract(rows + s * stride, x, now, all); });
      if (hidden_biased) subtract(hidden_bias, 1.0f, now, all);
    }
    subtract(recurrent, 1.0f, changes, H * units);
  }

  // Sends the error of hidden units one step back.
  void send_back() {
    if (H == 1) {  // the other numbers are 0; no sum of sixteen to wait for
      for (Index i = 0; i < units; i += V) at(error + i) *= at(recurrent + i);
      return;
    }
    products(recurrent, units, H, error, earlier);
    float* const later = error;
    error = earlier, earlier = later;
  }
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
