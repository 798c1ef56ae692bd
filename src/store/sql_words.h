// store/sql_words.h — the words that stand for enumerations in the tables. Pure. Private to the
// engines below store/. A word that was ever written is never given another meaning.
#pragma once
#include <optional>
#include <string_view>

#include "core/identity.h"
#include "core/resource.h"

namespace cml::store {

constexpr std::string_view RoleWord(KeyRole role) noexcept {
  switch (role) {
    case KeyRole::kPlatformAdmin:
      return "platform_admin";
    case KeyRole::kOrgAdmin:
      return "org_admin";
    case KeyRole::kMember:
      return "member";
    case KeyRole::kViewer:
      return "viewer";
  }
  return "";
}

constexpr std::optional<KeyRole> ParseRoleWord(std::string_view word) noexcept {
  for (const KeyRole role :
       {KeyRole::kPlatformAdmin, KeyRole::kOrgAdmin, KeyRole::kMember, KeyRole::kViewer}) {
    if (RoleWord(role) == word) return role;
  }
  return std::nullopt;
}

constexpr std::string_view EventTypeWord(EventType type) noexcept {
  switch (type) {
    case EventType::kNormal:
      return "Normal";
    case EventType::kWarning:
      return "Warning";
  }
  return "";
}

constexpr std::optional<EventType> ParseEventTypeWord(std::string_view word) noexcept {
  for (const EventType type : {EventType::kNormal, EventType::kWarning}) {
    if (EventTypeWord(type) == word) return type;
  }
  return std::nullopt;
}

}  // namespace cml::store
