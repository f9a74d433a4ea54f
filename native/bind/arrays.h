// Arrays and settings from Python, checked before a pointer is used. For the sequence kernels, the
// single step and streams.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <string>
#include <type_traits>
#include <vector>

#include "bind/tensors.h"
#include "sequence/checks.h"
#include "sequence/sequence.h"

namespace carrousel {

template <class T>
using Array = nb::ndarray<T, nb::c_contig, nb::device::cpu>;

// The arrays of one call. Checks their types, shapes and overlaps, and keeps them alive.
class Arrays {
 public:
  // The data of an array of exactly this type and shape; `writable`: the call writes to it.
  template <class T>
  T* take(nb::handle object, const char* name, std::initializer_list<Index> shape, bool writable) {
    return take<T>(object, name, shape.begin(), shape.size(), writable);
  }
  template <class T>
  T* take(nb::handle object, const char* name, const Index* shape, std::size_t dimensions,
          bool writable) {
    nb::dlpack::dltensor view;
    const char* why;
    if (view_tensor<T>(object, view, why)) {
      check_shape(name, static_cast<std::size_t>(view.ndim), view.shape, shape, dimensions);
      Index bytes = sizeof(T);
      for (std::size_t i = 0; i < dimensions; ++i) bytes *= shape[i];
      T* const data = data_of<T>(view);
      spans_.push_back({name, reinterpret_cast<std::uintptr_t>(data),
                        static_cast<std::size_t>(bytes), writable});
      return data;
    }
    if (why) refuse_array(name, why);
    Array<T> found;
    if (!nb::try_cast<Array<T>>(object, found, false))
      refuse_array(name,
                   "has the wrong type or layout: expected a contiguous array of this precision; "
                   "convert it with numpy.ascontiguousarray(a, dtype)");
    check_shape(name, found.ndim(), found.shape_ptr(), shape, dimensions);
    spans_.push_back(
        {name, reinterpret_cast<std::uintptr_t>(found.data()), found.nbytes(), writable});
    held_.push_back(nb::ndarray<>(found));  // the lender may reuse the memory after this
    return found.data();
  }
  // The same for an array that may be None: returns null.
  template <class T>
  T* given(nb::handle object, const char* name, std::initializer_list<Index> shape, bool writable) {
    return object.is_none() ? nullptr : take<T>(object, name, shape, writable);
  }
  // Throws if a writable array overlaps another array. To be called after the last take().
  void check() const { check_overlaps(spans_); }

 private:
  std::vector<Span> spans_;
  std::vector<nb::ndarray<>> held_;
};

// The kernels of one instruction set; an empty name selects the fastest.
template <class Kernels>
const Kernels& kernels_named(const std::vector<const Kernels*>& all, const std::string& name) {
  for (const auto* kernels : all)
    if (name.empty() || name == kernels->name) return *kernels;
  refuse("instruction set '", name, "' is not available on this processor");
}

// The kernel of one precision.
template <class Real, class Kernels>
const auto& kernel_named(const std::vector<const Kernels*>& all, const std::string& name) {
  if constexpr (std::is_same_v<Real, float>) return kernels_named(all, name).single;
  else return kernels_named(all, name).twofold;
}

inline Storage storage_named(const std::string& name) {
  constexpr const char* names[] = {"", "bfloat16", "float16", "int8"};
  for (int i = 0; i < 4; ++i)
    if (name == names[i]) return static_cast<Storage>(i);
  refuse("storage is '", name, "', expected '', 'bfloat16', 'float16' or 'int8'");
}

// Sums of 255 * 127 for each column fit into 32 bits.
constexpr Index kMostNarrow = 1 << 16;

// A matrix of weights [rows, width], or null; in int8 with scales [rows].
template <class Real>
const void* matrix(Arrays& arrays, Storage storage, nb::handle object, const char* name,
                   nb::handle scale, const char* scale_name, Index rows, Index width,
                   const float** scales) {
  *scales = arrays.given<const float>(scale, scale_name, {rows}, false);
  if ((*scales != nullptr) != (storage == Storage::int8 && !object.is_none()))
    refuse(scale_name, " must be given with storage 'int8' and ", name, ", and only then");
  if (storage == Storage::int8 && width > kMostNarrow)
    refuse(name, " has ", width, " columns, expected at most ", kMostNarrow, " with storage 'int8'");
  switch (storage) {
    case Storage::real: return arrays.given<const Real>(object, name, {rows, width}, false);
    case Storage::int8: return arrays.given<const std::int8_t>(object, name, {rows, width}, false);
    default: return arrays.given<const std::uint16_t>(object, name, {rows, width}, false);
  }
}

// A number or string of a call.
template <class T>
T setting(nb::dict d, const char* name) {
  const nb::object given = d[name];  // throws KeyError, which try_cast must not
  T found;
  if (!nb::try_cast<T>(given, found, false)) refuse_array(name, "has the wrong type");
  return found;
}

inline Recurrence recurrence_of(nb::dict d) {
  const auto number = [&](const char* name, Index most) {
    return check_number(name, setting<Index>(d, name), most);
  };
  Recurrence r{};
  r.kind = static_cast<CellKind>(number("kind", static_cast<Index>(CellKind::described)));
  r.units = number("units", Index{1} << 24), r.sources = number("sources", Index{1} << 25);
  r.net_inputs = number("net_inputs", Index{1} << 28), r.states = number("states", 64);
  r.unit_parameters = number("unit_parameters", 64), r.block_size = number("block_size", 1 << 24);
  r.g_range = setting<double>(d, "g_range"), r.h_range = setting<double>(d, "h_range");
  r.projection = number("projection", 1), r.gate_sources = number("gate_sources", 1);
  r.layer_norm = number("layer_norm", 1), r.tape = number("tape", 256);
  r.forward = setting<std::uintptr_t>(d, "forward");
  r.backward = setting<std::uintptr_t>(d, "backward");
  r.recurrent = number("recurrent", 1), r.first_rows = number("first_rows", Index{1} << 28);
  const nb::list products = setting<nb::list>(d, "products");
  r.products = check_number("products", static_cast<Index>(products.size()), kMostProducts);
  Index first = r.first_rows;
  for (Index k = 0; k < r.products; ++k) {
    const nb::dict one = nb::cast<nb::dict>(products[static_cast<std::size_t>(k)]);
    const Index rows = check_number("rows", setting<Index>(one, "rows"), Index{1} << 28);
    r.further[static_cast<std::size_t>(k)] = {first, rows, setting<std::uintptr_t>(one, "source"),
                                              setting<std::uintptr_t>(one, "back")};
    first += rows;
  }
  check(r);
  return r;
}

}  // namespace carrousel
