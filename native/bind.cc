// The only file that knows Python.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "dispatch.h"

namespace nb = nanobind;

NB_MODULE(_native, m) {
  m.doc() = "Compiled kernels of carrousel.";
  m.def("instruction_set", [] { return std::string(carrousel::available().front()); },
        "Name of the instruction set the kernels run on.");
  m.def("available_instruction_sets",
        [] {
          const auto names = carrousel::available();
          return std::vector<std::string>(names.begin(), names.end());
        },
        "Names of all instruction sets this processor can run, best first.");
}
