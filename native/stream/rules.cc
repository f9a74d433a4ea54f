#include "stream/rules.h"

#include <limits>

#include "common/refuse.h"
#include "sequence/checks.h"

namespace carrousel {
namespace {

constexpr double kKeep = 0.9995;      // forgetting of least squares
constexpr double kMostRegressor = 30, kMostFeature = 30, kMostNet = 10, kMostError = 5;
constexpr double kMostWanted = 1e6;   // of the net, in mean absolute errors
constexpr double kRecent = 32;        // rows of the recent mean
constexpr double kOdd = 20;           // mean absolute errors beyond which a value must be confirmed
constexpr double kSettled = 20;       // rows before that applies
constexpr double kPace = 0.04;        // of quantiles, in mean absolute errors
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

double& at(std::vector<double>& of, Index i) { return of[static_cast<std::size_t>(i)]; }
std::size_t size_of(Index n) { return static_cast<std::size_t>(n); }
Regret* regrets_at(double* numbers) { return reinterpret_cast<Regret*>(numbers); }
Size* size_at(double* numbers) { return reinterpret_cast<Size*>(numbers); }
static_assert(sizeof(Regret) == 3 * sizeof(double) && sizeof(Size) == 2 * sizeof(double));

}  // namespace

void check(const RuleSettings& s) {
  constexpr Index most = Index{1} << 24;
  for (const auto& [name, value, least, limit] :
       {std::tuple{"streams", s.streams, Index{1}, most}, {"variables", s.variables, Index{1}, most},
        {"leads", s.leads, Index{1}, Index{4096}}, {"pending", s.pending, Index{1}, most},
        {"inputs", s.inputs, Index{0}, Index{64}}, {"lags", s.lags, Index{2}, Index{256}},
        {"longest", s.longest, Index{0}, Index{1} << 20}})
    if (value < least || value > limit)
      refuse(name, " is ", value, ", expected ", least, " to ", limit);
  if (s.pending < s.leads) refuse("pending is below leads");
  if (s.longest && !s.periods.empty()) refuse("give periods or longest, not both");
  if (s.longest == 1) refuse("longest is 1, expected 0 or at least 2");
  if (s.periods.size() > 8) refuse("at most 8 periods are allowed");
  for (const Index period : s.periods)
    if (period < 2 || period > 1 << 20) refuse("a period is ", period, ", expected 2 to 2^20");
  if (s.levels.size() > 16) refuse("at most 16 levels are allowed");
  for (const double level : s.levels)
    if (!(level > 0 && level < 1)) refuse("a level is ", level, ", expected a number in (0, 1)");
  const auto wide = [](Index n) { return static_cast<double>(n); };
  Index longest = s.longest;
  for (const Index period : s.periods) longest = std::max(longest, period);
  const double per_stream =
      wide(s.variables) * wide(longest + s.lags + s.leads + 2 * s.pending) +
      wide(s.pending) * (wide(s.outputs()) * wide(s.rules() + 8) + wide(s.seen()));
  const double width = wide(s.regressors(1));
  if (per_stream * wide(s.streams) > 1e11 || wide(s.outputs()) * width * width > 1e9)
    refuse("rules would take hundreds of gigabytes; use fewer streams, targets, leads or periods");
}

Rules::Rules(const RuleSettings& settings, const RuleKernels& kernels)
    : settings_(settings), kernels_(kernels) {
  check(settings);
  const Index B = settings.streams, V = settings.variables, O = settings.outputs();
  const Index Q = settings.pending, E = settings.rules();
  Index next = 1;  // the first number is that of rows
  const auto take = [&](Index n) { return next += n, next - n; };
  key_.known = take(V), key_.change = take(2 * V), key_.mean = take(2 * V);
  key_.recent = take(V), key_.odd = take(V), key_.raw = take(V), key_.before = take(settings.inputs);
  key_.scale = take(2 * O);
  key_.regrets = take(3 * O * E), key_.final_regrets = take(3 * O * 2);
  key_.size = next, next = 0;
  row_.known = take(V), row_.mean = take(V), row_.unit = take(V), row_.scale = take(O);
  row_.base = take(O), row_.net = take(O), row_.mixed = take(O), row_.rules = take(O * E);
  row_.inputs = take(settings.seen()), row_.size = next;
  Index longest = settings.longest;
  for (const Index period : settings.periods) longest = std::max(longest, period);
  // A row may wait for Q rows, and the values before it may be unknown for as long.
  span_ = longest + settings.lags + settings.leads + 2 * Q + 2;
  width_ = (settings.regressors(settings.inputs ? 1 : 0) + 7) / 8 * 8;
  keys_.resize(size_of((B + 1) * key_.size)), history_.resize(size_of(B * V * span_));
  rows_.resize(size_of(B * Q * row_.size)), now_.resize(size_of(row_.size));
  fits_.resize(size_of(O * settings.fitted() * (1 + width_) * width_));
  for (Index k = 0; k < O; ++k)
    for (Index fit = 0; fit < settings.fitted(); ++fit)
      for (Index i = 0; i < width_; ++i) inverse(k, fit)[i * width_ + i] = kPriorVariance;
  periods_.resize(size_of(V * settings.slots()));
  for (Index v = 0; v < V; ++v)
    for (std::size_t i = 0; i < settings.periods.size(); ++i)
      at(periods_, v * settings.slots() + static_cast<Index>(i)) =
          static_cast<double>(settings.periods[i]);
  distances_.resize(size_of(V * 2 * settings.longest));
  quantiles_.resize(size_of(O * settings.bounds())), errors_.resize(size_of(2 * O));
  const Index levels = static_cast<Index>(settings.levels.size());
  for (Index k = 0; k < O; ++k)
    for (Index i = 0; i < levels; ++i) {  // quantiles of a Laplace distribution of mean size 1
      const double q = -std::log(1 - settings.levels[size_of(i)]);
      at(quantiles_, (2 * k) * levels + i) = -q, at(quantiles_, (2 * k + 1) * levels + i) = q;
    }
  x_.resize(size_of(width_)), gain_.resize(size_of(width_));
  mixing_.resize(size_of(std::max<Index>(E, 2)));
}

double* Rules::weights(Index k, Index fit) {
  return fits_.data() + (k * settings_.fitted() + fit) * (1 + width_) * width_;
}
double* Rules::inverse(Index k, Index fit) { return weights(k, fit) + width_; }

std::size_t Rules::bytes() const {
  std::size_t numbers = 0;
  for (const auto* of : {&keys_, &history_, &rows_, &fits_, &periods_, &distances_, &quantiles_,
                         &errors_})
    numbers += of->size();
  return numbers * sizeof(double);
}

// --- one row ---------------------------------------------------------------------------------

// The value of a row of the history, or `instead` where that is not kept or was never known.
double Rules::past_or(Index stream, Index v, Index row, double instead) {
  const Index known = static_cast<Index>(key(stream)[key_.known + v]);
  return row < 0 || row >= known || row < known - span_ + 1 ? instead : past(stream, v, row);
}

// A stream's first row: it takes over what is known of all streams together.
void Rules::begin(Index stream) {
  double* const own = key(stream);
  const double* const common = key(settings_.streams);
  std::copy_n(common, key_.size, own);
  std::fill_n(own, key_.change, 0.0);
  std::fill_n(own + key_.mean, key_.scale - key_.mean, 0.0);
  // Its own first change and error replace the sizes of the others.
  for (Index v = 0; v < settings_.variables; ++v) size_at(own + key_.change)[v].seen = 0;
  for (Index k = 0; k < settings_.outputs(); ++k) size_at(own + key_.scale)[k].seen = 0;
}

// Writes the forecasts [E] of the rules for lead h of variable v to `to`, but not those of least
// squares.
void Rules::forecast(Index stream, Index v, Index h, double* to) {
  const double* const own = key(stream);
  const Index known = static_cast<Index>(own[key_.known + v]);
  if (!known) {  // the mean of all streams is better than nothing
    std::fill_n(to, settings_.rules(), key(settings_.streams)[key_.mean + 2 * v]);
    return;
  }
  const Index wanted = rows(stream) + h, ahead = wanted - known + 1;
  const double last = past(stream, v, known - 1);
  to[0] = last, to[1] = own[key_.mean + 2 * v], to[2] = own[key_.recent + v];
  double* seasonal = to + 3 + settings_.fitted();
  for (Index slot = 0; slot < settings_.slots(); ++slot, seasonal += 2) {
    const Index period = static_cast<Index>(at(periods_, v * settings_.slots() + slot));
    seasonal[0] = seasonal[1] = last;
    if (!period) continue;
    const Index back = (ahead + period - 1) / period * period;
    const double then = past_or(stream, v, wanted - back, kNone);
    if (then != then) continue;
    const double before = past_or(stream, v, known - 1 - back, kNone);
    seasonal[0] = then;
    if (before == before) seasonal[1] = last + then - before;
  }
}

// Writes the regressors of least squares for a waiting row to x_: differences from the last value,
// in mean absolute changes. Returns the value that least squares forecast differences from.
double Rules::regress(Index stream, Index v, const double* waiting, const double* rules, Index fit) {
  const Index known = static_cast<Index>(waiting[row_.known + v]);
  const double last = rules[0], unit = waiting[row_.unit + v];
  const auto relative = [&](double x) {
    return std::clamp((x - last) / unit, -kMostRegressor, kMostRegressor);
  };
  double* to = x_.data();
  if (fit == 2) {
    *to++ = 1;
    std::copy_n(waiting + row_.inputs, settings_.seen(), to);
    return rules[1];
  }
  const Index kept = std::min(settings_.lags - 1, known - 1);
  for (Index j = 1; j <= kept; ++j) *to++ = relative(past(stream, v, known - 1 - j));
  to = std::fill_n(to, settings_.lags - 1 - std::max<Index>(kept, 0), 0.0);
  for (Index slot = 0; slot < settings_.slots(); ++slot)
    *to++ = relative(rules[3 + settings_.fitted() + 2 * slot]);
  *to++ = relative(waiting[row_.mean + v]), *to++ = 1;
  if (fit) std::copy_n(waiting + row_.inputs, settings_.seen(), to);
  return last;
}

void Rules::look(Index stream, const double* inputs, double* features) {
  if (rows(stream) == 0) begin(stream);
  const double* const own = key(stream);
  const Index V = settings_.variables, H = settings_.leads, E = settings_.rules();
  double* const now = now_.data();
  const Index I = settings_.inputs;
  std::copy_n(inputs, I, now + row_.inputs);
  if (settings_.seen() > I) std::copy_n(own + key_.before, I, now + row_.inputs + I);
  for (Index v = 0; v < V; ++v) {
    now[row_.known + v] = own[key_.known + v], now[row_.mean + v] = own[key_.mean + 2 * v];
    const Size& changes = size_at(key(stream) + key_.change)[v];
    now[row_.unit + v] = changes.unit();
    for (Index h = 0; h < H; ++h) {
      const Index k = v * H + h;
      double* const rules = now + row_.rules + k * E;
      now[row_.scale + k] = size_at(key(stream) + key_.scale)[k].unit();
      forecast(stream, v, h, rules);
      now[row_.base + k] = rules[0];
      if (!(own[key_.known + v] > 0)) continue;
      for (Index fit = 0; fit < settings_.fitted(); ++fit) {
        const double from = regress(stream, v, now, rules, fit);
        // A stream's own first change tells its unit; that of other streams may be far too large.
        const double own_unit = changes.seen > 0 ? changes.unit() : 0;
        rules[3 + fit] = from + own_unit * kernels_.product(weights(k, fit), x_.data(),
                                                            settings_.regressors(fit));
      }
      mixture_weights(regrets_at(key(stream) + key_.regrets) + k * E, E, mixing_.data());
      // Relative to the last value: equal forecasts have exactly this mixture.
      double& base = now[row_.base + k] = 0;
      for (Index i = 1; i < E; ++i) base += mixing_[size_of(i)] * (rules[i] - rules[0]);
      base += rules[0];
    }
  }
  for (Index v = 0; v < V; ++v) {
    const double* const rules = now + row_.rules + v * H * E;
    const double last = rules[0], unit = now[row_.scale + v * H];
    const Index known = static_cast<Index>(own[key_.known + v]);
    const auto feature = [&](double x) {
      return std::clamp((x - last) / unit, -kMostFeature, kMostFeature);
    };
    *features++ = last;
    for (Index i = 1; i < E; ++i) *features++ = feature(rules[i]);
    *features++ = known ? feature(past_or(stream, v, known - 2, last)) : 0;
    for (Index h = 0; h < H; ++h) *features++ = known ? feature(now[row_.base + v * H + h]) : 0;
  }
}

bool Rules::combine(Index stream, const double* net, double* forecasts) {
  double* const now = now_.data();
  Regret* const regrets = regrets_at(key(stream) + key_.final_regrets);
  for (Index k = 0; k < settings_.outputs(); ++k) {
    const double base = now[row_.base + k];
    // Without an error of the rules there is no scale on which the net could add: a constant series
    // and the first rows of a stream are forecast by the rules alone.
    const Size& errors = size_at(key(stream) + key_.scale)[k];
    const bool adds = errors.mean > 0 && errors.seen > 0;
    const double added = now[row_.scale + k] * std::clamp(net[k], -kMostNet, kMostNet);
    const double full = base + (adds ? added : 0 * added);
    mixture_weights(regrets + 2 * k, 2, mixing_.data());
    now[row_.net + k] = full;
    now[row_.mixed + k] = forecasts[k] = base + mixing_[1] * (full - base);
  }
  return std::all_of(forecasts, forecasts + settings_.outputs(),
                     [](double forecast) { return std::isfinite(forecast); });
}

void Rules::bounds(double* bounds) const {
  const Index levels = static_cast<Index>(settings_.levels.size());
  const double* q = quantiles_.data();
  for (Index k = 0; k < settings_.outputs(); ++k) {
    const double mixed = now_[size_of(row_.mixed + k)], unit = now_[size_of(row_.scale + k)];
    for (Index i = 0; i < 2 * levels; ++i) *bounds++ = mixed + unit * *q++;
  }
}

void Rules::keep(Index stream) {
  double* const own = key(stream);
  const Index latest = rows(stream), H = settings_.leads;
  std::copy(now_.begin(), now_.end(), row(stream, latest));
  std::copy_n(now_.data() + row_.inputs, settings_.inputs, own + key_.before);
  own[0] += 1;
  // Values that are overdue, as their rows no longer wait, count as unchanged.
  const Index due = latest + 1 - settings_.pending + H - 1;
  for (Index v = 0; v < settings_.variables; ++v) {
    double& known = own[key_.known + v];
    for (; known > 0 && known < static_cast<double>(due); known += 1) {
      const Index to = static_cast<Index>(known);
      past(stream, v, to) = past(stream, v, to - 1);
    }
  }
}

void Rules::recall(Index stream, double* forecasts) {
  const double* const latest = row(stream, rows(stream) - 1);
  std::copy_n(latest, row_.size, now_.data());
  std::copy_n(latest + row_.mixed, settings_.outputs(), forecasts);
}

// --- targets ---------------------------------------------------------------------------------

void Rules::start(Index stream, const double* target) {
  if (rows(stream)) return;
  begin(stream);
  key(stream)[0] = 1;  // as if they were those of a row before the first
  observe(stream, 0, target);
}

void Rules::observe(Index stream, Index row_of, const double* target) {
  double* const own = key(stream);
  for (Index v = 0; v < settings_.variables; ++v) {
    double y = target[v];
    if (y != y) continue;
    const Index known = static_cast<Index>(own[key_.known + v]);
    if (row_of < known) {  // it comes after a later one
      if (row_of >= known - settings_.pending - settings_.leads) past(stream, v, row_of) = y;
      continue;
    }
    const double last = known ? past(stream, v, known - 1) : y;
    if (!known)
      for (Index r = std::max<Index>(0, row_of - span_ + 1); r < row_of; ++r) past(stream, v, r) = y;
    for (Index r = known; known && r < row_of; ++r) past(stream, v, r) = last;
    const double* const waiting = row(stream, row_of);
    const Index k = v * settings_.leads;
    const Size& scale = size_at(own + key_.scale)[k];
    const double f = waiting[row_.mixed + k], most = kOdd * scale.unit();
    double& odd = own[key_.odd + v];
    if (known && scale.seen >= kSettled && !(std::abs(y - f) <= most)) {
      if (odd > 0) {  // confirmed by this one: the value before was no outlier
        past(stream, v, row_of - 1) = own[key_.raw + v];
      } else {
        own[key_.raw + v] = y, y = std::clamp(y, f - most, f + most);
      }
      odd = odd > 0 ? 0 : 1;
    } else {
      odd = 0;
    }
    past(stream, v, row_of) = y, own[key_.known + v] = static_cast<double>(row_of + 1);
    for (double* const each : {own, key(settings_.streams)}) {
      if (known) size_at(each + key_.change)[v].count(y - last);
      double& mean = each[key_.mean + 2 * v];
      double& seen = each[key_.mean + 2 * v + 1];
      seen += 1, mean += (y - mean) / seen;
    }
    const double seen = own[key_.mean + 2 * v + 1];
    own[key_.recent + v] += (y - own[key_.recent + v]) / std::min(seen, kRecent);
    if (settings_.longest) seek(stream, v, row_of, y);
  }
}

void Rules::settle(Index stream, Index row_of, const double* targets, double* wanted) {
  const double* const waiting = row(stream, row_of);
  const Index H = settings_.leads;
  for (Index v = 0; v < settings_.variables; ++v)
    for (Index h = 0; h < H; ++h) {
      const Index k = v * H + h;
      wanted[k] = kNone;
      if (targets[k] != targets[k]) continue;
      const bool known = waiting[row_.known + v] > 0;
      const double base = known ? waiting[row_.base + k] : targets[k];
      wanted[k] = std::clamp((targets[k] - base) / waiting[row_.scale + k], -kMostWanted,
                             kMostWanted);
      if (known) learn_output(stream, v, h, waiting, targets[k]);
    }
}

void Rules::learn_output(Index stream, Index v, Index h, const double* waiting, double y) {
  const Index k = v * settings_.leads + h, E = settings_.rules();
  const double* const rules = waiting + row_.rules + k * E;
  const double unit = waiting[row_.unit + v], base = waiting[row_.base + k];
  const double scale = waiting[row_.scale + k], mixed = waiting[row_.mixed + k];
  for (Index fit = 0; fit < settings_.fitted(); ++fit) {
    const double from = regress(stream, v, waiting, rules, fit);
    const Index n = settings_.regressors(fit);
    const double now = kernels_.product(weights(k, fit), x_.data(), n);
    const double error = std::clamp((y - from) / unit - now, -kMostError, kMostError);
    kernels_.learn(inverse(k, fit), weights(k, fit), x_.data(), error, kKeep,
                   kPriorVariance, n, width_, gain_.data());
  }
  const double pair[] = {base, waiting[row_.net + k]};
  for (double* const each : {key(stream), key(settings_.streams)}) {
    count_regrets(regrets_at(each + key_.regrets) + k * E, rules, E, base, y, scale);
    count_regrets(regrets_at(each + key_.final_regrets) + 2 * k, pair, 2, mixed, y, scale);
    size_at(each + key_.scale)[k].count(y - base);
  }
  const double u = (y - mixed) / scale;
  const Index levels = static_cast<Index>(settings_.levels.size());
  at(errors_, 2 * k) += std::abs(y - mixed);
  const double n = at(errors_, 2 * k + 1) += 1, pace = std::max(kPace, 1 / std::sqrt(n));
  for (Index i = 0; i < levels; ++i) {  // quantile tracking (Angelopoulos et al. 2023)
    const double missed = (1 - settings_.levels[size_of(i)]) / 2;
    double& low = at(quantiles_, (2 * k) * levels + i);
    double& high = at(quantiles_, (2 * k + 1) * levels + i);
    low -= pace * ((u < low) - missed), high += pace * ((u > high) - missed);
  }
}

}  // namespace carrousel
