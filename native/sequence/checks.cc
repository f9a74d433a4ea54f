#include "sequence/checks.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace carrousel {
namespace {

void expect(bool holds, const char* what) {
  if (!holds) refuse(what);
}

std::string text(const Index* shape, std::size_t n) {
  std::string words = "(";
  for (std::size_t i = 0; i < n; ++i) words += (i ? ", " : "") + std::to_string(shape[i]);
  return words + ")";
}

}  // namespace

void refuse_array(const char* name, const char* why) {
  refuse(name, " ", why);
}

Index check_number(const char* name, Index value, Index most) {
  if (value < 0 || value > most)
    refuse(name, " is ", value, ", expected 0..", most);
  return value;
}

void check_shape(const char* name, std::size_t dimensions, const Index* shape,
                 const Index* expected, std::size_t wanted) {
  bool same = dimensions == wanted;
  Index total = 1;
  for (std::size_t i = 0; i < wanted; ++i) {
    const Index n = expected[i];
    same = same && shape[i] == n;
    expect(!__builtin_mul_overflow(total, n ? n : 1, &total) && total < (Index{1} << 56),
           "an array of the expected shape would have more than 2^56 entries");
  }
  if (!same)
    refuse(name, " has shape ", text(shape, dimensions), ", expected ", text(expected, wanted));
}

void check_overlaps(const std::vector<Span>& spans) {
  std::vector<Span> ordered;
  for (const Span& span : spans)
    if (span.bytes) ordered.push_back(span);
  const auto by_start = [](const Span& a, const Span& b) { return a.start < b.start; };
  std::sort(ordered.begin(), ordered.end(), by_start);
  // Those that reach furthest so far, of all and of those that are written.
  const Span *furthest = nullptr, *written = nullptr;
  const auto further = [](const Span* a, const Span& b) {
    return a && a->start + a->bytes > b.start + b.bytes ? a : &b;
  };
  for (const Span& span : ordered) {
    const Span* const other = span.writable ? furthest : written;
    if (other && span.start < other->start + other->bytes)
      refuse((span.writable ? span : *other).name, " overlaps ",
             (span.writable ? *other : span).name);
    furthest = further(furthest, span);
    if (span.writable) written = further(written, span);
  }
}

static void check_products(const Recurrence& r) {
  Index rows = r.first_rows;
  for (Index k = 0; k < r.products; ++k) {
    const FurtherProduct& p = r.further[k];
    expect(p.rows >= 1 && p.source && p.back,
           "products must have rows and the compiled functions of a described cell");
    rows += p.rows;
  }
  expect(rows == r.net_inputs, "first_rows and the rows of products must add up to net_inputs");
  expect(!r.products || (!r.projection && !r.layer_norm),
         "products exclude a projection and layer_norm");
  expect(r.recurrent || !r.layer_norm, "recurrent must be 1 with layer_norm");
}

void check(const Recurrence& r) {
  if (r.units < 1 || r.block_size < 1 || r.units % r.block_size)
    refuse("units is ", r.units, ", expected a positive multiple of block_size, ", r.block_size);
  const bool blocks = r.kind == CellKind::lstm97;
  expect(blocks || (r.block_size == 1 && !r.gate_sources),
         "block_size must be 1 and gate_sources 0, except for lstm97");
  expect(std::isfinite(r.g_range) && r.g_range > 0 && std::isfinite(r.h_range) && r.h_range > 0,
         "g_range and h_range must be finite and above 0");
  const Index gates = 2 * r.blocks(), sources = r.units + (r.gate_sources ? gates : 0);
  expect(r.projection ? r.sources >= 1 && !r.gate_sources : r.sources == sources,
         "sources must be units, plus all gates with gate_sources, or any positive number with a "
         "projection, which excludes gate_sources");
  switch (r.kind) {
    case CellKind::lstm:
    case CellKind::peephole:
      expect(r.net_inputs == 4 * r.units, "net_inputs must be 4 times units");
      break;
    case CellKind::coupled:
    case CellKind::no_output_gate:
    case CellKind::gru:
      expect(r.net_inputs == 3 * r.units, "net_inputs must be 3 times units");
      break;
    case CellKind::lstm97:
      expect(r.net_inputs == r.units + gates, "net_inputs must be the number of cells and gates");
      break;
    case CellKind::rnn_tanh:
    case CellKind::rnn_relu: expect(r.net_inputs == r.units, "net_inputs must equal units"); break;
    case CellKind::described:
      expect(r.net_inputs >= r.units && r.net_inputs % r.units == 0,
             "net_inputs must be a positive multiple of units");
      expect(r.forward && r.backward,
             "forward and backward must be the compiled functions of a described cell");
      check_products(r);
      return;
  }
  expect(r.recurrent && r.first_rows == r.net_inputs && !r.products,
         "first_rows must be net_inputs, and recurrent 1 without products, for a built-in cell");
  const bool state = r.kind <= CellKind::no_output_gate;
  expect(r.states == (state ? 1 : 0), state ? "states must be 1 for a cell with a state"
                                            : "states must be 0 for a cell without a state");
  expect(state || !r.projection, "projection must be 0 for a cell without a state");
  const Index parameters = r.kind == CellKind::peephole ? 3 : r.kind == CellKind::gru ? 1 : 0;
  if (r.unit_parameters != parameters)
    refuse("unit_parameters is ", r.unit_parameters, ", expected ", parameters, " for this cell");
}

void check_parts(const Recurrence& r, Present p) {
  const bool described = r.kind == CellKind::described;
  expect(p.w_hh, "w_hh is missing");
  expect(p.w_hr == r.projection, "w_hr must be given with a projection, and only then");
  expect(p.ln_hh == r.layer_norm, "ln_hh must be given with layer_norm, and only then");
  expect(p.ln_c == (r.layer_norm && r.kind <= CellKind::no_output_gate),
         "ln_c must be given with layer_norm of a cell with a state, and only then");
  expect(!described || !p.bias || p.w_ih,
         "bias of a described cell is added to w_ih x: give w_ih too, or add it to x");
  expect(p.ln_ih == (p.w_ih && r.layer_norm && !described),
         "ln_ih must be given with w_ih and layer_norm of a built-in cell, and only then");
  expect(p.unit == (r.unit_parameters > 0) || (r.kind == CellKind::gru && !p.unit),
         "unit must be given for a cell with unit_parameters, and only then");
}

}  // namespace carrousel
