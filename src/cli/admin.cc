// The grammar of the published administrator's program: the same commands as everybody's, with the
// organisation they act on as the last word (cloud_ml v1, section 14).
#include <fmt/format.h>

#include <array>

#include "base/strings.h"
#include "cli/context.h"
#include "cli/groups.h"

namespace cml::cli {
namespace {

using codec::Document;

constexpr const char* kOrgHelp = "ORG is the number of an organisation; -1 means all of them, in lists.";

// `base` for one organisation: takes the last word and acts for it.
Command ForOrg(const Command& base) {
  Command admin = base;
  admin.path = "admin " + base.path;
  admin.arguments.usage += (base.arguments.usage.empty() ? "" : " ") + std::string("ORG");
  admin.arguments.least += 1;
  if (admin.arguments.most != kAnyNumber) admin.arguments.most += 1;
  admin.arguments.kind.clear();  // completion knows the names of one's own organisation alone
  admin.text = kOrgHelp;
  admin.run = [run = base.run](Context& context, const Typed& typed) -> Outcome {
    Typed inner = typed;
    const std::string org = inner.TakeLastWord();
    if (org != "-1" && !ParseUnsigned(org)) {
      return Error(Code::kInvalidArgument,
                   "ORG " + Quote(org) + ": the last word is the number of an organisation, or -1 for all in lists\n"
                   "their numbers: cloudml org list");
    }
    context.ActFor(org);
    return run(context, inner);
  };
  return admin;
}

// ---- quota update ORG

struct QuotaField {
  std::string_view option, suffix;  // "-c": "cpu_quota"
  bool number;
};
constexpr std::array kGroupFields = {
    QuotaField{"cpu", "cpu_quota", false},       QuotaField{"memory", "memory_quota", false},
    QuotaField{"gpu", "gpu_quota", true},        QuotaField{"count", "count_quota", true},
    QuotaField{"priority", "priority_quota", false}, QuotaField{"rank", "priority_rank", false},
};

// The published words for the groups, and their prefixes on the wire.
struct Group {
  std::string_view word, prefix;
};
constexpr std::array kGroups = {Group{"jobs", "train"}, Group{"models", "model"}, Group{"dev", "dev"},
                                Group{"tensorboard", "tensorboard"}, Group{"total", "total"}};

Status SetField(Document& body, const std::string& name, const std::string& value, bool number) {
  if (!number) {
    body.Set(name, value);
    return Ok{};
  }
  const auto parsed = ParseUnsigned(value);
  if (!parsed) return Error(Code::kInvalidArgument, name + " " + Quote(value) + ": a whole number");
  body.Set(name, Document::Integer(static_cast<std::int64_t>(*parsed)));
  return Ok{};
}

Result<Document> QuotaChange(const Typed& typed, const std::string& org) {
  Document body = Document::Object().Set("org_id", org);
  for (const char* field : {"org_name", "org_mail", "project"}) {
    if (const auto value = typed.Find(field)) body.Set(field, *value);
  }
  if (const auto count = typed.Find("tensorboard_quota")) {
    CML_RETURN_IF_ERROR(SetField(body, "tensorboard_quota", *count, true));
  }
  const std::string type = typed.Get("type");
  for (const QuotaField& field : kGroupFields) {
    const auto value = typed.Find(field.option);
    if (!value) continue;
    if (type.empty()) {
      return Error(Code::kInvalidArgument, fmt::format("--{}: of which group? add -t jobs, models, dev, tensorboard "
                                                       "or total", field.option));
    }
    for (const Group& group : kGroups) {
      if (group.word != type) continue;
      // TensorBoards are counted alone: their count has the group's own name.
      const bool own = group.prefix == "tensorboard" && field.option == "count";
      const std::string name = own ? "tensorboard_quota" : fmt::format("{}_{}", group.prefix, field.suffix);
      CML_RETURN_IF_ERROR(SetField(body, name, *value, field.number));
    }
  }
  if (body.size() == 1) return Error(Code::kInvalidArgument, "nothing to change: name a value, for instance -t jobs -g 8");
  return body;
}

Outcome UpdateQuota(Context& context, const Typed& typed) {
  const std::string& org = typed.word();
  CML_ASSIGN_OR_RETURN(const Document body, QuotaChange(typed, org));
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Put("/quota/" + Rest::Segment(org), body.Dump()));
  context.PrintJson(reply.body);
  return ExitCode::kOk;
}

Command QuotaUpdateCommand() {
  return {"admin quota update",
          {"ORG", 1, 1, ""},
          "change an organisation's quota",
          "What is not named stays as it is.\n\n"
          "  cloudml admin quota update 3 -t jobs -c 64 -m 256G -g 8 -C 20",
          {{{"-n", "--org_name"}, Takes::kValue, "NAME", "its name"},
           {{"-t", "--type"}, Takes::kValue, "GROUP", "which group the next values are for",
            {"jobs", "models", "dev", "tensorboard", "total"}},
           {{"-c", "--cpu"}, Takes::kValue, "CORES", "CPU cores"},
           {{"-m", "--memory"}, Takes::kValue, "AMOUNT", "memory, for instance 256G"},
           {{"-g", "--gpu"}, Takes::kValue, "N", "GPUs"},
           {{"-C", "--count"}, Takes::kValue, "N", "how many at once"},
           {{"-R", "--priority"}, Takes::kValue, "N", "how many of them with high priority"},
           {{"-P", "--rank"}, Takes::kValue, "RANK", "what high priority means: 1, 2 or 3", {"1", "2", "3"}},
           {{"-T", "--tensorboard_quota"}, Takes::kValue, "N", "TensorBoards"},
           {{"-M", "--org_mail"}, Takes::kValue, "ADDRESS", "mail address of the organisation"},
           {{"-proj", "--project"}, Takes::kValue, "NAME", "its project"}},
          UpdateQuota};
}

}  // namespace

std::vector<Command> AdminCommands(const std::vector<Command>& all) {
  constexpr std::array<std::string_view, 6> kSame = {"jobs list",   "jobs describe", "jobs logs",
                                                     "jobs events", "jobs delete",   "quota list"};
  std::vector<Command> admin;
  for (const std::string_view path : kSame) {
    for (const Command& c : all) {
      if (c.path == path) admin.push_back(ForOrg(c));
    }
  }
  admin.push_back(QuotaUpdateCommand());
  return admin;
}

}  // namespace cml::cli
