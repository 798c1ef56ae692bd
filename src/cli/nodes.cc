// The machines of the cluster: what they have, who uses it, and taking one out for a while.
#include <fmt/format.h>

#include "base/strings.h"
#include "cli/context.h"
#include "cli/groups.h"

namespace cml::cli {
namespace {

using codec::Document;

std::string NodePath(const std::string& node, const char* rest = "") {
  return "/nodes/" + Rest::Segment(node) + rest;
}

// "1.5/8"
std::string UsedOf(const Document& node, const std::string& what) {
  return node.Get(what + "_used").Text() + "/" + node.Get(what).Text();
}

std::string GpusOf(const Document& node) {
  if (node.Get("gpu").Int() == 0) return "–";
  return UsedOf(node, "gpu") + " " + node.Get("gpus").At(0).Get("model").Text();
}

Table::Cell StateOf(const Document& node) {
  const std::string state = node.Get("state").Text();
  return {state, state == "ready" ? Tone::kGood : Tone::kWaiting};
}

Outcome ListNodes(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Get("/nodes"));
  const Format format = OutputFormat(typed);
  if (format == Format::kJson) {
    context.PrintJson(reply.body);
    return ExitCode::kOk;
  }
  Table table({{"NODE"},
               {"STATE"},
               {"CPU"},
               {"MEMORY"},
               {"GPU"},
               {"JOBS", Column::Align::kRight},
               {"WHY"}});
  for (const Document& n : reply.body.Get("data").Items()) {
    if (format == Format::kName) context.Out(OneLine(n.Get("node").Text()) + "\n");
    table.Add({{n.Get("node").Text()},
               StateOf(n),
               {UsedOf(n, "cpu")},
               {UsedOf(n, "memory")},
               {GpusOf(n)},
               {std::to_string(n.Get("jobs").size())},
               {n.Get("reason").Text()}});
  }
  if (format != Format::kName) context.Out(table.Render(context.OutColours(), context.OutWidth()));
  return ExitCode::kOk;
}

std::string WhoOf(const Document& user) {
  return user.IsNull() ? "–" : user.Get("name").Text() + " of " + user.Get("org_name").Text();
}

void Show(Context& context, const Document& n) {
  const std::string since = n.Get("since").Text();
  std::string head = n.Get("node").Text() + "  " + n.Get("state").Text();
  if (!since.empty()) {
    head += "  " + ShowTime(since, context.Now(), context.OutTimes()) + " by " +
            n.Get("cordoned_by").Text();
  }
  const std::string reason = n.Get("reason").Text();
  if (!reason.empty()) head += ": " + reason;
  std::vector<std::string> labels;
  for (const auto& [key, value] : n.Get("labels").Fields())
    labels.push_back(key + "=" + value.Text());
  context.Out(OneLine(head) + "\n");
  context.Out(OneLine(fmt::format("  CPU {} · memory {} · GPU {}   labels {}", UsedOf(n, "cpu"),
                                  UsedOf(n, "memory"), GpusOf(n),
                                  labels.empty() ? "–" : Join(labels, ", "))) +
              "\n");
  Table gpus({{"  GPU"}, {"MODEL"}, {"UUID"}, {"USED BY"}});
  for (const Document& g : n.Get("gpus").Items()) {
    gpus.Add({{"  " + g.Get("index").Text()},
              {g.Get("model").Text()},
              {g.Get("uuid").Text()},
              {WhoOf(g.Get("used_by"))}});
  }
  if (!gpus.empty()) context.Out(gpus.Render(context.OutColours(), context.OutWidth()));
  Table jobs({{"  JOB"}, {"ORG"}, {"STATE"}, {"CPU"}, {"MEMORY"}, {"GPU"}});
  for (const Document& j : n.Get("jobs").Items()) {
    const std::string state = j.Get("state").Text();
    jobs.Add({{"  " + j.Get("name").Text()},
              {j.Get("org_name").Text()},
              {state, ToneOfState(state)},
              {j.Get("cpu").Text()},
              {j.Get("memory").Text()},
              {j.Get("gpu").Text()}});
  }
  if (!jobs.empty()) context.Out(jobs.Render(context.OutColours(), context.OutWidth()));
}

Outcome DescribeNode(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Get(NodePath(typed.word())));
  if (OutputFormat(typed) == Format::kJson) {
    context.PrintJson(reply.body);
  } else {
    Show(context, reply.body);
  }
  return ExitCode::kOk;
}

Outcome Change(Context& context, const Typed& typed, const char* verb) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  const Document body = Document::Object().Set("reason", typed.Get("reason"));
  return context.ForEach(typed.words(), [&](const std::string& node) -> Outcome {
    CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Post(NodePath(node, verb), body.Dump()));
    const std::size_t jobs = reply.body.Get("jobs").size();
    context.Out(OneLine(node + "  " + reply.body.Get("state").Text()) +
                (jobs == 0 ? "" : fmt::format("  jobs on it: {}", jobs)) + "\n");
    return ExitCode::kOk;
  });
}

Outcome ListResources(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Get("/resources"));
  if (OutputFormat(typed) == Format::kJson) {
    context.PrintJson(reply.body);
    return ExitCode::kOk;
  }
  Table table({{"NODE"}, {"FREE CPU"}, {"FREE MEMORY"}, {"FREE GPU"}, {"STATE"}});
  for (const Document& n : reply.body.Get("data").Items()) {
    if (OutputFormat(typed) == Format::kName) context.Out(OneLine(n.Get("node").Text()) + "\n");
    const std::string model = n.Get("gpu_model").Text();
    table.Add({{n.Get("node").Text()},
               {n.Get("available_cpu").Text()},
               {n.Get("available_mem").Text()},
               {model.empty() ? "–" : n.Get("available_gpu").Text() + " " + model},
               StateOf(n)});
  }
  if (OutputFormat(typed) != Format::kName)
    context.Out(table.Render(context.OutColours(), context.OutWidth()));
  return ExitCode::kOk;
}

}  // namespace

std::vector<Command> NodeCommands() {
  const Arguments names{"NODE…", 1, kAnyNumber, ""};
  return {
      {"node list",
       {},
       "machines, what is used of them, and why one gets no jobs",
       "",
       {OutputOption()},
       ListNodes},
      {"node describe",
       {"NODE", 1, 1, ""},
       "one machine: its jobs, and who uses which GPU",
       "",
       {OutputOption()},
       DescribeNode},
      {"node cordon",
       names,
       "give no new jobs to a machine; what runs on it goes on",
       "It holds until `cloudml node uncordon`, also when the server is restarted.\n\n"
       "  cloudml node cordon gpu-02 --reason \"GPU 2 failed its test\"",
       {{{"-m", "--reason"}, Takes::kValue, "TEXT", "why, for those who look"}},
       [](Context& c, const Typed& t) { return Change(c, t, "/cordon"); }},
      {"node uncordon",
       names,
       "give jobs to a machine again",
       "",
       {},
       [](Context& c, const Typed& t) { return Change(c, t, "/uncordon"); }},
      {"resources list", {}, "what is free on each machine", "", {OutputOption()}, ListResources},
  };
}

}  // namespace cml::cli
