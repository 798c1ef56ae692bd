// The audit: read, exported, checked.
#include <fcntl.h>
#include <fmt/format.h>

#include <fstream>

#include "base/file.h"
#include "base/strings.h"
#include "cli/audit_file.h"
#include "cli/context.h"
#include "cli/groups.h"

namespace cml::cli {
namespace {

using codec::Document;

constexpr std::chrono::milliseconds kForEver{86'400'000};

std::vector<Option> FilterOptions() {
  return {{{"--user"}, Takes::kValue, "NAME", "of this user alone; NAME* is a beginning, here and below"},
          {{"--key"}, Takes::kValue, "KEY", "of this access key"},
          {{"--action"}, Takes::kValue, "ACTION", "for instance train_job.create, or train_job.*"},
          {{"--target"}, Takes::kValue, "TARGET", "for instance \"train_job ranker\""},
          {{"--status"}, Takes::kValue, "STATUS", "of the answer: 200, 403"},
          {{"--from"}, Takes::kValue, "TIME", "since then: 2026-01-02 or 2026-01-02T03:04:05Z"},
          {{"--until"}, Takes::kValue, "TIME", "before then"}};
}

std::string QueryOf(const Typed& typed) {
  std::string query;
  for (const char* name : {"user", "key", "action", "target", "status", "from", "until", "limit"}) {
    if (!typed.Has(name)) continue;
    query += (query.empty() ? "" : "&") + std::string(name) + "=" + net::PercentEncode(typed.Get(name));
  }
  return query;
}

std::string WhoOf(const Document& line) {
  const std::string user = line.Get("user").Text(), key = line.Get("key").Text();
  if (key.empty()) return "(nobody)";
  return user.empty() ? key : user;
}

std::string ResultOf(const Document& line) {
  const std::string message = line.Get("message").Text();
  return line.Get("status").Text() + (message.empty() ? "" : " " + message);
}

std::string OneLineOf(Context& context, const Document& line) {
  return OneLine(fmt::format("{}  {}  {}  {}  {}  {}", ShowTime(line.Get("at").Text(), context.Now(), TimeStyle::kExact),
                             WhoOf(line), line.Get("peer").Text(), line.Get("action").Text(), line.Get("target").Text(),
                             ResultOf(line))) + "\n";
}

Outcome Follow(Context& context, Rest& rest, const Typed& typed) {
  const bool json = OutputFormat(typed) == Format::kJson;
  std::string query = QueryOf(typed), held;
  if (!typed.Has("limit")) query += std::string(query.empty() ? "" : "&") + "limit=10";
  CML_RETURN_IF_ERROR(rest.Stream("/audit", query + "&follow=True", kForEver, [&](std::string_view bytes) {
    held += bytes;
    for (std::size_t end = held.find('\n'); end != std::string::npos; end = held.find('\n')) {
      const std::string line = held.substr(0, end + 1);
      held.erase(0, end + 1);
      const auto parsed = Document::Parse(line);
      if (json || !parsed.ok()) {
        context.Out(line);
      } else {
        context.Out(OneLineOf(context, parsed.value()));
      }
    }
  }));
  return ExitCode::kOk;
}

Outcome List(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  if (typed.Has("follow")) return Follow(context, *rest, typed);
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Get("/audit", QueryOf(typed)));
  if (OutputFormat(typed) == Format::kJson) {
    context.PrintJson(reply.body);
    return ExitCode::kOk;
  }
  Table table({{"NUMBER", Column::Align::kRight}, {"WHEN"}, {"WHO"}, {"ROLE"}, {"FROM"}, {"ACTION"}, {"TARGET"}, {"RESULT"}});
  for (const Document& line : reply.body.Get("data").Items()) {
    const bool bad = line.Get("status").Int() >= 400;
    table.Add({{line.Get("number").Text()},
               {ShowTime(line.Get("at").Text(), context.Now(), context.OutTimes())},
               {OneLine(WhoOf(line))},
               {line.Get("role").Text()},
               {OneLine(line.Get("peer").Text())},
               {line.Get("action").Text()},
               {OneLine(line.Get("target").Text())},
               {OneLine(ResultOf(line)), bad ? Tone::kBad : Tone::kGood}});
  }
  if (table.empty()) {
    context.Err("the audit has no such lines\n");
    return ExitCode::kOk;
  }
  context.Out(table.Render(context.OutColours(), context.OutWidth()));
  if (reply.body.Has("next_page")) context.Err("there are older lines: --limit N (up to 1000), --until TIME, or cloudml audit export\n");
  return ExitCode::kOk;
}

Outcome Export(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  const std::string name = typed.Get("output_file");
  if (name.empty()) {
    CML_RETURN_IF_ERROR(rest->Stream("/audit/export", "", kForEver, [&](std::string_view bytes) { context.Out(bytes); }));
    return ExitCode::kOk;
  }
  std::ofstream file(name, std::ios::binary | std::ios::trunc);
  std::uint64_t lines = 0;
  CML_RETURN_IF_ERROR(rest->Stream("/audit/export", "", kForEver, [&](std::string_view bytes) {
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    lines += static_cast<std::uint64_t>(std::count(bytes.begin(), bytes.end(), '\n'));
  }));
  file.close();
  if (!file) return Error(Code::kInternal, name + ": cannot be written");
  context.Err(fmt::format("{} lines in {}; check it: cloudml audit verify --file {}\n", lines - 1, name, name));
  return ExitCode::kOk;
}

Outcome VerifyFile(Context& context, const Typed& typed) {
  const std::string name = typed.Get("file");
  std::ifstream file(name, std::ios::binary);
  if (!file) return Error(Code::kNotFound, name + ": no such file, or not ours to read");
  AuditFileCheck check;
  std::string line;
  while (std::getline(file, line) && check.Take(line)) {
  }
  const std::string wrong = check.Finish();
  if (OutputFormat(typed) == Format::kJson) {
    context.PrintJson(Document::Object()
                          .Set("whole", Document::Boolean(wrong.empty()))
                          .Set("lines", Document::Integer(static_cast<std::int64_t>(check.lines())))
                          .Set("scope", check.scope())
                          .Set("hash", check.hash())
                          .Set("message", wrong));
  } else if (wrong.empty()) {
    context.Out(fmt::format("{}: {} lines ({}), none altered{}\n", name, check.lines(), check.scope(),
                            check.scope() == "all" ? ", none missing" : ""));
  }
  if (wrong.empty()) return ExitCode::kOk;
  context.PrintError("the audit in " + name + " is broken: " + wrong);
  return ExitCode::kBroken;
}

Outcome Verify(Context& context, const Typed& typed) {
  if (typed.Has("file")) return VerifyFile(context, typed);
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  rest->set_answer_time(kForEver);
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Get("/audit/verify"));
  const bool whole = reply.body.Get("whole").Bool();
  const std::string message = OneLine(reply.body.Get("message").Text());
  if (OutputFormat(typed) == Format::kJson) {
    context.PrintJson(reply.body);
  } else if (whole) {
    context.Out(message + "\n");
  }
  if (whole) return ExitCode::kOk;
  context.PrintError("the audit is broken: " + message + "\nkeep the database as it is and compare it with a backup or an export");
  return ExitCode::kBroken;
}

}  // namespace

std::vector<Command> AuditCommands() {
  std::vector<Option> list = FilterOptions();
  list.push_back({{"--limit"}, Takes::kValue, "N", "at most so many lines, up to 1000 (100)"});
  list.push_back({{"-f", "--follow"}, Takes::kNothing, "", "go on with new lines as they come"});
  list.push_back(OutputOption());
  return {
      {"audit list", {}, "who changed what, newest first", "", list, List},
      {"audit export",
       {},
       "the whole audit as JSON lines, oldest first",
       "Each line carries its number and its hash, so that the file can be checked without the server:\n"
       "cloudml audit verify --file FILE.",
       {{{"-O", "--output_file"}, Takes::kValue, "FILE", "into this file (standard output)"}},
       Export},
      {"audit verify",
       {},
       "is a line missing or altered?",
       "Exit code 6 when one is. Without --file the server checks all it has.",
       {{{"--file"}, Takes::kValue, "FILE", "check what audit export has written, without a server"}, OutputOption()},
       Verify},
  };
}

}  // namespace cml::cli
