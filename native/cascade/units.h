// Units of one vector over the places of a batch: their net inputs, and the transpose.
#pragma once

#include "cascade/cascade.h"
#include "cascade/squash.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

constexpr Index kTile = 4;  // places at once

// Calls run.template operator()<Count>(n) for tiles of `count` places, the first at n = 0.
template <class Run>
void in_tiles(Index count, Run run) {
  Index n = 0;
  for (; n + kTile <= count; n += kTile) run.template operator()<kTile>(n);
  for (; n < count; ++n) run.template operator()<1>(n);
}

// Vectors of a call, zero at first.
class Columns {
 public:
  explicit Columns(Index count) : data_(new dvec[static_cast<std::size_t>(count)]()) {}
  ~Columns() { delete[] data_; }
  Columns(const Columns&) = delete;
  Columns& operator=(const Columns&) = delete;
  dvec* data() const { return data_; }
  dvec& operator[](Index i) const { return data_[i]; }
  double* numbers() const { return reinterpret_cast<double*>(data_); }
  static Index of_numbers(Index count) { return (count + L - 1) / L; }

 private:
  dvec* data_;
};

// The weights of up to L units, one column for each source; or sums that are shaped like them.
class Units {
 public:
  // `columns`: F, or F + 1 with an own weight.
  Units(const CascadeBatch& batch, Index columns)
      : b_(batch), columns_(columns), w_(columns), symbols_(w_.data() + 1),
        dense_(symbols_ + batch.alphabet) {}

  // Copies rows [first, first + L) of weights [count, columns]. Missing rows are zero.
  void load(const double* weights, Index first, Index count) const {
    for (Index f = 0; f < columns_; ++f)
      for (Index i = 0; i < L; ++i)
        w_[f][i] = first + i < count ? weights[(first + i) * columns_ + f] : 0.0;
  }

  void store(double* weights, Index first, Index count) const {
    for (Index i = 0; i < L && first + i < count; ++i)
      for (Index f = 0; f < columns_; ++f) weights[(first + i) * columns_ + f] = w_[f][i];
  }

  void clear() const {
    for (Index f = 0; f < columns_; ++f) w_[f] = dvec{};
  }

  dvec& own() const { return w_[columns_ - 1]; }

  // Net inputs at Count places, without the own weight.
  template <int Count>
  void nets(const Index* place, dvec* net) const {
    for (int i = 0; i < Count; ++i) {
      net[i] = w_[0];
      if (b_.alphabet) net[i] += symbols_[b_.symbols[place[i]]];
    }
    const double* row = b_.sources;
    for (Index d = 0; d < b_.dense; ++d, row += b_.steps) {
      const dvec w = dense_[d];
      for (int i = 0; i < Count; ++i) net[i] = fused(w, all(row[place[i]]), net[i]);
    }
  }

  // Adds `delta` times every source at Count places.
  template <int Count>
  void add(const Index* place, const dvec* delta) const {
    dvec bias = w_[0];
    for (int i = 0; i < Count; ++i) {
      bias += delta[i];
      if (b_.alphabet) symbols_[b_.symbols[place[i]]] += delta[i];
    }
    w_[0] = bias;
    const double* row = b_.sources;
    for (Index d = 0; d < b_.dense; ++d, row += b_.steps) {
      dvec sum = dense_[d];
      for (int i = 0; i < Count; ++i) sum = fused(delta[i], all(row[place[i]]), sum);
      dense_[d] = sum;
    }
  }

 private:
  const CascadeBatch& b_;
  Index columns_;
  Columns w_;
  dvec *symbols_, *dense_;
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
