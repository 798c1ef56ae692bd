// codec/json_writer.h — writes one JSON text straight into a string, field by field. Private to
// codec/.
//
// For the texts that are made for every request: no tree of values is built first. The caller opens
// and closes what it needs in the right order and names no field twice. Texts must be UTF-8. Not
// thread-safe; owns its text; cannot fail.
#pragma once
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace cml::codec {

class JsonWriter {
 public:
  explicit JsonWriter(std::size_t expected_bytes = 0) { out_.reserve(expected_bytes); }

  JsonWriter& Open(char bracket) {  // '{' or '['
    Separate();
    out_ += bracket;
    first_ = true;
    return *this;
  }
  JsonWriter& Close(char bracket) {
    out_ += bracket;
    first_ = false;
    return *this;
  }
  JsonWriter& Name(std::string_view name) {
    Value(name);
    out_ += ':';
    first_ = true;  // its value needs no comma
    return *this;
  }

  JsonWriter& Value(std::string_view text);
  JsonWriter& Value(const char* text) { return Value(std::string_view(text)); }
  JsonWriter& Value(const std::string& text) { return Value(std::string_view(text)); }
  JsonWriter& Value(std::integral auto number) {
    if constexpr (std::same_as<decltype(number), bool>) return Literal(number ? "true" : "false");
    else return Literal(std::to_string(number));
  }
  JsonWriter& Null() { return Literal("null"); }
  JsonWriter& Json(std::string_view text) { return Literal(text); }  // one whole value as it is

  template <class T>
  JsonWriter& Field(std::string_view name, const T& value) {
    return Name(name).Value(value);
  }

  std::string Take() { return std::move(out_); }

 private:
  JsonWriter& Literal(std::string_view text) {
    Separate();
    out_ += text;
    return *this;
  }
  void Separate() {
    if (!first_) out_ += ',';
    first_ = false;
  }

  std::string out_;
  bool first_ = true;
};

}  // namespace cml::codec
