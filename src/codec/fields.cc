#include "codec/fields.h"

#include <fmt/format.h>

#include "base/strings.h"

namespace cml::codec {
namespace {

// What a person would call the kind of value that came.
std::string Describe(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null: return "null";
    case json::kind::bool_: return value.get_bool() ? "true" : "false";
    case json::kind::int64: return std::to_string(value.get_int64());
    case json::kind::uint64: return std::to_string(value.get_uint64());
    case json::kind::double_: return fmt::format("{}", value.get_double());
    case json::kind::string: return Quote(std::string_view(value.get_string()));
    case json::kind::array: return "a list";
    case json::kind::object: return "an object";
  }
  return "";
}

// A scalar as text; nullopt: a list, an object or null.
std::optional<std::string> ScalarText(const json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_int64()) return std::to_string(value.get_int64());
  if (value.is_uint64()) return std::to_string(value.get_uint64());
  if (value.is_double()) return fmt::format("{}", value.get_double());
  if (value.is_bool()) return value.get_bool() ? "true" : "false";
  return std::nullopt;
}

}  // namespace

Result<json::object> ParseObject(std::string_view text) {
  if (Trim(text).empty()) {
    return Error(Code::kInvalidArgument, "body: empty; a JSON object is expected");
  }
  json::parse_options options;
  options.max_depth = 32;
  json::stream_parser parser({}, options);
  boost::system::error_code ec;
  const std::size_t used = parser.write_some(text.data(), text.size(), ec);
  if (!ec) parser.finish(ec);
  if (ec) {
    if (ec == json::error::too_deep) {
      return Error(Code::kInvalidArgument, "body: nested more than 32 levels deep");
    }
    return Error(Code::kInvalidArgument,
                 fmt::format("body: not valid JSON at byte {}: {}", used, ec.message()));
  }
  if (!Trim(text.substr(used)).empty()) {
    return Error(Code::kInvalidArgument,
                 fmt::format("body: not valid JSON at byte {}: text after its end", used));
  }
  json::value value = parser.release();
  if (!value.is_object()) {
    return Error(Code::kInvalidArgument, fmt::format("body: {}; a JSON object is expected", Describe(value)));
  }
  return std::move(value.get_object());
}

const json::value* Fields::Find(std::string_view name) {
  if (wrong_) return nullptr;
  const json::value* value = object_.if_contains(name);
  return value == nullptr || value->is_null() ? nullptr : value;
}

void Fields::Fail(std::string_view name, const json::value& got, std::string_view rule) {
  wrong_ = Error(Code::kInvalidArgument, fmt::format("{} {}: {}", name, Describe(got), rule));
}

void Fields::Text(std::string_view name, std::string& into) {
  const json::value* value = Find(name);
  if (value == nullptr) return;
  auto text = value->is_bool() ? std::nullopt : ScalarText(*value);
  if (!text) return Fail(name, *value, "a text is expected");
  into = *std::move(text);
}

void Fields::Integer(std::string_view name, std::int64_t& into) {
  const json::value* value = Find(name);
  if (value == nullptr) return;
  if (value->is_int64()) {
    into = value->get_int64();
  } else if (const auto parsed = value->is_string() ? ParseInt(std::string_view(value->get_string()))
                                                    : std::nullopt) {
    into = *parsed;
  } else {
    Fail(name, *value, "a whole number is expected");
  }
}

void Fields::Integer(std::string_view name, std::optional<std::int64_t>& into) {
  if (Find(name) == nullptr) return;
  std::int64_t number = 0;
  Integer(name, number);
  into = number;
}

void Fields::Boolean(std::string_view name, bool& into) {
  const json::value* value = Find(name);
  if (value == nullptr) return;
  const std::string text = ToLower(ScalarText(*value).value_or(""));
  if (text == "true" || text == "1") {
    into = true;
  } else if (text == "false" || text == "0") {
    into = false;
  } else {
    Fail(name, *value, "true or false is expected");
  }
}

void Fields::TextMap(std::string_view name, std::map<std::string, std::string>& into) {
  const json::value* value = Find(name);
  if (value == nullptr) return;
  if (!value->is_object()) return Fail(name, *value, "an object of names and texts is expected");
  for (const auto& [key, entry] : value->get_object()) {
    auto text = ScalarText(entry);
    if (!text) return Fail(std::string(name) + " " + std::string(key), entry, "a text is expected");
    into[std::string(key)] = *std::move(text);
  }
}

bool Fields::Present(std::string_view name) const {
  const json::value* value = object_.if_contains(name);
  if (value == nullptr || value->is_null()) return false;
  if (const auto* text = value->if_string()) return !text->empty();
  return true;
}

Status Fields::Done() const {
  if (wrong_) return *wrong_;
  return Ok{};
}

}  // namespace cml::codec
