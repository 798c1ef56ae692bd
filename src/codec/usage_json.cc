#include "codec/usage_json.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "codec/fields.h"
#include "codec/json_writer.h"

namespace cml::codec {
namespace {

__extension__ using Wide = __int128;

// numerator / denominator with six decimals, rounded down.
std::string Decimal(Wide numerator, Wide denominator) {
  const Wide millionths = numerator * 1'000'000 / denominator;
  return fmt::format("{}.{:06}", static_cast<std::int64_t>(millionths / 1'000'000),
                     static_cast<std::int64_t>(millionths % 1'000'000));
}

template <std::int64_t kRests>
Wide Smallest(const WholeAndRest<kRests>& amount) {
  return Wide{amount.whole} * kRests + amount.rest;
}

constexpr Wide kMillicoreMsOfCoreSecond = 1'000'000;
constexpr Wide kByteMsOfGibSecond = (Wide{1} << 30) * 1000;
constexpr Wide kByteMsOfGibHour = kByteMsOfGibSecond * 3600;

std::string CoreSeconds(const UsageLine& line) { return Decimal(Smallest(line.sums.cpu), kMillicoreMsOfCoreSecond); }
std::string MemorySeconds(const UsageLine& line) { return Decimal(Smallest(line.sums.memory), kByteMsOfGibSecond); }
std::string StorageHours(const UsageLine& line) { return Decimal(Smallest(line.sums.storage), kByteMsOfGibHour); }
std::string Seconds(std::int64_t ms) { return Decimal(ms, 1000); }

void WriteAmounts(JsonWriter& w, const UsageLine& line) {
  w.Name("seconds").Json(Seconds(line.sums.held_ms));
  w.Name("cpu_core_seconds").Json(CoreSeconds(line));
  w.Name("memory_gib_seconds").Json(MemorySeconds(line));
  w.Name("gpu_seconds").Json(Seconds(line.sums.gpu_ms));
  w.Name("gpu_seconds_by_model").Open('{');
  for (const auto& [model, ms] : line.gpu_ms) w.Name(model).Json(Seconds(ms));
  w.Close('}');
  w.Name("storage_gib_hours").Json(StorageHours(line));
  w.Field("records", line.sums.records);
  w.Field("cost", line.cost.ExactText());
}

void WriteNotices(JsonWriter& w, const BudgetState& state) {
  w.Name("notices").Open('[');
  for (const BudgetNotice& notice : state.notices) {
    w.Open('{').Field("month", notice.month).Field("percent", notice.percent);
    w.Field("at", FormatRfc3339(notice.at)).Close('}');
  }
  w.Close(']');
}

void WriteBudget(JsonWriter& w, const BudgetState& state) {
  w.Field("org_id", state.org.str());
  w.Field("amount", Money::OfMicros(state.budget.micros).ExactText());
  w.Field("spent", state.spent.ExactText());
  w.Field("percent", state.percent());
  w.Field("action", ToString(state.budget.action));
  w.Name("warn_at").Open('[');
  for (const std::int64_t percent : state.budget.warn_at) w.Value(percent);
  w.Close(']');
  WriteNotices(w, state);
}

// A value that a spreadsheet would take for a formula, or a text with commas, stays a text.
std::string Cell(const std::string& text) {
  std::string cell;
  if (!text.empty() && std::string_view("=+-@\t\r").find(text.front()) != std::string_view::npos) cell += '\'';
  cell += text;
  if (cell.find_first_of(",\"\n\r") == std::string::npos) return cell;
  std::string quoted = "\"";
  for (const char c : cell) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

void ReadTime(Fields& f, std::string_view name, SysTime& into) {
  std::int64_t millis = 0;
  f.Integer(name, millis);
  into = SysTime{std::chrono::milliseconds{millis}};
}

std::int64_t Millis(SysTime t) { return t.time_since_epoch().count(); }

Status ReadBudget(const json::object& object, Budget& budget) {
  Fields f(object);
  std::string amount, action;
  f.Text("amount", amount);
  f.Text("action", action);
  CML_RETURN_IF_ERROR(f.Done());
  const auto micros = ParseMicros(amount);
  if (!micros) {
    return Error(Code::kInvalidArgument,
                 fmt::format("amount {}: what may be spent in a month, a number with at most six decimals, "
                             "for instance 1200", Quote(amount)));
  }
  budget.micros = *micros;
  if (!action.empty()) {
    const auto parsed = ParseBudgetAction(action);
    if (!parsed) {
      return Error(Code::kInvalidArgument, fmt::format("action {}: none, refuse or stop", Quote(action)));
    }
    budget.action = *parsed;
  }
  const auto* warn = object.if_contains("warn_at");
  if (warn == nullptr || warn->is_null()) return Ok{};
  if (!warn->is_array()) return Error(Code::kInvalidArgument, "warn_at: a list of percentages, for instance [80, 100]");
  budget.warn_at.clear();
  for (const json::value& percent : warn->get_array()) {
    if (!percent.is_int64()) return Error(Code::kInvalidArgument, "warn_at: whole numbers, for instance [80, 100]");
    budget.warn_at.push_back(percent.get_int64());
  }
  return Ok{};
}

}  // namespace

std::string EncodeUsage(const UsageReport& report, const std::vector<BudgetState>& budgets) {
  JsonWriter w(512 + report.lines.size() * 320);
  w.Open('{');
  w.Field("by", ToString(report.by));
  if (!report.label.empty()) w.Field("label", report.label);
  w.Field("from", FormatDay(report.from));
  w.Field("until", FormatDay(report.until));
  w.Field("as_of", FormatRfc3339(report.as_of));
  w.Field("currency", report.currency);
  w.Name("data").Open('[');
  for (const UsageLine& line : report.lines) {
    w.Open('{').Field("key", line.key).Field("name", line.name).Field("org_id", line.org.str());
    WriteAmounts(w, line);
    w.Close('}');
  }
  w.Close(']');
  w.Name("total").Open('{');
  WriteAmounts(w, report.total);
  w.Close('}');
  w.Name("budgets").Open('[');
  for (const BudgetState& state : budgets) {
    w.Open('{');
    WriteBudget(w, state);
    w.Close('}');
  }
  w.Close(']').Close('}');
  return w.Take();
}

std::string EncodeUsageCsv(const UsageReport& report) {
  std::string out = fmt::format("{},name,org_id,seconds,cpu_core_seconds,memory_gib_seconds,gpu_seconds,"
                                "storage_gib_hours,cost,currency\r\n", ToString(report.by));
  for (const UsageLine& line : report.lines) {
    out += fmt::format("{},{},{},{},{},{},{},{},{},{}\r\n", Cell(line.key), Cell(line.name), line.org.str(),
                       Seconds(line.sums.held_ms), CoreSeconds(line), MemorySeconds(line),
                       Seconds(line.sums.gpu_ms), StorageHours(line), line.cost.ExactText(), Cell(report.currency));
  }
  return out;
}

std::string EncodePrices(const PriceList& prices) {
  JsonWriter w(1024);
  w.Open('{').Field("currency", prices.currency).Name("data").Open('[');
  for (const Price& price : prices.prices) {
    w.Open('{').Field("resource", ToString(price.resource)).Field("gpu", price.gpu);
    w.Field(price.per == PricePer::kMonth ? "per_month" : "per_hour", Money::OfMicros(price.micros).ExactText());
    w.Name("from");
    price.from ? w.Value(FormatDay(*price.from)) : w.Null();
    w.Name("until");
    price.until ? w.Value(FormatDay(*price.until)) : w.Null();
    w.Close('}');
  }
  w.Close(']').Close('}');
  return w.Take();
}

Result<Budget> DecodeBudgetRequest(std::string_view body) {
  CML_ASSIGN_OR_RETURN(const json::object object, ParseObject(body));
  CML_RETURN_IF_ERROR(RefuseDoubleNames(body));
  Budget budget;
  CML_RETURN_IF_ERROR(ReadBudget(object, budget));
  CML_RETURN_IF_ERROR(Validate(budget));
  return budget;
}

std::string EncodeBudgetState(const BudgetState& state, std::string_view org_name, std::string_view currency) {
  JsonWriter w(512);
  w.Open('{');
  WriteBudget(w, state);
  w.Field("org_name", org_name).Field("currency", currency);
  w.Field("set_by", state.budget.set_by).Field("set_at", FormatRfc3339(state.budget.set));
  w.Close('}');
  return w.Take();
}

std::string EncodeStoredBudget(const Budget& budget) {
  JsonWriter w(256);
  w.Open('{').Field("amount", Money::OfMicros(budget.micros).ExactText()).Field("action", ToString(budget.action));
  w.Name("warn_at").Open('[');
  for (const std::int64_t percent : budget.warn_at) w.Value(percent);
  w.Close(']').Field("set_by", budget.set_by).Field("set", Millis(budget.set)).Close('}');
  return w.Take();
}

Result<Budget> DecodeStoredBudget(std::string_view text) {
  CML_ASSIGN_OR_RETURN(const json::object object, ParseObject(text));
  Budget budget;
  CML_RETURN_IF_ERROR(ReadBudget(object, budget));
  Fields f(object);
  f.Text("set_by", budget.set_by);
  ReadTime(f, "set", budget.set);
  CML_RETURN_IF_ERROR(f.Done());
  return budget;
}

std::string EncodeStoredNotice(const BudgetNotice& notice) {
  JsonWriter w(96);
  w.Open('{').Field("month", notice.month).Field("percent", notice.percent).Field("at", Millis(notice.at)).Close('}');
  return w.Take();
}

Result<BudgetNotice> DecodeStoredNotice(std::string_view text) {
  CML_ASSIGN_OR_RETURN(const json::object object, ParseObject(text));
  Fields f(object);
  BudgetNotice notice;
  f.Text("month", notice.month);
  f.Integer("percent", notice.percent);
  ReadTime(f, "at", notice.at);
  CML_RETURN_IF_ERROR(f.Done());
  return notice;
}

std::string EncodeStorageReading(const StorageReading& reading) {
  JsonWriter w(64);
  w.Open('{').Field("at", Millis(reading.at)).Field("bytes", reading.bytes).Close('}');
  return w.Take();
}

Result<StorageReading> DecodeStorageReading(std::string_view text) {
  CML_ASSIGN_OR_RETURN(const json::object object, ParseObject(text));
  Fields f(object);
  StorageReading reading;
  ReadTime(f, "at", reading.at);
  f.Integer("bytes", reading.bytes);
  CML_RETURN_IF_ERROR(f.Done());
  return reading;
}

}  // namespace cml::codec
