#include "api/usage.h"

#include <fmt/format.h>

#include <array>
#include <memory>

#include "api/http_error.h"
#include "api/list_query.h"
#include "base/strings.h"
#include "codec/usage_json.h"

namespace cml::api {
namespace {

using Where = net::Route::Where;

constexpr std::array<std::string_view, 8> kFields = {
    "key", "name", "org_id", "seconds", "cpu_core_seconds", "memory_gib_seconds", "gpu_seconds",
    "storage_gib_hours"};
constexpr ListShape kShape{"data", "key", kFields};
constexpr std::chrono::days kMostDays{3660};
constexpr std::string_view kLabelPrefix = "label:";

Result<UsageDay> DayIn(const Call& call, const std::string& name, UsageDay otherwise) {
  const std::string text = call.Query(name);
  if (text.empty()) return otherwise;
  if (const auto day = ParseDay(text)) return *day;
  return Error(Code::kInvalidArgument,
               fmt::format("{} {}: a day (UTC) as YYYY-MM-DD, for instance 2026-11-01", name, Quote(text)));
}

Status ReadBy(const std::string& text, service::UsageFilter& filter) {
  if (text.empty()) return Ok{};
  if (text.starts_with(kLabelPrefix) && text.size() > kLabelPrefix.size()) {
    filter.by = UsageBy::kLabel;
    filter.label = text.substr(kLabelPrefix.size());
    return Ok{};
  }
  for (const UsageBy by : {UsageBy::kDay, UsageBy::kOrg, UsageBy::kUser, UsageBy::kJob, UsageBy::kKind}) {
    if (text != ToString(by)) continue;
    filter.by = by;
    return Ok{};
  }
  return Error(Code::kInvalidArgument,
               fmt::format("by {}: day, org, user, job, kind or label:KEY", Quote(text)));
}

Status ReadLabels(const std::string& text, service::UsageFilter& filter) {
  if (text.empty()) return Ok{};
  for (const std::string_view pair : Split(text, ',')) {
    const auto equals = pair.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      return Error(Code::kInvalidArgument, fmt::format("label {}: KEY=VALUE, several with a comma between", Quote(text)));
    }
    filter.labels[std::string(pair.substr(0, equals))] = std::string(pair.substr(equals + 1));
  }
  return Ok{};
}

class UsageRoutes {
 public:
  explicit UsageRoutes(UsageRoutesDeps deps) : d_(std::move(deps)) {}

  Result<net::Response> Usage(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const service::UsageFilter filter, FilterOf(call));
    const std::string format = call.Query("format");
    if (!format.empty() && format != "json" && format != "csv") {
      return Error(Code::kInvalidArgument, fmt::format("format {}: json or csv", Quote(format)));
    }
    CML_ASSIGN_OR_RETURN(const UsageReport report, d_.usage.Report(filter));
    if (format == "csv") return TextResponse(200, codec::EncodeUsageCsv(report), "text/csv; charset=utf-8");
    return ListAnswer(call, codec::EncodeUsage(report, BudgetsFor(filter)), kShape);
  }

  Result<net::Response> Prices(const Call&) const {
    return JsonResponse(200, codec::EncodePrices(d_.usage.prices()));
  }

  Result<net::Response> ReadBudget(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const BudgetState state, d_.budgets.Read(call.caller.org));
    return One(state);
  }

  Result<net::Response> PutBudget(const Call& call) const {
    CML_ASSIGN_OR_RETURN(Budget budget, codec::DecodeBudgetRequest(call.request.body));
    CML_ASSIGN_OR_RETURN(const BudgetState state, d_.budgets.Put(call.caller, std::move(budget)));
    return One(state);
  }

  Result<net::Response> EraseBudget(const Call& call) const {
    CML_RETURN_IF_ERROR(d_.budgets.Erase(call.caller));
    return DoneResponse("Successfully delete the budget");
  }

 private:
  Result<service::UsageFilter> FilterOf(const Call& call) const {
    service::UsageFilter filter;
    if (!call.all_organisations) filter.org = call.caller.org;
    const UsageMonth month = MonthOf(d_.clock.Now());
    CML_ASSIGN_OR_RETURN(filter.from, DayIn(call, "from", month.from));
    CML_ASSIGN_OR_RETURN(filter.until, DayIn(call, "until", std::max(month.until, filter.from + std::chrono::days(1))));
    if (filter.until <= filter.from) {
      return Error(Code::kInvalidArgument,
                   fmt::format("until {}: a day after from ({}); it is itself not counted any more",
                               FormatDay(filter.until), FormatDay(filter.from)));
    }
    if (call.Query("until").empty() && filter.until - filter.from > kMostDays) filter.until = filter.from + kMostDays;
    if (filter.until - filter.from > kMostDays) {
      return Error(Code::kInvalidArgument, fmt::format("from, until: at most {} days in one report", kMostDays.count()));
    }
    CML_RETURN_IF_ERROR(ReadBy(call.Query("by"), filter));
    CML_RETURN_IF_ERROR(ReadLabels(call.Query("label"), filter));
    filter.user = call.Query("user");
    filter.job = call.Query("job");
    return filter;
  }

  std::vector<BudgetState> BudgetsFor(const service::UsageFilter& filter) const {
    std::vector<BudgetState> all = d_.budgets.All();
    std::erase_if(all, [&](const BudgetState& state) { return filter.org && state.org != *filter.org; });
    return all;
  }

  Result<net::Response> One(const BudgetState& state) const {
    const auto name = d_.orgs.NameOf(state.org);
    return JsonResponse(200, codec::EncodeBudgetState(state, name.ok() ? name.value() : state.org.str(),
                                                      d_.usage.prices().currency));
  }

  UsageRoutesDeps d_;
};

}  // namespace

void AddUsageRoutes(RouteTable& table, UsageRoutesDeps deps) {
  const auto routes = std::make_shared<UsageRoutes>(std::move(deps));
  const auto add = [&](const char* method, const char* pattern, auto member) {
    table.Add({method, pattern, Where::kWorker,
               [routes, member](const Call& call) { return (*routes.*member)(call); }, nullptr});
  };
  add("GET", "/cloud_ml/v1/usage", &UsageRoutes::Usage);
  add("GET", "/cloud_ml/v1/price", &UsageRoutes::Prices);
  add("GET", "/cloud_ml/v1/budget", &UsageRoutes::ReadBudget);
  add("PUT", "/cloud_ml/v1/budget", &UsageRoutes::PutBudget);
  add("DELETE", "/cloud_ml/v1/budget", &UsageRoutes::EraseBudget);
}

}  // namespace cml::api
