// Python class of the experts for classes, to test them apart from a network.
#include <nanobind/stl/string.h>

#include <string>

#include "bind/arrays.h"
#include "bind/sequence.h"
#include "stream/class_experts.h"
#include "stream/stream.h"

using namespace carrousel;

namespace {

ClassExpertSettings settings_of(nb::dict d) {
  const auto count = [&](const char* name) {
    return check_number(name, setting<Index>(d, name), Index{1} << 24);
  };
  return {count("classes"), count("inputs"), count("streams"), count("order"), count("places"),
          count("rows"), count("neighbours"), setting<bool>(d, "last")};
}

class Bound {
 public:
  Bound(nb::dict settings, const std::string& instruction_set)
      : experts_(settings_of(settings), kernels_named(stream_kernels(), instruction_set)) {}
  Bound(const Bound&) = delete;

  void look(Index stream, Index symbol, nb::object x, nb::object net, nb::object mixed) {
    const ClassExpertSettings& s = experts_.settings();
    Arrays arrays;
    const auto* in = arrays.given<const double>(x, "x", {s.inputs}, false);
    const auto* p = arrays.take<const double>(net, "net", {s.classes}, false);
    auto* out = arrays.take<double>(mixed, "mixed", {s.classes}, true);
    arrays.check();
    check_index("stream", stream, s.streams);
    if (s.order) check_index("symbol", symbol, s.classes);
    if (s.rows && !in) refuse("x is None, expected the inputs of the row");
    experts_.look(stream, symbol, in, p, out);
    looked_ = stream;
  }
  void keep(Index stream) {
    if (stream < 0 || stream != looked_) refuse("stream ", stream, " is not that of the last look");
    experts_.keep(stream);
  }
  void learn(Index stream, Index target, double weight) {
    check_index("stream", stream, experts_.settings().streams);
    check_index("target", target, experts_.settings().classes);
    if (!(weight >= 0 && weight <= 1e6)) refuse("weight is ", weight, ", expected 0 to 1e6");
    experts_.learn(stream, target, weight);
  }
  void reset(Index stream) {
    check_index("stream", stream, experts_.settings().streams);
    experts_.reset(stream);
  }
  void copy(Index from, Index to) {
    check_index("from", from, experts_.settings().streams);
    check_index("to", to, experts_.settings().streams);
    experts_.copy(from, to);
  }
  nb::dict parts() const {
    nb::dict found;
    for (const ClassExperts::Part& part : experts_.parts()) {
      nb::list shape;
      for (Index n : part.shape) shape.append(n);
      found[part.name] = nb::make_tuple(part.of_stream, nb::tuple(shape));
    }
    return found;
  }
  void read(const std::string& name, Index stream, nb::object to) const {
    Arrays arrays;
    const std::vector<Index> as = shape(name, stream);
    experts_.read(name, stream, arrays.take<double>(to, "to", as.data(), as.size(), true));
  }
  void write(const std::string& name, Index stream, nb::object from) {
    Arrays arrays;
    const std::vector<Index> as = shape(name, stream);
    experts_.write(name, stream,
                   arrays.take<const double>(from, "source", as.data(), as.size(), false));
  }
  std::size_t bytes() const { return experts_.bytes(); }
  Index experts() const { return experts_.experts(); }

 private:
  static void check_index(const char* name, Index given, Index n) {
    if (given < 0 || given >= n) refuse(name, " is ", given, ", expected 0..", n - 1);
  }
  std::vector<Index> shape(const std::string& name, Index stream) const {
    check_index("stream", stream, experts_.settings().streams);
    for (const ClassExperts::Part& part : experts_.parts())
      if (name == part.name) return part.shape;
    refuse("these experts have no part '", name, "'");
  }

  ClassExperts experts_;
  Index looked_ = -1;
};

class BoundNeighbours {
 public:
  BoundNeighbours(Index inputs, Index values, Index streams, Index rows, Index k,
                  const std::string& instruction_set)
      : inputs_(inputs), values_(values), streams_(streams),
        neighbours_(inputs, values, streams, rows, k,
                    kernels_named(stream_kernels(), instruction_set).distances) {}

  double mean(nb::object x, nb::object to) {
    Arrays arrays;
    const auto* in = arrays.take<const double>(x, "x", {inputs_}, false);
    auto* out = arrays.take<double>(to, "to", {values_}, true);
    arrays.check();
    return neighbours_.mean(in, out);
  }
  void keep(Index stream) { neighbours_.keep(checked(stream)); }
  void learn(Index stream, nb::object target) {
    Arrays arrays;
    const auto* wanted = arrays.take<const double>(target, "target", {values_}, false);
    neighbours_.learn(checked(stream), wanted);
  }

 private:
  Index checked(Index stream) const {
    if (stream < 0 || stream >= streams_)
      refuse("stream is ", stream, ", expected 0..", streams_ - 1);
    return stream;
  }

  Index inputs_, values_, streams_;
  Neighbours neighbours_;
};

}  // namespace

void bind_class_experts(nb::module_& m) {
  nb::class_<BoundNeighbours>(m, "Neighbours", "The nearest of recent rows.")
      .def(nb::init<Index, Index, Index, Index, Index, const std::string&>(), nb::arg("inputs"),
           nb::arg("values"), nb::arg("streams"), nb::arg("rows"), nb::arg("k"),
           nb::arg("instruction_set") = "")
      .def("mean", &BoundNeighbours::mean, nb::arg("x"), nb::arg("to"),
           "Write the mean of the nearest targets, return the sum of weights.")
      .def("keep", &BoundNeighbours::keep, nb::arg("stream"), "Keep the row of the last mean.")
      .def("learn", &BoundNeighbours::learn, nb::arg("stream"), nb::arg("target"));
  nb::class_<Bound>(m, "ClassExperts", "Experts for classes and symbols, mixed with a network.")
      .def(nb::init<nb::dict, const std::string&>(), nb::arg("settings"),
           nb::arg("instruction_set") = "")
      .def("look", &Bound::look, nb::arg("stream"), nb::arg("symbol"), nb::arg("x").none(),
           nb::arg("net"), nb::arg("mixed"), "Write mixed probabilities, change nothing.")
      .def("keep", &Bound::keep, nb::arg("stream"), "Advance by the step of the last look.")
      .def("learn", &Bound::learn, nb::arg("stream"), nb::arg("target"), nb::arg("weight") = 1.0,
           "Learn the class of the kept step.")
      .def("reset", &Bound::reset, nb::arg("stream"), "Reset a stream.")
      .def("copy", &Bound::copy, nb::arg("source"), nb::arg("to"), "Copy the state of a stream.")
      .def("parts", &Bound::parts, "Name of each part of the state -> (one per stream, shape).")
      .def("read", &Bound::read, nb::arg("name"), nb::arg("stream"), nb::arg("to"))
      .def("write", &Bound::write, nb::arg("name"), nb::arg("stream"), nb::arg("source"))
      .def_prop_ro("nbytes", &Bound::bytes)
      .def_prop_ro("experts", &Bound::experts);
}
