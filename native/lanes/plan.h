// Layout of the workspace of one group of lanes, and packing of weights into it.
//
// "Columns" are arrays of vectors: each element of a vector belongs to one lane. Large alphabets
// use "rows" instead: a short row of floats for each lane and symbol. A step accesses the row of
// its symbol only, so its cost does not grow with the alphabet.
#pragma once

#include <stdexcept>

#include "common/carrousel.h"
#include "common/simd.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

constexpr Index kChunk = 16;         // steps between two stores of traces and gradients
constexpr Groups kAllGroups{15};
constexpr Index kDenseSymbols = 16;  // up to this alphabet, one-hot columns are faster than rows

constexpr Index kStrip = 16;         // outputs that are summed together; a multiple of V

inline Index round_up(Index n, Index to) { return (n + to - 1) / to * to; }

// Hands out parts of the workspace. Without a base it only counts.
class Carver {
 public:
  explicit Carver(void* base) : base_(static_cast<char*>(base)) {}

  template <class T>
  T* take(Index count, Index times = 1, Index times_again = 1) {
    std::size_t bytes = sizeof(T);
    for (const Index factor : {count, times, times_again})
      if (__builtin_mul_overflow(bytes, static_cast<std::size_t>(factor), &bytes)) too_large();
    const std::size_t at = used_;
    if (__builtin_add_overflow(used_, (bytes + 63) / 64 * 64, &used_) || used_ > kLimit)
      too_large();
    return base_ ? reinterpret_cast<T*>(base_ + at) : nullptr;
  }

  std::size_t used() const { return used_; }

 private:
  static constexpr std::size_t kLimit = std::size_t{1} << 40;
  [[noreturn]] static void too_large() {
    throw std::invalid_argument("the network is too large: a lane group would need over 1 TiB");
  }
  char* base_;
  std::size_t used_ = 0;
};

struct Plan {
  Shape shape;
  bool learn;
  bool path;               // paths.cc runs the job
  bool accumulate;         // gradients are summed, and weights change less often than targets come
  bool rows;               // weights of symbols are rows
  bool gathered;           // or columns, from which each lane gathers its own (paths.cc)
  bool output_rows;        // outputs read those symbols too, by rows
  bool masked;             // some units receive no hidden units: their weights are zero columns
  bool scaled;             // learning rates differ between weights
  Index I, O, blocks, C, U, F;
  Index n_fed;             // hidden units fed back
  Index dense_inputs;      // inputs among the sources: I, or 0 with rows or gathered
  Index n_sources;         // sources of a hidden unit held as columns; the bias is kept apart
  Index n_seen;            // sources of an output held as columns: dense inputs (layered), cells
  Index row_weights, row_traces, row_factors, row_length, padded_outputs;

  // Columns; shapes are in carve_columns(). Suffixes: w weights, b biases, g gradients, gb
  // gradients of biases, f factors of the learning rate, fb those of biases, y activations, e
  // errors. Factors are null if all are 1. Those of absent weights are 0.
  vec *sources, *input_nets, *nets, *factors;
  vec *hidden_w, *hidden_b, *trace, *trace_b, *hidden_g, *hidden_gb, *hidden_f, *hidden_fb;
  vec *symbol_w, *symbol_g, *symbol_f;  // of symbols, if gathered
  vec *output_w, *output_b, *output_g, *output_gb, *output_f, *output_fb;
  vec *state, *squashed, *cell_out, *unit_y, *back;
  vec *error_cell, *error_gate;  // of every step of a chunk
  vec *spread, *reach;           // see learn_chunk()
  vec *output_y, *output_e, *seen;  // output_e and seen: of every event of a window
  // Rows of every lane; shapes are in carve_rows().
  float *table, *row_error, *output_table, *output_table_g, *output_table_f;
  float *output_row_w, *output_row_g, *output_row_b, *output_row_gb, *output_row_e;
  float *output_row_f, *output_row_fb;
  Index *fed;                             // the hidden unit of each source that is fed back
  Index *source_of;                       // and the source of each hidden unit, or -1
  std::int32_t *touched, *touched_count;  // symbols of this sequence, and their number
  std::int64_t* stamp;                    // round in which a symbol was last seen, plus 1
  std::size_t bytes;

  Plan(const Job& job, void* workspace) : shape(job.shape), learn(job.learn), path(job.path()) {
    I = shape.inputs, O = shape.outputs, blocks = shape.blocks, C = shape.cells();
    U = shape.units();
    F = job.path() ? 0 : 2 * C;  // paths.cc keeps its own traces
    accumulate = learn && (job.update != Update::step || job.stride > 1);
    gathered = shape.symbols && I > kDenseSymbols && job.path();
    rows = shape.symbols && I > kDenseSymbols && !gathered;
    output_rows = (rows || gathered) && shape.direct;
    dense_inputs = rows || gathered ? 0 : I;
    masked = learn && shape.count(shape.receivers) < U && shape.recurrent();
    scaled = learn && job.factors;
    n_fed = shape.count(shape.fed_back);
    n_sources = dense_inputs + n_fed;
    n_seen = C + (shape.direct ? dense_inputs : 0);
    row_weights = round_up(U, 4);
    row_traces = learn ? round_up(F, 4) : 0;
    row_length = row_weights + row_traces + (accumulate ? row_weights : 0);
    row_factors = row_length;
    if (scaled) row_length += row_weights;
    padded_outputs = round_up(O, kStrip);
    Carver carver(workspace);
    carve_columns(carver);
    carve_rows(carver);
    bytes = carver.used();
  }

  float* row(int lane, Index symbol) const { return table + (lane * I + symbol) * row_length; }
  float* trace_row(int lane, Index symbol) const { return row(lane, symbol) + row_weights; }
  float* gradient_row(int lane, Index symbol) const {
    return row(lane, symbol) + row_weights + row_traces;
  }
  const float* factor_row(int lane, Index symbol) const {
    return scaled ? row(lane, symbol) + row_factors : nullptr;
  }
  // Factors for weights that change at once; null for gradients, which get them when applied.
  const vec* at_once(const vec* factors) const { return accumulate ? nullptr : factors; }
  float* output_row(float* base, int lane, Index symbol) const {
    return base + (lane * I + symbol) * padded_outputs;
  }

 private:
  void carve_columns(Carver& carver) {
    sources = carver.take<vec>(kChunk + 1, n_sources);
    input_nets = carver.take<vec>(kChunk, rows ? row_weights : 0);
    nets = carver.take<vec>(U);
    factors = carver.take<vec>(kChunk, learn ? round_up(F, 4) : 0);
    hidden_w = carver.take<vec>(n_sources, U);
    hidden_b = carver.take<vec>(U);
    symbol_w = carver.take<vec>(gathered ? I : 0, U);
    symbol_g = carver.take<vec>(gathered && learn ? I : 0, U);
    trace = carver.take<vec>(learn ? n_sources : 0, F);
    trace_b = carver.take<vec>(F);
    hidden_g = carver.take<vec>(accumulate || path ? n_sources : 0, U);
    hidden_gb = carver.take<vec>(U);
    const Index columns = output_rows || shape.united ? 0 : O;
    output_w = carver.take<vec>(n_seen, columns);
    output_b = carver.take<vec>(columns);
    output_g = carver.take<vec>(accumulate ? n_seen : 0, columns);
    output_gb = carver.take<vec>(columns);
    hidden_f = take_factors(carver, masked || scaled, n_sources, U);
    hidden_fb = take_factors(carver, masked || scaled, 1, U);
    symbol_f = take_factors(carver, scaled && gathered, I, U);
    output_f = take_factors(carver, scaled && columns, n_seen, columns);
    output_fb = take_factors(carver, scaled && columns, 1, columns);
    output_y = carver.take<vec>(output_rows ? 0 : O);
    output_e = carver.take<vec>(output_rows ? 0 : kChunk, O);
    seen = carver.take<vec>(output_rows ? 0 : kChunk, C);
    state = carver.take<vec>(C), squashed = carver.take<vec>(C), cell_out = carver.take<vec>(C);
    unit_y = carver.take<vec>(U), back = carver.take<vec>(C);
    error_cell = carver.take<vec>(kChunk, C);
    error_gate = carver.take<vec>(kChunk, blocks);
    spread = carver.take<vec>(kChunk, accumulate ? U : 0), reach = carver.take<vec>(C);
  }

  void carve_rows(Carver& carver) {
    const Index lanes = rows ? V : 0, output_lanes = output_rows ? V : 0;
    table = carver.take<float>(lanes, I, row_length);
    row_error = carver.take<float>(round_up(F, 4));
    touched = carver.take<std::int32_t>(lanes, learn ? I : 0);
    touched_count = carver.take<std::int32_t>(V);
    stamp = carver.take<std::int64_t>(lanes, learn ? I : 0);
    output_table = carver.take<float>(output_lanes, I, padded_outputs);
    output_table_g = carver.take<float>(accumulate ? output_lanes : 0, I, padded_outputs);
    output_row_w = carver.take<float>(output_lanes, C, padded_outputs);
    output_row_g = carver.take<float>(output_lanes, C, padded_outputs);
    output_row_b = carver.take<float>(output_lanes, padded_outputs);
    output_row_gb = carver.take<float>(output_lanes, padded_outputs);
    output_row_e = carver.take<float>(output_lanes, padded_outputs);
    const Index factor_lanes = scaled ? output_lanes : 0;
    output_table_f = carver.take<float>(factor_lanes, I, padded_outputs);
    output_row_f = carver.take<float>(factor_lanes, C, padded_outputs);
    output_row_fb = carver.take<float>(factor_lanes, padded_outputs);
    fed = carver.take<Index>(n_fed);
    source_of = carver.take<Index>(U);
  }

  static vec* take_factors(Carver& carver, bool wanted, Index rows, Index columns) {
    return wanted ? carver.take<vec>(rows, columns) : nullptr;
  }
};

// Where the workspace holds one number per weight: the weights themselves, or their gradients.
struct Places {
  vec *hidden, *hidden_bias, *symbol, *output, *output_bias;
  Index row_start;  // offset in a row of Plan::table
  float *output_table, *output_row, *output_row_bias;
};

inline Places weights_of(const Plan& p) {
  return {p.hidden_w, p.hidden_b, p.symbol_w, p.output_w, p.output_b, 0,
          p.output_table, p.output_row_w, p.output_row_b};
}

inline Places gradients_of(const Plan& p) {
  return {p.hidden_g, p.hidden_gb, p.symbol_g, p.output_g, p.output_gb,
          p.row_weights + p.row_traces, p.output_table_g, p.output_row_g, p.output_row_gb};
}

inline Places factors_of(const Plan& p) {
  return {p.hidden_f, p.hidden_fb, p.symbol_f, p.output_f, p.output_fb, p.row_factors,
          p.output_table_f, p.output_row_f, p.output_row_fb};
}

// Calls visit(flat, place) for every weight of one lane: flat [W] is in the order of
// common/carrousel.h, `place` is where the kernel keeps the number that belongs to it.
template <class Flat, class Visit>
void each_weight(const Plan& p, const Places& at, int lane, Flat* flat, Visit visit) {
  const auto column = [lane](vec* v) { return reinterpret_cast<float*>(v) + lane; };
  for (Index u = 0; u < p.U; ++u)
    for (Index i = 0; i < p.I; ++i)
      visit(flat++, p.rows       ? p.row(lane, i) + at.row_start + u
                    : p.gathered ? column(at.symbol + i * p.U + u)
                                 : column(at.hidden + i * p.U + u));
  for (Index u = 0; u < p.U; ++u)
    for (Index v = 0; p.shape.receives(u) && v < p.U; ++v)
      if (p.source_of[v] >= 0)
        visit(flat++, column(at.hidden + (p.dense_inputs + p.source_of[v]) * p.U + u));
  for (Index u = 0; u < p.U; ++u)
    if (p.shape.biased(u)) visit(flat++, column(at.hidden_bias + u));
  if (p.shape.united) return;
  if (p.shape.direct)
    for (Index o = 0; o < p.O; ++o)
      for (Index i = 0; i < p.I; ++i)
        visit(flat++, p.output_rows ? p.output_row(at.output_table, lane, i) + o
                                    : column(at.output + i * p.O + o));
  for (Index o = 0; o < p.O; ++o)
    for (Index c = 0; c < p.C; ++c)
      visit(flat++, p.output_rows ? at.output_row + (lane * p.C + c) * p.padded_outputs + o
                                  : column(at.output + (p.n_seen - p.C + c) * p.O + o));
  if (p.shape.output_bias)
    for (Index o = 0; o < p.O; ++o)
      visit(flat++, p.output_rows ? at.output_row_bias + lane * p.padded_outputs + o
                                  : column(at.output_bias + o));
}

// Lists the units fed back, gates first: cells are known last in a step, so the sums of the next
// step end with them. Then writes the factors of all weights into a workspace of zeros.
inline void prepare(const Plan& p, const float* factors) {
  Index m = 0;
  for (const bool cells : {false, true})
    for (Index u = 0; u < p.U; ++u) {
      if ((p.shape.group(u) == Group::cells) != cells) continue;
      p.source_of[u] = p.shape.feeds(u) ? m : -1;
      if (p.shape.feeds(u)) p.fed[m++] = u;
    }
  if (p.scaled) {
    for (int lane = 0; lane < V; ++lane)
      each_weight(p, factors_of(p), lane, factors,
                  [](const float* flat, float* place) { *place = *flat; });
    return;
  }
  for (Index s = 0; p.masked && s < p.n_sources; ++s)
    for (Index u = 0; u < p.U; ++u)
      p.hidden_f[s * p.U + u] = splat(s < p.dense_inputs || p.shape.receives(u) ? 1.0f : 0.0f);
  for (Index u = 0; p.masked && u < p.U; ++u)
    p.hidden_fb[u] = splat(p.shape.biased(u) ? 1.0f : 0.0f);
}

// The learning rate of weight i.
inline vec rate_of(vec rate, const vec* factors, Index i) {
  return factors ? rate * factors[i] : rate;
}

// Changes weight i by its rate times `by`, in some lanes. A factor of 0 leaves the weight as it is,
// even if `by` is not finite.
inline void change(ivec lanes, vec& weight, vec rate, const vec* factors, Index i, vec by) {
  const ivec some = factors ? lanes & (factors[i] != splat(0.0f)) : lanes;
  add_where(some, weight, rate_of(rate, factors, i), by);
}

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
