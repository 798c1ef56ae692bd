// cli/terminal.h — everything that commands need of the world around them, so that a test can stand
// in for it: both outputs, input, environment, time.
//
// One thread. Out and Err write at once and whole; a reader that has gone (a closed pipe) ends the
// program quietly, as it does for every other tool.
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace cml::cli {

enum class Echo { kShown, kHidden };

class Terminal {
 public:
  virtual ~Terminal() = default;

  virtual void Out(std::string_view text) = 0;  // what was asked for
  virtual void Err(std::string_view text) = 0;  // progress, notices, errors
  virtual bool OutIsTerminal() const = 0;
  virtual bool ErrIsTerminal() const = 0;
  virtual bool InIsTerminal() const = 0;
  virtual unsigned Width() const = 0;  // columns of the terminal; 100 where there is none

  // One line without its end; nullopt at the end of the input.
  virtual std::optional<std::string> ReadLine(std::string_view prompt, Echo echo) = 0;
  virtual std::optional<std::string> Env(const std::string& name) const = 0;  // set and not empty
  virtual const Clock& clock() const = 0;
  virtual void Pause(std::chrono::milliseconds time) = 0;
};

std::unique_ptr<Terminal> SystemTerminal();

// While it lives, Ctrl-C and SIGTERM print `notice` on standard error and end the program with 130
// (143): for waits whose object lives on in the server. One at a time.
class InterruptNotice {
 public:
  explicit InterruptNotice(std::string_view notice);  // cut to 500 bytes
  ~InterruptNotice();
  InterruptNotice(const InterruptNotice&) = delete;
  InterruptNotice& operator=(const InterruptNotice&) = delete;
};

// ---- text that looks better on a terminal
enum class Tone { kPlain, kGood, kWaiting, kBad, kDim, kBold };
enum class Colours { kOff, kOn };
std::string Paint(std::string_view text, Tone tone, Colours colours);
// Tone of a state of the contract (cloud_ml v1, 6.4).
Tone ToneOfState(std::string_view state);

}  // namespace cml::cli
