// The sequence kernels of one instruction set, in float and double.
#include "sequence/backward.h"
#include "sequence/dense.h"
#include "sequence/forward.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

template <class Real>
std::size_t packed_size(const Sequence<Real>& q) { return PackedParts<Real>(q).size; }

template <class Real>
std::size_t scratch_size(const Sequence<Real>& q) { return Share<Real>(q, 0).size; }

// Runs a pass on several threads. Each has its own rows of the batch, or its own cells of all rows.
template <class Way, class Real>
void walk(const Sequence<Real>& q, const Window<Real>& w) {
  const Way way{q, w};
  if (!q.split) return parallel(q.threads, [&](int thread) { way.run(thread); });
  Meeting meeting;
  together(q.threads, [&](int thread, int team) {
    Way mine{q, w};
    mine.own_units = part_of(q.recurrence.units, kPanel * kLanes<Real>, thread, team);
    mine.meeting = &meeting, mine.team = team;
    mine.run(thread);
  });
}

template <class Real>
void forward(const Sequence<Real>& q, const Window<Real>& w) { walk<Forward<Real>>(q, w); }

template <class Real>
void backward(const Sequence<Real>& q, const Window<Real>& w) { walk<Backward<Real>>(q, w); }

template <class Real>
constexpr SequenceKernel<Real> kernel_of() {
  return {splits<Real>,           packed_size<Real>,  scratch_size<Real>, pack_parts<Real>,
          forward<Real>,          backward<Real>,     project<Real>,      norm_inputs<Real>,
          norm_inputs_back<Real>, add_products<Real>, add_rows<Real>};
}

}  // namespace

#define CARROUSEL_STRINGIFY_(x) #x
#define CARROUSEL_STRINGIFY(x) CARROUSEL_STRINGIFY_(x)

extern const SequenceKernels sequence_kernels;
const SequenceKernels sequence_kernels = {CARROUSEL_STRINGIFY(CARROUSEL_ISA), kernel_of<float>(),
                                          kernel_of<double>()};

}  // namespace carrousel::CARROUSEL_ISA
