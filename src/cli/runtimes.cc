// Framework environments of the server: which there are, building one ahead, removing one.
#include <fmt/format.h>

#include "base/strings.h"
#include "cli/context.h"
#include "cli/groups.h"

namespace cml::cli {
namespace {

using codec::Document;
using std::chrono::milliseconds;

constexpr milliseconds kPoll{1'000};

struct RuntimeName {
  std::string name, version;
  std::string str() const { return name + " " + version; }
  std::string path() const {
    return "/runtimes/" + Rest::Segment(name) + "/" + Rest::Segment(version);
  }
};

// "tensorflow 2.15.1" and "tensorflow-2.15.1" are the same.
Result<RuntimeName> NameOf(const Typed& typed) {
  if (typed.words().size() == 2) return RuntimeName{typed.word(0), typed.word(1)};
  const std::string& word = typed.word();
  const std::size_t dash = word.find_last_of("-=/");
  if (dash == std::string::npos || dash + 1 >= word.size()) {
    return Error(Code::kInvalidArgument,
                 "runtime " + Quote(word) +
                     ": its version is missing, for instance: tensorflow 2.15.1\n"
                     "see which there are: cloudml runtimes list");
  }
  return RuntimeName{word.substr(0, dash), word.substr(dash + 1)};
}

Result<std::vector<Document>> Runtimes(Rest& rest, Document* whole) {
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest.Get("/runtimes"));
  if (whole != nullptr) *whole = reply.body;
  return reply.body.IsArray() ? reply.body.Items() : reply.body.Get("data").Items();
}

Outcome ListRuntimes(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  Document whole;
  CML_ASSIGN_OR_RETURN(const std::vector<Document> runtimes, Runtimes(*rest, &whole));
  const Format format = OutputFormat(typed);
  if (format == Format::kJson) {
    context.PrintJson(whole);
    return ExitCode::kOk;
  }
  Table table({{"RUNTIME"},
               {"VERSION"},
               {"VARIANT"},
               {"PYTHON"},
               {"STATE"},
               {"SIZE", Column::Align::kRight},
               {"WHY"}});
  for (const Document& r : runtimes) {
    if (format == Format::kName) {
      context.Out(OneLine(r.Get("name").Text() + "-" + r.Get("version").Text()) + "\n");
      continue;
    }
    const std::int64_t size = r.Get("size_bytes").Int();
    const std::string state = r.Get("state").Text();
    table.Add({{r.Get("name").Text()},
               {r.Get("version").Text()},
               {r.Get("variant").Text()},
               {r.Get("python").Text()},
               {state, ToneOfState(state)},
               {size > 0 ? FormatBytes(static_cast<std::uint64_t>(size)) : "–"},
               {r.Get("message").Text()}});
  }
  if (runtimes.empty()) {
    context.Err(
        "the server knows no runtimes; its folder of runtimes is empty or not configured\n");
  } else if (format != Format::kName) {
    context.Out(table.Render(context.OutColours(), context.OutWidth()));
  }
  return ExitCode::kOk;
}

bool IsUnderWay(const std::string& state) {
  return state == "preparing" || state == "building" || state == "queued" || state == "waiting";
}

// How much a variant's state tells of the runtime's: one on its way counts before a broken one,
// that before a ready one, and last what this machine cannot have or nobody asked for.
int Weight(const std::string& state) {
  if (IsUnderWay(state)) return 3;
  if (state == "broken" || state == "failed") return 2;
  return state == "ready" ? 1 : 0;
}

// The runtime that `name` means; of several variants the one that tells most.
Result<Document> Find(Rest& rest, const RuntimeName& name) {
  CML_ASSIGN_OR_RETURN(const std::vector<Document> runtimes, Runtimes(rest, nullptr));
  Document found;
  for (const Document& r : runtimes) {
    if (r.Get("name").Text() != name.name || r.Get("version").Text() != name.version) continue;
    const std::string state = r.Get("state").Text();
    if (found.IsNull() || Weight(state) > Weight(found.Get("state").Text())) found = r;
  }
  if (!found.IsNull()) return found;
  return Error(Code::kNotFound,
               "no runtime " + name.str() + "\nsee which there are: cloudml runtimes list");
}

Outcome WaitUntilReady(Context& context, Rest& rest, const RuntimeName& name) {
  const InterruptNotice notice("the server goes on; look at it: cloudml runtimes list");
  const bool terminal = context.terminal().ErrIsTerminal();
  std::string last;
  SysTime shown{};
  const SysTime began = context.Now();
  while (true) {
    CML_ASSIGN_OR_RETURN(const Document runtime, Find(rest, name));
    const std::string state = runtime.Get("state").Text();
    const std::string message = OneLine(runtime.Get("message").Text());
    const bool over = !IsUnderWay(state);
    std::string line = name.str() + "  " + state + (message.empty() ? "" : "  " + message);
    if (over) line += "  (" + FormatDuration(context.Now() - began) + ")";
    if (line != last && (terminal || over || context.Now() - shown >= std::chrono::seconds(5))) {
      const std::string again = terminal && !last.empty() ? "\033[1A\033[K" : "";
      context.Err(again + (terminal ? Clip(line, context.terminal().Width()) : line) + "\n");
      last = line;
      shown = context.Now();
    }
    if (state == "ready") return ExitCode::kOk;
    if (over) return ExitCode::kOther;
    context.terminal().Pause(kPoll);
  }
}

Outcome PrepareRuntime(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  CML_ASSIGN_OR_RETURN(const RuntimeName name, NameOf(typed));
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Post(name.path() + "/prepare", ""));
  if (OutputFormat(typed) == Format::kJson) context.PrintJson(reply.body);
  if (typed.Has("no_wait")) {
    if (OutputFormat(typed) != Format::kJson) {
      context.Err(name.str() + "  is being prepared; look at it: cloudml runtimes list\n");
    }
    return ExitCode::kOk;
  }
  return WaitUntilReady(context, *rest, name);
}

Outcome RemoveRuntime(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  CML_ASSIGN_OR_RETURN(const RuntimeName name, NameOf(typed));
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Delete(name.path()));
  const std::string message = reply.body.Get("message").Str();
  context.Out(message.empty() ? name.str() + "  removed\n" : OneLine(message) + "\n");
  return ExitCode::kOk;
}

}  // namespace

std::vector<Command> RuntimeCommands() {
  const Arguments name{"NAME VERSION", 1, 2, "runtime"};
  return {
      {"runtimes list",
       {},
       "framework environments: built, being built, or why not",
       "An environment is built when the first job asks for it, and shared by all jobs from then "
       "on.",
       {OutputOption()},
       ListRuntimes},
      {"runtimes prepare",
       name,
       "build an environment before a job needs it",
       "  cloudml runtimes prepare tensorflow 2.15.1",
       {{{"--no-wait"}, Takes::kNothing, "", "return at once; the server goes on alone"},
        OutputOption()},
       PrepareRuntime},
      {"runtimes remove",
       name,
       "remove a built environment; the next job builds it again",
       "",
       {},
       RemoveRuntime},
  };
}

}  // namespace cml::cli
