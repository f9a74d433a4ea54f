// Tensors of torch, read through the exchange table of DLPack 1.3: no copy, no reference, and no
// mark on their storage, which the caller may still resize.
//
// A view is valid while the caller holds the tensor. As in torch itself, another thread must not
// resize a tensor during a call.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>

#include "sequence/checks.h"

namespace carrousel {

namespace nb = nanobind;

// The layout of dlpack.h, version 1.3.
struct Exchange {
  struct Version {
    std::uint32_t major, minor;
  } version;
  Exchange* previous;
  int (*allocate)(nb::dlpack::dltensor*, void**, void*, void (*)(void*, const char*, const char*));
  int (*lend)(void*, void**);
  int (*adopt)(void*, void**);
  int (*view)(void*, nb::dlpack::dltensor*);
  int (*stream)(int, std::int32_t, void**);
};

// The exchange table of a type, or null. Types are looked up once and kept.
inline const Exchange* exchange_of(PyTypeObject* type) {
  struct Known {
    PyTypeObject* type;
    const Exchange* table;
  };
  static Known known[8];
  static int count = 0;
  for (int i = 0; i < count; ++i)
    if (known[i].type == type) return known[i].table;
  const Exchange* table = nullptr;
  PyObject* const capsule =
      PyObject_GetAttrString(reinterpret_cast<PyObject*>(type), "__dlpack_c_exchange_api__");
  if (capsule) {
    if (PyCapsule_IsValid(capsule, "dlpack_exchange_api"))
      table = static_cast<const Exchange*>(PyCapsule_GetPointer(capsule, "dlpack_exchange_api"));
    Py_DECREF(capsule);
  }
  PyErr_Clear();
  if (table && (table->version.major != 1 || !table->view)) table = nullptr;
  if (count < 8) {
    Py_INCREF(type);  // so that its address is not reused
    known[count++] = {type, table};
  }
  return table;
}

template <class Real>
constexpr bool is_kind(nb::dlpack::dtype t) {
  using Code = nb::dlpack::dtype_code;
  constexpr Code code = std::is_floating_point_v<Real> ? Code::Float
                        : std::is_signed_v<Real>       ? Code::Int
                                                       : Code::UInt;
  return t.lanes == 1 && t.bits == 8 * sizeof(Real) && t.code == static_cast<std::uint8_t>(code);
}

inline bool is_empty(const nb::dlpack::dltensor& t) {
  for (int i = 0; i < t.ndim; ++i)
    if (t.shape[i] == 0) return true;
  return false;
}

inline bool is_contiguous(const nb::dlpack::dltensor& t) {
  if (!t.strides || is_empty(t)) return true;
  Index expected = 1;
  for (int i = t.ndim - 1; i >= 0; --i) {
    if (t.shape[i] != 1 && t.strides[i] != expected) return false;
    if (__builtin_mul_overflow(expected, t.shape[i], &expected)) return false;
  }
  return true;
}

// Views a tensor of a type that has an exchange table. False: it is not such a tensor, or it cannot
// be viewed; `why` then says so if it has a table.
template <class T>
bool view_tensor(nb::handle object, nb::dlpack::dltensor& view, const char*& why) {
  using Real = std::remove_const_t<T>;
  const Exchange* const table = exchange_of(Py_TYPE(object.ptr()));
  why = nullptr;
  if (!table) return false;
  if (table->view(object.ptr(), &view)) {
    PyErr_Clear();
    why = "cannot be read: expected a dense tensor on the CPU";
  } else if (view.device.device_type != 1) {
    why = "is not on the CPU";
  } else if (!is_kind<Real>(view.dtype)) {
    why = "has the wrong type; convert it with .to(dtype)";
  } else if (!is_contiguous(view)) {
    why = "is not contiguous; call .contiguous()";
  } else if (!view.data && !is_empty(view)) {
    why = "has no memory: its storage is freed, or it is a wrapper";
  }
  return !why;
}

template <class T>
T* data_of(const nb::dlpack::dltensor& view) {
  return reinterpret_cast<T*>(static_cast<char*>(view.data) + view.byte_offset);
}

}  // namespace carrousel
