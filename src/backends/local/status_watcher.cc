#include "backends/local/status_watcher.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace cml::backends::local {

Result<std::unique_ptr<StatusWatcher>> StatusWatcher::Start(
    const std::filesystem::path& folder, std::function<void(const std::string&)> changed) {
  Fd events(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  Fd stop(::eventfd(0, EFD_CLOEXEC));
  if (!events.valid() || !stop.valid() ||
      ::inotify_add_watch(events.get(), folder.c_str(), IN_MOVED_TO | IN_ONLYDIR) < 0) {
    return ErrnoError(errno, "watch", folder);
  }
  return std::unique_ptr<StatusWatcher>(
      new StatusWatcher(std::move(events), std::move(stop), std::move(changed)));
}

StatusWatcher::StatusWatcher(Fd events, Fd stop, std::function<void(const std::string&)> changed)
    : events_(std::move(events)), stop_(std::move(stop)), changed_(std::move(changed)) {
  thread_ = std::thread([this] { Run(); });
}

StatusWatcher::~StatusWatcher() {
  const std::uint64_t one = 1;
  if (::write(stop_.get(), &one, sizeof one) == sizeof one) thread_.join();
}

void StatusWatcher::Run() {
  alignas(inotify_event) std::array<char, 16 * 1024> buffer;
  while (true) {
    std::array<pollfd, 2> wait = {pollfd{events_.get(), POLLIN, 0}, pollfd{stop_.get(), POLLIN, 0}};
    if (::poll(wait.data(), wait.size(), -1) < 0 && errno != EINTR) return;
    if (wait[1].revents != 0) return;
    const ssize_t n = ::read(events_.get(), buffer.data(), buffer.size());
    for (ssize_t at = 0; at < n;) {
      inotify_event event;
      std::memcpy(&event, buffer.data() + at, sizeof event);
      const char* name = buffer.data() + at + sizeof event;
      at += static_cast<ssize_t>(sizeof event + event.len);
      changed_((event.mask & IN_Q_OVERFLOW) != 0 || event.len == 0 ? std::string()
                                                                   : std::string(name));
    }
  }
}

}  // namespace cml::backends::local
