// api/list_query.h — the optional parameters that every list understands: `limit`, `page`, `sort`
// and filters by any field of its rows. And how a query parameter is read.
//
// A handler makes its whole answer as it always did and returns ListAnswer(call, json, kShape).
// Where the request has none of the parameters, the text goes out as it is. Otherwise:
//   ?state=running            rows whose field has this text; of a field that is a list, one of its
//                             items; `labels.team=vision` looks into an object. Several: all hold.
//   ?sort=name, ?sort=-name   ascending, descending; numbers by value, texts by their bytes, rows
//                             without the field last. Equal rows stay in the order of the list.
//   ?limit=N                  at most N rows, 0: all. Where more follow, the header X-Next-Page and,
//                             in an answer that is an object, the field next_page say where to go on.
//   ?page=P                   the rows after that place. A row that has come or gone in between
//                             neither doubles nor hides others, as long as the order stays.
// Parameters that name no field of the shape are not looked at. For lists that fit into memory; the
// list of jobs pages in the store. Pure, thread-safe. kInvalidArgument names what is possible.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "api/route_table.h"
#include "base/result.h"
#include "net/http.h"

namespace cml::api {

inline constexpr std::uint64_t kMostPage = 1000;

struct ListShape {
  std::string_view rows;                       // the member with the rows; empty: the answer is the array
  std::string_view id;                         // the field that tells two rows apart
  std::span<const std::string_view> fields{};  // by which one can sort and filter
};

Result<net::Response> ListAnswer(const Call& call, std::string json, const ListShape& shape);

// ?sort=: which field, and which way. nullopt: not asked for.
struct SortBy {
  std::string field;
  enum class Way { kUp, kDown } way = Way::kUp;
};
Result<std::optional<SortBy>> SortIn(const Call& call, std::span<const std::string_view> fields);

// nullopt: the query has no such parameter, or an empty one.
Result<std::optional<std::uint64_t>> NumberIn(const Call& call, const std::string& name, std::uint64_t most);

// "True", "true", "1" and "False", "false", "0" or nothing (cloud_ml v1, 13.1).
Result<bool> YesIn(const Call& call, const std::string& name);

}  // namespace cml::api
