// Epochs of cascade-correlation; see kernels/reference/cascade.py.
#include "cascade/units.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

// Output units: a vector of them at a time.
template <class Visit>  // visit(o, m, count, y): outputs o to o + L at targets m to m + count
void each_output(const CascadeBatch& b, const double* weights, Visit visit) {
  const Units units(b, b.weights());
  for (Index o = 0; o < b.outputs; o += L) {
    units.load(weights, o, b.outputs);
    in_tiles(b.targets, [&]<int Count>(Index m) {
      dvec y[Count];
      units.nets<Count>(b.at + m, y);
      for (int i = 0; i < Count; ++i) y[i] = Logistic::value(y[i]);
      visit.template operator()<Count>(o, m, y);
    });
  }
}

void copy(dvec from, Index count, double* to) {
  for (Index i = 0; i < count; ++i) to[i] = from[i];
}

Index lanes_from(Index o, Index outputs) { return outputs - o < L ? outputs - o : L; }

void predict(const CascadeBatch& b, const double* weights, double* outputs) {
  each_output(b, weights, [&]<int Count>(Index o, Index m, const dvec* y) {
    for (int i = 0; i < Count; ++i)
      copy(y[i], lanes_from(o, b.outputs), outputs + (m + i) * b.outputs + o);
  });
}

// Errors of each distinct sequence, summed over targets and then over outputs.
struct SequenceErrors {
  Columns most, sum, squares;

  explicit SequenceErrors(Index n) : most(n), sum(n), squares(n) {}

  void count(Index sequence, dvec error) const {
    const dvec size = magnitude(error);
    dvec& worst = most[sequence];
    worst = ((size > worst) | (size != size)) ? size : worst;
    sum[sequence] += size;
    squares[sequence] = fused(error, error, squares[sequence]);
  }

  // Adds outputs one after another, so that the order does not depend on L. Clears the sums.
  void move_to(const CascadeOutputs& to, Index sequences, Index lanes) const {
    for (Index n = 0; n < sequences; ++n) {
      for (Index i = 0; i < lanes; ++i) {
        const double worst = most[n][i];
        if (worst > to.max_abs[n] || worst != worst) to.max_abs[n] = worst;
        to.sum_abs[n] += sum[n][i], to.sum_sq[n] += squares[n][i];
      }
      most[n] = sum[n] = squares[n] = dvec{};
    }
  }
};

void train_outputs(const CascadeBatch& b, const CascadeOutputs& out) {
  const Units slopes(b, b.weights());
  const SequenceErrors errors(b.sequences);
  for (Index n = 0; n < b.sequences; ++n) out.max_abs[n] = out.sum_abs[n] = out.sum_sq[n] = 0.0;
  const double share = 1.0 / (b.total > 1.0 ? b.total : 1.0);
  const Index padded = b.padded();
  each_output(b, out.weights, [&]<int Count>(Index o, Index m, const dvec* y) {
    const Index lanes = lanes_from(o, b.outputs);
    if (m == 0) slopes.clear();
    dvec delta[Count];
    for (int i = 0; i < Count; ++i) {
      dvec error = y[i] - load(b.goals + (m + i) * padded + o);
      for (Index j = lanes; j < L; ++j) error[j] = 0.0;
      copy(error, lanes, out.errors + (m + i) * b.outputs + o);
      errors.count(b.sequence[m + i], error);
      delta[i] = error * fused(y[i], 1.0 - y[i], all(out.offset)) * (b.often[m + i] * share);
    }
    slopes.add<Count>(b.at + m, delta);
    if (m + Count < b.targets) return;
    slopes.store(out.slopes, o, b.outputs);
    errors.move_to(out, b.sequences, lanes);
  });
  if (b.targets == 0)
    for (Index i = 0; i < b.outputs * b.weights(); ++i) out.slopes[i] = 0.0;
}

// Writes errors [M + 1, O] of the outputs, minus their means, times the weight of each target. The
// last row stays zero; it stands for places without a target.
void centre(const CascadeBatch& b, const CascadePool& pool, double* errors) {
  const Index O = b.outputs, M = b.targets;
  const Columns means(Columns::of_numbers(O));
  double* const mean = means.numbers();
  const double total = b.total > 1.0 ? b.total : 1.0;
  double squares = 0.0;
  for (Index m = 0; m < M; ++m) {
    const double* error = pool.errors + m * O;
    double square = 0.0;
    for (Index o = 0; o < O; ++o) {
      mean[o] = __builtin_fma(error[o], b.often[m], mean[o]);
      square = __builtin_fma(error[o], error[o], square);
    }
    squares = __builtin_fma(square, b.often[m], squares);
  }
  double scale = pool.normalised ? squares : total;
  if (scale == 0.0) scale = 1.0;
  for (Index o = 0; o < O; ++o) mean[o] /= total;
  for (Index m = 0; m < M; ++m)
    for (Index o = 0; o < O; ++o)
      errors[m * O + o] = (pool.errors[m * O + o] - mean[o]) * (b.often[m] / scale);
}

// A vector of candidates.
template <class F>
class Candidates {
 public:
  Candidates(const CascadeBatch& b, const CascadePool& pool)
      : b_(b), pool_(pool), errors_(Columns::of_numbers((b.targets + 1) * b.outputs)), units_(b, b.weights() + 1),
        slopes_(b, b.weights() + 1), value_(b.steps), carried_(running(0)),
        covariance_(b.outputs) {
    centre(b, pool, errors_.numbers());
  }

  void train(Index first) {
    units_.load(pool_.weights, first, pool_.size);
    for (Index o = 0; o < b_.outputs; ++o) covariance_[o] = dvec{};
    for (Index t = 0; t < b_.times; ++t) forward(t);
    dvec merit{};
    for (Index o = 0; o < b_.outputs; ++o) {
      merit += magnitude(covariance_[o]);
      covariance_[o] = covariance_[o] > 0.0 ? all(1.0) : covariance_[o] < 0.0 ? all(-1.0) : dvec{};
    }
    slopes_.clear();
    for (Index i = 0; i < running(0); ++i) carried_[i] = dvec{};
    for (Index t = b_.times - 1; t >= 0; --t) backward(t);
    slopes_.store(pool_.slopes, first, pool_.size);
    for (Index i = 0; i < L && first + i < pool_.size; ++i) pool_.merits[first + i] = merit[i];
  }

 private:
  Index start(Index t) const { return b_.starts[t]; }
  Index running(Index t) const { return t < b_.times ? start(t + 1) - start(t) : 0; }

  template <int Count>
  void locate(Index first, Index* place, const double** error) const {
    for (int i = 0; i < Count; ++i) {
      place[i] = first + i;
      error[i] = errors_.numbers() + b_.target_of[first + i] * b_.outputs;
    }
  }

  // V(t) = f(net(t) + w V(t-1)) of all sequences, and their part of the covariances.
  void forward(Index t) {
    const dvec own = units_.own();
    const dvec* before = t ? value_.data() + start(t - 1) : nullptr;
    in_tiles(running(t), [&]<int Count>(Index n) {
      Index place[Count];
      const double* error[Count];
      dvec v[Count];
      locate<Count>(start(t) + n, place, error);
      units_.template nets<Count>(place, v);
      for (int i = 0; i < Count; ++i) {
        v[i] = F::value(before ? fused(own, before[n + i], v[i]) : v[i]);
        value_[place[i]] = v[i];
      }
      for (Index o = 0; o < b_.outputs; ++o) {
        dvec sum = covariance_[o];
        for (int i = 0; i < Count; ++i) sum = fused(v[i], all(error[i][o]), sum);
        covariance_[o] = sum;
      }
    });
  }

  // d(t) = f'(t) (error(t) + w d(t+1)), and the products of d(t) and the sources.
  void backward(Index t) {
    const dvec own = units_.own();
    const dvec* before = t ? value_.data() + start(t - 1) : nullptr;
    in_tiles(running(t), [&]<int Count>(Index n) {
      Index place[Count];
      const double* error[Count];
      dvec d[Count];
      locate<Count>(start(t) + n, place, error);
      for (int i = 0; i < Count; ++i) d[i] = own * carried_[n + i];
      for (Index o = 0; o < b_.outputs; ++o)
        for (int i = 0; i < Count; ++i) d[i] = fused(covariance_[o], all(error[i][o]), d[i]);
      dvec by_self = slopes_.own();
      for (int i = 0; i < Count; ++i) {
        d[i] = F::slope(value_[place[i]]) * d[i];
        carried_[n + i] = d[i];
        if (before) by_self = fused(d[i], before[n + i], by_self);
      }
      slopes_.own() = by_self;
      slopes_.template add<Count>(place, d);
    });
  }

  const CascadeBatch& b_;
  const CascadePool& pool_;
  Columns errors_;      // see centre()
  Units units_, slopes_;
  Columns value_;       // [N]
  Columns carried_;     // [sequences]: d of the step after
  Columns covariance_;  // [O], then their signs
};

template <class F>
void activate_by(const CascadeBatch& b, const double* weights, double* activations) {
  const Units unit(b, b.weights() + 1);
  unit.load(weights, 0, 1);
  const double* before = nullptr;
  for (Index t = 0; t < b.times; ++t) {
    const Index start = b.starts[t];
    in_tiles(b.starts[t + 1] - start, [&]<int Count>(Index n) {
      Index place[Count];
      dvec v[Count];
      for (int i = 0; i < Count; ++i) place[i] = start + n + i;
      unit.nets<Count>(place, v);
      for (int i = 0; i < Count; ++i) {
        if (before) v[i] = fused(unit.own(), all(before[n + i]), v[i]);
        activations[place[i]] = F::value(v[i])[0];
      }
    });
    before = activations + start;
  }
}

void activate(const CascadeBatch& b, const double* weights, bool tanh, double* activations) {
  tanh ? activate_by<Tanh>(b, weights, activations)
       : activate_by<Logistic>(b, weights, activations);
}

template <class F>
void train_all(const CascadeBatch& b, const CascadePool& pool) {
  Candidates<F> candidates(b, pool);
  for (Index first = 0; first < pool.size; first += L) candidates.train(first);
}

void train_pool(const CascadeBatch& b, const CascadePool& pool) {
  pool.tanh ? train_all<Tanh>(b, pool) : train_all<Logistic>(b, pool);
}

}  // namespace

#define CARROUSEL_STRINGIFY_(x) #x
#define CARROUSEL_STRINGIFY(x) CARROUSEL_STRINGIFY_(x)

extern const CascadeKernels cascade_kernels;
const CascadeKernels cascade_kernels = {CARROUSEL_STRINGIFY(CARROUSEL_ISA), train_outputs,
                                        train_pool, predict, activate};

}  // namespace carrousel::CARROUSEL_ISA
