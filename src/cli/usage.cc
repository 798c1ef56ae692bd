// What was used and what it cost; prices and budgets.
#include "cli/usage.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "cli/context.h"
#include "cli/groups.h"
#include "core/usage_report.h"
#include "net/http.h"

namespace cml::cli {
namespace {

using codec::Document;

constexpr std::chrono::minutes kPatience{2};

// 1204.23 → "1,204.2"
std::string Number(double value, int decimals) {
  std::string text = fmt::format("{:.{}f}", value, decimals);
  const std::size_t dot = text.find('.');
  for (std::size_t at = dot == std::string::npos ? text.size() : dot; at > 3;) {
    at -= 3;
    if (at > 0 && text[at - 1] != '-') text.insert(at, ",");
  }
  return text;
}

// "934.103871" → "934.10", with the same separators.
std::string MoneyText(const Document& amount) {
  const auto micros = ParseMicros(amount.Text());
  return micros ? Number(static_cast<double>(*micros) / 1e6, 2) : amount.Text();
}

std::string HoursOf(const Document& line, const char* field) {
  const double hours = line.Get(field).Num() / 3600;
  if (hours == 0) return "–";
  return Number(hours, hours < 10 ? 3 : 1);
}

// What lay there on average.
std::string StorageOf(const Document& line, double hours) {
  const double gib = hours > 0 ? line.Get("storage_gib_hours").Num() / hours : 0;
  return gib > 0 ? FormatBytes(static_cast<std::uint64_t>(gib * static_cast<double>(1 << 30))) : "–";
}

std::string BudgetText(const Document& report, const std::string& org) {
  for (const Document& b : report.Get("budgets").Items()) {
    if (b.Get("org_id").Str() == org) {
      return fmt::format("{} ({} %)", MoneyText(b.Get("amount")), b.Get("percent").Int());
    }
  }
  return "";
}

double HoursOfReport(const Document& report) {
  const auto from = ParseDay(report.Get("from").Str());
  const auto until = ParseDay(report.Get("until").Str());
  const auto now = ParseTime(report.Get("as_of").Str());
  if (!from || !until || !now) return 0;
  const SysTime end = std::min<SysTime>(*until, *now);
  return static_cast<double>((end - SysTime(*from)).count()) / 3'600'000;
}

std::string UpperCase(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

void AddParameter(std::string& query, std::string_view name, const std::string& value) {
  if (value.empty()) return;
  query += (query.empty() ? "" : "&") + std::string(name) + "=" + net::PercentEncode(value);
}

Result<std::string> QueryOf(const Context& context, const Typed& typed) {
  std::string from = typed.Get("from"), until = typed.Get("until");
  const bool day = typed.Has("day"), month = typed.Has("month"), last = typed.Has("last_month");
  if (int{day} + int{month} + int{last} + int{!from.empty() || !until.empty()} > 1) {
    return Error(Code::kInvalidArgument, "one of --day, --month, --last-month, or --from and --until");
  }
  const UsageDay today = DayOf(context.Now());
  if (day) {
    from = FormatDay(today);
    until = FormatDay(today + std::chrono::days(1));
  } else if (last) {
    const UsageMonth before = MonthOf(MonthOf(context.Now()).from - std::chrono::days(1));
    from = FormatDay(before.from);
    until = FormatDay(before.until);
  }
  std::string query;
  AddParameter(query, "by", typed.Get("by", "org"));
  AddParameter(query, "from", from);
  AddParameter(query, "until", until);
  AddParameter(query, "user", typed.Get("user"));
  AddParameter(query, "job", typed.Get("job"));
  AddParameter(query, "label", Join(typed.All("label"), ","));
  return query;
}

std::vector<Document> Sorted(const Document& report) {
  std::vector<Document> lines = report.Get("data").Items();
  if (report.Get("by").Str() == "day") return lines;
  const auto cost = [](const Document& line) { return ParseMicros(line.Get("cost").Text()).value_or(0); };
  std::stable_sort(lines.begin(), lines.end(), [&](const Document& a, const Document& b) {
    if (cost(a) != cost(b)) return cost(a) > cost(b);
    return a.Get("seconds").Num() > b.Get("seconds").Num();
  });
  return lines;
}

void ShowReport(Context& context, const Document& report) {
  const std::string by = report.Get("by").Str();
  const std::string currency = report.Get("currency").Str();
  const auto right = Column::Align::kRight;
  Table table({{UpperCase(by == "label" ? report.Get("label").Str() : by)},
               {"CPU h", right},
               {"GPU h", right},
               {"STORAGE", right},
               {currency.empty() ? "COST" : "COST " + currency, right},
               {"BUDGET", Column::Align::kLeft, true}});
  const double hours = HoursOfReport(report);
  const double line_hours = by == "day" ? std::min(24.0, hours) : hours;
  const auto add = [&](const std::string& name, const Document& line, double over, const std::string& budget) {
    table.Add({{name}, {HoursOf(line, "cpu_core_seconds")}, {HoursOf(line, "gpu_seconds")},
               {StorageOf(line, over)}, {MoneyText(line.Get("cost"))}, {budget}});
  };
  const std::vector<Document> lines = Sorted(report);
  for (const Document& line : lines) {
    add(line.Get("name").Text(), line, line_hours, by == "org" ? BudgetText(report, line.Get("org_id").Str()) : "");
  }
  if (lines.size() > 1) add("total", report.Get("total"), hours, "");
  if (lines.empty()) {
    context.Err(fmt::format("nothing was used from {} to {}\n", report.Get("from").Str(), report.Get("until").Str()));
  } else {
    context.Out(table.Render(context.OutColours(), context.OutWidth()));
  }
  for (const Document& budget : report.Get("budgets").Items()) {
    for (const Document& notice : budget.Get("notices").Items()) {
      const std::int64_t percent = notice.Get("percent").Int();
      context.Err(fmt::format("budget of organisation {}: {} % reached {}{}\n", budget.Get("org_id").Text(), percent,
                              ShowTime(notice.Get("at").Str(), context.Now(), TimeStyle::kExact),
                              percent == kBudgetUsedUp ? ", it is used up" : ""));
    }
  }
}

Outcome ShowUsage(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  CML_ASSIGN_OR_RETURN(const std::string query, QueryOf(context, typed));
  if (typed.Has("csv")) {
    CML_RETURN_IF_ERROR(rest->Stream("/usage", query + "&format=csv", kPatience,
                                     [&](std::string_view bytes) { context.Out(bytes); }));
    return ExitCode::kOk;
  }
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Get("/usage", query));
  if (OutputFormat(typed) == Format::kJson) {
    context.PrintJson(reply.body);
  } else {
    ShowReport(context, reply.body);
  }
  return ExitCode::kOk;
}

Outcome ShowPrices(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Get("/price"));
  if (OutputFormat(typed) == Format::kJson) {
    context.PrintJson(reply.body);
    return ExitCode::kOk;
  }
  Table table({{"RESOURCE"}, {"GPU"}, {"PRICE", Column::Align::kRight}, {"PER"}, {"FROM"}, {"UNTIL"}});
  const auto unit = [](const std::string& resource, bool month) {
    if (resource == "cpu") return std::string("core-hour");
    if (resource == "gpu") return std::string("GPU-hour");
    return std::string(month ? "GiB-month" : "GiB-hour");
  };
  for (const Document& p : reply.body.Get("data").Items()) {
    const bool month = p.Has("per_month");
    const std::string resource = p.Get("resource").Str();
    table.Add({{resource},
               {resource == "gpu" && p.Get("gpu").Str().empty() ? "any" : p.Get("gpu").Str()},
               {p.Get(month ? "per_month" : "per_hour").Text() + " " + reply.body.Get("currency").Text()},
               {unit(resource, month)},
               {p.Get("from").IsNull() ? "–" : p.Get("from").Text()},
               {p.Get("until").IsNull() ? "–" : p.Get("until").Text()}});
  }
  if (table.empty()) {
    context.Err("this server has no prices: nothing costs anything\n");
  } else {
    context.Out(table.Render(context.OutColours(), context.OutWidth()));
  }
  return ExitCode::kOk;
}

// "934.10 of 1,200.00 EUR spent this month (77 %)"
std::string SpentText(const Document& budget) {
  return fmt::format("{} of {} {} spent this month ({} %)", MoneyText(budget.Get("spent")),
                     MoneyText(budget.Get("amount")), budget.Get("currency").Text(), budget.Get("percent").Int());
}

Outcome PrintBudget(Context& context, const Typed& typed, const Document& budget) {
  if (OutputFormat(typed) == Format::kJson) {
    context.PrintJson(budget);
    return ExitCode::kOk;
  }
  std::vector<std::string> warnings;
  for (const Document& percent : budget.Get("warn_at").Items()) warnings.push_back(percent.Text() + " %");
  const std::string action = budget.Get("action").Str();
  const std::string then = action == "stop"     ? "nothing starts, and what runs is stopped"
                           : action == "refuse" ? "nothing starts any more"
                                                : "nothing but the warnings";
  context.Out(fmt::format("{}  {}\n  warns at   {}\n  used up    {}\n", OneLine(budget.Get("org_name").Text()),
                          SpentText(budget), warnings.empty() ? "–" : Join(warnings, ", "), then));
  for (const Document& notice : budget.Get("notices").Items()) {
    context.Out(fmt::format("  reached    {} % {}\n", notice.Get("percent").Int(),
                            ShowTime(notice.Get("at").Str(), context.Now(), context.OutTimes())));
  }
  return ExitCode::kOk;
}

Outcome ShowBudget(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Get("/budget"));
  return PrintBudget(context, typed, reply.body);
}

Outcome SetBudget(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  Document body = Document::Object().Set("amount", typed.word());
  body.Set("action", typed.Get("action", "none"));
  if (typed.Has("warn_at")) {
    Document percents = Document::Array();
    for (const std::string_view word : Split(typed.Get("warn_at"), ',')) {
      const auto percent = ParseInt(Trim(word));
      if (!percent) {
        return Error(Code::kInvalidArgument, "--warn-at " + Quote(typed.Get("warn_at")) + ": percentages, for instance 80,100");
      }
      percents.Append(Document::Integer(*percent));
    }
    body.Set("warn_at", percents);
  }
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Put("/budget", body.Dump()));
  return PrintBudget(context, typed, reply.body);
}

Outcome DeleteBudget(Context& context, const Typed&) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Delete("/budget"));
  context.Out(OneLine(reply.body.Get("message").Str()) + "\n");
  return ExitCode::kOk;
}

}  // namespace

void SayBudget(Context& context, Rest& rest) {
  const auto reply = rest.Get("/budget");
  if (!reply.ok() || reply.value().body.Get("notices").size() == 0) return;
  const Document& budget = reply.value().body;
  context.Err(fmt::format("budget of {}: {}{}\n", OneLine(budget.Get("org_name").Text()), SpentText(budget),
                          budget.Get("percent").Int() < kBudgetUsedUp ? "" : ", it is used up"));
}

std::vector<Command> UsageCommands() {
  return {
      {"usage",
       {},
       "what was used, what it cost, and how much of the budget that is",
       "Of this month (UTC) when nothing else is said; what runs counts up to now.\n"
       "  cloudml usage --by job --day\n"
       "  cloudml usage --by label:team --last-month --csv > bill.csv\n"
       "  cloudml usage --by org --org_id -1        # platform administrators: everybody",
       {{{"--by"}, Takes::kValue, "WHAT", "day, org, user, job, kind or label:KEY; org when not given"},
        {{"--from"}, Takes::kValue, "DAY", "first day, YYYY-MM-DD"},
        {{"--until"}, Takes::kValue, "DAY", "first day that is not counted any more"},
        {{"--day"}, Takes::kNothing, "", "today"},
        {{"--month"}, Takes::kNothing, "", "this month"},
        {{"--last-month"}, Takes::kNothing, "", "the month before"},
        {{"--user"}, Takes::kValue, "NAME", "only what this user submitted"},
        {{"--job"}, Takes::kValue, "NAME", "only jobs of this name, or the one with this id"},
        {{"--label"}, Takes::kValues, "KEY=VALUE", "only what has this label"},
        {{"--csv"}, Takes::kNothing, "", "comma separated, exact amounts in seconds"},
        OutputOption()},
       ShowUsage},
      {"usage prices", {}, "what a core, a GiB and a GPU cost", "", {OutputOption()}, ShowPrices},
      {"usage budget",
       {},
       "the organisation's budget, and what is spent of it",
       "",
       {OutputOption()},
       ShowBudget},
      {"usage budget set",
       {"AMOUNT", 1, 1, ""},
       "what the organisation may spend in a month",
       "  cloudml usage budget set 1200 --action refuse --warn-at 50,80,100",
       {{{"--action"}, Takes::kValue, "WHAT", "when it is used up: none, refuse new starts, or stop what runs as well",
         {"none", "refuse", "stop"}},
        {{"--warn-at"}, Takes::kValue, "PERCENTS", "80,100 when not given"},
        OutputOption()},
       SetBudget},
      {"usage budget delete", {}, "no budget any more", "", {}, DeleteBudget},
  };
}

}  // namespace cml::cli
