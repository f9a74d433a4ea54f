// What the module's one list of functions needs to know of the kernels of torch's door.
#pragma once

#include <nanobind/nanobind.h>

void bind_sequences(nanobind::module_& m);
void bind_steps(nanobind::module_& m);
