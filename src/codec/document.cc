#include "codec/document.h"

#include <array>
#include <boost/json.hpp>
#include <charconv>
#include <cmath>

#include "base/strings.h"

namespace cml::codec {

namespace json = boost::json;

struct Document::Node {
  json::value value;
};

namespace {

const json::value& AsValue(const void* p) { return *static_cast<const json::value*>(p); }

void PrintString(std::string_view s, std::string& out) {
  out += json::serialize(json::string_view(s.data(), s.size()));
}

void PrintNumber(double d, std::string& out) {
  // JSON has no infinities; a whole number reads better without an exponent.
  if (!std::isfinite(d)) {
    out += "null";
  } else if (d == std::floor(d) && std::fabs(d) < 1e15) {
    out += std::to_string(static_cast<std::int64_t>(d)) + ".0";
  } else {
    std::array<char, 32> text{};  // the shortest that reads back as the same number
    const auto end = std::to_chars(text.data(), text.data() + text.size(), d).ptr;
    out.append(text.data(), end);
  }
}

// `indent` < 0: everything on one line.
void Print(const json::value& v, int indent, std::string& out) {
  const auto new_line = [&](int levels) {
    if (indent >= 0) out.append("\n").append(static_cast<std::size_t>(2 * levels), ' ');
  };
  const int inner = indent < 0 ? indent : indent + 1;
  if (v.is_object()) {
    const json::object& o = v.get_object();
    out += '{';
    bool first = true;
    for (const auto& field : o) {
      if (!std::exchange(first, false)) out += ',';
      new_line(inner);
      PrintString({field.key().data(), field.key().size()}, out);
      out += indent < 0 ? ":" : ": ";
      Print(field.value(), inner, out);
    }
    if (!o.empty()) new_line(indent);
    out += '}';
  } else if (v.is_array()) {
    const json::array& a = v.get_array();
    out += '[';
    bool first = true;
    for (const json::value& item : a) {
      if (!std::exchange(first, false)) out += ',';
      new_line(inner);
      Print(item, inner, out);
    }
    if (!a.empty()) new_line(indent);
    out += ']';
  } else if (v.is_double()) {
    PrintNumber(v.get_double(), out);
  } else {
    out += json::serialize(v);
  }
}

// Line and column of a byte, both from 1.
std::string Where(std::string_view text, std::size_t at) {
  std::size_t line = 1, column = 1;
  for (const char c : text.substr(0, at)) {
    if (c == '\n') {
      ++line;
      column = 0;
    }
    ++column;
  }
  return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

}  // namespace

Document::Document() : Document(std::make_shared<const Node>(), nullptr) {}

Document::Document(std::shared_ptr<const Node> root, const void* at)
    : root_(std::move(root)), at_(at != nullptr ? at : &root_->value) {}

Result<Document> Document::Parse(std::string_view text, DocumentLimits limits) {
  if (text.size() > limits.most_bytes) {
    return Error(Code::kInvalidArgument, "JSON: longer than " + FormatBytes(limits.most_bytes));
  }
  if (!IsValidUtf8(text)) return Error(Code::kInvalidArgument, "JSON: not valid UTF-8");
  json::parse_options options;
  options.max_depth = limits.most_depth;
  json::error_code error;
  json::stream_parser parser({}, options);
  std::size_t used = parser.write_some(text.data(), text.size(), error);
  // What follows the value may be white space alone.
  if (!error && used < text.size() && !Trim(text.substr(used)).empty()) {
    return Error(Code::kInvalidArgument,
                 "JSON: something follows the value at " + Where(text, used));
  }
  if (!error) parser.finish(error);
  if (error == json::error::too_deep) {
    return Error(Code::kInvalidArgument,
                 "JSON: nested more than " + std::to_string(limits.most_depth) + " levels deep");
  }
  if (error) {
    return Error(Code::kInvalidArgument, "JSON: " + error.message() + " at " + Where(text, used));
  }
  return Document(std::make_shared<const Node>(Node{parser.release()}), nullptr);
}

Document Document::String(std::string_view value) {
  return {std::make_shared<const Node>(Node{json::string(value.data(), value.size())}), nullptr};
}
Document Document::Integer(std::int64_t value) {
  return {std::make_shared<const Node>(Node{json::value(value)}), nullptr};
}
Document Document::Real(double value) {
  return {std::make_shared<const Node>(Node{json::value(value)}), nullptr};
}
Document Document::Boolean(bool value) {
  return {std::make_shared<const Node>(Node{json::value(value)}), nullptr};
}
Document Document::Array() { return {std::make_shared<const Node>(Node{json::array()}), nullptr}; }
Document Document::Object() {
  return {std::make_shared<const Node>(Node{json::object()}), nullptr};
}

Document::Kind Document::kind() const {
  switch (AsValue(at_).kind()) {
    case json::kind::null:
      return Kind::kNull;
    case json::kind::bool_:
      return Kind::kBool;
    case json::kind::int64:
    case json::kind::uint64:
    case json::kind::double_:
      return Kind::kNumber;
    case json::kind::string:
      return Kind::kString;
    case json::kind::array:
      return Kind::kArray;
    case json::kind::object:
      return Kind::kObject;
  }
  return Kind::kNull;
}

Document Document::Get(std::string_view name) const {
  if (const json::object* o = AsValue(at_).if_object()) {
    if (const json::value* v = o->if_contains({name.data(), name.size()})) return {root_, v};
  }
  return {};
}

bool Document::Has(std::string_view name) const {
  const json::object* o = AsValue(at_).if_object();
  return o != nullptr && o->contains({name.data(), name.size()});
}

std::vector<std::pair<std::string, Document>> Document::Fields() const {
  std::vector<std::pair<std::string, Document>> fields;
  if (const json::object* o = AsValue(at_).if_object()) {
    for (const auto& f : *o) {
      fields.emplace_back(std::string(f.key().data(), f.key().size()), Document(root_, &f.value()));
    }
  }
  return fields;
}

std::size_t Document::size() const {
  if (const json::array* a = AsValue(at_).if_array()) return a->size();
  if (const json::object* o = AsValue(at_).if_object()) return o->size();
  return 0;
}

Document Document::At(std::size_t index) const {
  const json::array* a = AsValue(at_).if_array();
  if (a == nullptr || index >= a->size()) return {};
  return {root_, &(*a)[index]};
}

std::vector<Document> Document::Items() const {
  std::vector<Document> items;
  if (const json::array* a = AsValue(at_).if_array()) {
    items.reserve(a->size());
    for (const json::value& v : *a) items.push_back(Document(root_, &v));
  }
  return items;
}

std::string Document::Str(std::string_view fallback) const {
  if (const json::string* s = AsValue(at_).if_string()) return {s->data(), s->size()};
  return std::string(fallback);
}

std::int64_t Document::Int(std::int64_t fallback) const {
  json::error_code error;
  const std::int64_t n = AsValue(at_).to_number<std::int64_t>(error);
  return error ? fallback : n;
}

double Document::Num(double fallback) const {
  json::error_code error;
  const double n = AsValue(at_).to_number<double>(error);
  return error ? fallback : n;
}

bool Document::Bool(bool fallback) const {
  const bool* b = AsValue(at_).if_bool();
  return b != nullptr ? *b : fallback;
}

std::string Document::Text() const {
  if (IsNull()) return "";
  return IsString() ? Str() : Dump();
}

void Document::MakeOwn() {
  if (root_.use_count() == 1 && at_ == &root_->value) return;
  root_ = std::make_shared<const Node>(Node{AsValue(at_)});
  at_ = &root_->value;
}

Document& Document::Set(std::string_view name, const Document& value) {
  json::value copy = AsValue(value.at_);  // before MakeOwn: `value` may be part of us
  MakeOwn();
  auto& own = const_cast<json::value&>(AsValue(at_));  // made by us, shared with nobody
  if (!own.is_object()) own.emplace_object();
  own.get_object().insert_or_assign({name.data(), name.size()}, std::move(copy));
  return *this;
}

Document& Document::Append(const Document& value) {
  json::value copy = AsValue(value.at_);
  MakeOwn();
  auto& own = const_cast<json::value&>(AsValue(at_));
  if (!own.is_array()) own.emplace_array();
  own.get_array().push_back(std::move(copy));
  return *this;
}

Document& Document::Remove(std::string_view name) {
  if (!Has(name)) return *this;
  MakeOwn();
  // Not erase(): it would put the last field into the gap, and people read the order.
  auto& own = const_cast<json::value&>(AsValue(at_)).get_object();
  json::object rest;
  for (const auto& f : own) {
    if (f.key() != json::string_view(name.data(), name.size())) rest.emplace(f.key(), f.value());
  }
  own = std::move(rest);
  return *this;
}

std::string Document::Dump() const {
  std::string out;
  Print(AsValue(at_), -1, out);
  return out;
}

std::string Document::Pretty() const {
  std::string out;
  Print(AsValue(at_), 0, out);
  return out;
}

}  // namespace cml::codec
