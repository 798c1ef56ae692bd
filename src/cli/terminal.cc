#include "cli/terminal.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace cml::cli {
namespace {

constexpr int kPipeExit = 128 + SIGPIPE;

void WriteWhole(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {  // somebody made the terminal non-blocking
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      continue;
    }
    if (n < 0) std::_Exit(errno == EPIPE ? kPipeExit : 1);
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

// Switches the terminal's echo off for its life.
class NoEcho {
 public:
  NoEcho() {
    if (::tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios now = before_;
    now.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    changed_ = ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &now) == 0;
  }
  ~NoEcho() {
    if (changed_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
  }
  NoEcho(const NoEcho&) = delete;
  NoEcho& operator=(const NoEcho&) = delete;

 private:
  termios before_{};
  bool changed_ = false;
};

class RealTerminal final : public Terminal {
 public:
  void Out(std::string_view text) override { WriteWhole(STDOUT_FILENO, text); }
  void Err(std::string_view text) override { WriteWhole(STDERR_FILENO, text); }
  bool OutIsTerminal() const override { return ::isatty(STDOUT_FILENO) == 1; }
  bool ErrIsTerminal() const override { return ::isatty(STDERR_FILENO) == 1; }
  bool InIsTerminal() const override { return ::isatty(STDIN_FILENO) == 1; }

  unsigned Width() const override {
    winsize size{};
    for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
      if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20) return size.ws_col;
    }
    return 100;
  }

  std::optional<std::string> ReadLine(std::string_view prompt, Echo echo) override {
    Err(prompt);
    std::string line;
    bool any = false;
    {
      std::optional<NoEcho> hidden;
      if (echo == Echo::kHidden && InIsTerminal()) hidden.emplace();
      char c = 0;
      while (line.size() < 65536) {
        const ssize_t n = ::read(STDIN_FILENO, &c, 1);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        any = true;
        if (c == '\n') break;
        line += c;
      }
    }
    if (echo == Echo::kHidden && InIsTerminal()) Err("\n");
    if (!any) return std::nullopt;
    return line;
  }

  std::optional<std::string> Env(const std::string& name) const override {
    const char* value = std::getenv(name.c_str());  // NOLINT: one thread
    if (value == nullptr || *value == '\0') return std::nullopt;
    return std::string(value);
  }

  const Clock& clock() const override { return clock_; }
  void Pause(std::chrono::milliseconds time) override { std::this_thread::sleep_for(time); }

 private:
  SystemClock clock_;
};

// Read by the signal handler.
std::array<char, 502> g_notice{};              // NOLINT
volatile std::size_t g_notice_size = 0;        // NOLINT
struct sigaction g_int_before, g_term_before;  // NOLINT

void OnInterrupt(int number) {
  if (::write(STDERR_FILENO, g_notice.data(), g_notice_size) < 0) {
  }
  ::_exit(128 + number);
}

}  // namespace

std::unique_ptr<Terminal> SystemTerminal() { return std::make_unique<RealTerminal>(); }

InterruptNotice::InterruptNotice(std::string_view notice) {
  const std::size_t n = std::min<std::size_t>(notice.size(), 500);
  std::memcpy(g_notice.data(), notice.data(), n);
  g_notice[n] = '\n';
  g_notice_size = n + 1;
  struct sigaction action {};
  action.sa_handler = OnInterrupt;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, &g_int_before);
  ::sigaction(SIGTERM, &action, &g_term_before);
}

InterruptNotice::~InterruptNotice() {
  ::sigaction(SIGINT, &g_int_before, nullptr);
  ::sigaction(SIGTERM, &g_term_before, nullptr);
}

std::string Paint(std::string_view text, Tone tone, Colours colours) {
  if (colours == Colours::kOff) return std::string(text);
  const char* on = "";
  switch (tone) {
    case Tone::kPlain:
      return std::string(text);
    case Tone::kGood:
      on = "\033[32m";
      break;
    case Tone::kWaiting:
      on = "\033[33m";
      break;
    case Tone::kBad:
      on = "\033[31m";
      break;
    case Tone::kDim:
      on = "\033[2m";
      break;
    case Tone::kBold:
      on = "\033[1m";
      break;
  }
  return on + std::string(text) + "\033[0m";
}

Tone ToneOfState(std::string_view state) {
  for (const char* s : {"running", "completed", "modelserved", "ready"}) {
    if (state == s) return Tone::kGood;
  }
  for (const char* s :
       {"validated", "enqueuing", "enqueued", "pending", "creating", "processing", "preparing"}) {
    if (state == s) return Tone::kWaiting;
  }
  for (const char* s : {"deleting", "error", "erasing", "failed"}) {
    if (state == s) return Tone::kBad;
  }
  return Tone::kPlain;
}

}  // namespace cml::cli
