// What the module's one list of functions needs to know of kernels bound in files of their own.
#pragma once

#include <nanobind/nanobind.h>

void bind_sequences(nanobind::module_& m);
void bind_steps(nanobind::module_& m);
void bind_streams(nanobind::module_& m);
