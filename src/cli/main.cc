#include "cli/main.h"

#include "base/strings.h"
#include "cli/context.h"
#include "cli/groups.h"
#include "cli/help.h"

namespace cml::cli {
namespace {

Outcome ShowVersion(Context& context, const Typed& typed) {
  if (OutputFormat(typed) == Format::kJson) {
    context.PrintJson(codec::Document::Object().Set("version", CML_VERSION));
  } else {
    context.Out("cloudml " CML_VERSION "\n");
  }
  return ExitCode::kOk;
}

Outcome ShowHelp(Context& context, const Typed& typed) {
  const std::vector<std::string>& words = typed.words();
  if (words.empty()) {
    context.Out(OverviewHelp(context.commands()));
    return ExitCode::kOk;
  }
  if (const Command* command = FindCommand(context.commands(), words)) {
    context.Out(CommandHelp(*command));
    return ExitCode::kOk;
  }
  const std::string group = words.size() == 1 ? GroupHelp(context.commands(), words[0]) : "";
  if (group.empty())
    return Error(Code::kInvalidArgument, UnknownCommand(context.commands(), words));
  context.Out(group);
  return ExitCode::kOk;
}

std::vector<Command> OwnCommands() {
  return {
      {"version", {}, "the version of this program", "", {OutputOption()}, ShowVersion},
      {"help",
       {"[COMMAND]", 0, 3, "command"},
       "this text, or that of one command",
       "",
       {},
       ShowHelp},
  };
}

// Global options may stand before and after the command's name; after it they win.
Typed Merge(const Typed& before, const Typed& after) {
  Typed all;
  for (const Option& o : GlobalOptions()) {
    for (const std::string& v : before.All(o.key())) all.Add(o.key(), v);
    for (const std::string& v : after.All(o.key())) all.Add(o.key(), v);
  }
  return all;
}

int Fail(Terminal& io, const Error& error) {
  Context context(io, Typed(), AllCommands());
  context.PrintError(error.message());
  return static_cast<int>(ExitCodeOf(error.code()));
}

int RunCommand(const Command& command, const Typed& typed, Context& context) {
  const Outcome outcome = command.run(context, typed);
  if (outcome.ok()) return static_cast<int>(outcome.value());
  context.PrintError(outcome.error().message());
  return static_cast<int>(ExitCodeOf(outcome.error().code()));
}

}  // namespace

const std::vector<OtherCommand>& OtherCommands() {
  static const std::vector<OtherCommand> kOthers = {
      {"server", "run the platform: cloudml server --data DIR --listen ADDRESS:PORT"},
      {"server backup", "a consistent copy of a running server's database"},
      {"server access", "who may do what on which route"},
  };
  return kOthers;
}

const std::vector<Command>& AllCommands() {
  static const std::vector<Command> kCommands = [] {
    std::vector<Command> all;
    for (auto* group : {SubmitCommands, TrainJobCommands, FrameworkCommands, RuntimeCommands,
                        QuotaCommands, UsageCommands, NodeCommands, FileCommands, OrgCommands, UserCommands,
                        KeyCommands, AuditCommands, WebhookCommands, ConfigCommands,
                        CompletionCommands, OwnCommands}) {
      for (Command& c : group()) all.push_back(std::move(c));
    }
    for (Command& c : AdminCommands(all)) all.push_back(std::move(c));
    return all;
  }();
  return kCommands;
}

int RunCli(std::vector<std::string> args, Terminal& io, const std::string& group) {
  const std::vector<Command>& commands = AllCommands();
  // "-v" is the published client's way to ask for the version.
  if (!args.empty() && (args[0] == "-v" || args[0] == "--version")) args[0] = "version";
  auto before = TakeGlobalOptions(args);
  if (!before.ok()) return Fail(io, before.error());
  if (args.empty()) {
    const bool asked = before.value().Has("help");
    asked ? io.Out(OverviewHelp(commands)) : io.Err(OverviewHelp(commands));
    return static_cast<int>(asked ? ExitCode::kOk : ExitCode::kUsage);
  }
  if (!group.empty()) args.insert(args.begin(), group);
  const Command* command = FindCommand(commands, args);
  if (command == nullptr) {
    const bool help = args.back() == "--help" || args.back() == "-h";
    if (help) args.pop_back();
    const std::string about = GroupHelp(commands, Join(args, " "));  // "jobs", "admin jobs"
    if (!about.empty()) {
      help ? io.Out(about) : io.Err(about);
      return static_cast<int>(help ? ExitCode::kOk : ExitCode::kUsage);
    }
    return Fail(io, Error(Code::kInvalidArgument, UnknownCommand(commands, args)));
  }
  const auto words = std::count(command->path.begin(), command->path.end(), ' ') + 1;
  args.erase(args.begin(), args.begin() + words);
  auto typed = ParseArguments(*command, args);
  if (!typed.ok()) return Fail(io, typed.error());
  if (typed.value().Has("help") || before.value().Has("help")) {
    io.Out(CommandHelp(*command));
    return static_cast<int>(ExitCode::kOk);
  }
  Context context(io, Merge(before.value(), typed.value()), commands);
  return RunCommand(*command, typed.value(), context);
}

int Main(int argc, char** argv) {
  const std::unique_ptr<Terminal> terminal = SystemTerminal();
  const std::string_view program = argc > 0 ? argv[0] : "";
  // The published administrator's program, as a second name of this one.
  const bool admin = program.substr(program.rfind('/') + 1) == "cloudml_admin";
  return RunCli(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc), *terminal,
                admin ? "admin" : "");
}

}  // namespace cml::cli
