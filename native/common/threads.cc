// Runs work on the threads of an OpenMP runtime that is already loaded, or on new threads.
#include <atomic>
#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>
#include <type_traits>
#include <vector>

#if defined(__linux__)
#include <dlfcn.h>
#include <link.h>
#endif

#include "sequence/sequence.h"

namespace carrousel {
namespace {

// Functions of GNU's OpenMP runtime. LLVM's runtime exports the same names.
struct Gomp {
  void (*run)(void (*)(void*), void*, unsigned, unsigned) = nullptr;
  int (*number)() = nullptr;
  int (*count)() = nullptr;
  explicit operator bool() const { return run && number && count; }
};

#if defined(__linux__)
// torch loads its own OpenMP runtime, whose threads spin for a while after each of its calls. New
// threads would compete with them for the cores, so the runtime's own threads are used.
Gomp find_gomp() {
  Gomp found;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* result) {
        Gomp& gomp = *static_cast<Gomp*>(result);
        if (!std::strstr(info->dlpi_name, "libgomp")) return 0;
        if (void* library = dlopen(info->dlpi_name, RTLD_LAZY | RTLD_NOLOAD)) {
          const auto take = [&](auto& function, const char* name) {
            function =
                reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
          };
          take(gomp.run, "GOMP_parallel");
          take(gomp.number, "omp_get_thread_num"), take(gomp.count, "omp_get_num_threads");
          dlclose(library);  // the library stays loaded: its loader holds another handle
        }
        return gomp ? 1 : 0;
      },
      &found);
  return found;
}
#else
Gomp find_gomp() { return {}; }
#endif

// The runtime may be loaded later than this module, so a failed search is repeated.
const Gomp* gomp() {
  static Gomp known;
  static std::atomic<bool> found{false};
  static std::mutex lock;
  if (found) return &known;
  const std::lock_guard guard(lock);
  if (!found && (known = find_gomp())) found = true;
  return found ? &known : nullptr;
}

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
  if (const Gomp* g = gomp())
    return g->run([](void* t) { static_cast<Team*>(t)->take(); }, &team, static_cast<unsigned>(n),
                  0);
  std::vector<std::thread> helpers;
  try {
    for (int i = 1; i < n; ++i) helpers.emplace_back([&team] { team.take(); });
  } catch (const std::system_error&) {
    // The system refused another thread. The threads that have started do all the work.
  }
  team.take();
  for (auto& helper : helpers) helper.join();
}

void together(int n, void (*work)(void*, int, int), void* context) {
  const Gomp* const g = n > 1 ? gomp() : nullptr;
  if (!g) return work(context, 0, 1);  // new threads would cost more than they save
  struct Call {
    const Gomp* gomp;
    void (*work)(void*, int, int);
    void* context;
  } call{g, work, context};
  g->run(
      [](void* c) {
        const Call& call = *static_cast<Call*>(c);
        call.work(call.context, call.gomp->number(), call.gomp->count());
      },
      &call, static_cast<unsigned>(n), 0);
}

void Meeting::wait(int n) {
  if (n == 1) return;
  const int round = round_.load(std::memory_order_acquire);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == n) {
    arrived_.store(0, std::memory_order_relaxed);
    round_.store(round + 1, std::memory_order_release);
    return;
  }
  for (int spins = 0; round_.load(std::memory_order_acquire) == round; ++spins) {
    if (spins > 4000) std::this_thread::yield();
#if defined(__x86_64__)
    else __builtin_ia32_pause();
#endif
  }
}

}  // namespace carrousel
