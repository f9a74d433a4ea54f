// Optimisers, which change weights by a gradient: SGD, RMSProp and Adam, as defined in
// contracts/streaming.py. One object serves one step.
#pragma once

#include <algorithm>

#include "sequence/vector.h"
#include "stream/stream.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

// The optimiser of a step that updates traces but no weights.
struct Nothing {
  template <class Real>
  struct Change {
    explicit Change(const StreamNet<Real>&) {}
    void operator()(const StreamRows<Real>&, Index, Vec<Real>) const {}
  };
};

template <Optimizer kind>
struct By {
  template <class Real>
  struct Change {
    Vec<Real> rate, momentum, fresh_momentum, second, fresh_second, epsilon, correction;

    explicit Change(const StreamNet<Real>& net)
        : momentum(all(net.momentum)), fresh_momentum(all(Real{1} - net.momentum)),
          second(all(net.second)), fresh_second(all(Real{1} - net.second)),
          epsilon(all(net.epsilon)) {
      double first_bias = 1, second_bias = 1, fallen = 1;
      const double n = static_cast<double>(net.changes);  // including this one
      if (net.decay > 0) fallen = std::max(0.1, 1 / std::sqrt(1 + (n - 1) / net.decay));
      if constexpr (kind == Optimizer::adam) {
        first_bias = 1 - std::pow(static_cast<double>(net.momentum), n);
        second_bias = 1 - std::pow(static_cast<double>(net.second), n);
      }
      rate = all(static_cast<Real>(static_cast<double>(net.rate) * fallen / first_bias));
      correction = all(static_cast<Real>(1 / second_bias));
    }

    // Changes one vector of weights, from `at` on. d: minus their gradient.
    void operator()(const StreamRows<Real>& rows, Index at, Vec<Real> d) const {
      Vec<Real>& w = *reinterpret_cast<Vec<Real>*>(rows.weights + at);
      if constexpr (kind == Optimizer::sgd) {
        w += rate * d;
      } else {
        Vec<Real>& v = *reinterpret_cast<Vec<Real>*>(rows.second + at);
        v = second * v + fresh_second * (d * d);
        if constexpr (kind == Optimizer::rmsprop) {
          w += rate * ratio(d, v, epsilon);
        } else {
          Vec<Real>& m = *reinterpret_cast<Vec<Real>*>(rows.first + at);
          m = momentum * m + fresh_momentum * d;
          w += rate * ratio(m, v * correction, epsilon);
        }
      }
    }
  };
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
