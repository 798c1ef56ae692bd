#include "core/identity.h"

#include <array>
#include <utility>

namespace cml {
namespace {

constexpr std::array kRoles = {
    std::pair{KeyRole::kViewer, std::string_view("viewer")},
    std::pair{KeyRole::kMember, std::string_view("member")},
    std::pair{KeyRole::kOrgAdmin, std::string_view("org_admin")},
    std::pair{KeyRole::kPlatformAdmin, std::string_view("platform_admin")},
};

constexpr std::array kStates = {
    std::pair{OrgState::kActive, std::string_view("active")},
    std::pair{OrgState::kSuspended, std::string_view("suspended")},
    std::pair{OrgState::kDeleting, std::string_view("deleting")},
};

template <class Table, class Value>
std::string_view WordOf(const Table& table, Value value) {
  for (const auto& [each, word] : table) {
    if (each == value) return word;
  }
  return "";
}

template <class Value, class Table>
std::optional<Value> ValueOf(const Table& table, std::string_view text) {
  for (const auto& [value, word] : table) {
    if (word == text) return value;
  }
  return std::nullopt;
}

}  // namespace

std::string_view ToString(KeyRole role) { return WordOf(kRoles, role); }
std::optional<KeyRole> ParseKeyRole(std::string_view word) { return ValueOf<KeyRole>(kRoles, word); }
std::string_view ToString(OrgState state) { return WordOf(kStates, state); }
std::optional<OrgState> ParseOrgState(std::string_view word) { return ValueOf<OrgState>(kStates, word); }

}  // namespace cml
