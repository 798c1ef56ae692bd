// cli/testing/fake_terminal.h — a terminal whose outputs are strings and whose time passes when
// somebody waits.
#pragma once
#include <deque>
#include <functional>
#include <map>
#include <string>

#include "cli/terminal.h"

namespace cml::cli {

class FakeClock final : public Clock {
 public:
  SysTime Now() const override { return now; }
  SysTime now{std::chrono::sys_days{std::chrono::year{2026} / 11 / 24} + std::chrono::hours(8)};
};

class FakeTerminal final : public Terminal {
 public:
  void Out(std::string_view text) override { out += text; }
  void Err(std::string_view text) override { err += text; }
  bool OutIsTerminal() const override { return is_terminal; }
  bool ErrIsTerminal() const override { return is_terminal; }
  bool InIsTerminal() const override { return is_terminal; }
  unsigned Width() const override { return 100; }
  std::optional<std::string> ReadLine(std::string_view prompt, Echo) override {
    err += prompt;
    if (input.empty()) return std::nullopt;
    std::string line = input.front();
    input.pop_front();
    return line;
  }
  std::optional<std::string> Env(const std::string& name) const override {
    const auto it = env.find(name);
    if (it == env.end() || it->second.empty()) return std::nullopt;
    return it->second;
  }
  const Clock& clock() const override { return fake_clock; }
  void Pause(std::chrono::milliseconds time) override {
    fake_clock.now += time;
    ++pauses;
    if (on_pause) on_pause();
  }

  std::string out, err;
  bool is_terminal = false;
  std::deque<std::string> input;
  std::map<std::string, std::string> env;
  FakeClock fake_clock;
  int pauses = 0;
  std::function<void()> on_pause;
};

}  // namespace cml::cli
