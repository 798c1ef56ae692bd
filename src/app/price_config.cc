#include "app/price_config.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>

#include "base/strings.h"

namespace cml::app {
namespace {

Error Wrong(std::string_view key, std::string_view rule) {
  return Error(Code::kInvalidArgument, fmt::format("prices: {}: {}", key, rule));
}

Status ReadDay(const std::string& key, const std::string& text, std::optional<UsageDay>& into) {
  into = ParseDay(text);
  if (!into) return Wrong(key, fmt::format("{} is no day; write it as 2026-01-31", Quote(text)));
  return Ok{};
}

Status ReadAmount(const std::string& key, const std::string& text, Price& price) {
  const auto micros = ParseMicros(text);
  constexpr std::int64_t kMost = 10'000'000'000;  // 10,000 of the currency
  if (!micros || *micros > kMost) {
    return Wrong(key, fmt::format("{} is no price; a number with at most six decimals, at most 10000, for "
                                  "instance 0.03", Quote(text)));
  }
  price.micros = *micros;
  price.per = key == "per_month" ? PricePer::kMonth : PricePer::kHour;
  return Ok{};
}

Status ReadPrice(const YAML::Node& node, Price& price) {
  if (!node.IsMap()) return Wrong("list", "each price has names and values: {resource: cpu, per_hour: 0.03}");
  bool resource = false, amount = false;
  for (const auto& entry : node) {
    const std::string key = entry.first.Scalar();
    if (!entry.second.IsScalar()) return Wrong(key, "one value is expected");
    const std::string value = entry.second.Scalar();
    if (key == "resource") {
      const auto parsed = ParsePriced(value);
      if (!parsed) return Wrong(key, fmt::format("{}: cpu, memory, gpu or storage", Quote(value)));
      price.resource = *parsed;
      resource = true;
    } else if (key == "gpu") {
      price.gpu = ToLower(value);
    } else if (key == "per_hour" || key == "per_month") {
      if (amount) return Wrong(key, "either per_hour or per_month, once");
      CML_RETURN_IF_ERROR(ReadAmount(key, value, price));
      amount = true;
    } else if (key == "from") {
      CML_RETURN_IF_ERROR(ReadDay(key, value, price.from));
    } else if (key == "until") {
      CML_RETURN_IF_ERROR(ReadDay(key, value, price.until));
    } else {
      return Wrong(key, "a price has resource, gpu, per_hour or per_month, from and until");
    }
  }
  if (!resource) return Wrong("list", "a price without a resource: cpu, memory, gpu or storage");
  if (!amount) return Wrong(ToString(price.resource), "per_hour is missing");
  return Ok{};
}

}  // namespace

Status ReadPrices(const YAML::Node& node, PriceList& into) {
  if (!node.IsMap()) return Error(Code::kInvalidArgument, "prices: currency and list are expected");
  PriceList prices;
  for (const auto& entry : node) {
    const std::string key = entry.first.Scalar();
    if (key == "currency" && entry.second.IsScalar()) {
      prices.currency = entry.second.Scalar();
      const bool plain = std::all_of(prices.currency.begin(), prices.currency.end(),
                                     [](char c) { return c >= 'A' && c <= 'Z'; });
      if (!plain || prices.currency.empty() || prices.currency.size() > 8) {
        return Wrong(key, "capital letters, for instance EUR");
      }
    } else if (key == "list" && entry.second.IsSequence()) {
      for (const YAML::Node& one : entry.second) {
        Price price;
        CML_RETURN_IF_ERROR(ReadPrice(one, price));
        prices.prices.push_back(std::move(price));
      }
    } else {
      return Wrong(key, "there are currency, a text, and list, a list of prices");
    }
  }
  if (prices.currency.empty()) return Wrong("currency", "is missing, for instance currency: EUR");
  if (const Status valid = Validate(prices); !valid.ok()) {
    return Error(Code::kInvalidArgument, "prices: " + valid.error().message());
  }
  into = std::move(prices);
  return Ok{};
}

}  // namespace cml::app
