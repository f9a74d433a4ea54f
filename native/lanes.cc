// Placeholder kernel: says which instruction set this copy was compiled for.
#define CARROUSEL_STRINGIFY_(x) #x
#define CARROUSEL_STRINGIFY(x) CARROUSEL_STRINGIFY_(x)

namespace carrousel::CARROUSEL_ISA {

const char* name() { return CARROUSEL_STRINGIFY(CARROUSEL_ISA); }

}  // namespace carrousel::CARROUSEL_ISA
