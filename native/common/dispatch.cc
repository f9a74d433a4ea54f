// Selects the kernels that this processor can run, and distributes groups of lanes over threads.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#if CARROUSEL_HAVE_AVX2
#include <cpuid.h>
#endif

#include "common/carrousel.h"
#include "sample/sample.h"
#include "sequence/sequence.h"
#include "step/step.h"
#include "stream/least_squares.h"
#include "stream/stream.h"

namespace carrousel {

#if CARROUSEL_HAVE_AVX512
namespace avx512 { extern const Kernel kernel; }
#endif
#if CARROUSEL_HAVE_AVX2
namespace avx2 { extern const Kernel kernel; }
#endif
#if CARROUSEL_HAVE_NEON
namespace neon { extern const Kernel kernel; }
#endif
namespace plain { extern const Kernel kernel; }

namespace {

#if CARROUSEL_HAVE_AVX2
// __builtin_cpu_supports() of some compilers does not know it.
bool has_f16c() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) && (c >> 29 & 1);
}
#endif

std::vector<const Kernel*> find_kernels() {
  std::vector<const Kernel*> found;
#if CARROUSEL_HAVE_AVX512
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
    found.push_back(&avx512::kernel);
#endif
#if CARROUSEL_HAVE_AVX2
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c())
    found.push_back(&avx2::kernel);
#endif
#if CARROUSEL_HAVE_NEON
  found.push_back(&neon::kernel);
#endif
  found.push_back(&plain::kernel);
  return found;
}

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

std::unique_ptr<void, Free> aligned_block(std::size_t bytes) {
  void* memory = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
  if (!memory) throw std::bad_alloc();
  return std::unique_ptr<void, Free>(memory);
}

}  // namespace

const std::vector<const Kernel*>& kernels() {
  static const std::vector<const Kernel*> found = find_kernels();
  return found;
}

namespace {

// One member of every kernel that this processor can run, fastest first.
template <class Part>
std::vector<const Part*> parts(const Part* Kernel::* part) {
  std::vector<const Part*> all;
  for (const Kernel* kernel : kernels()) all.push_back(kernel->*part);
  return all;
}

}  // namespace

const std::vector<const SequenceKernels*>& sequence_kernels() {
  static const std::vector<const SequenceKernels*> found = parts(&Kernel::sequences);
  return found;
}

const std::vector<const StepKernels*>& step_kernels() {
  static const std::vector<const StepKernels*> found = parts(&Kernel::steps);
  return found;
}

const std::vector<const StreamKernels*>& stream_kernels() {
  static const std::vector<const StreamKernels*> found = parts(&Kernel::streams);
  return found;
}

const std::vector<const RuleKernels*>& rule_kernels() {
  static const std::vector<const RuleKernels*> found = parts(&Kernel::rules);
  return found;
}

const std::vector<const SampleKernels*>& sample_kernels() {
  static const std::vector<const SampleKernels*> found = parts(&Kernel::samples);
  return found;
}

namespace {

// The weights of all lanes before a call, in case one of them is refused.
class SavedWeights {
 public:
  SavedWeights(const Job& job, const std::vector<Lane>& lanes)
      : count_(job.learn && !job.gradient ? static_cast<std::size_t>(weight_count(job.shape)) : 0) {
    saved_.reserve(count_ * lanes.size());
    for (const Lane& lane : lanes) saved_.insert(saved_.end(), lane.weights, lane.weights + count_);
  }
  void restore(std::vector<Lane>& lanes) const {
    for (std::size_t i = 0; i < lanes.size(); ++i)
      std::copy_n(saved_.data() + i * count_, count_, lanes[i].weights);
  }

 private:
  std::size_t count_;
  std::vector<float> saved_;
};

}  // namespace

void run_lanes(const Kernel& kernel, Job job, std::vector<Lane>& lanes, int threads) {
  const SavedWeights before(job, lanes);
  job.longest = 0;
  for (const Lane& lane : lanes)
    for (Index n = 0; n < lane.n_sequences; ++n)
      job.longest = std::max(job.longest, lane.offsets[n + 1] - lane.offsets[n]);
  const int width = kernel.width;
  const int groups = static_cast<int>((lanes.size() + width - 1) / width);
  const std::size_t bytes = kernel.workspace_bytes(job);
  std::atomic<int> next{0};
  std::exception_ptr failure;
  std::mutex failure_lock;
  const auto work = [&] {
    try {
      const auto workspace = aligned_block(bytes);
      for (int group; (group = next++) < groups;) {
        const int first = group * width;
        const int left = static_cast<int>(lanes.size()) - first;
        kernel.run(job, lanes.data() + first, left < width ? left : width, workspace.get());
      }
    } catch (...) {
      const std::lock_guard lock(failure_lock);
      failure = std::current_exception();
    }
  };
  std::vector<std::thread> helpers;
  try {
    for (int i = 1; i < threads && i < groups; ++i) helpers.emplace_back(work);
  } catch (const std::system_error&) {
    // The system refused another thread. The threads that have started do all the work.
  }
  work();
  for (auto& helper : helpers) helper.join();
  if (!failure) return;
  before.restore(lanes);
  std::rethrow_exception(failure);
}

}  // namespace carrousel
