// base/id.h — one class per kind of name, so that a JobId cannot be passed where an OrgId is due.
#pragma once
#include <compare>
#include <functional>
#include <string>
#include <utility>

namespace cml {

template <class Tag>
class Id {
 public:
  Id() = default;
  explicit Id(std::string s) : s_(std::move(s)) {}
  const std::string& str() const noexcept { return s_; }
  bool empty() const noexcept { return s_.empty(); }
  friend auto operator<=>(const Id&, const Id&) = default;

 private:
  std::string s_;
};

using OrgId = Id<struct OrgIdTag>;            // decimal number as text, "1" is the first organisation
using ResourceId = Id<struct ResourceIdTag>;  // 10 characters [a-z0-9], unique over all resources
using AccessKey = Id<struct AccessKeyTag>;

// A new random ResourceId (50 bits from the system's random source).
ResourceId NewResourceId();

}  // namespace cml

template <class Tag>
struct std::hash<cml::Id<Tag>> {
  std::size_t operator()(const cml::Id<Tag>& id) const noexcept {
    return std::hash<std::string>()(id.str());
  }
};
