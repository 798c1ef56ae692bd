#include "api/list_query.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "api/http_error.h"
#include "base/strings.h"
#include "codec/document.h"

namespace cml::api {
namespace {

using codec::Document;

std::string NamesOf(std::span<const std::string_view> fields) {
  std::vector<std::string> names(fields.begin(), fields.end());
  return Join(names, ", ");
}

// "labels.team" is the member team of labels.
Document FieldOf(const Document& row, std::string_view name) {
  if (row.Has(name)) return row.Get(name);
  const auto dot = name.find('.');
  if (dot == std::string_view::npos) return {};
  return FieldOf(row.Get(name.substr(0, dot)), name.substr(dot + 1));
}

bool Holds(const Document& value, const std::string& text) {
  if (!value.IsArray()) return value.Text() == text;
  const auto items = value.Items();
  return std::any_of(items.begin(), items.end(), [&text](const Document& item) { return item.Text() == text; });
}

struct Filter {
  std::string field, text;
};

std::vector<Filter> FiltersIn(const Call& call, const ListShape& shape) {
  std::vector<Filter> filters;
  for (const auto& parameter : call.request.query) {  // a lambda captures no structured binding
    const std::string& name = parameter.first;
    const std::string_view first = std::string_view(name).substr(0, name.find('.'));
    const bool known = std::any_of(shape.fields.begin(), shape.fields.end(),
                                   [&](std::string_view field) { return field == name || field == first; });
    // org_id says on whose behalf the request is made.
    if (known && name != "org_id") filters.push_back({name, parameter.second});
  }
  return filters;
}

struct Row {
  Document document, key;
};

// Less than, equal, greater than 0, as a goes before, with, after b.
int Compare(const Document& a, const Document& b) {
  if (a.kind() == Document::Kind::kNumber && b.kind() == Document::Kind::kNumber) {
    return a.Num() < b.Num() ? -1 : a.Num() > b.Num() ? 1 : 0;
  }
  return a.Text().compare(b.Text());
}

void Sort(std::vector<Row>& rows, const SortBy& by) {
  for (Row& row : rows) row.key = FieldOf(row.document, by.field);
  std::stable_sort(rows.begin(), rows.end(), [&by](const Row& a, const Row& b) {
    if (a.key.IsNull() || b.key.IsNull()) return !a.key.IsNull() && b.key.IsNull();
    const int order = Compare(a.key, b.key);
    return by.way == SortBy::Way::kUp ? order < 0 : order > 0;
  });
}

// The row's id, fit for a header and for a query.
std::string NameOf(const Document& row, std::string_view id) { return net::PercentEncode(row.Get(id).Text()); }

// A page is "<place of the next row>.<id of the last one shown>": the row is looked for, and only
// when it is gone its place counts.
Result<std::size_t> StartOf(const std::string& page, const std::vector<Row>& rows, std::string_view id) {
  const auto dot = page.find('.');
  const auto place = ParseUnsigned(std::string_view(page).substr(0, dot));
  if (dot == std::string::npos || !place) {
    return Error(Code::kInvalidArgument, fmt::format("page {}: use next_page of the answer before", Quote(page)));
  }
  const std::string last = page.substr(dot + 1);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (NameOf(rows[i].document, id) == last) return i + 1;
  }
  // The last row that was shown has gone: what followed it has moved up by one.
  return std::min(rows.size(), *place == 0 ? 0 : static_cast<std::size_t>(*place - 1));
}

}  // namespace

Result<std::optional<SortBy>> SortIn(const Call& call, std::span<const std::string_view> fields) {
  const std::string text = call.Query("sort");
  if (text.empty()) return std::optional<SortBy>{};
  SortBy by{text, SortBy::Way::kUp};
  if (text.front() == '-') by = {text.substr(1), SortBy::Way::kDown};
  if (std::find(fields.begin(), fields.end(), by.field) == fields.end()) {
    return Error(Code::kInvalidArgument, fmt::format("sort {}: one of {}; with '-' before it the other way round",
                                                     Quote(text), NamesOf(fields)));
  }
  return std::optional<SortBy>{std::move(by)};
}

Result<net::Response> ListAnswer(const Call& call, std::string json, const ListShape& shape) {
  CML_ASSIGN_OR_RETURN(const auto by, SortIn(call, shape.fields));
  CML_ASSIGN_OR_RETURN(const auto most, NumberIn(call, "limit", kMostPage));
  const auto filters = FiltersIn(call, shape);
  const std::string page = call.Query("page");
  if (!by && !most && filters.empty() && page.empty()) return JsonResponse(200, std::move(json));

  CML_ASSIGN_OR_RETURN(Document answer, Document::Parse(json));
  std::vector<Row> rows;
  for (Document& row : (shape.rows.empty() ? answer : answer.Get(shape.rows)).Items()) {
    const bool wanted = std::all_of(filters.begin(), filters.end(), [&row](const Filter& f) {
      return Holds(FieldOf(row, f.field), f.text);
    });
    if (wanted) rows.push_back({std::move(row), {}});
  }
  if (by) Sort(rows, *by);
  std::size_t begin = 0;
  if (!page.empty()) {
    CML_ASSIGN_OR_RETURN(begin, StartOf(page, rows, shape.id));
  }
  const std::size_t left = rows.size() - begin;
  const std::size_t end = begin + (most.value_or(0) > 0 ? std::min<std::size_t>(left, *most) : left);

  std::string next;
  if (end < rows.size()) next = fmt::format("{}.{}", end, NameOf(rows[end - 1].document, shape.id));
  Document shown = Document::Array();
  for (std::size_t i = begin; i < end; ++i) shown.Append(rows[i].document);
  if (!shape.rows.empty()) {
    answer.Set(shape.rows, shown);
    if (!next.empty()) answer.Set("next_page", next);
  }
  net::Response response = JsonResponse(200, (shape.rows.empty() ? shown : answer).Dump());
  if (!next.empty()) response.headers.Add("X-Next-Page", next);
  return response;
}

Result<std::optional<std::uint64_t>> NumberIn(const Call& call, const std::string& name, std::uint64_t most) {
  const std::string text = call.Query(name);
  if (text.empty()) return std::optional<std::uint64_t>{};
  const auto number = ParseUnsigned(text);
  if (!number || *number > most) {
    return Error(Code::kInvalidArgument, fmt::format("{} {}: a whole number from 0 to {}", name, Quote(text), most));
  }
  return number;
}

Result<bool> YesIn(const Call& call, const std::string& name) {
  const std::string text = call.Query(name);
  if (text == "True" || text == "true" || text == "1") return true;
  if (text.empty() || text == "False" || text == "false" || text == "0") return false;
  return Error(Code::kInvalidArgument, fmt::format("{} {}: True or False", name, Quote(text)));
}

}  // namespace cml::api
