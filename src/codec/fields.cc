#include "codec/fields.h"

#include <boost/json/basic_parser_impl.hpp>
#include <fmt/format.h>

#include <array>
#include <set>

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

// The first name that stands twice in the outermost object, which one of two readers would
// understand in one way and the other in another.
class NameWatch {
 public:
  static constexpr std::size_t max_object_size = std::size_t(-1), max_array_size = std::size_t(-1);
  static constexpr std::size_t max_key_size = std::size_t(-1), max_string_size = std::size_t(-1);
  using error_code = boost::system::error_code;
  using view = json::string_view;

  const std::string& twice() const { return twice_; }

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code&) { return Enter(); }
  bool on_object_end(std::size_t, error_code&) { return Leave(); }
  bool on_array_begin(error_code&) { return Enter(); }
  bool on_array_end(std::size_t, error_code&) { return Leave(); }
  bool on_key_part(view part, std::size_t, error_code&) {
    name_.append(part);
    return true;
  }
  bool on_key(view part, std::size_t, error_code&) {
    name_.append(part);
    if (depth_ == 1 && !seen_.insert(name_).second && twice_.empty()) twice_ = name_;
    name_.clear();
    return true;
  }
  bool on_string_part(view, std::size_t, error_code&) { return true; }
  bool on_string(view, std::size_t, error_code&) { return true; }
  bool on_number_part(view, error_code&) { return true; }
  bool on_int64(std::int64_t, view, error_code&) { return true; }
  bool on_uint64(std::uint64_t, view, error_code&) { return true; }
  bool on_double(double, view, error_code&) { return true; }
  bool on_bool(bool, error_code&) { return true; }
  bool on_null(error_code&) { return true; }
  bool on_comment_part(view, error_code&) { return true; }
  bool on_comment(view, error_code&) { return true; }

 private:
  bool Enter() { return ++depth_, true; }
  bool Leave() { return --depth_, true; }
  int depth_ = 0;
  std::string name_, twice_;
  std::set<std::string> seen_;
};

}  // namespace

Status RefuseDoubleNames(std::string_view text) {
  json::basic_parser<NameWatch> parser{json::parse_options{}};
  boost::system::error_code ec;
  parser.write_some(false, text.data(), text.size(), ec);
  const std::string& twice = parser.handler().twice();
  if (twice.empty()) return Ok{};
  return Error(Code::kInvalidArgument, twice + ": the name stands twice in the body");
}

Result<json::object> ParseObject(std::string_view text, json::storage_ptr memory) {
  if (Trim(text).empty()) {
    return Error(Code::kInvalidArgument, "body: empty; a JSON object is expected");
  }
  json::parse_options options;
  options.max_depth = 32;
  std::array<unsigned char, 4096> scratch;  // of the parser; it takes more where that is too little
  json::stream_parser parser({}, options, scratch.data(), scratch.size());
  parser.reset(std::move(memory));
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

void Fields::Text(std::string_view name, std::optional<std::string>& into) {
  if (Find(name) == nullptr) return;
  std::string text;
  Text(name, text);
  into = std::move(text);
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
