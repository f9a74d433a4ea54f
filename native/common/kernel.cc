// Table of the kernels of one instruction set, and the choice between lanes.cc and paths.cc.
#include "common/carrousel.h"
#include "common/simd.h"

namespace carrousel::CARROUSEL_ISA {

extern const Part lanes, paths;
extern const SequenceKernels sequence_kernels;
extern const StepKernels step_kernels;
extern const StreamKernels stream_kernels;
extern const RuleKernels rule_kernels;
extern const ChunkerKernel chunkers;
extern const SampleKernels sample_kernels;
extern const CascadeKernels cascade_kernels;

namespace {

std::size_t workspace_bytes(const Job& job) {
  return job.path() ? paths.workspace_bytes(job) : lanes.workspace_bytes(job);
}

void run(const Job& job, const Lane* data, int n_lanes, void* workspace) {
  (job.path() ? paths : lanes).run(job, data, n_lanes, workspace);
}

}  // namespace

#define CARROUSEL_STRINGIFY_(x) #x
#define CARROUSEL_STRINGIFY(x) CARROUSEL_STRINGIFY_(x)

extern const Kernel kernel;
const Kernel kernel = {CARROUSEL_STRINGIFY(CARROUSEL_ISA), V, workspace_bytes, run,
                       &sequence_kernels, &step_kernels, &stream_kernels, &rule_kernels,
                       &chunkers, &sample_kernels, &cascade_kernels};

}  // namespace carrousel::CARROUSEL_ISA
