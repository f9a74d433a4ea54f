"""Mutations of the kernels, and the test files of which one must fail for each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent


@dataclass(frozen=True)
class Mutant:
    """One mutation: ``old`` becomes ``new`` in the one file of pattern ``file`` that has it."""

    what: str
    file: str
    old: str
    new: str

    @property
    def path(self) -> Path:
        """The one file with the text; LookupError if there is none, or more than one."""
        files = sorted(ROOT.glob(self.file))
        holding = [file for file in files if self.old in file.read_text(encoding="utf-8")]
        if len(holding) != 1:
            raise LookupError(
                f"mutant {self.what!r}: text in {len(holding)} files of {self.file}, expected 1"
            )
        return holding[0]

    def applied(self, text: str) -> str:
        """Return a text with the mutation; LookupError unless ``old`` occurs exactly once."""
        found = text.count(self.old)
        if found != 1:
            raise LookupError(f"mutant {self.what!r}: {found} places in {self.file}, expected 1")
        return text.replace(self.old, self.new)

    def source(self) -> str:
        return self.applied(self.path.read_text(encoding="utf-8"))


def _reference(what: str, old: str, new: str) -> Mutant:
    return Mutant(what, "src/carrousel/kernels/reference/*.py", old, new)


REFERENCE = (
    _reference("sign of the state's change", "state.s + y_in * g", "state.s - y_in * g"),
    _reference("input gates swapped with output gates",
               "[y_in[::size], forget, state.y_cell, shown]",
               "[shown, forget, state.y_cell, y_in[::size]]"),
    _reference("trace of gates forgets", "state.ds_in + np.outer", "0 * state.ds_in + np.outer"),
    _reference("trace of cells forgets", "state.ds_cell + np.outer", "np.outer"),
    _reference("last step is dropped", "enumerate(inputs)", "enumerate(inputs[:-1])"),
    _reference("state is not reset between sequences",
               "self.state = begin(self._network, self._training, self._dtype)",
               'self.state = self.__dict__.setdefault('
               '"kept", begin(self._network, self._training, self._dtype))'),
    _reference("gradients are not cleared", "waiting.clear()", "pass"),
    _reference("a gradient is added to the weights", "into=found[b]", "into=None"),
    _reference("slope of squashing", "(low + scale - y) / scale", "(scale - y) / scale"),
    _reference("slope of input gates", "y_in * (1 - y_in)", "y_in * y_in"),
    _reference("no h' on the way in", "* slope(cell.h, state.h_s) * back", "* back"),
    _reference("no y_out on the way in", "e_s = np.repeat(state.y_out, size) * ", "e_s = "),
    _reference("output derivative left out", "y * (1 - y) if self", "1 if self"),
    _reference("error of the first cell only", "np.add.reduceat(e_s[:, None] * state.ds_in, first)",
               "(e_s[:, None] * state.ds_in)[::size]"),
    _reference("error reaches cells that take no part", "meet(back * on)", "meet(back)"),
    _reference("largest error without its sign", "np.abs(error).max()", "error.max()"),
    _reference("recurrent activations of the same step",
               "state.y[fed.start : fed.stop], np.ones(1, state",
               "0 * state.y[fed.start : fed.stop], np.ones(1, state"),
    _reference("weights change per call instead of per sequence", '== "sequence"', '== "never"'),
    _reference("weights change per sequence instead of per step", '== "step"', '== "never"'),
    _reference("initial activation", "np.full(cell.n_units, training.initial_activation, dtype)",
               "np.zeros(cell.n_units, dtype)"),
    # forget gates
    _reference("trace of forget gates without decay", "kept[:, None] * state.ds_forget + change",
               "state.ds_forget + change"),
    _reference("trace of input gates without decay", "kept * state.s, kept[:, None] * state.ds_in",
               "kept * state.s, state.ds_in"),
    _reference("forget gate sees the state it has made", "rate[forgets][own] * before",
               "rate[forgets][own] * s"),
    # one step of the layer, and its derivatives
    _reference("slope of tanh", "else 1 - new * new", "else 1 - new"),
    _reference("path inside the cells is left out", "w_recurrent, self.by_state]",
               "w_recurrent, 0 * self.by_state]"),
    _reference("recurrent weights the wrong way round", "self.by_net @ w_recurrent",
               "self.by_net @ w_recurrent.T"),
    _reference("no h' inside a step", "(y_out * slope(cell.h, h))[:, None]", "y_out[:, None]"),
    _reference("output gate without the state", "rate[outs][own] * h", "rate[outs][own]"),
    _reference("error of united outputs at other units", "back[-len(error) :]",
               "back[: len(error)]"),
    # backwards
    _reference("errors go back through the Jacobian itself", "step.jacobian(recurrent).T @ e",
               "step.jacobian(recurrent) @ e"),
    _reference("stride off by one", "== self._gradient.stride", "== self._gradient.stride + 1"),
    _reference("depth off by one", "deque(maxlen=self._gradient.depth)",
               "deque(maxlen=self._gradient.depth and self._gradient.depth + 1)"),
    _reference("only the latest error goes back", "back < len(errors)", "back < 1"),
    _reference("only errors of the last step send others back", "if all(error is None",
               "if any(error is None"),
    _reference("output weights do not wait for hidden ones", 'update == "step" and due',
               'update == "step" and target'),
    _reference("cell states are not reset between sequences",
               "self.s = np.zeros(cell.n_states, self._dtype)",
               'self.s = getattr(self, "s", np.zeros(cell.n_states, self._dtype))'),
    # forwards
    _reference("sensitivities through the Jacobian's transpose", '"pq,qlm->plm"', '"qp,qlm->plm"'),
    _reference("sensitivities of the first step only", "self.p) + immediate", "self.p)"),
    _reference("sensitivities are not restricted", "self.p = self.p * self._mask[:, :, None]",
               "pass"),
    _reference("reach off by one", "range(steps - 1)", "range(steps)"),
    _reference("reach is looked for in saturation", "0.5 / sources", "0.5"),
    _reference("state is not balanced, weights are", "r0 * carried", "carried"),
    _reference("signs are not balanced, weights are", "r1 * signs", "signs"),
    _reference("rank-one weights forget", "before / r0 + immediate", "immediate"),
)  # fmt: skip

NATIVE = (
    Mutant("sign of the cell input", "native/common/pointwise.h",
           ": low + span * y;", ": low - span * y;"),
    Mutant("trace of gates and of cells swapped", "native/lanes/forward.h",
           "by_gate[c] = input * slope_in, by_cell[c] = g.slope(input) * y_in;",
           "by_cell[c] = input * slope_in, by_gate[c] = g.slope(input) * y_in;"),
    Mutant("lanes become live a step late", "native/lanes/rounds.h",
           "time >= start_[lane] ? -1 : 0", "time > start_[lane] ? -1 : 0"),
    Mutant("sums over a chunk overwrite their start", "native/lanes/traces.h",
           "sum[i][j] = out[i * to.width + j];", "sum[i][j] = splat(0.0f);"),
    Mutant("traces are not reset between sequences", "native/lanes/lanes.cc",
           "if (p_.learn) clear_traces(p_);", ""),
    Mutant("activations are not carried to the next chunk", "native/lanes/lanes.cc",
           "      Layer::carry(p_, steps);\n", ""),
    Mutant("gradients are not cleared", "native/lanes/traces.h",
           "gradient[i] = splat(0.0f);", ""),
    Mutant("output gate of another block", "native/lanes/errors.h",
           "p.shape.output_gate ? p.unit_y[p.blocks + p.C + j]",
           "p.shape.output_gate ? p.unit_y[p.blocks + p.C]"),
    Mutant("a neighbour's target is every lane's", "native/lanes/outputs.h",
           "const vec error = mask ? goal - y : splat(0.0f);", "const vec error = 1.0f - y;"),
    Mutant("one output is not counted", "native/lanes/outputs.h",
           "      event.count(error);\n", "      if (o) event.count(error);\n"),
    Mutant("a trace row of a large alphabet is not cleared", "native/lanes/rows.h",
           "      clear_trace(p, lane, symbol);\n", ""),
    Mutant("symbols are not checked", "native/common/checks.cc",
           "return count == 0 || worst < limit;", "return count == 0 || worst <= limit;"),
    Mutant("united wiring is not checked", "native/bind/bind.cc",
           "if (s.united && (s.direct", "if (s.inputs < 0 && (s.direct"),
    Mutant("error of the first of united outputs", "native/lanes/outputs.h",
           "p.output_e[c - (p.C - p.O)];", "p.output_e[0];"),
    # paths through time
    Mutant("slope of tanh", "native/paths/*.h", "tanh ? 1.0f - y * y", "tanh ? 1.0f - y"),
    Mutant("errors pass through the time before a sequence", "native/paths/*.h",
           "f.rate[u] = where(live, logistic_slope(y[u]));", "f.rate[u] = logistic_slope(y[u]);"),
    Mutant("errors go back through the transpose", "native/paths/*.h",
           "weights[(first + i) * units + k]", "weights[k * units + first + i]"),
    Mutant("errors inside cells do not pass forget gates", "native/paths/*.h",
           "e_s[c] = f.keep[c] * e;", "e_s[c] = e;"),
    Mutant("errors met are sent back again", "native/paths/paths.cc",
           "met[c] = lanes ? splat(0.0f) : met[c];", ""),
    Mutant("errors of lanes that wait are lost", "native/paths/paths.cc",
           "met[c] = lanes ? splat(0.0f) : met[c];", "met[c] = splat(0.0f);"),
    Mutant("errors go back a step too far", "native/paths/paths.cc",
           "time - x_.depth + 1 > 0 ? time - x_.depth + 1 : 0",
           "time - x_.depth > 0 ? time - x_.depth : 0"),
    Mutant("the tape moves by a step too many", "native/paths/paths.cc",
           "tape_start_ += first;", "tape_start_ += first - 1;"),
    Mutant("errors wait a step too long", "native/paths/paths.cc",
           "++since_[lane] != x_.stride", "++since_[lane] <= x_.stride"),
    Mutant("a symbol's gradient is that of its first step", "native/paths/paths.cc",
           "gradient[u][lane] += x_.spread", "gradient[u][lane] = x_.spread"),
    Mutant("sensitivities do not pass a chunk", "native/paths/*.h",
           "    if (!carried) return;\n", "    return;\n"),
    Mutant("a chunk uses the weights of its end", "native/paths/*.h",
           "p.accumulate ? GoingBack::recurrent(p) : x.kept_w",
           "true ? GoingBack::recurrent(p) : x.kept_w"),
    Mutant("sensitivities do not pass two chunks", "native/paths/*.h",
           "if (carried) add_carried(p", "if (false) add_carried(p"),
    Mutant("a chunk begins without the activations before it", "native/paths/paths.cc",
           "x_.sources[i] = x_.sources[slot(t) * p_.n_sources + i];\n      tape_start_ = t",
           "x_.sources[i] = splat(0.0f);\n      tape_start_ = t"),
    Mutant("a padded output is counted", "native/lanes/row_outputs.h",
           "? error : splat(0.0f);\n        const vec size",
           "? error : error;\n        const vec size"),
    Mutant("sensitivities of cells do not pass forget gates", "native/paths/*.h",
           "vec sum = f.keep[c] * ds[c] +", "vec sum = ds[c] +"),
    Mutant("weights are written where gradients are asked for", "native/lanes/rounds.h",
           "job_.gradient ? gradients_of(p_) : weights_of(p_)", "weights_of(p_)"),
    Mutant("gradients of symbols are read from their traces", "native/lanes/plan.h",
           "p.row_weights + p.row_traces, p.output_table_g", "p.row_weights, p.output_table_g"),
    Mutant("gradients may be written over weights", "native/common/checks.cc",
           "    add(ranges, lane.gradient, weight_count(job.shape));\n", ""),
    Mutant("sensitivities are not reset between sequences", "native/paths/paths.cc",
           "    forward_.reset(p_);\n", "    forward_.reset(p_);\n    if (n) return;\n"),
    Mutant("traces of input gates do not pass forget gates", "native/paths/*.h",
           "trace[c] = f.keep[c] * trace[c] +", "trace[c] = trace[c] +"),
    Mutant("forget gates do not learn", "native/paths/*.h",
           "add_where(lanes, into[p.blocks + j], scale * forget);", ";"),
    # cascade-correlation
    Mutant("errors of candidates do not go back in time", "native/cascade/cascade.cc",
           "carried_[n + i] = d[i];", ""),
    Mutant("errors of candidates are not centred", "native/cascade/cascade.cc",
           "(pool.errors[m * O + o] - mean[o])", "(pool.errors[m * O + o])"),
    Mutant("self-weights have no slope", "native/cascade/cascade.cc",
           "by_self = fused(d[i], before[n + i], by_self);", ";"),
    Mutant("outputs have no offset", "native/cascade/cascade.cc", "all(out.offset)", "all(0.0)"),
    Mutant("hidden units do not see themselves", "native/cascade/cascade.cc",
           "if (before) v[i] = fused(unit.own(), all(before[n + i]), v[i]);", ""),
    Mutant("places without a target have one", "native/bind/cascade.cc",
           "target_of_.assign(static_cast<std::size_t>(b_.steps), b_.targets);",
           "target_of_.assign(static_cast<std::size_t>(b_.steps), 0);"),
    Mutant("order of sequences ignores their targets", "native/cascade/distinct.cc",
           "return found ? found : bytes(goals(), other.goals(), targets() * b.target_bytes);",
           "return found;"),
)  # fmt: skip

SEQUENCE = (
    Mutant("sign of what enters a cell", "native/sequence/*.h",
           "const Vec<Real> c = f * before + i * g;\n    keep(0",
           "const Vec<Real> c = f * before - i * g;\n    keep(0"),
    Mutant("gates swapped on the tape", "native/sequence/*.h",
           "keep(0, i), keep(P::g, g)", "keep(0, g), keep(P::g, i)"),
    Mutant("resets are forgotten", "native/sequence/*.h",
           "if (!f || !(*f & 2)) return;", "if (!f || !(*f & 4)) return;"),
    Mutant("errors pass a reset", "native/sequence/*.h",
           "shared.fresh_s[k] += s[k];\n"
           "      std::fill_n(h, H, Real{0}), std::fill_n(s, DC, Real{0});",
           "shared.fresh_s[k] += s[k];"),
    Mutant("only the last reset counts", "native/sequence/*.h",
           "shared.fresh_h[k] += h[k];", "shared.fresh_h[k] = h[k];"),
    Mutant("gru without the bias of n", "native/sequence/*.h",
           "    if (bias) x += load(bias + u, n);\n", ""),
    Mutant("error of n before the reset gate", "native/sequence/*.h",
           "store(t.dr + 2 * C + u, through, n);", "store(t.dr + 2 * C + u, dn, n);"),
    Mutant("cut a step too early", "native/sequence/*.h",
           "(w.first + j) % q.cut == 0", "(w.first + j + 1) % q.cut == 0"),
    Mutant("truncated errors go back through peepholes", "native/sequence/*.h",
           "through_peepholes = q.cut >= 0", "through_peepholes = true"),
    Mutant("error of a normalised vector along itself", "native/sequence/*.h",
           "(load(e + u, k) - plain - (load(x + u, k) - at.mean) * slope)",
           "(load(e + u, k) - plain)"),
    Mutant("gates of the first block", "native/sequence/*.h",
           "to[u] = gate[u / size];", "to[u] = gate[0];"),
    Mutant("zoneout the wrong way round", "native/sequence/*.h",
           "keep[i] ? to[i] : fresh[i];", "keep[i] ? fresh[i] : to[i];"),
    Mutant("errors come back past dropout", "native/sequence/*.h",
           "drop ? back[k] * drop[k] : back[k]", "drop ? back[k] : back[k]"),
    Mutant("errors in padding are not written", "native/sequence/*.h",
           "        std::fill_n(w.d_x + row * U, U, Real{0});\n", ""),
    Mutant("a row alone forgets what it had", "native/sequence/*.h",
           "sums[0][v] += all(a[k]) * load(", "sums[0][v] = all(a[k]) * load("),
    Mutant("errors of the last thread only", "native/bind/sequence.cc",
           "to[i] += (slice.*part)[i];", "to[i] = (slice.*part)[i];"),
    Mutant("arrays may overlap", "native/sequence/checks.cc",
           "a.start < b.start + b.bytes && b.start < a.start + a.bytes", "a.start == b.start"),
    Mutant("flags may come without their sources", "native/bind/sequence.cc",
           "if (run.flags && !q.sources)", "if (run.flags && !run.flags)"),
)  # fmt: skip

STREAM_REFERENCE = (
    _reference("errors are not cut off", "np.clip(wanted - pending.y, -clip, clip)",
               "wanted - pending.y"),
    _reference("slope of logistic outputs", "error * pending.y * (1 - pending.y)",
               "error * pending.y"),
    _reference("targets are scaled by those before", "self.targets.count(target)  # first", "#"),
    _reference("variance around the mean before", "(1 - a) * (self.variance[there]",
               "(self.variance[there]"),
    _reference("Adam's first gradients are not corrected",
               "self._first / (1 - how.momentum**self.changes)", "self._first"),
    _reference("rates of decay swapped", "how.second * self._second + (1 - how.second)",
               "how.momentum * self._second + (1 - how.momentum)"),
    _reference("traces of the step before", "here.rule.meet(w.read(self.network).T @ error)",
               "here.rule.meet(w.read(self.network).T @ error * 0)"),
)  # fmt: skip

STREAM = (
    Mutant("gains of input gates and cells swapped", "native/stream/stream.cc",
           "next.gain_in + c, g * slope_of_sigmoid<Real>(y_in)",
           "next.gain_in + c, y_in * g_of.slope(g)"),
    Mutant("a step without a target leaves no trace", "native/stream/stream.cc",
           "if (standing && net.rule == Rule::truncated) hidden_pass<Nothing>(net, state);", ""),
    Mutant("errors are not cut off", "native/stream/stream.cc",
           "std::clamp(wanted[k] - y, -net.clip, net.clip)", "wanted[k] - y"),
    Mutant("slope of logistic outputs", "native/stream/stream.cc",
           "e * y * (1 - y) : e", "e * y : e"),
    Mutant("error of an output gate by its last cell", "native/stream/stream.cc",
           "sum += h[c] * back[c];", "sum = h[c] * back[c];"),
    Mutant("errors that overflow inside the cells are learned", "native/stream/stream.cc",
           "return all_finite(C, net.e_s) && all_finite(shape.blocks, net.e_out);",
           "return true;"),
    Mutant("outputs learn from what another stream saw", "native/stream/stream.cc",
           "  show(net, state);\n  ++net.changes;", "  ++net.changes;"),
    Mutant("traces do not pass forget gates", "native/stream/pass.h",
           "kept * load(all_of + at) + gain * source", "load(all_of + at) + gain * source"),
    Mutant("forget gates learn by the last cell of a block", "native/stream/pass.h",
           "d_forget += e * forget", "d_forget = e * forget"),
    Mutant("Adam's correction is that of the step after", "native/stream/change.h",
           "static_cast<double>(net.changes);", "static_cast<double>(net.changes + 1);"),
    Mutant("gradients are not squared", "native/stream/change.h",
           "fresh_second * (d * d)", "fresh_second * d"),
    Mutant("outputs of rows overlap", "native/stream/run.cc", "x += I, outputs += O",
           "x += I, outputs += width"),
    Mutant("inputs are counted before they are standardised", "native/stream/run.cc",
           "const Running& of = inputs_[n];",
           "Running of = inputs_[n]; if (!std::isnan(x[i])) of.count(x[i], settings_.horizon);"),
    Mutant("targets are scaled by those before", "native/stream/run.cc",
           "if (settings_.scale_targets) of.count(target[k], settings_.horizon);", ""),
    Mutant("nothing is ever forgotten", "native/stream/run.cc",
           "std::min(seen, horizon)", "seen"),
    Mutant("a reset stream keeps its past", "native/stream/run.cc",
           "flags_[static_cast<std::size_t>(stream)] = 0;",
           "flags_[static_cast<std::size_t>(stream)] = kUsed;"),
    Mutant("a step is learned twice", "native/stream/run.cc",
           "flags = kUsed;", "flags = kUsed | kStanding;"),
    Mutant("a row is taken before its target is refused", "native/stream/run.cc",
           "  if (learns && !good_target(target)) return Outcome::bad_target;\n", ""),
    Mutant("symbols are rounded", "native/stream/run.cc", "|| x != std::floor(x)", ""),
    Mutant("means are not taken back", "native/stream/parts.cc",
           "of = {from[0], from[1], from[2]}, from += 3;", "from += 3;"),
    # not truncated
    Mutant("sensitivities do not pass forget gates", "native/stream/paths.h",
           "ds += state.kept[c] * load(row + at), store", "ds += load(row + at), store"),
    Mutant("sensitivities of a step are missing", "native/stream/paths.h",
           "if (nets[i] == unit) sums[i][v] +=", "if (nets[i] == unit) sums[i][v] = 0 *"),
    Mutant("weights of rank one are not balanced", "native/stream/paths.h",
           "load(w) / r0 + net", "load(w) + net"),
    Mutant("signs begin again with a stream", "native/stream/run.cc",
           "draws_[static_cast<std::size_t>(2 * stream)] += 1,",
           "draws_[static_cast<std::size_t>(2 * stream)] += 0,"),
)  # fmt: skip

REFERENCE_TESTS = ["kernels/reference/test_gradient.py", "learners/gradient/test_truncated.py",
                   "kernels/test_gradients_learn.py", "kernels/test_gradients.py",
                   "kernels/test_gradients_forward.py"]  # fmt: skip
NATIVE_TESTS = ["kernels/native/test_cascade.py", "kernels/native/test_accuracy.py",
                "kernels/native/test_paths.py",
                "native/lanes/test_identity.py", "native/lanes/test_hostile.py",
                "native/lanes/test_gradient.py"]  # fmt: skip
SEQUENCE_TESTS = [f"native/sequence/test_{of}.py"
                  for of in ("parity", "refusals", "numbers", "described")]  # fmt: skip
STREAM_REFERENCE_TESTS = ["kernels/reference/test_stream.py"]
STREAM_TESTS = [f"native/stream/test_{of}.py"
                for of in ("parity", "state", "refusals", "hostile", "divergence")]  # fmt: skip
