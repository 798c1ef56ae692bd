// What an organisation may hold and holds; asking for more, and the administrator's answers.
#include "cli/quota.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/strings.h"
#include "cli/context.h"
#include "cli/groups.h"
#include "cli/usage.h"
#include "core/quota_change.h"

namespace cml::cli {
namespace {

using codec::Document;

constexpr std::size_t kMostHolders = 5;  // in one line

// ---- quota list

// "2/8", "2/INF"; "–" for a field that the server does not send.
std::string UsedOf(const Document& quota, const QuotaField& field) {
  const std::string name = NameOf(field);
  if (!quota.Has(name)) return "–";
  const std::string limit = quota.Get(name).Text();
  return quota.Get(NameOfUsed(field)).Text() + "/" + (limit.starts_with("-1") ? "INF" : limit);
}

std::string QuotaTable(Context& context, const Document& quota) {
  Table table({{"GROUP"}, {"COUNT"}, {"CPU"}, {"MEMORY"}, {"GPU"}, {"PRIORITY"}, {"RANK"}});
  const auto row = [&](std::string_view title, std::optional<QuotaGroup> group) {
    std::vector<Table::Cell> cells{{std::string(title)}};
    for (const auto m : {QuotaMeasure::kCount, QuotaMeasure::kCpu, QuotaMeasure::kMemory,
                         QuotaMeasure::kGpu, QuotaMeasure::kPriority}) {
      cells.push_back({UsedOf(quota, {group, m})});
    }
    const std::string rank = quota.Get(NameOf({group, QuotaMeasure::kRank})).Text();
    cells.push_back({rank.empty() ? "–" : rank});
    table.Add(std::move(cells));
  };
  for (const QuotaGroup group : kQuotaGroups) row(ToString(group), group);
  row("total", std::nullopt);
  return table.Render(context.OutColours(), context.OutWidth());
}

Outcome ListQuotas(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Get("/quota"));
  const Format format = OutputFormat(typed);
  if (format == Format::kJson) {
    context.PrintJson(reply.body);
    return ExitCode::kOk;
  }
  bool first = true;
  for (const Document& quota : reply.body.Get("data").Items()) {
    const std::string name = OneLine(quota.Get("org_name").Text());
    if (format == Format::kName) {
      context.Out(name + "\n");
      continue;
    }
    const std::string mail = OneLine(quota.Get("org_mail").Text());
    context.Out((first ? "" : "\n") + name + "  (organisation " +
                OneLine(quota.Get("org_id").Text()) + ")" + (mail.empty() ? "" : "  " + mail) +
                "   used/allowed\n" + QuotaTable(context, quota));
    first = false;
  }
  if (format != Format::kName) SayBudget(context, *rest);
  return ExitCode::kOk;
}

// ---- applications

std::vector<Option> AmountOptions(const std::string& of) {
  return {
      {{"-c", "--cpu_limit"}, Takes::kValue, "CORES", "CPU cores " + of},
      {{"-M", "--memory_limit"}, Takes::kValue, "AMOUNT", "memory " + of + ", for instance 64G"},
      {{"-g", "--gpu_limit"}, Takes::kValue, "N", "GPUs " + of},
      {{"-C", "--count_limit"}, Takes::kValue, "N", "how many at once " + of}};
}

Document AmountsOf(const Typed& typed) {
  Document body = Document::Object();
  for (const char* field : {"cpu_limit", "memory_limit", "gpu_limit", "count_limit"}) {
    if (const auto value = typed.Find(field)) body.Set(field, *value);
  }
  return body;
}

Outcome Apply(Context& context, const Typed& typed) {
  const std::string service = typed.Get("type");
  if (service.empty()) {
    return Error(Code::kInvalidArgument, "of which kind? add -t jobs, models, dev or tensorboard");
  }
  Document body = AmountsOf(typed);
  if (body.size() == 0) {
    return Error(Code::kInvalidArgument,
                 "nothing is asked for: add -c, -M, -g or -C, for instance -g 12");
  }
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  body.Set("service", service).Set("region", rest->settings().endpoint());
  if (const auto comment = typed.Find("comment")) body.Set("comment", *comment);
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Create("/application", body.Dump()));
  if (OutputFormat(typed) == Format::kJson) {
    context.PrintJson(reply.body);
    return ExitCode::kOk;
  }
  const std::string id = OneLine(reply.body.Get("id").Text());
  context.Out(OutputFormat(typed) == Format::kName
                  ? id + "\n"
                  : "application " + id + " is filed; how it stands: cloudml quota applications\n");
  return ExitCode::kOk;
}

std::string AmountsText(const Document& amounts) {
  std::vector<std::string> parts;
  const auto add = [&](const char* field, const std::string& unit) {
    const std::string value = amounts.Get(field).Text();
    if (!value.empty()) parts.push_back(value + unit);
  };
  add("cpu_limit", " CPU");
  add("memory_limit", "");
  add("gpu_limit", " GPU");
  add("count_limit", " at once");
  return Join(parts, " · ");
}

Outcome ListApplications(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  std::string query = typed.Has("all") ? "org_id=-1" : "";
  if (const auto state = typed.Find("state"))
    query += (query.empty() ? "state=" : "&state=") + net::PercentEncode(*state);
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Get("/application", query));
  const Format format = OutputFormat(typed);
  if (format == Format::kJson) {
    context.PrintJson(reply.body);
    return ExitCode::kOk;
  }
  Table table(
      {{"APPLICATION"}, {"ORG"}, {"FOR"}, {"ASKED"}, {"GRANTED"}, {"STATE"}, {"SINCE"}, {"SAID"}});
  for (const Document& a : reply.body.Get("data").Items()) {
    if (format == Format::kName) {
      context.Out(OneLine(a.Get("id").Text()) + "\n");
      continue;
    }
    const std::string state = a.Get("state").Text();
    const bool pending = state == "pending", granted = state == "granted";
    const std::string since = a.Get(pending ? "create_time" : "decide_time").Text();
    table.Add({{a.Get("id").Text()},
               {a.Get("org_name").Text()},
               {a.Get("service").Text()},
               {AmountsText(a)},
               {granted ? AmountsText(a.Get("granted")) : "–"},
               {state, pending   ? Tone::kWaiting
                       : granted ? Tone::kGood
                                 : Tone::kBad},
               {ShowTime(since, context.Now(), context.OutTimes())},
               {pending ? a.Get("comment").Text() : a.Get("message").Text()}});
  }
  if (format == Format::kName) return ExitCode::kOk;
  if (table.empty()) {
    context.Err("no applications; ask for more: cloudml quota update -t jobs -g 12\n");
  } else {
    context.Out(table.Render(context.OutColours(), context.OutWidth()));
  }
  return ExitCode::kOk;
}

Outcome Decide(Context& context, const Typed& typed, const char* verb) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  Document body = AmountsOf(typed);
  if (const auto message = typed.Find("message")) body.Set("message", *message);
  CML_ASSIGN_OR_RETURN(
      const ApiReply reply,
      rest->Post("/application/" + Rest::Segment(typed.word()) + "/" + verb, body.Dump()));
  if (OutputFormat(typed) == Format::kJson) {
    context.PrintJson(reply.body);
    return ExitCode::kOk;
  }
  const Document& a = reply.body;
  const std::string amounts = AmountsText(a.Get("granted"));
  context.Out(OneLine("application " + a.Get("id").Text() + " of " + a.Get("org_name").Text() +
                      "  " + a.Get("state").Text() +
                      (amounts.empty() ? "" : "  " + a.Get("service").Text() + ": " + amounts)) +
              "\n");
  return ExitCode::kOk;
}

// ---- quota set

struct Group {
  std::string_view word;
  std::optional<QuotaGroup> group;
};
constexpr std::array kGroups = {Group{"jobs", QuotaGroup::kTrain},
                                Group{"models", QuotaGroup::kModel}, Group{"dev", QuotaGroup::kDev},
                                Group{"tensorboard", QuotaGroup::kTensorboard},
                                Group{"total", std::nullopt}};
struct Value {
  std::string_view option;
  QuotaMeasure measure;
};
constexpr std::array kValues = {
    Value{"cpu", QuotaMeasure::kCpu},           Value{"memory", QuotaMeasure::kMemory},
    Value{"gpu", QuotaMeasure::kGpu},           Value{"count", QuotaMeasure::kCount},
    Value{"priority", QuotaMeasure::kPriority}, Value{"rank", QuotaMeasure::kRank}};

Result<Document> ChangeOf(const Typed& typed) {
  Document body = Document::Object();
  for (const char* field : {"org_name", "org_mail", "project"}) {
    if (const auto value = typed.Find(field)) body.Set(field, *value);
  }
  const std::string type = typed.Get("type");
  for (const Value& v : kValues) {
    const auto value = typed.Find(v.option);
    if (!value) continue;
    const auto group = std::ranges::find(kGroups, type, &Group::word);
    if (group == kGroups.end()) {
      return Error(
          Code::kInvalidArgument,
          fmt::format("--{}: of which group? add -t jobs, models, dev, tensorboard or total",
                      v.option));
    }
    const bool in_total = v.measure == QuotaMeasure::kCpu || v.measure == QuotaMeasure::kMemory ||
                          v.measure == QuotaMeasure::kGpu;
    if (!group->group && !in_total) {
      return Error(Code::kInvalidArgument,
                   fmt::format("--{}: the total has CPU, memory and GPUs alone", v.option));
    }
    const QuotaField field{group->group, v.measure};
    CML_ASSIGN_OR_RETURN([[maybe_unused]] const auto limit, ParseQuotaValue(field, *value));
    body.Set(NameOf(field), *value);
  }
  if (body.size() == 0)
    return Error(Code::kInvalidArgument,
                 "nothing to change: name a value, for instance -t jobs -g 8");
  return body;
}

// A number stands for itself; a name is looked up.
Result<std::string> OrgNumber(Rest& rest, const std::string& org) {
  if (ParseUnsigned(org)) return org;
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest.Get("/quota", "org_id=-1"));
  for (const Document& quota : reply.body.Get("data").Items()) {
    if (quota.Get("org_name").Text() == org) return quota.Get("org_id").Text();
  }
  return Error(Code::kNotFound,
               "no organisation " + Quote(org) + "\nall of them: cloudml admin quota list -1");
}

Outcome SetQuota(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(const Document body, ChangeOf(typed));
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  CML_ASSIGN_OR_RETURN(const std::string org, OrgNumber(*rest, typed.word()));
  CML_ASSIGN_OR_RETURN(const ApiReply reply,
                       rest->Put("/quota/" + Rest::Segment(org), body.Dump()));
  if (OutputFormat(typed) == Format::kJson) {
    context.PrintJson(reply.body);
  } else {
    context.Out(OneLine(reply.body.Get("org_name").Text()) + "  used/allowed\n" +
                QuotaTable(context, reply.body));
  }
  return ExitCode::kOk;
}

// ---- the holders of a quota that is used up

struct Lack {
  std::string group;  // "total": of all groups
  const char* field;  // of a holder
};
// "quota: train: 4 GPUs asked, …"
std::optional<Lack> LackOf(std::string_view message) {
  constexpr std::string_view kBegin = "quota: ";
  if (!message.starts_with(kBegin)) return std::nullopt;
  message.remove_prefix(kBegin.size());
  const auto colon = message.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view rest = message.substr(colon);
  const auto says = [rest](std::string_view words) {
    return rest.find(words) != std::string_view::npos;
  };
  const char* field = says(" GPU")            ? "gpu"
                      : says(" CPU")          ? "cpu"
                      : says(" memory asked") ? "memory"
                                              : "count";
  return Lack{std::string(message.substr(0, colon)), field};
}

}  // namespace

Error WithHolders(Rest& rest, const Error& error) {
  const auto lack = LackOf(error.message());
  if (!lack) return error;
  const auto reply = rest.Get("/quota_holders");
  if (!reply.ok()) return error;
  std::vector<std::string> shown;
  std::size_t more = 0;
  for (const Document& holder : reply.value().body.Get("data").Items()) {
    const std::string amount = holder.Get(lack->field).Text();
    if (lack->group != "total" && holder.Get("group").Text() != lack->group) continue;
    if (amount.empty() || amount == "0" || amount == "0K") continue;
    if (shown.size() == kMostHolders) {
      ++more;
      continue;
    }
    const bool counted = std::string_view(lack->field) == "count";
    shown.push_back(fmt::format("{} ({})", OneLine(holder.Get("name").Text()),
                                counted ? holder.Get("state").Text() : amount));
  }
  if (shown.empty()) return error;
  const std::string others = more == 0 ? "" : fmt::format(" and {} more", more);
  return {error.code(), error.message() + "\nin use: " + Join(shown, ", ") + others};
}

std::vector<Command> QuotaCommands() {
  const Arguments id{"ID", 1, 1, ""};
  std::vector<Option> apply = {{{"-t", "--type"},
                                Takes::kValue,
                                "KIND",
                                "what the quota is for",
                                {"jobs", "models", "dev", "tensorboard"}}};
  for (Option& o : AmountOptions("to be allowed")) apply.push_back(std::move(o));
  apply.push_back({{"--comment"}, Takes::kValue, "TEXT", "why, for the administrator"});
  apply.push_back(OutputOption());
  std::vector<Option> grant = AmountOptions("instead of what was asked");
  grant.push_back({{"-m", "--message"}, Takes::kValue, "TEXT", "a sentence for the applicant"});
  grant.push_back(OutputOption());
  return {
      {"quota list",
       {},
       "what the organisation may hold and holds",
       "Each field as used/allowed; INF: no limit.",
       {OutputOption()},
       ListQuotas},
      {"quota update",
       {},
       "ask the administrator for more",
       "Files an application; it changes nothing until it is granted.\n\n  cloudml quota update -t "
       "jobs -g 12 -M 64G",
       std::move(apply),
       Apply},
      {"quota applications",
       {},
       "applications for more, and what became of them",
       "",
       {{{"--all"}, Takes::kNothing, "", "of all organisations (platform administrators)"},
        {{"--state"},
         Takes::kValue,
         "STATE",
         "only those in this state",
         {"pending", "granted", "declined"}},
        OutputOption()},
       ListApplications},
      {"quota grant", id, "grant an application (platform administrators)",
       "Sets the quota as it was asked for, or as the options say. The beginning of the id is "
       "enough.\n\n"
       "  cloudml quota grant k3v9 -g 8 -m \"8 for now\"",
       std::move(grant), [](Context& c, const Typed& t) { return Decide(c, t, "grant"); }},
      {"quota decline",
       id,
       "decline an application (platform administrators)",
       "",
       {{{"-m", "--message"}, Takes::kValue, "TEXT", "a sentence for the applicant"},
        OutputOption()},
       [](Context& c, const Typed& t) { return Decide(c, t, "decline"); }},
      {"quota set",
       {"ORG", 1, 1, ""},
       "change a quota (platform administrators)",
       "ORG is the number or the name of an organisation. What is not named stays as it is; INF "
       "takes a limit away.\n\n"
       "  cloudml quota set vision -t jobs -g 8 -C 20\n"
       "  cloudml quota set vision -t total -M INF",
       {{{"-t", "--type"},
         Takes::kValue,
         "GROUP",
         "which group the values are for",
         {"jobs", "models", "dev", "tensorboard", "total"}},
        {{"-c", "--cpu"}, Takes::kValue, "CORES", "CPU cores"},
        {{"-M", "--memory"}, Takes::kValue, "AMOUNT", "memory, for instance 256G"},
        {{"-g", "--gpu"}, Takes::kValue, "N", "GPUs"},
        {{"-C", "--count"}, Takes::kValue, "N", "how many at once"},
        {{"-R", "--priority"}, Takes::kValue, "N", "how many of them with high priority"},
        {{"-P", "--rank"},
         Takes::kValue,
         "RANK",
         "what high priority means: 1, 2 or 3; 3 comes first",
         {"1", "2", "3"}},
        {{"--org_name"}, Takes::kValue, "NAME", "a new name for the organisation"},
        {{"--org_mail"}, Takes::kValue, "ADDRESS", "mail address of the organisation"},
        {{"--project"}, Takes::kValue, "NAME", "its project"},
        OutputOption()},
       SetQuota},
  };
}

}  // namespace cml::cli
