// app/main.cc — the one program: a server, the keeper of a running replica, or the command line.
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "api/access_table.h"
#include "app/config.h"
#include "app/server.h"
#include "backends/local/network.h"
#include "backends/local/shim.h"
#include "cli/exit_code.h"
#include "cli/main.h"

namespace cml::app {
namespace {

constexpr const char* kServerHelp = R"(cloudml server — runs the platform on this machine

  cloudml server [--data DIR] [--listen ADDR:PORT] [--config FILE] [--fake-gpus N]
  cloudml server backup FILE [--data DIR]
  cloudml server access

  --data DIR           where everything is kept       $CLOUDML_DATA, else ~/.cloudml
  --listen ADDR:PORT   port 0 takes any free one      127.0.0.1:8089
  --config FILE        settings (docs/guide/server.md)
  --fake-gpus N        pretend to have N GPUs, for tests

  backup writes a consistent copy of the database while the server runs. Keep DIR/master.key with
  it, in another place: without it the secret keys in the copy cannot be read.

  access prints who may do what on which route (docs/guide/access.md).
)";

int Refuse(const Error& e, int exit_code) {
  std::fprintf(stderr, "error: %s\n", e.message().c_str());
  return exit_code;
}

struct ServerArgs {
  Config config;
  std::string backup;  // the file; empty: run the server
  bool access = false;
  bool help = false;
};

Result<ServerArgs> ParseServerArgs(const std::vector<std::string>& args) {
  ServerArgs out;
  out.config.data = DefaultDataFolder();
  std::vector<std::pair<std::string, std::string>> flags;
  std::vector<std::string> words;
  for (std::size_t i = 0; i < args.size(); ++i) {
    std::string name = args[i], value;
    if (name == "--help" || name == "-h") {
      out.help = true;
      return out;
    }
    if (!name.starts_with("--")) {
      words.push_back(name);
      continue;
    }
    if (const auto equals = name.find('='); equals != std::string::npos) {
      value = name.substr(equals + 1);
      name.resize(equals);
    } else if (i + 1 < args.size()) {
      value = args[++i];
    } else {
      return Error(Code::kInvalidArgument, name + ": a value is missing; cloudml server --help");
    }
    flags.emplace_back(name, value);
  }
  // The file first, so that flags win wherever they stand.
  for (const auto& [name, value] : flags) {
    if (name == "--config") CML_RETURN_IF_ERROR(ReadConfig(value, out.config));
  }
  for (const auto& [name, value] : flags) {
    if (name == "--data") {
      out.config.data = std::filesystem::absolute(value);
    } else if (name == "--listen") {
      CML_RETURN_IF_ERROR(ParseListen(value, out.config));
    } else if (name == "--fake-gpus") {
      out.config.fake_gpus = std::atoi(value.c_str());
    } else if (name != "--config") {
      return Error(Code::kInvalidArgument, name + ": there is no such flag; cloudml server --help");
    }
  }
  if (words.size() == 2 && words[0] == "backup") {
    out.backup = words[1];
  } else if (words == std::vector<std::string>{"access"}) {
    out.access = true;
  } else if (!words.empty()) {
    return Error(Code::kInvalidArgument, words[0] + ": not understood; cloudml server --help");
  }
  return out;
}

int ServerMain(const std::vector<std::string>& args) {
  const auto parsed = ParseServerArgs(args);
  if (!parsed.ok()) return Refuse(parsed.error(), 2);
  if (parsed.value().help) {
    std::fputs(kServerHelp, stdout);
    return 0;
  }
  if (parsed.value().access) {
    std::fputs(api::AccessTableText().c_str(), stdout);
    return 0;
  }
  const Config& config = parsed.value().config;
  const Status done = parsed.value().backup.empty() ? RunServer(config)
                                                    : BackupServer(config.data, parsed.value().backup);
  return done.ok() ? 0 : Refuse(done.error(), 1);
}

}  // namespace
}  // namespace cml::app

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (args.size() == 2 && args[0] == "shim") return cml::backends::local::RunShim(args[1]);
  if (args.size() == 2 && args[0] == "network") return cml::backends::local::RunNetworkKeeper(args[1]);
  if (!args.empty() && args[0] == "server") return cml::app::ServerMain({args.begin() + 1, args.end()});
  return cml::cli::Main(argc, argv);
}
