#include "sequence/run.h"

#include <algorithm>
#include <cstdlib>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace carrousel {
namespace {

// Asks for huge pages, since the first write to every page causes a page fault.
void expect_writes([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr std::uintptr_t page = std::uintptr_t{1} << 21;
  const auto from = (reinterpret_cast<std::uintptr_t>(memory) + page - 1) & ~(page - 1);
  const auto to = (reinterpret_cast<std::uintptr_t>(memory) + bytes) & ~(page - 1);
  if (memory && from < to) madvise(reinterpret_cast<void*>(from), to - from, MADV_HUGEPAGE);
#endif
}

template <class Real>
void expect_writes(Real* array, Index numbers) {
  expect_writes(static_cast<void*>(array), static_cast<std::size_t>(numbers) * sizeof(Real));
}

}  // namespace

template <class Real>
Buffer<Real>::Buffer(Index numbers) {
  if (!numbers) return;
  const std::size_t bytes = (static_cast<std::size_t>(numbers) * sizeof(Real) + 127) / 64 * 64;
  memory_.reset(static_cast<Real*>(std::aligned_alloc(64, bytes)));
  if (!memory_) throw std::bad_alloc();
  expect_writes(static_cast<void*>(memory_.get()), bytes);
}

template <class Real>
void Buffer<Real>::Free::operator()(Real* memory) const {
  std::free(memory);
}

template class Buffer<float>;
template class Buffer<double>;

namespace {

constexpr Index kNormRows = 256;  // rows of net inputs that are normalised at a time

// Steps from..to-1 of the data.
struct Stretch {
  Index from, to;
  Index length() const { return to - from; }
};

// The tape of steps from `offset` on.
template <class Real>
struct Kept {
  Real *states, *gates, *extra;
  Index offset;
};

template <class Real>
class Walk {
 public:
  Walk(const SequenceKernel<Real>& kernel, const Sequence<Real>& q, const Run<Real>& run)
      : kernel(kernel), q(q), run(run), extra(q.extra()) {
    const Index bytes = U * Index{sizeof(Real)};
    const Index rows = std::max(kWindowRows, kWindowBytes / bytes);
    length = run.window ? run.window : std::max<Index>(1, rows / std::max<Index>(1, B));
  }

  // Steps of segment k, in the order of processing.
  Stretch segment(Index k) const {
    const Index size = run.recompute ? run.recompute : run.steps;
    const Index first = k * size, last = std::min(run.steps, first + size);
    return run.reverse ? Stretch{run.steps - last, run.steps - first} : Stretch{first, last};
  }
  Index segments() const {
    return run.recompute ? (run.steps + run.recompute - 1) / run.recompute : run.steps ? 1 : 0;
  }

  // Steps of window k of a segment, in the order of processing.
  Stretch window(Stretch s, Index k) const {
    const Index first = k * length, last = std::min(s.length(), first + length);
    return run.reverse ? Stretch{s.to - last, s.to - first}
                       : Stretch{s.from + first, s.from + last};
  }
  Index windows(Stretch s) const { return (s.length() + length - 1) / length; }

  Window<Real> view(Stretch w, const Kept<Real>& kept) const {
    Window<Real> v{};
    v.steps = w.length(), v.first = run.reverse ? run.steps - w.to : w.from,
    v.reverse = run.reverse;
    v.flags = run.flags ? run.flags + w.from * B : nullptr;
    v.keep_h = run.keep_h ? run.keep_h + w.from * B * H : nullptr;
    v.keep_s = run.keep_s ? run.keep_s + w.from * B * DC : nullptr;
    v.zone_h = run.zone_h, v.zone_s = run.zone_s;
    v.out = run.out + w.from * B * H;
    const Index at = (w.from - kept.offset) * B;
    v.states = kept.states ? kept.states + at * DC : nullptr;
    v.gates = kept.gates ? kept.gates + at * q.recurrence.gates_width() : nullptr;
    v.extra = kept.extra ? kept.extra + at * extra.width : nullptr;
    return v;
  }

  void forward(Stretch s, const Kept<Real>& kept, Real* scratch) const {
    for (Index k = 0; k < windows(s); ++k) {
      const Stretch w = window(s, k);
      Window<Real> v = view(w, kept);
      v.x = run.x + w.from * B * (q.weights.w_ih ? q.inputs : U);
      if (q.weights.w_ih) {
        Real* const net = scratch ? scratch : v.gates;
        // Rows are normalised while they are still in the cache.
        const Index rows = w.length() * B, most = q.weights.ln_ih ? kNormRows : rows;
        for (Index row = 0; row < rows; row += most) {
          const Index n = std::min(most, rows - row);
          kernel.project(q, n, v.x + row * q.inputs, net + row * U);
          if (q.weights.ln_ih)
            kernel.norm_inputs(q, n, net + row * U, v.extra ? v.extra + row * extra.width : nullptr);
        }
        v.x = net;
      }
      kernel.forward(q, v);
    }
  }

  // Whether net inputs need a separate buffer.
  bool needs_scratch(const Kept<Real>& kept) const {
    return q.weights.w_ih && (!kept.gates || q.recurrence.kind == CellKind::described);
  }
  Index scratch_size() const { return std::min(length, run.steps) * B * U; }

  const SequenceKernel<Real>& kernel;
  const Sequence<Real>& q;
  const Run<Real>& run;
  const Extra extra;
  const Index B = q.batch, U = q.recurrence.net_inputs, H = q.recurrence.sources,
              C = q.recurrence.units, DC = q.recurrence.state_width();
  Index length;
};

// Adds the gradients of one window: products of its errors and sources.
template <class Real>
class Gather {
 public:
  Gather(const Walk<Real>& walk)
      : walk_(walk), q_(walk.q), run_(walk.run),
        inputs_(run_.flags && run_.d_w_ih ? walk.length * walk.B * q_.inputs : 0),
        sources_(q_.weights.drop && run_.d_w_hh ? walk.length * walk.B * walk.H : 0) {}

  void operator()(Stretch w, const Window<Real>& v, Real* errors, const Real* own) const {
    const Index B = walk_.B, U = walk_.U, H = walk_.H, rows = w.length() * B;
    if (run_.d_bias) add_bias(w.length(), errors);
    if (q_.weights.ln_ih) walk_.kernel.norm_inputs_back(q_, rows, v.flags, v.extra, errors);
    if (run_.d_x && q_.weights.w_ih)
      walk_.kernel.project(q_, rows, errors, run_.d_x + w.from * B * q_.inputs);
    if (run_.d_w_ih) add(w.length(), errors, U, inputs(w), q_.inputs, q_.inputs, run_.d_w_ih);
    if (run_.d_w_hr)
      add(w.length(), v.d_projected, H, v.extra + walk_.extra.output, walk_.extra.width, walk_.C,
          run_.d_w_hr);
    if (!run_.d_w_hh) return;
    const Recurrence& R = q_.recurrence;
    const Index wide = walk_.extra.width, some = R.first_rows;
    for (Index k = 0; k < R.products; ++k)
      add(w.length(), own + R.further[k].first, R.further[k].rows,
          v.extra + walk_.extra.vectors + k * walk_.C, wide, H,
          run_.d_w_hh + R.further[k].first * H, U);
    if (!R.recurrent) return;
    if (walk_.extra.source >= 0) {
      const Real* const sources = v.extra + walk_.extra.source;
      if (q_.weights.drop) add(w.length(), own, some, dropped(w, sources), H, H, run_.d_w_hh, U);
      else add(w.length(), own, some, sources, wide, H, run_.d_w_hh, U);
      return;
    }
    const Index first = run_.reverse ? w.length() - 1 : 0, rest = run_.reverse ? 0 : 1;
    add(1, own + first * B * U, some, v.h_enter, H, H, run_.d_w_hh, U);
    if (w.length() == 1) return;
    const Real* const before = run_.out + (run_.reverse ? w.from + 1 : w.from) * B * H;
    add(w.length() - 1, own + rest * B * U, some, before, H, H, run_.d_w_hh, U);
  }

 private:
  // into [samples, outputs, width] += errors^T sources over `steps` steps. `whole` is the number of
  // outputs of which these are some, if they are not all.
  void add(Index steps, const Real* errors, Index outputs, const Real* sources, Index stride,
           Index width, Real* into, Index whole = 0) const {
    const Index B = walk_.B, parts = run_.samples ? run_.samples : 1, each = B / parts;
    if (!whole) whole = outputs;
    Products<Real> p{steps * B, outputs, width, whole, stride, errors, sources, into, run_.fresh};
    if (parts == 1) return walk_.kernel.add_products(p, q_.all_threads);
    p.rows = steps, p.errors_stride = B * whole, p.stride = B * stride;
    for (Index b = 0; b < B; ++b) {
      p.errors = errors + b * whole, p.sources = sources + b * stride;
      p.into = into + b / each * whole * width;
      walk_.kernel.add_products(p, q_.all_threads);
    }
  }

  void add_bias(Index steps, const Real* errors) const {
    const Index B = walk_.B, U = walk_.U, parts = run_.samples ? run_.samples : 1, each = B / parts;
    Products<Real> p{steps * B, U, 0, U, 0, errors, nullptr, run_.d_bias};
    if (parts == 1) return walk_.kernel.add_rows(p, q_.all_threads);
    p.rows = steps, p.errors_stride = B * U;
    for (Index b = 0; b < B; ++b) {
      p.errors = errors + b * U, p.into = run_.d_bias + b / each * U;
      walk_.kernel.add_rows(p, q_.all_threads);
    }
  }

  // The inputs of a window, with zeros in padding. Padding may hold NaN, and 0 * NaN is NaN.
  const Real* inputs(Stretch w) const {
    const Index B = walk_.B, I = q_.inputs;
    const Real* const x = run_.x + w.from * B * I;
    if (!run_.flags) return x;
    for (Index row = 0; row < w.length() * B; ++row) {
      if (run_.flags[w.from * B + row] & 1) std::copy_n(x + row * I, I, inputs_.data() + row * I);
      else std::fill_n(inputs_.data() + row * I, I, Real{0});
    }
    return inputs_.data();
  }

  const Real* dropped(Stretch w, const Real* sources) const {
    const Index B = walk_.B, H = walk_.H;
    for (Index row = 0; row < w.length() * B; ++row)
      for (Index k = 0; k < H; ++k)
        sources_.data()[row * H + k] =
            sources[row * walk_.extra.width + k] * q_.weights.drop[row % B * H + k];
    return sources_.data();
  }

  const Walk<Real>& walk_;
  const Sequence<Real>& q_;
  const Run<Real>& run_;
  const Buffer<Real> inputs_, sources_;
};

}  // namespace

template <class Real>
void run_forward(const SequenceKernel<Real>& kernel, const Sequence<Real>& q,
                 const Run<Real>& run) {
  const Walk<Real> walk(kernel, q, run);
  const Index B = walk.B, H = walk.H, DC = walk.DC, wide = H + DC;
  const Index rows = run.steps * B;
  expect_writes(run.out, rows * H), expect_writes(run.states, rows * DC);
  expect_writes(run.gates, rows * q.recurrence.gates_width()),
      expect_writes(run.extra, rows * walk.extra.width);
  std::copy_n(run.h0, B * H, q.h), std::copy_n(run.s0, B * DC, q.s);
  const Kept<Real> kept{run.states, run.gates, run.extra, 0};
  const Buffer<Real> scratch(walk.needs_scratch(kept) ? walk.scratch_size() : 0);
  for (Index k = 0; k < walk.segments(); ++k) {
    if (run.marks)
      for (Index b = 0; b < B; ++b) {
        Real* const mark = run.marks + (k * B + b) * wide;
        std::copy_n(q.h + b * H, H, mark), std::copy_n(q.s + b * DC, DC, mark + H);
      }
    walk.forward(walk.segment(k), kept, scratch.data());
  }
}

template <class Real>
void run_backward(const SequenceKernel<Real>& kernel, const Sequence<Real>& q,
                  const Sequence<Real>* again, const Run<Real>& run) {
  const Walk<Real> walk(kernel, q, run);
  const Gather<Real> gather(walk);
  const Index B = walk.B, H = walk.H, DC = walk.DC, U = walk.U, wide = H + DC;
  const Recurrence& R = q.recurrence;
  const Index steps = std::min(walk.length, run.steps) * B;
  expect_writes(run.d_x, run.steps * B * (q.weights.w_ih ? q.inputs : U));
  const Buffer<Real> errors(steps * U), own(R.separate() ? steps * U : 0),
      projected(R.projection ? steps * H : 0), enter(B * wide);
  const Index part = again ? std::min(run.recompute, run.steps) * B : 0;
  const Buffer<Real> states(part * DC), gates(part * R.gates_width()),
      extra(part * walk.extra.width);
  Kept<Real> kept{run.states, run.gates, run.extra, 0};
  if (again) kept = {states.data(), gates.data(), extra.data(), 0};
  const Buffer<Real> scratch(again && walk.needs_scratch(kept) ? walk.scratch_size() : 0);
  for (Index k = walk.segments() - 1; k >= 0; --k) {
    const Stretch segment = walk.segment(k);
    const Real *h_enter = run.h0, *s_enter = run.s0;
    if (again) {
      for (Index b = 0; b < B; ++b) {
        const Real* const mark = run.marks + (k * B + b) * wide;
        std::copy_n(mark, H, enter.data() + b * H),
            std::copy_n(mark + H, DC, enter.data() + B * H + b * DC);
      }
      h_enter = enter.data(), s_enter = enter.data() + B * H;
      std::copy_n(h_enter, B * H, again->h), std::copy_n(s_enter, B * DC, again->s);
      kept.offset = segment.from;
      Walk<Real>(kernel, *again, run).forward(segment, kept, scratch.data());
    }
    for (Index n = walk.windows(segment) - 1; n >= 0; --n) {
      const Stretch w = walk.window(segment, n);
      Window<Real> v = walk.view(w, kept);
      const Index before = run.reverse ? w.to : w.from - 1;
      v.h_enter = n ? run.out + before * B * H : h_enter;
      v.s_enter = n ? kept.states + (before - kept.offset) * B * DC : s_enter;
      v.d_out = run.d_out ? run.d_out + w.from * B * H : nullptr;
      v.d_states = run.d_states ? run.d_states + w.from * B * DC : nullptr;
      v.d_x = run.d_x && !q.weights.w_ih ? run.d_x + w.from * B * U : errors.data();
      v.d_r = R.separate() ? own.data() : nullptr;
      v.d_projected = R.projection ? projected.data() : nullptr;
      kernel.backward(q, v);
      gather(w, v, v.d_x, v.d_r ? v.d_r : v.d_x);
    }
  }
}

template void run_forward(const SequenceKernel<float>&, const Sequence<float>&, const Run<float>&);
template void run_forward(const SequenceKernel<double>&, const Sequence<double>&,
                          const Run<double>&);
template void run_backward(const SequenceKernel<float>&, const Sequence<float>&,
                           const Sequence<float>*, const Run<float>&);
template void run_backward(const SequenceKernel<double>&, const Sequence<double>&,
                           const Sequence<double>*, const Run<double>&);

}  // namespace carrousel
