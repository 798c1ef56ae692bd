// app/price_config.h — the prices of the configuration file. Pure.
#pragma once
#include "base/result.h"
#include "core/billing.h"

namespace YAML {
class Node;
}

namespace cml::app {

// {currency: EUR, list: [{resource: cpu, per_hour: 0.03, from: 2026-01-01, until: 2026-07-01}, …]}.
// kInvalidArgument: a key, a value, or prices with gaps or overlaps.
Status ReadPrices(const YAML::Node& node, PriceList& into);

}  // namespace cml::app
