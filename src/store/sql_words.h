// store/sql_words.h — the words that stand for enumerations in the tables. Pure. Private to the
// engines below store/. A word that was ever written is never given another meaning.
#pragma once
#include <optional>
#include <string_view>

#include "core/resource.h"

namespace cml::store {

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
