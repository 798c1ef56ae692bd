// codec/fields.h — reads the fields of a JSON object one by one and remembers the first that is
// wrong. Private to codec/.
#pragma once
#include <boost/json.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace cml::codec {

namespace json = boost::json;

// One JSON text that must be an object. kInvalidArgument: "body: …" with the position. Its values
// lie in `memory`, which must live as long as they do.
Result<json::object> ParseObject(std::string_view text, json::storage_ptr memory = {});

// kInvalidArgument: a name stands twice in the outermost object.
Status RefuseDoubleNames(std::string_view text);

// Each reader leaves `into` alone when the field is absent or null. Once a field was wrong, the
// others are not looked at.
class Fields {
 public:
  explicit Fields(const json::object& object) : object_(object) {}

  void Text(std::string_view name, std::string& into);    // string, or a number as it is written
  void Text(std::string_view name, std::optional<std::string>& into);
  void Integer(std::string_view name, std::int64_t& into);  // integer, or its digits as a string
  void Integer(std::string_view name, std::optional<std::int64_t>& into);
  void Boolean(std::string_view name, bool& into);        // boolean, 0 or 1, or "true"/"false"
  void TextMap(std::string_view name, std::map<std::string, std::string>& into);  // values: scalars
  bool Present(std::string_view name) const;              // there and neither null nor empty text

  Status Done() const;

 private:
  const json::value* Find(std::string_view name);
  void Fail(std::string_view name, const json::value& got, std::string_view rule);
  const json::object& object_;
  std::optional<Error> wrong_;
};

}  // namespace cml::codec
