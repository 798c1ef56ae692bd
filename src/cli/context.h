// cli/context.h — what a running command has at hand: the terminal, the configuration, the
// connection to the server. Made by RunCli for one command; not thread-safe.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/command.h"
#include "cli/config.h"
#include "cli/rest.h"
#include "cli/terminal.h"
#include "cli/text.h"

namespace cml::cli {

enum class Format { kTable, kWide, kJson, kName };

class Context {
 public:
  Context(Terminal& terminal, Typed flags, const std::vector<Command>& commands)
      : terminal_(terminal), flags_(std::move(flags)), commands_(commands) {}

  Terminal& terminal() { return terminal_; }
  const std::vector<Command>& commands() const { return commands_; }
  const Typed& flags() const { return flags_; }  // global options
  SysTime Now() const { return terminal_.clock().Now(); }

  // Act on this organisation from the next rest() on, whatever the flags say.
  void ActFor(const std::string& org_id) {
    flags_.Add("org_id", org_id);
    rest_.reset();
  }

  // Reads the configuration at the first call.
  Result<const Settings*> settings();
  Result<Rest*> rest();

  void Out(std::string_view text) { terminal_.Out(text); }
  void Err(std::string_view text) { terminal_.Err(text); }
  Colours OutColours() const { return ColoursFor(terminal_.OutIsTerminal()); }
  Colours ErrColours() const { return ColoursFor(terminal_.ErrIsTerminal()); }
  TimeStyle OutTimes() const {
    return terminal_.OutIsTerminal() ? TimeStyle::kAge : TimeStyle::kExact;
  }
  // 0 (no limit) where nobody looks.
  std::size_t OutWidth() const { return terminal_.OutIsTerminal() ? terminal_.Width() : 0; }

  void PrintJson(const codec::Document& document) { Out(document.Pretty() + "\n"); }
  // "error: …" and its further lines, indented.
  void PrintError(std::string_view message);

  // Does `each` for every name, going on after errors, which it prints: the first one's exit code.
  ExitCode ForEach(const std::vector<std::string>& names,
                   const std::function<Outcome(const std::string&)>& each);

 private:
  Colours ColoursFor(bool is_terminal) const;  // NOLINT: private

  Terminal& terminal_;
  Typed flags_;
  const std::vector<Command>& commands_;
  std::unique_ptr<Settings> settings_;
  std::unique_ptr<Rest> rest_;
};

// The option "-o FORMAT" and its reading.
Option OutputOption();
Format OutputFormat(const Typed& typed);

}  // namespace cml::cli
