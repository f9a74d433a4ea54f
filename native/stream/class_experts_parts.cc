// The state of experts for classes, part by part, to save and restore it.
#include <algorithm>
#include <cmath>

#include "common/refuse.h"
#include "stream/class_experts.h"

namespace carrousel {
namespace {

constexpr double kMostCount = 1e9;

Index size_of(const ClassExperts::Part& part) {
  Index size = 1;
  for (const Index n : part.shape) size *= n;
  return size;
}

}  // namespace

std::vector<ClassExperts::Part> ClassExperts::parts() const {
  const Index O = settings_.classes, E = experts_, order = settings_.order;
  std::vector<Part> found{{"expert_weights", false, {E + 1}},
                          {"expert_exponents", false, {contexts_ ? contexts_->classes() : 1, E + 1}},
                          {"expert_probabilities", true, {E + 1, O}},
                          {"expert_means", true, {E + 1}},
                          {"class_counts", false, {O}}};
  if (contexts_) {
    found.push_back({"context_history", true, {order}});
    found.push_back({"context_places", false, {contexts_->places(), 2 + 2 * Contexts::kPairs}});
    found.push_back({"context_shares", false, {order + 1}});
    found.push_back({"context_singles", false, {O, 2}});
    found.push_back(
        {"context_trusts", false, {2, order, Contexts::kDistinct, Contexts::kSums, 2}});
  }
  if (settings_.last) {
    found.push_back({"class_followers", false, {followed(), followed()}});
    found.push_back({"class_last", true, {1}});
  }
  if (neighbours_) {
    found.push_back({"neighbour_pending", true, {settings_.inputs}});
    found.push_back({"neighbour_rows", false, {settings_.rows, 1 + settings_.inputs}});
    found.push_back({"neighbour_learned", false, {1}});
  }
  return found;
}

// The numbers of a part that is stored as such, one stream after another if each has them.
std::vector<double>* ClassExperts::numbers(const std::string& name) {
  if (name == "expert_weights") return &mixture_.weights;
  if (name == "expert_exponents") return &mixture_.exponents;
  if (name == "expert_probabilities") return &mixture_.probabilities;
  if (name == "expert_means") return &mixture_.means;
  if (name == "class_counts") return &counts_;
  if (name == "class_followers") return &after_;
  if (name == "class_last") return &last_;
  if (name == "context_shares") return &contexts_->shares;
  if (name == "context_singles") return &contexts_->singles;
  if (name == "context_trusts") return &contexts_->trusts;
  return nullptr;
}

ClassExperts::Part ClassExperts::part(const std::string& name) const {
  for (Part& part : parts())
    if (name == part.name) return part;
  refuse("these experts have no part '", name, "'");
}

void ClassExperts::read(const std::string& name, Index stream, double* to) const {
  const Part of = part(name);
  if (const auto* all = const_cast<ClassExperts*>(this)->numbers(name))
    std::copy_n(all->begin() + (of.of_stream ? stream * size_of(of) : 0), size_of(of), to);
  else if (name == "context_history") contexts_->read_history(stream, to);
  else if (name == "context_places") contexts_->read_places(to);
  else if (name == "neighbour_pending") neighbours_->read_pending(stream, to);
  else if (name == "neighbour_rows") neighbours_->read_rows(to);
  else *to = neighbours_->learned;
}

// Numbers out of range are bounded: files may be damaged.
void ClassExperts::write(const std::string& name, Index stream, const double* source) {
  const Part of = part(name);
  const Index size = size_of(of), O = settings_.classes;
  std::vector<double> finite(source, source + size);
  for (double& x : finite)
    if (!std::isfinite(x)) x = 0;
  const double* const from = finite.data();
  if (auto* all = numbers(name)) {
    const auto to = all->begin() + (of.of_stream ? stream * size : 0);
    const bool counts = name.starts_with("class_") || name == "context_singles";
    const bool last = name == "class_last";
    for (Index i = 0; i < size; ++i)
      to[i] = last ? std::floor(std::clamp(from[i], -1.0, static_cast<double>(O - 1)))
                   : std::clamp(from[i], counts ? 0 : -kMostCount, kMostCount);
    if (name == "context_shares") bound_shares(contexts_->shares);
    else if (name == "context_trusts") contexts_->bound_trusts();
    else if (name.starts_with("expert_") && of.of_stream) mixture_.bound(stream);
    else if (name.starts_with("expert_")) mixture_.bound();
  } else if (name == "context_history") {
    contexts_->write_history(stream, from);
  } else if (name == "context_places") {
    contexts_->write_places(from);
  } else if (name == "neighbour_pending") {
    neighbours_->write_pending(stream, from);
  } else if (name == "neighbour_rows") {
    neighbours_->write_rows(from, O);
  } else {
    neighbours_->learned = std::floor(std::clamp(*from, 0.0, 0x1p53));
  }
}

}  // namespace carrousel
