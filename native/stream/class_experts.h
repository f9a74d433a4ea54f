// Experts for classes and for symbols besides the network, and the mixture of them all.
//
// The experts, in this order: the network. With contexts: counts in contexts of recent symbols, by
// `novel` and by `all` (contexts.h); otherwise the frequencies of classes. With `last`: the classes
// that followed the last class of the stream, counted for the first 512 classes. With rows: the
// nearest labelled rows.
//
// A step consists of look(), keep() and, if there is a target, learn(), like one of the network.
// look() alone changes nothing that a later look, keep or learn depends on, but the row to keep.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "stream/contexts.h"
#include "stream/class_mixture.h"
#include "stream/neighbours.h"

namespace carrousel {

struct ClassExpertSettings {
  Index classes, inputs, streams;  // O I B
  Index order, places;             // of contexts; order 0: there are none
  Index rows, neighbours;          // rows 0: there are none
  bool last;
};

class ClassExperts {
 public:
  // Throws std::invalid_argument if a setting is out of range.
  ClassExperts(const ClassExpertSettings& settings, const StreamKernels& kernels);

  // Mixes the network's probabilities net [O] with those of the experts into mixed [O]; the two may
  // be the same array. symbol: of the row, if there are contexts; x [I]: standardised, if there are
  // neighbours, else null.
  void look(Index stream, Index symbol, const double* x, const double* net, double* mixed);
  // Makes the last look, which must be of this stream, the step whose target it learns next.
  void keep(Index stream);
  // Learns the class of the kept step. A weight scales how much mixture and frequencies change; the
  // other experts count a class once. Weight 0 changes nothing.
  void learn(Index stream, Index target, double weight = 1);
  void reset(Index stream);
  void copy(Index from, Index to);

  // A part of the state, which all streams share or each has. The axes of inputs and classes grow at
  // their ends, where the state of a fresh object is that of new inputs and classes.
  struct Part { const char* name; bool of_stream; std::vector<Index> shape; };
  std::vector<Part> parts() const;
  void read(const std::string& name, Index stream, double* to) const;
  void write(const std::string& name, Index stream, const double* source);
  std::size_t bytes() const;
  const ClassExpertSettings& settings() const { return settings_; }
  Index experts() const { return experts_; }

 private:
  void frequencies(double* to) const;
  void followers(Index stream, double* to) const;
  void votes(const double* x, double* to);
  Part part(const std::string& name) const;
  std::vector<double>* numbers(const std::string& name);

  ClassExpertSettings settings_;
  static constexpr Index kMostFollowed = 512;
  Index followed() const { return std::min(settings_.classes, kMostFollowed); }  // R

  Index experts_, symbol_ = 0;
  std::unique_ptr<Contexts> contexts_;
  std::unique_ptr<Neighbours> neighbours_;
  Mixture mixture_;
  std::vector<double> counts_;              // [O] of classes
  std::vector<double> after_, last_;        // [R, R] of classes after another; [B] last, or -1
  std::vector<double> prior_;               // [O] frequencies in the last look
};

}  // namespace carrousel
