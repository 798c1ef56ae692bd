// The threads of the local backend: what brings runs on their way and clears up behind them.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>

#include "backends/local/local_backend.h"
#include "backends/local/replica_lock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"

namespace cml::backends::local {
namespace fs = std::filesystem;
namespace {

using Steady = std::chrono::steady_clock;
using What = Progress::What;

constexpr int kThreads = 3;  // so many slow fetches at once
constexpr int kMostAttempts = 5;
constexpr std::chrono::seconds kPatience(5);  // with a shim that was launched and says nothing

std::chrono::seconds BackOff(int attempts) {
  return std::chrono::seconds(std::min(30, 1 << std::min(attempts, 5)));
}

// A job may have taken its own rights on its folders away; as their owner we take them back.
Status RemoveJobTree(const fs::path& path) {
  Status removed = RemoveTree(path);
  if (removed.ok()) return removed;
  std::error_code ec;
  for (int round = 0; round < 64 && !removed.ok(); ++round) {
    const auto options = fs::directory_options::skip_permission_denied;
    for (fs::recursive_directory_iterator it(path, options, ec), end; !ec && it != end;
         it.increment(ec)) {
      if (it->is_directory(ec) && !it->is_symlink(ec)) ::chmod(it->path().c_str(), 0700);
    }
    removed = RemoveTree(path);
  }
  return removed;
}

}  // namespace

Status LocalBackend::StartThreads() {
  auto watcher = StatusWatcher::Start(context_.layout.Status(), [this](const std::string& file) {
    if (const auto key = Layout::KeyOfStatus(file)) {
      ForgetLaunched(*key);
      return Changed(*key);
    }
    if (!file.empty()) return;
    auto keys = List(Deadline::max());
    if (!keys.ok()) return;
    for (const auto& key : keys.value()) Changed(key);
  });
  if (!watcher.ok()) return std::move(watcher).error();
  watcher_ = std::move(watcher).value();
  if (context_.options.environments != nullptr) {
    context_.options.environments->OnProgress(
        [this](const RuntimeRef& runtime) { OnRuntimeProgress(runtime); });
  }
  SweepLeftovers();
  for (int i = 0; i < kThreads; ++i) {
    workers_.emplace_back([this](const std::stop_token& stop) { Work(stop); });
  }
  return Ok{};
}

// What a crash left half made, or half removed.
void LocalBackend::SweepLeftovers() {
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(context_.layout.Runs(), ec)) {
    if (entry.path().filename().string().starts_with(".new-")) (void)RemoveTree(entry.path());
  }
  for (const auto& entry : fs::directory_iterator(context_.layout.Sandbox(), ec)) {
    if (entry.path().filename().string().starts_with(".new-")) (void)RemoveTree(entry.path());
  }
  for (const auto& pool : fs::directory_iterator(context_.layout.Pool(), ec)) {
    for (const auto& entry : fs::directory_iterator(pool.path(), ec)) {
      if (entry.path().filename().string().starts_with('.')) (void)RemoveTree(entry.path());
    }
  }
  for (const auto& entry : fs::directory_iterator(context_.layout.Status(), ec)) {
    // One without a run's folder still tells how long the run was: it goes with Remove.
    if (!Layout::KeyOfStatus(entry.path().filename().string())) (void)::unlink(entry.path().c_str());
  }
}

void LocalBackend::Work(const std::stop_token& stop) {
  std::unique_lock lock(mu_);
  while (!stop.stop_requested()) {
    const auto now = Steady::now();
    auto next = Steady::time_point::max();
    for (auto& [key, pending] : pending_) {
      if (!pending.retry_at) continue;
      if (*pending.retry_at <= now) {
        pending.retry_at.reset();
        pending.busy = true;
        queue_.push_back(key);
      } else {
        next = std::min(next, *pending.retry_at);
      }
    }
    if (!queue_.empty()) {
      const RunKey key = queue_.front();
      queue_.pop_front();
      lock.unlock();
      Prepare(key);
      lock.lock();
    } else if (std::exchange(trash_, false)) {
      lock.unlock();
      EmptyTrash();
      lock.lock();
    } else {
      const auto something = [this, seen = timers_] {
        return !queue_.empty() || trash_ || timers_ != seen;
      };
      if (next == Steady::time_point::max()) {
        wake_.wait(lock, stop, something);
      } else {
        wake_.wait_until(lock, stop, next, something);
      }
    }
  }
}

void LocalBackend::EmptyTrash() {
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(context_.layout.Trash(), ec)) {
    if (auto removed = RemoveJobTree(entry.path()); !removed.ok()) {
      LogWarning("cannot delete a removed run", {{"error", removed.error().message()}});
    }
  }
}

void LocalBackend::Prepare(const RunKey& key) {
  const auto spec = SpecOf(key);
  if (!spec) return Settle(key, {}, {What::kGone, "", ""});
  const auto say = [this, &key](const std::string& message) { SayProgress(key, message); };
  Settle(key, *spec, preparation_.Advance(key, *spec, Effort::kWhatever, say));
}

bool LocalBackend::Claim(const RunKey& key, const RuntimeRef& runtime) {
  const std::scoped_lock lock(mu_);
  const auto [at, fresh] = pending_.try_emplace(key);
  if (!fresh) return false;
  at->second.runtime = runtime;
  at->second.busy = true;
  return true;
}

void LocalBackend::Kick(const RunKey& key, const RuntimeRef& runtime) {
  const std::scoped_lock lock(mu_);
  const auto [at, fresh] = pending_.try_emplace(key);
  if (!fresh) return;  // on its way, or waiting for its time
  at->second.runtime = runtime;
  at->second.busy = true;
  queue_.push_back(key);
  wake_.notify_one();
}

void LocalBackend::Settle(const RunKey& key, const RunSpec& spec, Progress progress) {
  if (progress.what == What::kFailed) Fail(key, spec, progress);
  bool tell = false;
  {
    const std::scoped_lock lock(mu_);
    const auto at = pending_.find(key);
    if (at == pending_.end()) return;
    Pending& pending = at->second;
    tell = pending.message != progress.message;
    pending.message = progress.message;
    const bool again = std::exchange(pending.again, false);
    switch (progress.what) {
      case What::kStarted:
      case What::kFailed:
      case What::kGone: {
        pending_.erase(at);
        return;
      }
      case What::kLaunched: {
        pending.busy = false;
        pending.launched = true;
        pending.retry_at = Steady::now() + kPatience;
        ++timers_;
        wake_.notify_one();
        break;
      }
      case What::kSlow: {
        queue_.push_back(key);
        wake_.notify_one();
        break;
      }
      case What::kWaits: {
        pending.busy = again;
        if (again) queue_.push_back(key);
        wake_.notify_one();
        break;
      }
      case What::kTryAgain: {
        pending.busy = false;
        pending.retry_at = Steady::now() + BackOff(pending.attempts++);
        ++timers_;
        wake_.notify_one();
        if (pending.attempts < kMostAttempts) break;
        pending.retry_at.reset();
        pending.busy = true;
        progress.what = What::kFailed;
        progress.reason = "StartFailed";  // a later attempt of the whole run may help
        break;
      }
    }
  }
  if (progress.what == What::kFailed) return Settle(key, spec, std::move(progress));
  if (tell) Changed(key);
}

// Nothing of it was started: the status files say how it ended, once and for all.
void LocalBackend::Fail(const RunKey& key, const RunSpec& spec, const Progress& why) {
  for (const auto& role : spec.roles) {
    for (std::uint32_t i = 0; i < role.replicas; ++i) {
      const std::string name = ReplicaName(role.name, i);
      const fs::path folder = context_.layout.Replica(key, name);
      const fs::path status_file = context_.layout.StatusOf(key, name);
      (void)::mkdir(folder.c_str(), 0700);
      const Fd lock = TakeReplicaLock(folder);
      if (!lock.valid() || ::access(status_file.c_str(), F_OK) == 0) continue;
      ReplicaRecord record;
      record.boot_id = boot_id_;
      record.status.role = role.name;
      record.status.index = i;
      record.status.node = node_.name;
      record.status.state = RunState::kFailed;
      record.status.reason = why.reason;
      record.status.message = why.message;
      record.status.ended = SystemClock().Now();
      if (auto written = WriteReplica(status_file, record, Sync::kDurable); !written.ok()) {
        LogWarning("cannot record a failed run",
                   {{"run", ToString(key)}, {"error", written.error().message()}});
      }
    }
  }
}

void LocalBackend::SayProgress(const RunKey& key, const std::string& message) {
  {
    const std::scoped_lock lock(mu_);
    const auto at = pending_.find(key);
    if (at == pending_.end() || at->second.message == message) return;
    at->second.message = message;
  }
  Changed(key);
}

void LocalBackend::OnRuntimeProgress(const RuntimeRef& runtime) {
  const std::scoped_lock lock(mu_);
  for (auto& [key, pending] : pending_) {
    if (pending.runtime != runtime) continue;
    if (pending.busy) {
      pending.again = true;
    } else if (!pending.retry_at) {
      pending.busy = true;
      queue_.push_back(key);
    }
  }
  wake_.notify_all();
}

void LocalBackend::ForgetLaunched(const RunKey& key) {
  const std::scoped_lock lock(mu_);
  const auto at = pending_.find(key);
  if (at != pending_.end() && at->second.launched && !at->second.busy) pending_.erase(at);
}

std::string LocalBackend::MessageOf(const RunKey& key) {
  const std::scoped_lock lock(mu_);
  const auto at = pending_.find(key);
  return at == pending_.end() ? std::string() : at->second.message;
}

void LocalBackend::Changed(const RunKey& key) {
  std::function<void(const RunKey&)> changed;
  {
    const std::scoped_lock lock(mu_);
    changed = changed_;
  }
  if (changed) changed(key);
}

}  // namespace cml::backends::local
