#include "api/route_table.h"

#include <cstdlib>

#include "base/log.h"
#include "base/strings.h"

namespace cml::api {
namespace {

bool IsParam(std::string_view segment) { return segment.starts_with('{'); }

std::vector<std::string_view> Segments(std::string_view path) {
  while (path.starts_with('/')) path.remove_prefix(1);
  if (path.ends_with('/')) path.remove_suffix(1);
  return Split(path, '/');
}

}  // namespace

void RouteTable::Add(RouteSpec spec) {
  Entry entry;
  for (const std::string_view s : Segments(spec.pattern)) entry.segments.emplace_back(s);
  if (spec.rule == nullptr) spec.rule = FindAccessRule(spec.method, spec.pattern);
  if (spec.rule == nullptr) {
    LogError("a route without a rule", {{"method", spec.method}, {"pattern", spec.pattern}});
    std::abort();
  }
  entry.spec = std::move(spec);
  entries_.push_back(std::move(entry));
}

RouteTable::Match RouteTable::Find(std::string_view method, std::string_view path) const {
  const auto parts = Segments(path);
  Match match;
  for (const Entry& e : entries_) {
    if (e.segments.size() != parts.size()) continue;
    bool fits = true;
    for (std::size_t i = 0; i < parts.size() && fits; ++i) {
      fits = IsParam(e.segments[i]) ? !parts[i].empty() : e.segments[i] == parts[i];
    }
    if (!fits) continue;
    if (e.spec.method != method) {
      match.allowed += (match.allowed.empty() ? "" : ", ") + e.spec.method;
      continue;
    }
    match.route = &e.spec;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (IsParam(e.segments[i])) match.params.push_back(net::PercentDecode(parts[i]));
    }
    return match;
  }
  return match;
}

std::vector<const RouteSpec*> RouteTable::all() const {
  std::vector<const RouteSpec*> out;
  for (const Entry& e : entries_) out.push_back(&e.spec);
  return out;
}

}  // namespace cml::api
