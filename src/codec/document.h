// codec/document.h — a JSON value as a cheap handle: read it by name, build it, print it.
//
// The one door to JSON for code that does not decode into values of core/ (the command line, tests,
// pass-through fields). The JSON library stays in the .cc file. Handles share what they point at;
// changing one (Set, Append, Remove) copies first, so that no other handle sees it. Not
// thread-safe for one handle; different handles may be used by different threads.
//
// Reading never fails: what is absent or of another kind is a null document or the fallback.
// Parse fails with kInvalidArgument, and its message tells where.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace cml::codec {

struct DocumentLimits {
  std::size_t most_bytes = 64U << 20;
  std::size_t most_depth = 64;
};

class Document {
 public:
  enum class Kind { kNull, kBool, kNumber, kString, kArray, kObject };

  Document();  // null

  // One whole UTF-8 JSON text (RFC 8259); of equal names in an object the last one counts.
  static Result<Document> Parse(std::string_view text, DocumentLimits limits = {});

  static Document String(std::string_view value);  // `value` must be UTF-8
  static Document Integer(std::int64_t value);
  static Document Real(double value);
  static Document Boolean(bool value);
  static Document Array();
  static Document Object();

  Kind kind() const;
  bool IsNull() const { return kind() == Kind::kNull; }
  bool IsObject() const { return kind() == Kind::kObject; }
  bool IsArray() const { return kind() == Kind::kArray; }
  bool IsString() const { return kind() == Kind::kString; }

  // ---- objects
  Document Get(std::string_view name) const;                     // null when there is none
  bool Has(std::string_view name) const;                         // also when its value is null
  std::vector<std::pair<std::string, Document>> Fields() const;  // in the order of the text

  // ---- arrays
  std::size_t size() const;  // of an array or object; 0 for all else
  Document At(std::size_t index) const;
  std::vector<Document> Items() const;

  // ---- scalars
  std::string Str(std::string_view fallback = "") const;
  std::int64_t Int(std::int64_t fallback = 0) const;  // a number without a fraction that fits
  double Num(double fallback = 0) const;
  bool Bool(bool fallback = false) const;
  // As a person reads it: a string without quotes, null as "", everything else as JSON.
  std::string Text() const;

  // ---- building; the handle becomes an object (array) when it was something else
  Document& Set(std::string_view name, const Document& value);
  Document& Set(std::string_view name, std::string_view value) { return Set(name, String(value)); }
  Document& Append(const Document& value);
  Document& Remove(std::string_view name);

  // ---- printing; control characters escaped, UTF-8 as it is
  std::string Dump() const;    // one line, no blanks
  std::string Pretty() const;  // two blanks per level, no final newline

 private:
  struct Node;
  Document(std::shared_ptr<const Node> root, const void* at);
  void MakeOwn();  // afterwards nobody shares what we point at

  std::shared_ptr<const Node> root_;
  const void* at_;  // a value inside root_
};

}  // namespace cml::codec
