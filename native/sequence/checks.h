// Argument checks of the sequence kernels; each throws std::invalid_argument.
#pragma once

#include <cstdint>
#include <vector>

#include "common/refuse.h"
#include "sequence/sequence.h"

namespace carrousel {

// The memory of one array.
struct Span {
  const char* name;
  std::uintptr_t start;
  std::size_t bytes;
  bool writable;
};

// Which weights were given.
struct Present {
  bool w_hh, w_ih, bias, unit, w_hr, ln_ih, ln_hh, ln_c;
};

[[noreturn]] void refuse_array(const char* name, const char* why);
Index check_number(const char* name, Index value, Index most);  // returns value if in 0..most
void check_shape(const char* name, std::size_t dimensions, const Index* shape,
                 const Index* expected, std::size_t wanted);
void check_overlaps(const std::vector<Span>& spans);
void check(const Recurrence& r);
void check_parts(const Recurrence& r, Present present);

}  // namespace carrousel
