#include "stream/contexts.h"

#include <algorithm>
#include <cmath>

#include "common/refuse.h"
#include "common/signs.h"

namespace carrousel {
namespace {

constexpr double kUnseen = 0.3;      // count of a symbol without context that never occurred
constexpr double kShare = 1e-4;      // of the weight of orders that is redistributed at each step
constexpr double kMostTrust = 9.2;   // logit: 0.9999
constexpr double kLeastRate = 0.02;  // of trusts
constexpr int kMostCount = 255;
constexpr double kMostSingles = 65536;
// A sum of counts belongs to the last class whose bound it reaches.
constexpr double kBounds[Contexts::kSums] = {1, 2, 3, 4, 7, 11, 18, 30};

double logistic(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

Contexts::Contexts(Index symbols, Index streams, Index order, Index places)
    : symbols_(symbols), order_(order) {
  if (symbols < 1 || symbols > Index{1} << 20)
    refuse("contexts of ", symbols, " symbols, expected 1 to 2^20");
  if (streams < 1 || streams > Index{1} << 24)
    refuse("contexts of ", streams, " streams, expected 1 to 2^24");
  if (order < 1 || order > kLongest) refuse("order is ", order, ", expected 1 to 8");
  if (places < 2 || places > Index{1} << 24 || places & (places - 1))
    refuse("places is ", places, ", expected a power of two from 2 to 2^24");
  history_.assign(static_cast<std::size_t>(streams * order), -1);
  table_.resize(static_cast<std::size_t>(places));
  pairs_.reserve(static_cast<std::size_t>(order * kChain * kPairs));
  shares.assign(static_cast<std::size_t>(order + 1), 1 / static_cast<double>(order + 1));
  singles.resize(static_cast<std::size_t>(2 * symbols));
  for (Index n = 0; n < 2 * order; ++n)
    for (Index d = 1; d <= kDistinct; ++d)
      for (const double bound : kBounds)
        trusts.push_back(std::log(std::max(bound / static_cast<double>(d), 1.0))), trusts.push_back(0);
}

// Hashes of the contexts of orders 1, 2, ...; returns how many there are.
Index Contexts::hash(const std::int32_t* history, Hashes& hashes) const {
  std::uint64_t h = 0;
  for (Index n = 0; n < order_; ++n) {
    if (history[n] < 0) return n;
    h = mixed(h + kGolden * static_cast<std::uint64_t>(n + 1) +
              static_cast<std::uint64_t>(history[n]) + 1);
    hashes[static_cast<std::size_t>(n)] = h;
  }
  return order_;
}

// A context has a chain of places. Each may be one of two, which share a cache line.
Contexts::Place* Contexts::find(std::uint64_t hash, Index link) {
  const std::uint64_t h = mixed(hash + static_cast<std::uint64_t>(link) * kGolden);
  const auto check = static_cast<std::uint16_t>(h >> 48 | 1);
  Place* const at = &table_[h & (table_.size() - 1)];
  Place* const other = &table_[(h & (table_.size() - 1)) ^ 1];
  return at->check == check ? at : other->check == check ? other : nullptr;
}

// Replaces the less used of the two if the place is new. The other has survived once, and ages.
Contexts::Place& Contexts::make(std::uint64_t hash, Index link) {
  if (Place* const found = find(hash, link)) return *found;
  const std::uint64_t h = mixed(hash + static_cast<std::uint64_t>(link) * kGolden);
  Place* to = &table_[h & (table_.size() - 1)];
  Place* other = &table_[(h & (table_.size() - 1)) ^ 1];
  if (to->used > other->used) std::swap(to, other);
  if (other->used > 0) --other->used;
  *to = Place{};
  to->check = static_cast<std::uint16_t>(h >> 48 | 1);
  return *to;
}

// Lists the counted symbols of contexts. Sums are those of what is listed, so that probabilities
// add up to 1 whatever places were replaced.
void Contexts::gather(const Hashes& hashes, Index orders) {
  pairs_.clear();
  for (std::size_t n = 0; n < static_cast<std::size_t>(orders); ++n) {
    Found& found = found_[n] = {static_cast<Index>(pairs_.size()), 0, {0, 0}, {0, 0}};
    for (Index link = 0; link < kChain; ++link) {
      const Place* const place = find(hashes[n], link);
      if (!place) break;
      bool full = true;
      for (const Pair& pair : place->pairs) {
        if (!pair.all) full = false;
        else pairs_.push_back(pair);
        found.sums[0] += pair.novel, found.distinct[0] += pair.novel > 0;
        found.sums[1] += pair.all, found.distinct[1] += pair.all > 0;
      }
      if (!full) break;
    }
    found.last = static_cast<Index>(pairs_.size());
  }
}

// The logit of the trust in a context that was found, and how often it changed.
double* Contexts::trust(Index kind, Index order, const Found& of) {
  const Index distinct = std::min(of.distinct[kind], kDistinct) - 1;
  Index sum = kSums - 1;
  while (of.sums[kind] < kBounds[sum]) --sum;
  const Index row = ((kind * order_ + order) * kDistinct + distinct) * kSums + sum;
  return trusts.data() + 2 * row;
}

double Contexts::single(Index kind, Index symbol) const {
  return singles[static_cast<std::size_t>(2 * symbol + kind)] + kUnseen;
}

Index Contexts::look(Index stream, Index symbol, double* novel, double* all) {
  std::array<std::int32_t, kLongest> history;
  history[0] = static_cast<std::int32_t>(symbol);
  std::copy_n(history_.begin() + stream * order_, order_ - 1, history.begin() + 1);
  Hashes hashes;
  const Index orders = hash(history.data(), hashes);
  gather(hashes, orders);
  for (const Index kind : {0, 1}) {
    double* const to = kind ? all : novel;
    std::fill_n(to, symbols_, 0.0);
    double rest = 0;  // the weight that orders n and above leave to shorter contexts
    for (Index n = order_; n > 0; --n) {
      rest += kind ? shares[static_cast<std::size_t>(n)] : n == order_;
      if (n > orders || found_[static_cast<std::size_t>(n - 1)].sums[kind] == 0) continue;
      const Found& found = found_[static_cast<std::size_t>(n - 1)];
      const double trusted = logistic(*trust(kind, n - 1, found));
      const double each = rest * trusted / found.sums[kind];
      for (Index i = found.first; i < found.last; ++i) {
        const Pair& pair = pairs_[static_cast<std::size_t>(i)];
        to[pair.symbol] += each * (kind ? pair.all : pair.novel);
      }
      rest *= 1 - trusted;
    }
    if (kind) rest += shares[0];
    double sum = 0;
    for (Index k = 0; k < symbols_; ++k) sum += single(kind, k);
    for (Index k = 0; k < symbols_; ++k) to[k] += rest / sum * single(kind, k);
  }
  for (Index n = orders; n > 0; --n) {
    const Found& found = found_[static_cast<std::size_t>(n - 1)];
    if (found.sums[1] == 0) continue;
    const bool sure = found.distinct[1] == 1;
    return 4 * n + (sure ? found.sums[1] <= 3 : 2 + (found.sums[1] <= 8));
  }
  return 0;
}

void Contexts::keep(Index stream, Index symbol) {
  std::int32_t* const history = history_.data() + stream * order_;
  std::copy_backward(history, history + order_ - 1, history + order_);
  history[0] = static_cast<std::int32_t>(symbol);
}

void Contexts::learn(Index stream, Index target) {
  Hashes hashes;
  const Index orders = hash(history_.data() + stream * order_, hashes);
  gather(hashes, orders);
  Index longest = -1;  // order that predicted the target
  for (const Index kind : {0, 1}) {
    double sum = 0;
    for (Index k = 0; k < symbols_; ++k) sum += single(kind, k);
    double p = single(kind, target) / sum, mix = 0;
    if (kind) mix = shares[0] *= p;
    for (Index n = 1; n <= order_; ++n) {
      const Found& found = found_[static_cast<std::size_t>(n - 1)];
      if (n <= orders && found.sums[kind] > 0) {
        double counted = 0;
        for (Index i = found.first; i < found.last; ++i) {
          const Pair& pair = pairs_[static_cast<std::size_t>(i)];
          if (pair.symbol == target) counted += kind ? pair.all : pair.novel;
        }
        double* const logit = trust(kind, n - 1, found);
        const double trusted = logistic(*logit), own = trusted * counted / found.sums[kind];
        p = own + (1 - trusted) * p;
        const double rate = std::max(kLeastRate, 1 / std::sqrt(1 + ++logit[1] / 4));
        *logit = std::clamp(*logit + rate * (own / p - trusted), -kMostTrust, kMostTrust);
        if (kind && counted > 0) longest = n;
      }
      if (kind) mix += shares[static_cast<std::size_t>(n)] *= p;
    }
    for (double& share : shares)
      if (kind) share = (1 - kShare) * share / mix + kShare / static_cast<double>(shares.size());
  }
  double* const single = singles.data() + 2 * target;
  single[1] += 1, single[0] += longest < 2;
  if (single[1] > kMostSingles)
    for (double& counted : singles) counted /= 2;
  for (Index n = 1; n <= orders && target < kMostSymbols; ++n)
    count(hashes[static_cast<std::size_t>(n - 1)], static_cast<std::uint16_t>(target),
          n >= longest - 1);
}

void Contexts::count(std::uint64_t hash, std::uint16_t target, bool novel) {
  Pair* rarest = nullptr;
  for (Index link = 0; link < kChain; ++link) {
    Place& place = make(hash, link);
    if (place.used < 65535) ++place.used;
    Pair* to = nullptr;
    for (Pair& pair : place.pairs)
      if (pair.all && pair.symbol == target) to = &pair;
    for (Pair& pair : place.pairs) {
      if (!to && !pair.all) pair = {target, 0, 0}, to = &pair;
      if (link == kChain - 1 && (!rarest || pair.all < rarest->all)) rarest = &pair;
    }
    if (!to && link < kChain - 1) continue;
    if (!to) *rarest = {target, 0, 0}, to = rarest;
    if (to->all == kMostCount)
      for (Pair& pair : place.pairs) pair.all /= 2, pair.novel /= 2;
    to->all += 1, to->novel += novel;
    return;
  }
}

void Contexts::reset(Index stream) {
  std::fill_n(history_.begin() + stream * order_, order_, -1);
}

void Contexts::copy(Index from, Index to) {
  if (from != to)
    std::copy_n(history_.begin() + from * order_, order_, history_.begin() + to * order_);
}

std::size_t Contexts::bytes() const {
  return table_.size() * sizeof(Place) + history_.size() * sizeof(std::int32_t) +
         pairs_.capacity() * sizeof(Pair) +
         (shares.size() + singles.size() + trusts.size()) * sizeof(double);
}

void Contexts::read_history(Index stream, double* to) const {
  std::copy_n(history_.begin() + stream * order_, order_, to);
}

void Contexts::write_history(Index stream, const double* from) {
  for (Index n = 0; n < order_; ++n)
    history_[static_cast<std::size_t>(stream * order_ + n)] =
        static_cast<std::int32_t>(std::clamp(from[n], -1.0, 1e9));
}

void Contexts::bound_trusts() {
  for (std::size_t i = 0; i < trusts.size(); ++i)
    trusts[i] = i % 2 ? std::max(trusts[i], 0.0) : std::clamp(trusts[i], -kMostTrust, kMostTrust);
}

void Contexts::read_places(double* to) const {
  for (const Place& place : table_) {
    *to++ = place.check, *to++ = place.used;
    for (const Pair& pair : place.pairs) *to++ = pair.symbol, *to++ = 256 * pair.all + pair.novel;
  }
}

// Symbols and counts that cannot be are dropped: files may be damaged.
void Contexts::write_places(const double* from) {
  const auto next = [&] { return static_cast<std::uint16_t>(std::clamp(*from++, 0.0, 65535.0)); };
  for (Place& place : table_) {
    place.check = next(), place.used = next();
    for (Pair& pair : place.pairs) {
      const std::uint16_t symbol = next(), counts = next();
      const auto all = static_cast<std::uint8_t>(counts >> 8);
      pair = {symbol, all, std::min(all, static_cast<std::uint8_t>(counts & 255))};
      if (symbol >= symbols_ || place.check == 0) pair = {};
    }
  }
}

}  // namespace carrousel
