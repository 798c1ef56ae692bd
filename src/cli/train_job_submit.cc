// jobs submit: from a folder on this machine to a job that runs, and on to its end.
#include <algorithm>

#include "base/strings.h"
#include "cli/context.h"
#include "cli/groups.h"
#include "cli/package.h"
#include "cli/quota.h"
#include "cli/s3.h"
#include "cli/train_job_screen.h"
#include "cli/train_job_watch.h"
#include "cli/train_request.h"

namespace cml::cli {
namespace {

using codec::Document;

// What is missing is found here, before anything is packed or sent; values are the server's to
// judge.
Status CheckComplete(const Document& request) {
  const auto has = [&](const char* name) { return !request.Get(name).Text().empty(); };
  std::string missing;
  if (!has("job_name")) missing = "-n NAME (or job_name in the job file)";
  // A command instead of the module needs no package.
  if (!has("docker_command")) {
    if (!has("module_name")) missing += (missing.empty() ? "" : ", ") + std::string("-m MODULE");
    if (!has("trainer_uri")) missing += (missing.empty() ? "" : ", ") + std::string("-u PACKAGE");
  }
  if (missing.empty()) return Ok{};
  return Error(Code::kInvalidArgument,
               "missing: " + missing +
                   "\nfor instance: cloudml jobs submit -n ranker -m trainer.task -u ./ranker -f"
                   "\nall options: cloudml jobs submit --help");
}

// The published client's questions about a cluster (cloud_ml v1, 6.3).
Result<Document> AskCluster(Context& context) {
  const auto ask = [&](const std::string& question) -> Result<std::string> {
    const auto line = context.terminal().ReadLine(question + ": ", Echo::kShown);
    if (!line)
      return Error(Code::kInvalidArgument,
                   "the input ended before the cluster was described\nwithout questions: -cs JSON");
    return std::string(Trim(*line));
  };
  CML_ASSIGN_OR_RETURN(std::string types, ask("task types [ps worker]"));
  if (types.empty()) types = "ps worker";
  Document cluster = Document::Object();
  for (const std::string_view part : Split(types, ' ')) {
    if (part.empty()) continue;
    const std::string type(part);
    Document task = Document::Object();
    for (const char* field : {"count", "cpu_limit", "memory_limit", "gpu_limit", "task_args"}) {
      CML_ASSIGN_OR_RETURN(const std::string answer, ask(type + " " + field));
      if (answer.empty()) continue;
      const bool number =
          std::string_view(field) == "count" || std::string_view(field) == "gpu_limit";
      const auto n = ParseInt(answer);
      if (number && !n)
        return Error(Code::kInvalidArgument,
                     type + " " + field + " " + Quote(answer) + ": a whole number is wanted");
      task.Set(field, number ? Document::Integer(*n) : Document::String(answer));
    }
    cluster.Set(type, task);
  }
  return cluster;
}

Status AddCluster(Context& context, const Typed& typed, Document& request) {
  if (!typed.Has("distributed")) return Ok{};
  for (const char* flag : {"cpu_limit", "memory_limit", "gpu_limit", "gpu_type"}) {
    if (typed.Has(flag))
      return Error(Code::kInvalidArgument,
                   std::string("--") + flag +
                       " and -D exclude each other: with -D each task has its own limits");
  }
  CML_ASSIGN_OR_RETURN(const Document cluster, AskCluster(context));
  request.Set("cluster_spec", cluster);
  return Ok{};
}

Result<Document> BuildRequest(Context& context, const Typed& typed) {
  Document request = Document::Object();
  if (const auto file = typed.Find("filename")) {
    std::vector<std::string> unknown;
    CML_ASSIGN_OR_RETURN(request, ReadJobFile(*file, unknown));
    for (const std::string& name : unknown) {
      context.Err("warning: " + *file + ": " + OneLine(name) +
                  " is no field of a train job; left out\n");
    }
  }
  CML_RETURN_IF_ERROR(ApplyFlags(typed, request));
  CML_RETURN_IF_ERROR(CheckComplete(request));
  CML_RETURN_IF_ERROR(AddCluster(context, typed, request));
  CML_ASSIGN_OR_RETURN(const Settings* const settings, context.settings());
  if (!request.Has("fds_bucket") && !settings->default_bucket().empty()) {
    request.Set("fds_bucket", settings->default_bucket());
  }
  if (!request.Has("enable_rank")) request.Set("enable_rank", Document::Integer(0));
  if (!request.Has("save_mode")) request.Set("save_mode", Document::Boolean(false));
  return request;
}

Outcome ShowDryRun(Context& context, const Typed& typed, const Document& job) {
  if (OutputFormat(typed) == Format::kJson) {
    context.PrintJson(job);
    return ExitCode::kOk;
  }
  context.Err("would be accepted; nothing was submitted\n");
  context.Out(TrainJobDescription(
      job, Document(),
      {context.OutColours(), context.OutTimes(), context.OutWidth(), context.Now()}));
  return ExitCode::kOk;
}

Outcome PrintLogAfterwards(Context& context, const std::string& name) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Get("/train/" + Rest::Segment(name) + "/logs"));
  context.Out(reply.body.Get("logs").Str());
  return ExitCode::kOk;
}

// An answer that did not come does not say that nothing happened.
Error UnknownFate(const Error& error, const Document& request) {
  if (error.code() != Code::kUnavailable && error.code() != Code::kDeadlineExceeded) return error;
  return {error.code(), error.message() +
                            "\nwhether it was submitted is not known; look before you try again: "
                            "cloudml jobs describe " +
                            request.Get("job_name").Text()};
}

// After a dry run: the server has looked at them, nobody else will.
void RemoveUploads(Context& context, const std::string& given, const std::string& resolved) {
  const auto settings = context.settings();
  if (!settings.ok()) return;
  S3 store(*settings.value(), context.terminal().clock());
  const std::vector<std::string_view> before = Split(given, ',');
  for (const std::string_view uri : Split(resolved, ',')) {
    const bool named = std::any_of(before.begin(), before.end(),
                                   [&](std::string_view b) { return Trim(b) == uri; });
    const auto object = ParseObjectUri(uri);
    if (named || !object.ok()) continue;
    const Status removed = store.Remove(object.value().bucket, object.value().key);
    if (!removed.ok()) context.Err("warning: " + OneLine(removed.error().message()) + "\n");
  }
}

Outcome SubmitJob(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Document request, BuildRequest(context, typed));
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  const bool dry = typed.Has("dry_run");
  const std::string given = request.Get("trainer_uri").Text();
  if (!given.empty()) {
    const Objects objects = request.Has("fds_endpoint") ? Objects::kElsewhere : Objects::kOurs;
    CML_ASSIGN_OR_RETURN(const std::string resolved, ResolvePackages(context, given, objects));
    request.Set("trainer_uri", resolved);
  }
  auto posted = rest->Create("/train", request.Dump(), dry ? "dry_run=true" : "");
  if (dry) {
    RemoveUploads(context, given, request.Get("trainer_uri").Text());
    if (!posted.ok()) return WithHolders(*rest, posted.error());
    return ShowDryRun(context, typed, posted.value().body);
  }
  if (!posted.ok()) return WithHolders(*rest, UnknownFate(posted.error(), request));
  const Document job = posted.value().body;
  const std::string name = job.Get("job_name").Str(request.Get("job_name").Text());
  const Format format = OutputFormat(typed);
  const bool follow = typed.Has("follow"), argo = typed.Has("argo_mode");
  if (format == Format::kJson) context.PrintJson(job);
  if (format == Format::kName) context.Out(name + "\n");
  if (follow || argo || typed.Has("watch")) {
    const ShowLog log = follow ? ShowLog::kYes : ShowLog::kNo;
    CML_ASSIGN_OR_RETURN(const Document end, WatchJob(context, name, log));
    if (argo && !follow) CML_RETURN_IF_ERROR(PrintLogAfterwards(context, name));
    return ReportEnd(context, end, argo ? ShowLog::kYes : log);
  }
  if (format == Format::kTable || format == Format::kWide) {
    context.Out(StateLine(job, context.OutColours()) + "\n");
    if (context.terminal().ErrIsTerminal()) {
      context.Err("follow it: cloudml jobs logs -f " + name +
                  "   how it stands: cloudml jobs describe " + name + "\n");
    }
  }
  return ExitCode::kOk;
}

std::vector<Option> SubmitOptions() {
  std::vector<Option> options;
  for (const TrainField& field : TrainFields()) options.push_back(field.option);
  const std::vector<Option> more = {
      {{"-f"},
       Takes::kMaybeFile,
       "FILE",
       "with a name: the job file FILE (--file); without one: follow the log until the end "
       "(--follow)"},
      {{"--file", "--filename"},
       Takes::kValue,
       "FILE",
       "YAML or JSON file with the fields of the job; options win over it"},
      {{"--follow"},
       Takes::kNothing,
       "",
       "follow the log until the end; exit code 6 when the job fails"},
      {{"-W", "--watch"},
       Takes::kNothing,
       "",
       "wait for the end and show changes of state; exit code 6 when the job fails"},
      {{"-argo", "--argo_mode"}, Takes::kNothing, "", "wait for the end, then print the log"},
      {{"-D", "--distributed"},
       Takes::kNothing,
       "",
       "ask for the tasks of a distributed job (instead of -cs)"},
      {{"--dry-run"},
       Takes::kNothing,
       "",
       "let the server check it; nothing is submitted, an uploaded package is removed again"},
      OutputOption(),
  };
  options.insert(options.end(), more.begin(), more.end());
  return options;
}

}  // namespace

std::vector<Command> SubmitCommands() {
  return {
      {"jobs submit",
       {},
       "train a model",
       "A package on this machine is packed and uploaded to the default bucket first. Whatever is "
       "not\n"
       "given gets a default, which `cloudml jobs describe` shows as such.\n\n"
       "  cloudml jobs submit -n ranker -m trainer.task -u ./ranker -g 1 -M 8G -f\n"
       "  cloudml jobs submit -n ranker -m trainer.task -u fds://default/ranker-1.0.tar.gz -a "
       "\"--epochs 20\"\n"
       "  cloudml jobs submit -f job.yaml -W\n\n"
       "-f follows the log; before a name that does not begin with '-' it is the job file. Ctrl-C "
       "ends\n"
       "the following, not the job.",
       SubmitOptions(),
       SubmitJob},
  };
}

}  // namespace cml::cli
