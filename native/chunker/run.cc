// Checks of chunkers, and the distribution of their trials over threads.
#include <algorithm>
#include <atomic>

#include "chunker/chunker.h"
#include "common/refuse.h"
#include "sequence/run.h"

namespace carrousel {
namespace {

void check(const char* name, const SimpleNet& net) {
  const auto number = [&](const char* what, Index value, Index most) {
    if (value < 1 || value > most)
      refuse(what, " of ", name, " is ", value, ", expected 1..", most);
  };
  number("inputs", net.inputs, Index{1} << 25);
  number("units", net.units, 4096);
  number("outputs", net.outputs, Index{1} << 25);
}

}  // namespace

Index weight_count(const SimpleNet& net) {
  const Index I = net.inputs, H = net.units, O = net.outputs;
  return H * (I + H + net.hidden_bias) + O * (H + net.output_bias + (net.direct ? I : 0));
}

void check(const ChunkerJob& job) {
  check("the net below", job.below);
  check("the net above", job.above);
  if (job.digits() < 0 || job.digits() > 32)
    refuse("the net above has ", job.above.inputs, " inputs, expected ", job.below.inputs,
           " and 0..32 digits of the time step");
  if (job.targets() < 1)
    refuse("the net above has ", job.above.outputs, " outputs, expected more than the ",
           job.digits(), " digits of the time step");
  const Index watched = job.watched(), units = job.above.units;
  if (watched != 0 && watched != units && watched != units + job.above.outputs)
    refuse("the net below has ", job.below.outputs, " outputs, expected ", job.targets(),
           " and those that predict no, all hidden, or all units of the net above");
  if (job.depth < 1 || job.depth > Index{1} << 20)
    refuse("depth is ", job.depth, ", expected 1..2^20");
  if (!(job.threshold > 0)) refuse("threshold is ", job.threshold, ", expected more than 0");
}

void check(const ChunkerJob& job, const ChunkerTrial& trial, Index number) {
  Job lanes{};
  lanes.shape.inputs = job.below.inputs, lanes.shape.outputs = job.targets();
  lanes.learn = job.learn;
  check(lanes, trial.lane, number);
  check_inputs(trial.lane, job.below.inputs, number);
}

void run_chunkers(const ChunkerKernel& kernel, const ChunkerJob& job,
                  const std::vector<ChunkerTrial>& trials, int threads) {
  const Index count = static_cast<Index>(trials.size());
  const int workers = static_cast<int>(std::min<Index>(threads, count));
  if (workers < 1) return;
  const Index bytes = static_cast<Index>((kernel.workspace_bytes(job) + 63) / 64 * 64);
  const Buffer<float> workspaces(workers * bytes / static_cast<Index>(sizeof(float)));
  std::atomic<Index> next{0};
  parallel(workers, [&](int worker) {
    char* const mine = reinterpret_cast<char*>(workspaces.data()) + worker * bytes;
    for (Index i; (i = next++) < count;) kernel.run(job, trials[static_cast<std::size_t>(i)], mine);
  });
}

}  // namespace carrousel
