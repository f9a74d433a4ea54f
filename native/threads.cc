// Spreads work over threads that are there already.
#include <atomic>
#include <cstring>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <dlfcn.h>
#include <link.h>
#endif

#include "sequence.h"

namespace carrousel {
namespace {

// GOMP_parallel of GNU's runtime; LLVM's has it under the same name.
using Gomp = void (*)(void (*)(void*), void*, unsigned, unsigned);

#if defined(__linux__)
// The array library at work here brought its own runtime, whose threads wait actively for a while
// after each of its calls. Threads of ours beside them would share the cores with their waiting.
Gomp find_gomp() {
  Gomp found = nullptr;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* result) {
        if (!std::strstr(info->dlpi_name, "libgomp")) return 0;
        if (void* library = dlopen(info->dlpi_name, RTLD_LAZY | RTLD_NOLOAD)) {
          *static_cast<void**>(result) = dlsym(library, "GOMP_parallel");
          dlclose(library);  // it stays: whoever loaded it holds it
        }
        return *static_cast<void**>(result) != nullptr ? 1 : 0;
      },
      &found);
  return found;
}
#else
Gomp find_gomp() { return nullptr; }
#endif

struct Team {
  std::atomic<int> next{0};
  int n;
  void (*work)(void*, int);
  void* context;

  void take() {
    for (int i; (i = next++) < n;) work(context, i);
  }
};

}  // namespace

void parallel(int n, void (*work)(void*, int), void* context) {
  if (n == 1) return work(context, 0);
  Team team;
  team.n = n, team.work = work, team.context = context;
  static std::atomic<Gomp> known{nullptr};
  Gomp gomp = known;
  if (!gomp && (gomp = find_gomp())) known = gomp;  // it may be loaded later than we are
  if (gomp)
    return gomp([](void* t) { static_cast<Team*>(t)->take(); }, &team,
                static_cast<unsigned>(n), 0);
  std::vector<std::thread> helpers;
  try {
    for (int i = 1; i < n; ++i) helpers.emplace_back([&team] { team.take(); });
  } catch (const std::system_error&) {
    // The system has no more threads to give: those there are do the work.
  }
  team.take();
  for (auto& helper : helpers) helper.join();
}

}  // namespace carrousel
