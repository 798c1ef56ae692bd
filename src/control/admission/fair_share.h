// control/admission/fair_share.h — what each organisation is entitled to now, and what it had lately
// beyond that. Pure; cannot fail. The sums are done in the order given: give organisations in one order.
#pragma once
#include <vector>

#include "control/admission/snapshot.h"

namespace cml::control::admission {

// As fractions of the cluster's CPU, memory and GPUs.
struct Shares {
  double cpu = 0, memory = 0, gpu = 0;
  double dominant() const { return cpu > memory ? (cpu > gpu ? cpu : gpu) : (memory > gpu ? memory : gpu); }
};
Shares SharesOf(const Amounts& amounts, const Amounts& cluster);

struct Demand {
  double weight = 1;
  Shares wanted;  // what it holds and waits for, within its quota
};

// Weighted dominant resource fairness by progressive filling (Ghodsi and others, NSDI 11): all dominant
// shares grow in proportion to the weights; who has all it wants stops, and so does everyone who uses a
// resource that is used up. Returns dominant shares, in the order of `demands`.
std::vector<double> Entitlements(const std::vector<Demand>& demands);

// Keeps one organisation's OrgFacts::over_use. Half of it is forgotten in an hour.
class UseLedger {
 public:
  static constexpr double kHalfLife = 3600;  // seconds
  explicit UseLedger(double over_use = 0) : over_use_(over_use) {}
  // For `seconds` it held `share`, and was entitled to `entitled` (dominant shares).
  void Charge(double seconds, double share, double entitled);
  double over_use() const { return over_use_; }

 private:
  double over_use_;
};

}  // namespace cml::control::admission
