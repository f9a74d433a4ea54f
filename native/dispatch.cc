// Chooses, once, the best instruction set that was compiled in and that this processor has.
#include "dispatch.h"

namespace carrousel {

#if CARROUSEL_HAVE_AVX512
namespace avx512 { const char* name(); }
#endif
#if CARROUSEL_HAVE_AVX2
namespace avx2 { const char* name(); }
#endif
#if CARROUSEL_HAVE_NEON
namespace neon { const char* name(); }
#endif
namespace plain { const char* name(); }

std::vector<const char*> available() {
  std::vector<const char*> names;
#if CARROUSEL_HAVE_AVX512
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
    names.push_back(avx512::name());
#endif
#if CARROUSEL_HAVE_AVX2
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    names.push_back(avx2::name());
#endif
#if CARROUSEL_HAVE_NEON
  names.push_back(neon::name());
#endif
  names.push_back(plain::name());
  return names;
}

}  // namespace carrousel
