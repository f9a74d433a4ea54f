// Functions that add the kernels of the other files to the module.
#pragma once

#include <nanobind/nanobind.h>

void bind_chunkers(nanobind::module_& m);
void bind_unmasked(nanobind::module_& m);
void bind_sequences(nanobind::module_& m);
void bind_steps(nanobind::module_& m);
void bind_live(nanobind::module_& m);
void bind_streams(nanobind::module_& m);
void bind_samples(nanobind::module_& m);
void bind_cascades(nanobind::module_& m);
void bind_class_experts(nanobind::module_& m);
