// backends/local/local_test_support.h — for the tests of the local backend: one launcher for the
// whole program, a backend on a folder of its own, and waiting for what it reports.
#pragma once
#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backends/local/local_backend.h"
#include "base/file.h"
#include "logs/run_log.h"

namespace cml::backends::local {

// Forked by main() before the first test.
ShimLauncher& TestLauncher();
std::string TestProgram();  // our own executable; `TestProgram() shim FOLDER` is a shim

inline Deadline In(std::chrono::microseconds most) {
  return std::chrono::steady_clock::now() + most;
}

class LocalBackendTest : public ::testing::Test {
 protected:
  LocalBackendTest() {
    options_.data = folder_.path() / "data";
    options_.node_name = "node-1";
    options_.launcher = &TestLauncher();
    options_.uid_of = [](const OrgId& org) { return org.str() == "2" ? 20'002U : 20'001U; };
  }
  void TearDown() override {
    if (backend_ == nullptr) return;
    auto keys = backend_->List(In(std::chrono::seconds(10)));
    ASSERT_TRUE(keys.ok());
    for (const auto& key : keys.value()) {
      EXPECT_TRUE(backend_->Remove(key, In(std::chrono::seconds(10))).ok());
    }
    backend_.reset();
  }

  LocalBackend& Backend() {
    if (backend_ == nullptr) Open();
    return *backend_;
  }
  // Also "the server restarts": a new object on the same folder.
  void Open() {
    backend_.reset();
    auto backend = LocalBackend::Open(options_);
    ASSERT_TRUE(backend.ok()) << backend.error().message();
    backend_ = std::move(backend).value();
    backend_->OnChange([this](const RunKey&) {
      const std::scoped_lock lock(mu_);
      ++changes_;
      changed_.notify_all();
    });
  }

  static RunSpec Command(std::vector<std::string> command) {
    RunSpec spec;
    spec.org = OrgId{"1"};
    spec.display_name = "job";
    spec.grace_seconds = 2;
    spec.roles = {Role{}};
    spec.roles[0].command = std::move(command);
    return spec;
  }
  static RunSpec Script(const std::string& text) { return Command({"/bin/bash", "-c", text}); }

  RunStatus Status(const RunKey& key) {
    auto seen = Backend().Observe(key, In(std::chrono::seconds(5)));
    EXPECT_TRUE(seen.ok());
    EXPECT_TRUE(seen.ok() && seen.value().has_value()) << ToString(key) << " is unknown";
    return seen.ok() && seen.value() ? *seen.value() : RunStatus{};
  }
  // Waits for hints of change until the run is as wished, 20 s at most.
  RunStatus WaitUntil(const RunKey& key, const std::function<bool(const RunStatus&)>& wished) {
    const auto by = In(std::chrono::seconds(20));
    while (true) {
      std::uint64_t seen = 0;
      {
        const std::scoped_lock lock(mu_);
        seen = changes_;
      }
      RunStatus status = Status(key);
      if (wished(status)) return status;
      std::unique_lock lock(mu_);
      if (!changed_.wait_until(lock, by, [&] { return changes_ != seen; })) {
        ADD_FAILURE() << ToString(key) << " stays " << status.reason << ": " << status.message
                      << "\n"
                      << Log(key);
        return status;
      }
    }
  }
  RunStatus WaitForEnd(const RunKey& key) {
    return WaitUntil(key, [](const RunStatus& s) {
      return s.state == RunState::kSucceeded || s.state == RunState::kFailed;
    });
  }
  RunStatus WaitForStart(const RunKey& key) {
    return WaitUntil(key, [](const RunStatus& s) { return s.state != RunState::kPending; });
  }
  // Until the log holds the text: inotify on the file would race its birth, so the log is read
  // again whenever it may have grown.
  void WaitForLog(const RunKey& key, const std::string& text) {
    const auto by = In(std::chrono::seconds(20));
    while (Log(key).find(text) == std::string::npos) {
      if (std::chrono::steady_clock::now() > by) {
        ADD_FAILURE() << "no " << text << " in the log: " << Log(key);
        return;
      }
      std::this_thread::yield();
    }
  }
  std::string Log(const RunKey& key, const std::string& role = "worker", std::uint32_t index = 0) {
    auto text = logs::ReadLog(Backend().LogOf(key, role, index));
    return text.ok() ? text.value() : std::string();
  }
  RunStatus RunToEnd(const RunSpec& spec) {
    ++key_.incarnation;
    const auto made = Backend().Ensure(key_, spec, In(std::chrono::seconds(5)));
    EXPECT_TRUE(made.ok()) << made.error().message();
    return WaitForEnd(key_);
  }

  TempFolder folder_;
  LocalOptions options_;
  std::unique_ptr<LocalBackend> backend_;
  RunKey key_{ResourceId{"k3v9x0q2ab"}, 0};

  std::mutex mu_;
  std::condition_variable changed_;
  std::uint64_t changes_ = 0;
};

}  // namespace cml::backends::local
