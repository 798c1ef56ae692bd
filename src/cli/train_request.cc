#include "cli/train_request.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/file.h"
#include "base/strings.h"
#include "cli/text.h"
#include "cli/yaml.h"

namespace cml::cli {
namespace {

using codec::Document;

Error Bad(const std::string& what) { return {Code::kInvalidArgument, what}; }

// One value as the server wants it. `from`: the flag or key, for messages.
Result<Document> Convert(const TrainField& field, const std::string& from, const Document& value) {
  const std::string text = value.Text();
  switch (field.type) {
    case FieldType::kText:
      if (value.IsObject() || value.IsArray()) return Bad(from + ": one text is wanted");
      return Document::String(text);
    case FieldType::kInteger: {
      const auto n = ParseInt(text);
      if (!n) return Bad(from + " " + Quote(text) + ": a whole number is wanted, for instance 2");
      return Document::Integer(*n);
    }
    case FieldType::kBoolean: {
      const std::string lower = ToLower(text);
      if (lower == "true" || lower == "1" || lower == "yes") return Document::Boolean(true);
      if (lower == "false" || lower == "0" || lower == "no") return Document::Boolean(false);
      return Bad(from + " " + Quote(text) + ": true or false");
    }
    case FieldType::kSeconds: {
      const auto seconds = ParseSeconds(text);
      if (!seconds) return Bad(from + " " + Quote(text) + ": seconds, or 15m, 2h, 1d");
      return Document::Integer(*seconds);
    }
    case FieldType::kMap: {
      if (!value.IsObject()) return Bad(from + ": names with values are wanted");
      Document map = Document::Object();
      for (const auto& [name, v] : value.Fields()) map.Set(name, v.Text());
      return map;
    }
    case FieldType::kObject: {
      if (value.IsObject()) return value;
      const auto parsed = ParseYaml(text);
      if (!parsed.ok() || !parsed.value().IsObject()) {
        return Bad(from + ": a JSON object is wanted, for instance '{\"worker\": {\"count\": 2}}'" +
                   (parsed.ok() ? "" : "\n" + parsed.error().message()));
      }
      return parsed;
    }
  }
  return Document();
}

Result<Document> PairsOf(const TrainField& field, const Typed& typed) {
  Document map = Document::Object();
  for (const std::string& pair : typed.All(field.option.key())) {
    const std::size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Bad(field.option.names.back() + " " + Quote(pair) + ": NAME=VALUE is wanted");
    }
    map.Set(pair.substr(0, equals), pair.substr(equals + 1));
  }
  return map;
}

}  // namespace

const std::vector<TrainField>& TrainFields() {
  using enum FieldType;
  static const std::vector<TrainField> kFields = {
      {{{"-n", "--job_name"},
        Takes::kValue,
        "NAME",
        "name of the job: lower-case letters, digits and '-'"},
       kText},
      {{{"-m", "--module_name"},
        Takes::kValue,
        "MODULE",
        "Python module that is run, for instance trainer.task"},
       kText},
      {{{"-u", "--trainer_uri"},
        Takes::kValue,
        "PACKAGE",
        "folder or archive on this machine, fds://bucket/object or http(s)://…; several with ','"},
       kText},
      {{{"-a", "--job_args"},
        Takes::kValue,
        "ARGS",
        "arguments of the module, as one text: -a \"--epochs 20\""},
       kText},
      {{{"-c", "--cpu_limit"}, Takes::kValue, "CORES", "cores, for instance 4 or 0.5"}, kText},
      {{{"-M", "--memory_limit"}, Takes::kValue, "SIZE", "memory, for instance 8G or 512M"}, kText},
      {{{"-g", "--gpu_limit"}, Takes::kValue, "N", "whole GPUs"}, kInteger},
      {{{"-F", "--framework"},
        Takes::kValue,
        "NAME",
        "framework, for instance tensorflow (see: cloudml framework list)"},
       kText},
      {{{"-V", "--framework_version"}, Takes::kValue, "VERSION", "its version"}, kText},
      {{{"--env"}, Takes::kValues, "NAME=VALUE", "environment variable of the job"}, kMap},
      {{{"--job_dir"},
        Takes::kValue,
        "URI",
        "where the job writes its results: fds://bucket/folder"},
       kText},
      {{{"--labels", "--label"}, Takes::kValues, "NAME=VALUE", "label, to find the job by"}, kMap},
      {{{"--description"}, Takes::kValue, "TEXT", "what it is for"}, kText},
      {{{"--priority_class"},
        Takes::kValue,
        "CLASS",
        "guaranteed, preferred (the default) or best-effort",
        {"guaranteed", "preferred", "best-effort"}},
       kText},
      {{{"--wall_time_limit"},
        Takes::kValue,
        "TIME",
        "end it after this time: seconds, or 15m, 2h, 1d"},
       kSeconds},
      {{{"--max_retries"}, Takes::kValue, "N", "how often it is tried again"}, kInteger},
      {{{"--disk_limit"}, Takes::kValue, "SIZE", "size of its working directory, for instance 20G"},
       kText},
      {{{"-pc", "--prepare_command"},
        Takes::kValue,
        "COMMAND",
        "shell command before the training"},
       kText},
      {{{"-fc", "--finish_command"},
        Takes::kValue,
        "COMMAND",
        "shell command after it, also when it failed"},
       kText},
      {{{"-nsk", "--node_selector_key"},
        Takes::kValue,
        "KEY",
        "run only on nodes with this label …"},
       kText},
      {{{"-nsv", "--node_selector_value"}, Takes::kValue, "VALUE", "… and this value of it"},
       kText},
      {{{"-d", "--docker_image"}, Takes::kValue, "IMAGE", "container image instead of a framework"},
       kText},
      {{{"-dc", "--docker_command"}, Takes::kValue, "COMMAND", "command instead of the module"},
       kText},
      {{{"-fe", "--fds_endpoint"},
        Takes::kValue,
        "URL",
        "object store of the package and bucket, where it is another one"},
       kText},
      {{{"-fb", "--fds_bucket"}, Takes::kValue, "BUCKET", "bucket that the job sees at /fds"},
       kText},
      {{{"-R", "--enable_rank"}, Takes::kNothing, "", "use the organisation's high-priority share"},
       kInteger},
      {{{"-sv", "--save_mode"},
        Takes::kNothing,
        "",
        "keep it, do not start it (later: cloudml jobs start)"},
       kBoolean},
      {{{"-p", "--ps_count"}, Takes::kValue, "N", "parameter servers of a distributed job"},
       kInteger},
      {{{"-w", "--worker_count"}, Takes::kValue, "N", "workers of a distributed job"}, kInteger},
      {{{"-cs", "--cluster_spec"}, Takes::kValue, "JSON", "tasks of a distributed job, or @FILE"},
       kObject},
      {{{"--chief_count"}, Takes::kValue, "N", "0: a distributed job without a chief"}, kInteger},
      {{{"--evaluator_count"}, Takes::kValue, "N", "1: a task that evaluates beside the training"},
       kInteger},
      {{{"--max_restarts"},
        Takes::kValue,
        "N",
        "how often each task of a distributed job runs again in place"},
       kInteger},
      {{{"--start_timeout"},
        Takes::kValue,
        "TIME",
        "until when the program of each task must have begun"},
       kSeconds},
      {{{"--evaluator_wait"},
        Takes::kValue,
        "TIME",
        "how long the evaluator may go on after the training"},
       kSeconds},
      {{{"-tl", "--tensorboard_logdir"},
        Takes::kValue,
        "URI",
        "start a TensorBoard on this folder"},
       kText},
      {{{"-gt", "--gpu_type"},
        Takes::kValue,
        "TYPE",
        "GPU model (published servers refuse it; better -nsk)"},
       kText},
      {{{"-vt", "--volume_type"}, Takes::kValue, "TYPE", "volume to mount"}, kText},
      {{{"-vp", "--volume_path"}, Takes::kValue, "PATH", "path in the volume"}, kText},
      {{{"-mp", "--mount_path"}, Takes::kValue, "PATH", "path in the job"}, kText},
      {{{"-mro", "--mount_read_only"}, Takes::kValue, "BOOL", "true: mounted read-only"}, kBoolean},
      {{{"-he", "--hdfs_endpoint"}, Takes::kValue, "URI", "HDFS: hdfs://…"}, kText},
      {{{"-hka", "--hdfs_krb_account"}, Takes::kValue, "ACCOUNT", "HDFS: Kerberos account"}, kText},
      {{{"-hkp", "--hdfs_krb_password"}, Takes::kValue, "PASSWORD", "HDFS: its password"}, kText},
      {{{"-hkt", "--hdfs_krb_keytab"},
        Takes::kValue,
        "SECRET",
        "HDFS: name of a secret with its keytab"},
       kText},
      {{{"-mn", "--model_name"},
        Takes::kValue,
        "NAME",
        "saved model service to start with the result"},
       kText},
      {{{"-mv", "--model_version"}, Takes::kValue, "VERSION", "its version"}, kText},
  };
  return kFields;
}

Result<Document> ReadJobFile(const std::string& path, std::vector<std::string>& unknown) {
  auto text = ReadFile(path, 1U << 20);
  if (!text.ok()) {
    if (text.error().code() == Code::kNotFound) {
      return Error(Code::kNotFound,
                   "job file " + Quote(path) +
                       ": no such file\n"
                       "(-f without a name follows the job; both: --file FILE --follow)");
    }
    return std::move(text).error();
  }
  auto parsed = ParseYaml(text.value());
  if (!parsed.ok()) return Bad("job file " + path + ": " + parsed.error().message());
  if (!parsed.value().IsObject())
    return Bad("job file " + path + ": names with values are wanted, as in \"job_name: ranker\"");
  const std::vector<TrainField>& fields = TrainFields();
  std::vector<std::string> names;
  for (const TrainField& f : fields)
    names.push_back(f.option.key() == "label" ? "labels" : f.option.key());
  Document request = Document::Object();
  for (const auto& [name, value] : parsed.value().Fields()) {
    const auto at = std::ranges::find(names, name);
    if (at == names.end()) {
      const std::string close = ClosestMatch(name, names);
      unknown.push_back(name + (close.empty() ? "" : " (did you mean " + close + "?)"));
      continue;
    }
    if (value.IsNull()) continue;
    const TrainField& field = fields[static_cast<std::size_t>(at - names.begin())];
    CML_ASSIGN_OR_RETURN(const Document converted, Convert(field, path + ": " + name, value));
    request.Set(name, converted);
  }
  return request;
}

Status ApplyFlags(const Typed& typed, Document& request) {
  for (const TrainField& field : TrainFields()) {
    const std::string key = field.option.key();
    const std::string name = key == "label" ? "labels" : key;
    if (!typed.Has(key)) continue;
    if (field.option.takes == Takes::kNothing) {
      request.Set(
          name, field.type == FieldType::kInteger ? Document::Integer(1) : Document::Boolean(true));
    } else if (field.type == FieldType::kMap) {
      CML_ASSIGN_OR_RETURN(const Document pairs, PairsOf(field, typed));
      Document all = request.Get(name);
      for (const auto& [n, v] : pairs.Fields()) all.Set(n, v);
      request.Set(name, all);
    } else {
      std::string text = typed.Get(key);
      if (field.type == FieldType::kObject && text.starts_with('@')) {
        CML_ASSIGN_OR_RETURN(text, ReadFile(text.substr(1), 1U << 20));
      }
      CML_ASSIGN_OR_RETURN(const Document value,
                           Convert(field, field.option.names.back(), Document::String(text)));
      request.Set(name, value);
    }
  }
  return Ok{};
}

}  // namespace cml::cli
