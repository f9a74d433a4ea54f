// What the module's one list of functions needs to know of the sequence kernels.
#pragma once

#include <nanobind/nanobind.h>

void bind_sequences(nanobind::module_& m);
