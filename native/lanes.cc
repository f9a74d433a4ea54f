// Many small nets at once, one per lane of a vector, each with its own weights, data, learning rate
// and sequence boundaries.
//
// A round takes one sequence of every lane. Sequences of unequal length end together: a lane whose
// sequence is shorter becomes live later, and until then keeps its initial state. Within a round,
// time goes in chunks of at most kChunk steps, during which weights stand still, so that traces and
// gradients are loaded and stored once per chunk. Nothing of a lane's arithmetic depends on its
// neighbours: not the order of any sum, nor where it is rounded.
#include "carrousel.h"
#include "lanes_errors.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

class Group {
 public:
  Group(const Job& job, const Lane* lanes, int n_lanes, void* workspace)
      : job_(job), lanes_(lanes), n_lanes_(n_lanes), p_(job, workspace), forward_(job) {
    char* bytes = static_cast<char*>(workspace);
    for (std::size_t i = 0; i < p_.bytes; ++i) bytes[i] = 0;
    rate_ = splat(0.0f);
    for (int lane = 0; lane < n_lanes; ++lane) {
      rate_[lane] = lanes[lane].rate;
      each_weight(p_, lane, lanes[lane].weights, [](const float* flat, float* place) {
        *place = *flat;
      });
    }
  }

  void run() {
    Index rounds = 0;
    for (int lane = 0; lane < n_lanes_; ++lane)
      if (lanes_[lane].n_sequences > rounds) rounds = lanes_[lane].n_sequences;
    for (Index n = 0; n < rounds; ++n) round(n);
    if (!p_.learn) return;
    if (job_.update == Update::epoch) apply_all();
    for (int lane = 0; lane < n_lanes_; ++lane)
      each_weight(p_, lane, lanes_[lane].weights, [](float* flat, const float* place) {
        *flat = *place;
      });
  }

 private:
  bool active(int lane) const { return lane < n_lanes_ && round_ < lanes_[lane].n_sequences; }

  // Position in the lane's data of step t of the round; negative offsets are not live yet.
  Index position(int lane, Index t) const { return first_[lane] + t - start_[lane]; }

  void begin_round(Index n) {
    round_ = n, length_ = 0, ragged_until_ = 0, pending_ = false;
    for (int lane = 0; lane < V; ++lane) {
      if (!active(lane)) continue;
      const Index* offset = lanes_[lane].offsets + n;
      if (offset[1] - offset[0] > length_) length_ = offset[1] - offset[0];
    }
    int longest = 0;
    for (int lane = 0; lane < n_lanes_; ++lane) {
      const Lane& l = lanes_[lane];
      source_[lane] = &l;
      start_[lane] = length_, first_[lane] = next_[lane] = last_[lane] = 0;
      cells_on_[lane] = n >= l.cells_from ? -1 : 0;
      if (active(lane)) {
        first_[lane] = l.offsets[n];
        start_[lane] = length_ - (l.offsets[n + 1] - l.offsets[n]);
        next_[lane] = l.target_offsets[n], last_[lane] = l.target_offsets[n + 1];
      }
      if (start_[lane] > ragged_until_) ragged_until_ = start_[lane];
      if (start_[lane] == 0) longest = lane;
    }
    late_ = job_.update == Update::sequence && next_target() >= length_ - kChunk;
    for (int lane = 0; lane < n_lanes_; ++lane)
      if (active(lane) && next_[lane] == last_[lane]) late_ = false;
    // Elements of the vector that hold no lane see what the longest lane sees, and learn nothing.
    for (int lane = n_lanes_; lane < V; ++lane) {
      source_[lane] = source_[longest], first_[lane] = first_[longest];
      start_[lane] = next_[lane] = last_[lane] = 0;
      cells_on_[lane] = 0;
    }
    event_.max_abs = event_.sum_abs = event_.sum_sq = splat(0.0f);
    forward_.reset(p_);
    if (p_.learn) clear_traces(p_);
  }

  // Time of the round at which some lane has its next target.
  Index next_target() const {
    Index soonest = length_;
    for (int lane = 0; lane < n_lanes_; ++lane)
      if (next_[lane] < last_[lane]) {
        const Index at = lanes_[lane].target_steps[next_[lane]] - first_[lane] + start_[lane];
        if (at < soonest) soonest = at;
      }
    return soonest;
  }

  void stage_inputs(Index t, Index steps) {
    if (p_.rows)
      stage_symbols(t, steps);
    else if (p_.shape.symbols)
      stage_one_hot(t, steps);
    else if (t >= ragged_until_ && steps == kChunk)
      stage_values(t);
    else
      stage_ragged(t, steps);
  }

  // Steps of this chunk before the lane is live.
  Index wait(int lane, Index t, Index steps) const {
    const Index left = start_[lane] - t;
    return left < 0 ? 0 : left < steps ? left : steps;
  }

  void stage_symbols(Index t, Index steps) {
    for (int lane = 0; lane < V; ++lane) {
      const Index from = lane < n_lanes_ ? wait(lane, t, steps) : steps;
      const Index at = position(lane, t);
      for (Index k = 0; k < from; ++k) rows_.symbol[k][lane] = kNoSymbol;
      for (Index k = from; k < steps; ++k) rows_.symbol[k][lane] = source_[lane]->symbols[at + k];
    }
    rows_.load(p_, steps);
  }

  void clear_inputs(Index steps) {
    for (Index k = 0; k < steps; ++k)
      for (Index i = 0; i < p_.I; ++i) p_.sources[k * p_.S + i] = splat(0.0f);
  }

  void stage_one_hot(Index t, Index steps) {
    clear_inputs(steps);
    for (int lane = 0; lane < V; ++lane) {
      const Index at = position(lane, t);
      float* source = reinterpret_cast<float*>(p_.sources) + lane;
      for (Index k = wait(lane, t, steps); k < steps; ++k)
        source[(k * p_.S + source_[lane]->symbols[at + k]) * V] = 1.0f;
    }
  }

  // A whole chunk of values of lanes that are all live: four floats of every lane at a time.
  void stage_values(Index t) {
    const float* from[V];
    for (int lane = 0; lane < V; ++lane)
      from[lane] = source_[lane]->values + position(lane, t) * p_.I;
    Index k = 0, i = 0;  // kChunk I is a multiple of four
    for (Index n = 0; n < kChunk * p_.I; n += 4) {
      vec column[4];
      columns_from(from, column);
      for (int j = 0; j < 4; ++j) {
        p_.sources[k * p_.S + i] = column[j];
        if (++i == p_.I) i = 0, ++k;
      }
      for (int lane = 0; lane < V; ++lane) from[lane] += 4;
    }
  }

  void stage_ragged(Index t, Index steps) {
    clear_inputs(steps);
    for (int lane = 0; lane < V; ++lane) {
      float* source = reinterpret_cast<float*>(p_.sources) + lane;
      for (Index k = wait(lane, t, steps); k < steps; ++k) {
        const float* x = source_[lane]->values + position(lane, t + k) * p_.I;
        for (Index i = 0; i < p_.I; ++i) source[(k * p_.S + i) * V] = x[i];
      }
    }
  }

  template <bool Learn>
  void step(Index t, Index k) {
    if (t >= ragged_until_) return forward_.step<Learn, false>(p_, k, ivec{});
    ivec live;
    for (int lane = 0; lane < V; ++lane) live[lane] = t + k >= start_[lane] ? -1 : 0;
    forward_.step<Learn, true>(p_, k, live);
  }

  // Turns to the targets of step k of the chunk that began at t.
  void meet_targets(Index t, Index k) {
    event_.k = k;
    for (int lane = 0; lane < V; ++lane) {
      event_.target[lane] = -1;
      if (next_[lane] < last_[lane] &&
          lanes_[lane].target_steps[next_[lane]] == position(lane, t + k))
        event_.target[lane] = next_[lane]++;
    }
    for (Index c = 0; c < p_.C; ++c)
      p_.cell_out[c] = cells_on_ ? p_.cell_out[c] : splat(0.0f);
  }

  void predict_chunk(Index t, Index steps, Index target) {
    for (Index k = 0; k < steps; ++k) {
      step<false>(t, k);
      if (t + k != target) continue;
      meet_targets(t, k);
      predict_event();
      target = next_target();
    }
  }

  void predict_event() {
    if (!p_.output_rows) ColumnOutputs::forward(p_, event_.k);
    for (int lane = 0; lane < n_lanes_; ++lane) {
      if (!event_.wanted(lane)) continue;
      float* out = lanes_[lane].outputs + event_.target[lane] * p_.O;
      if (p_.output_rows)
        RowOutputs::predict(p_, lane, rows_.symbol[event_.k][lane], out);
      else
        for (Index o = 0; o < p_.O; ++o) out[o] = p_.output_y[o][lane];
    }
  }

  void output_errors() {
    if (!p_.output_rows) {
      ColumnOutputs::forward(p_, event_.k);
      ColumnOutputs::errors(p_, lanes_, event_, job_.output_derivative);
      ColumnOutputs::send_back(p_);
      return;
    }
    for (Index c = 0; c < p_.C; ++c) p_.back[c] = splat(0.0f);
    for (int lane = 0; lane < n_lanes_; ++lane)
      if (event_.wanted(lane)) {
        RowOutputs::errors(p_, lane, rows_.symbol[event_.k][lane], lanes_[lane], event_,
                           job_.output_derivative);
        RowOutputs::send_back(p_, lane);
      }
  }

  // Errors of the event's step, and the change of output weights or of their gradients.
  void learn_outputs() {
    learned_ |= event_.mask();
    output_errors();
    for (Index c = 0; c < p_.C; ++c) p_.back[c] = cells_on_ ? p_.back[c] : splat(0.0f);
    inner_errors(p_, forward_.h, event_.k);
    if (!p_.output_rows) {
      ColumnOutputs::learn(p_, event_.k, p_.accumulate ? splat(1.0f) : rate_, event_.mask());
      return;
    }
    for (int lane = 0; lane < n_lanes_; ++lane)
      if (event_.wanted(lane))
        RowOutputs::learn(p_, lane, rows_.symbol[event_.k][lane],
                          p_.accumulate ? 1.0f : lanes_[lane].rate);
  }

  // Weights change at every step that has a target, so a chunk ends there.
  void learn_by_step(Index t, Index steps, Index target) {
    for (Index k = 0; k < steps; ++k) step<true>(t, k);
    add_products(p_, traces(p_), steps);
    if (p_.rows) rows_.gather(p_, steps), rows_.remember(p_, steps, round_ + 1);
    if (target >= t + steps) return;
    meet_targets(t, steps - 1);
    learn_outputs();
    learn_step(p_, event_.k, rate_, event_.mask());
    for (int lane = 0; p_.rows && lane < n_lanes_; ++lane)
      if (event_.wanted(lane)) rows_.learn_step(p_, lane, event_.k, lanes_[lane].rate);
  }

  // Weights stand still during the sequence: errors of a chunk are gathered, then spread at once.
  void learn_by_chunk(Index t, Index steps, Index target) {
    const bool wanted = target < t + steps, last = t + steps == length_;
    Index filled = 0;  // steps whose errors are written
    for (Index k = 0; k < steps; ++k) {
      step<true>(t, k);
      if (t + k != target) continue;
      clear_errors(filled, k);
      meet_targets(t, k);
      learn_outputs();
      filled = k + 1;
      target = next_target();
    }
    if (p_.rows && !late_) rows_.remember(p_, steps, round_ + 1);
    if (wanted) {
      clear_errors(filled, steps);
      learn_chunk(p_, steps);
      if (p_.rows) learn_rows(steps);
      pending_ = true;
    }
    if (last) return;  // nobody would read the traces
    add_products(p_, traces(p_), steps);
    if (p_.rows) rows_.gather(p_, steps);
  }

  void clear_errors(Index from, Index to) {
    clear(p_.error_cell + from * p_.C, (to - from) * p_.C);
    clear(p_.error_gate + from * p_.B, (to - from) * p_.B);
  }

  void learn_rows(Index steps) {
    for (int lane = 0; lane < n_lanes_; ++lane) {
      if (!active(lane) || !learned_[lane]) continue;
      rows_.spread(p_, lane, steps);
      if (late_)
        Rows::reach_and_apply(p_, lane, lanes_[lane].symbols + first_[lane],
                              length_ - start_[lane], lanes_[lane].rate);
      else
        Rows::reach(p_, lane);
    }
  }

  void end_round() {
    const bool apply = job_.update == Update::sequence && pending_;
    if (apply) apply_columns();
    for (int lane = 0; lane < n_lanes_; ++lane) {
      if (p_.rows) Rows::finish(p_, lane, lanes_[lane].rate, apply);
      if (!active(lane)) continue;
      lanes_[lane].max_abs[round_] = event_.max_abs[lane];
      lanes_[lane].sum_abs[round_] = event_.sum_abs[lane];
      lanes_[lane].sum_sq[round_] = event_.sum_sq[lane];
    }
  }

  void apply_columns() {
    apply_hidden(p_, rate_, learned_);
    if (!p_.output_rows) ColumnOutputs::apply(p_, rate_, learned_);
    for (int lane = 0; p_.output_rows && lane < n_lanes_; ++lane)
      RowOutputs::apply(p_, lane, lanes_[lane].rate);
    learned_ = isplat(0);
  }

  void apply_all() {
    apply_columns();
    for (int lane = 0; p_.rows && lane < n_lanes_; ++lane)
      for (Index symbol = 0; symbol < p_.I; ++symbol)
        Rows::apply(p_, lane, symbol, lanes_[lane].rate);
  }

  void round(Index n) {
    begin_round(n);
    for (Index t = 0; t < length_;) {
      const Index target = next_target(), steps = chunk_steps(t, target);
      stage_inputs(t, steps);
      if (!p_.learn) {
        predict_chunk(t, steps, target);
      } else if (p_.accumulate) {
        learn_by_chunk(t, steps, target);
      } else {
        learn_by_step(t, steps, target);
      }
      carry(steps);
      t += steps;
    }
    if (p_.learn) end_round();
  }

  // Chunks are counted from the end of the round, which is the end of every lane's sequence: so
  // where they end does not depend on a lane's neighbours. Weights that change by step end them.
  Index chunk_steps(Index t, Index target) const {
    const Index left = length_ - t, most = left % kChunk ? left % kChunk : kChunk;
    const bool cut = p_.learn && !p_.accumulate && target - t < most;
    return cut ? target - t + 1 : most;
  }

  void carry(Index steps) {
    if (!p_.shape.full || steps == 0) return;
    const vec* last = Forward::hidden(p_, steps);
    vec* first = Forward::hidden(p_, 0);
    for (Index u = 0; u < p_.U; ++u) first[u] = last[u];
  }

  const Job& job_;
  const Lane* lanes_;
  int n_lanes_;
  Plan p_;
  Forward forward_;
  Rows rows_;
  vec rate_;
  Event event_;
  ivec cells_on_;
  ivec learned_{};  // lanes that had a target since weights last changed
  Index round_ = 0, length_ = 0, ragged_until_ = 0;
  const Lane* source_[V];  // whose data an element of the vector sees
  Index start_[V], first_[V], next_[V], last_[V];
  bool pending_ = false;  // gradients were gathered in this round
  bool late_ = false;     // every lane's targets are in the last chunk; no gradient outlives it
};

std::size_t workspace_bytes(const Job& job) { return Plan(job, nullptr).bytes; }

void run(const Job& job, const Lane* lanes, int n_lanes, void* workspace) {
  Group(job, lanes, n_lanes, workspace).run();
}

}  // namespace

#define CARROUSEL_STRINGIFY_(x) #x
#define CARROUSEL_STRINGIFY(x) CARROUSEL_STRINGIFY_(x)

extern const Kernel lanes;
const Kernel lanes = {CARROUSEL_STRINGIFY(CARROUSEL_ISA), V, workspace_bytes, run};

}  // namespace carrousel::CARROUSEL_ISA
