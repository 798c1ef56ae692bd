// Train jobs: everything but their submission.
#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "cli/context.h"
#include "cli/groups.h"
#include "cli/quota.h"
#include "cli/train_job_screen.h"
#include "cli/train_job_watch.h"
#include "core/billing.h"
#include "net/http.h"

namespace cml::cli {
namespace {

using codec::Document;

std::string JobPath(const std::string& job, const char* rest = "") {
  return "/train/" + Rest::Segment(job) + rest;
}

Screen OutScreen(Context& context) {
  return {context.OutColours(), context.OutTimes(), context.OutWidth(), context.Now()};
}

// ---- list

struct Label {
  std::string name;
  std::optional<std::string> value;  // none: any
};

bool Matches(const Document& job, const std::vector<std::string>& states,
             const std::vector<Label>& labels) {
  if (!states.empty() && std::ranges::count(states, job.Get("state").Text()) == 0) return false;
  for (const Label& l : labels) {
    const Document all = job.Get("labels");
    if (!all.Has(l.name) || (l.value && all.Get(l.name).Text() != *l.value)) return false;
  }
  return true;
}

// What the server can sort out itself, so that not all of a long list has to travel. The answer is
// looked through again: not every server knows these.
std::string FilterQuery(const std::vector<std::string>& states, const std::vector<Label>& labels) {
  std::string query, pairs;
  if (states.size() == 1) query = "state=" + net::PercentEncode(states[0]);
  for (const Label& l : labels) {
    if (l.value) pairs += (pairs.empty() ? "" : ",") + l.name + "=" + *l.value;
  }
  if (!pairs.empty())
    query += (query.empty() ? "" : "&") + std::string("label=") + net::PercentEncode(pairs);
  return query;
}

// Every page of the list.
Result<std::vector<Document>> AllJobs(Rest& rest, const std::string& filter) {
  std::vector<Document> jobs;
  std::string query = filter;
  while (true) {
    CML_ASSIGN_OR_RETURN(const ApiReply reply, rest.Get("/train", query));
    for (const Document& job : reply.body.Get("data").Items()) jobs.push_back(job);
    const std::string next = reply.body.Get("next_page").Str();
    if (next.empty()) return jobs;
    std::string next_query =
        filter + (filter.empty() ? "" : "&") + "page=" + net::PercentEncode(next);
    if (next_query == query) return jobs;  // a server that does not move on
    query = std::move(next_query);
  }
}

Outcome ListJobs(Context& context, const Typed& typed) {
  std::vector<std::string> states;
  for (const std::string& given : typed.All("state")) {
    for (const std::string_view s : Split(given, ',')) states.emplace_back(s);
  }
  std::vector<Label> labels;
  for (const std::string& given : typed.All("label")) {
    const std::size_t equals = given.find('=');
    labels.push_back({given.substr(0, equals), equals == std::string::npos
                                                   ? std::nullopt
                                                   : std::optional(given.substr(equals + 1))});
  }
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  CML_ASSIGN_OR_RETURN(const std::vector<Document> all,
                       AllJobs(*rest, FilterQuery(states, labels)));
  std::vector<Document> jobs;
  std::ranges::copy_if(all, std::back_inserter(jobs),
                       [&](const Document& job) { return Matches(job, states, labels); });
  switch (OutputFormat(typed)) {
    case Format::kJson: {
      Document data = Document::Array();
      for (const Document& job : jobs) data.Append(job);
      context.PrintJson(Document::Object().Set("data", data));
      return ExitCode::kOk;
    }
    case Format::kName:
      for (const Document& job : jobs) context.Out(OneLine(job.Get("job_name").Text()) + "\n");
      return ExitCode::kOk;
    case Format::kTable:
    case Format::kWide:
      break;
  }
  if (jobs.empty()) {
    context.Err(all.empty() && states.empty() && labels.empty()
                    ? "no train jobs yet; submit one: "
                      "cloudml jobs submit -n NAME -m trainer.task -u ./FOLDER -f\n"
                    : "no train job is like that; all of them: cloudml jobs list\n");
    return ExitCode::kOk;
  }
  const Columns columns = OutputFormat(typed) == Format::kWide ? Columns::kWide : Columns::kUsual;
  context.Out(TrainJobTable(jobs, columns, OutScreen(context)));
  return ExitCode::kOk;
}

// ---- one or several

// Empty where nothing has a price, or the server cannot say.
std::string CostSoFar(Rest& rest, const Document& job) {
  const auto created = ParseTime(job.Get("create_time").Str());
  if (!created || job.Get("job_id").Str().empty()) return "";
  const auto usage = rest.Get("/usage", "by=job&from=" + FormatDay(DayOf(*created)) + "&job=" +
                                            net::PercentEncode(job.Get("job_id").Str()));
  if (!usage.ok()) return "";
  const Document& report = usage.value().body;
  const auto micros = ParseMicros(report.Get("total").Get("cost").Text());
  if (!micros || report.Get("currency").Str().empty()) return "";
  return Money::OfMicros(*micros).Text() + " " + report.Get("currency").Str();
}

Outcome DescribeJobs(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  std::vector<Document> found;
  const Format format = OutputFormat(typed);
  bool first = true;
  const ExitCode code = context.ForEach(typed.words(), [&](const std::string& name) -> Outcome {
    CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Get(JobPath(name)));
    if (format == Format::kJson) {
      found.push_back(reply.body);
    } else if (format == Format::kName) {
      context.Out(OneLine(reply.body.Get("job_name").Text()) + "\n");
    } else {
      const auto events = rest->Get(JobPath(name, "/events"));
      if (!std::exchange(first, false)) context.Out("\n");
      Document job = reply.body;
      if (const std::string cost = CostSoFar(*rest, job); !cost.empty()) job.Set("cost_so_far", cost);
      context.Out(TrainJobDescription(job, events.ok() ? events.value().body : Document(),
                                      OutScreen(context)));
    }
    return ExitCode::kOk;
  });
  if (format == Format::kJson && typed.words().size() == 1 && found.size() == 1) {
    context.PrintJson(found[0]);
  } else if (format == Format::kJson && typed.words().size() > 1) {
    Document data = Document::Array();
    for (const Document& job : found) data.Append(job);
    context.PrintJson(Document::Object().Set("data", data));
  }
  return code;
}

std::string ReplicaQuery(const Typed& typed) {
  return typed.Has("replica") ? "replica=" + net::PercentEncode(typed.Get("replica")) : "";
}

Outcome JobLogs(Context& context, const Typed& typed) {
  std::optional<std::uint64_t> lines;
  if (const auto text = typed.Find("lines")) {
    lines = ParseUnsigned(*text);
    if (!lines) {
      return Error(Code::kInvalidArgument,
                   "-n " + Quote(*text) + ": a number of lines, for instance -n 20");
    }
  }
  const std::string& job = typed.word();
  if (typed.Has("follow")) {
    CML_RETURN_IF_ERROR(FollowLog(context, job, lines, typed.Get("replica")));
    return ExitCode::kOk;
  }
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  std::string query = ReplicaQuery(typed);
  if (lines) query += fmt::format("{}lines={}", query.empty() ? "" : "&", *lines);
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Get(JobPath(job, "/logs"), query));
  const std::string text = reply.body.Get("logs").Str();
  context.Out(text);
  if (!text.empty() && text.back() != '\n') context.Out("\n");
  if (!text.empty() || !context.terminal().ErrIsTerminal()) return ExitCode::kOk;
  const auto object = rest->Get(JobPath(job));
  if (object.ok()) {
    context.Err("nothing in the log yet: " + StateLine(object.value().body, context.ErrColours()) +
                "\n");
  }
  return ExitCode::kOk;
}

Outcome JobEvents(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  const bool several = typed.words().size() > 1;
  return context.ForEach(typed.words(), [&](const std::string& name) -> Outcome {
    CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Get(JobPath(name, "/events"), ReplicaQuery(typed)));
    if (OutputFormat(typed) == Format::kJson) {
      context.PrintJson(reply.body);
      return ExitCode::kOk;
    }
    if (reply.body.Get("events").size() == 0) {
      context.Err("nothing has happened to " + name + " yet\n");
      return ExitCode::kOk;
    }
    if (several) context.Out(name + "\n");
    context.Out(EventTable(reply.body, OutScreen(context)));
    return ExitCode::kOk;
  });
}

Outcome JobMetrics(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Get(JobPath(typed.word(), "/metrics"), ReplicaQuery(typed)));
  const Document& m = reply.body;
  if (OutputFormat(typed) == Format::kJson) {
    context.PrintJson(m);
    return ExitCode::kOk;
  }
  const auto bytes = [&](const char* name) {
    return FormatBytes(static_cast<std::uint64_t>(std::max(0.0, m.Get(name).Num())));
  };
  std::string text = fmt::format("cpu               {:.4g} %\n", m.Get("cpu").Num());
  text += "memory            " + bytes("memory");
  if (m.Has("memory_peak")) text += " (peak " + bytes("memory_peak") + ")";
  text += "\nnetwork received  " + bytes("network_receive") + "\nnetwork sent      " +
          bytes("network_transmit") + "\n";
  if (m.Has("cpu_seconds")) {
    text += "cpu time          " +
            FormatDuration(std::chrono::milliseconds(
                static_cast<std::int64_t>(m.Get("cpu_seconds").Num() * 1000))) +
            "\n";
  }
  context.Out(text);
  return ExitCode::kOk;
}

Outcome JobHyperparameters(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Get(JobPath(typed.word(), "/hyperparameters")));
  context.PrintJson(reply.body);
  return ExitCode::kOk;
}

Outcome StartJobs(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  return context.ForEach(typed.words(), [&](const std::string& name) -> Outcome {
    LogReader reader(*rest, name);
    if (typed.Has("follow")) CML_RETURN_IF_ERROR(reader.Begin(0));  // what is there is known
    auto started = rest->Get(JobPath(name, "/start"));
    if (!started.ok()) return WithHolders(*rest, started.error());
    const ApiReply reply = std::move(started).value();
    if (typed.Has("follow") || typed.Has("watch")) {
      const ShowLog log = typed.Has("follow") ? ShowLog::kYes : ShowLog::kNo;
      CML_ASSIGN_OR_RETURN(const Document end, WatchJob(context, name, log,
                                                        {reply.body.Get("state_since").Str(),
                                                         reader.begun() ? &reader : nullptr}));
      return ReportEnd(context, end, log);
    }
    if (OutputFormat(typed) == Format::kJson) {
      context.PrintJson(reply.body);
    } else {
      context.Out(StateLine(reply.body, context.OutColours()) + "\n");
    }
    return ExitCode::kOk;
  });
}

Outcome DeleteJobs(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  const std::string query = typed.Has("is_cluster_name") ? "is_cluster_name=True" : "";
  return context.ForEach(typed.words(), [&](const std::string& name) -> Outcome {
    const auto reply = rest->Delete(JobPath(name), query);
    if (!reply.ok()) {
      if (reply.error().code() == Code::kNotFound && typed.Has("ignore_missing"))
        return ExitCode::kOk;
      return reply.error();
    }
    if (OutputFormat(typed) == Format::kJson) {
      context.PrintJson(reply.value().body);
    } else {
      const std::string message = reply.value().body.Get("message").Str();
      context.Out(message.empty() ? name + "  deleted\n" : OneLine(message) + "\n");
    }
    return ExitCode::kOk;
  });
}

Outcome WaitForJobs(Context& context, const Typed& typed) {
  return context.ForEach(typed.words(), [&](const std::string& name) -> Outcome {
    CML_ASSIGN_OR_RETURN(const Document end, WatchJob(context, name, ShowLog::kNo));
    return ReportEnd(context, end, ShowLog::kNo);
  });
}

Option FollowOption(const char* help) { return {{"-f", "--follow"}, Takes::kNothing, "", help}; }
Option ReplicaOption() {
  return {{"--replica"}, Takes::kValue, "REPLICA", "only this task of a distributed job, for instance worker-1"};
}
Option WatchOption() {
  return {{"-W", "--watch"},
          Takes::kNothing,
          "",
          "wait for the end, showing changes of state; exit code 6 when the job fails"};
}

}  // namespace

std::vector<Command> TrainJobCommands() {
  const Arguments one{"NAME", 1, 1, "job"};
  const Arguments several{"NAME…", 1, kAnyNumber, "job"};
  return {
      {"jobs list",
       {},
       "train jobs: state, since when, and why",
       "The last column says why a job waits, how it failed or what it reported.\n\n"
       "  cloudml jobs list --state running,enqueued\n"
       "  cloudml jobs list --label team=vision -o json",
       {OutputOption(),
        {{"--state"}, Takes::kValues, "STATE", "only jobs in this state (several: with commas)"},
        {{"--label"}, Takes::kValues, "NAME[=VALUE]", "only jobs with this label"}},
       ListJobs},
      {"jobs describe",
       several,
       "all about a train job, and what happened to it",
       "Values that the server filled in are marked \"(default)\".",
       {OutputOption()},
       DescribeJobs},
      {"jobs logs",
       one,
       "what a train job printed",
       "With -f the log is followed until the job has ended; a restart of the server in between\n"
       "neither loses nor repeats a line. Ctrl-C ends the following, not the job.\n"
       "Of a distributed job each line begins with the task that printed it, as in \"worker-1: \".",
       {FollowOption("go on until the job has ended"),
        {{"-n", "--lines"},
         Takes::kValue,
         "LINES",
         "only the last LINES lines (and what follows)"},
        ReplicaOption()},
       JobLogs},
      {"jobs events",
       several,
       "what happened to a train job, and why",
       "",
       {OutputOption(), ReplicaOption()},
       JobEvents},
      {"jobs metrics",
       one,
       "CPU, memory and network of a running train job",
       "",
       {OutputOption(), ReplicaOption()},
       JobMetrics},
      {"jobs hp",
       one,
       "results of a train job's hyperparameters, as JSON",
       "",
       {},
       JobHyperparameters},
      {"jobs start",
       several,
       "start a saved or ended train job (again)",
       "",
       {OutputOption(), FollowOption("follow the log until the end"), WatchOption()},
       StartJobs},
      {"jobs wait",
       several,
       "wait until train jobs have ended",
       "Exit code 0 when all of them completed, 6 when one failed.",
       {},
       WaitForJobs},
      {"jobs delete",
       several,
       "end train jobs and remove them with their logs",
       "",
       {{{"-n", "--is_cluster_name"},
         Takes::kNothing,
         "",
         "NAME is the name of a cluster: all its jobs"},
        {{"--ignore-missing"}, Takes::kNothing, "", "a job that is not there is no error"},
        OutputOption()},
       DeleteJobs},
  };
}

}  // namespace cml::cli
