// Flushes subnormal numbers to zero.
#pragma once

#include <cstdint>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace carrousel::CARROUSEL_ISA {
namespace {

// While it lives, operations of this thread take and return zero instead of numbers below 1.2e-38,
// which cost over a hundred cycles each. Sensitivities and traces that decay would otherwise spend
// many steps there.
class Flush {
 public:
#if defined(__SSE2__)
  Flush() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }
  ~Flush() { _mm_setcsr(before_); }
#elif defined(__aarch64__)
  Flush() {
    asm volatile("mrs %0, fpcr" : "=r"(before_));
    asm volatile("msr fpcr, %0" : : "r"(before_ | (std::uint64_t{1} << 24)));
  }
  ~Flush() { asm volatile("msr fpcr, %0" : : "r"(before_)); }
#else
  Flush() = default;
#endif
  Flush(const Flush&) = delete;
  Flush& operator=(const Flush&) = delete;

 private:
#if defined(__SSE2__)
  unsigned before_;
#elif defined(__aarch64__)
  std::uint64_t before_;
#endif
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
