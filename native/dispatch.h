#pragma once

#include <vector>

namespace carrousel {

// Names of the usable instruction sets, best first; never empty, "plain" is always the last.
std::vector<const char*> available();

}  // namespace carrousel
