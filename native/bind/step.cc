// Python classes of the single step.
#include "bind/stepper.h"

using namespace carrousel;

namespace {

template <class Real>
void bind(nb::module_& m, const char* name) {
  using S = Stepper<Real>;
  nb::class_<S>(m, name,
                "Layers of one recurrence, one step per call, with copies of weights and state.")
      .def(nb::init<nb::dict, nb::list, Index, Index, double, double, const std::string&,
                    const std::string&>(),
           nb::arg("recurrence"), nb::arg("weights"), nb::arg("batch"), nb::arg("inputs"),
           nb::arg("zone_h") = 0.0, nb::arg("zone_s") = 0.0, nb::arg("storage") = "", nb::arg("instruction_set") = "")
      .def("run", &S::run, "One step, from `input` to `output`.")
      .def("prepare", &S::prepare, "Compute the part of the next step that needs no input.")
      .def("load", &S::load, nb::arg("weights"), "Replace all weights by others of these shapes.")
      .def("reset", &S::reset, nb::arg("row") = nb::none(), "Reset the state of all rows or one.")
      .def("read_state", &S::read_state, nb::arg("h"), nb::arg("s"), "Copy the state out.")
      .def("write_state", &S::write_state, nb::arg("h"), nb::arg("s"), "Copy a state in.")
      .def_prop_ro(
          "input", [](nb::handle self) { return nb::cast<const S&>(self).input(self); },
          "Inputs [B, I] of the next step, to be written by the caller.")
      .def_prop_ro(
          "output", [](nb::handle self) { return nb::cast<const S&>(self).output(self); },
          "Outputs [B, O] of the last step; the next step overwrites them.");
}

}  // namespace

void bind_steps(nb::module_& m) {
  bind<float>(m, "StepFloat");
  bind<double>(m, "StepDouble");
}
