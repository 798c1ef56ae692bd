// Runs of several replicas, as shims keep them.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <set>

#include "backends/local/local_test_support.h"
#include "backends/local/port_hold.h"
#include "base/strings.h"

namespace cml::backends::local {
namespace {

using std::chrono::seconds;

class ReplicasTest : public LocalBackendTest {
 protected:
  // The first of them gets the first script, …: with the same variables as all.
  static RunSpec Several(const std::vector<std::string>& scripts) {
    RunSpec spec = Script("");
    spec.roles.clear();
    for (std::size_t i = 0; i < scripts.size(); ++i) {
      Role role;
      role.name = i == 0 ? "chief" : std::string("worker") + static_cast<char>('a' + i);
      role.command = {"/bin/bash", "-c", scripts[i]};
      spec.roles.push_back(std::move(role));
      spec.placements.push_back({"node-1", {}});
    }
    return spec;
  }
  static Fd Listen(int port) {
    Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_port = htons(static_cast<std::uint16_t>(port));
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any), 0);
    EXPECT_EQ(::listen(fd.get(), 1), 0);
    return fd;
  }
  static int PortOf(const Fd& fd) {
    sockaddr_in at{};
    socklen_t size = sizeof at;
    EXPECT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&at), &size), 0);
    return ntohs(at.sin_port);
  }
  std::string Merged() {
    auto text = logs::ReadLog(Backend().LogOf(key_, "", 0));
    return text.ok() ? text.value() : std::string();
  }
};

TEST_F(ReplicasTest, EachHasItsOwnVariablesAndLogAndAllHaveOneTogether) {
  RunSpec spec = Several({"echo I am $WHO; printf 'no end'", "echo I am $WHO"});
  spec.roles[0].replica_env = {{{"WHO", "the chief"}}};
  spec.roles[1].replicas = 2;
  spec.roles[1].replica_env = {{{"WHO", "first"}}, {{"WHO", "second"}}};
  spec.placements.push_back({"node-1", {}});
  const RunStatus status = RunToEnd(spec);
  EXPECT_EQ(status.state, RunState::kSucceeded) << status.message;
  EXPECT_EQ(Log(key_, "workerb", 1), "I am second\n");
  EXPECT_EQ(Log(key_, "chief", 0), "I am the chief\nno end");
  std::multiset<std::string> lines;
  const std::string merged = Merged();
  for (const auto line : Split(merged, '\n')) lines.emplace(line);
  EXPECT_EQ(lines, (std::multiset<std::string>{"", "chief-0: I am the chief", "chief-0: no end",
                                               "workerb-0: I am first", "workerb-1: I am second"}));
}

TEST_F(ReplicasTest, OneThatFailsRunsAgainInPlaceAsOftenAsItMay) {
  RunSpec spec = Several({"sleep 0.2; [ -e mark ] && exit 0; touch mark; exit 7", "exit 3"});
  spec.roles[0].restarts = 3;
  spec.roles[1].restarts = 1;
  const RunStatus status = RunToEnd(spec);
  EXPECT_EQ(status.replicas[0].state, RunState::kSucceeded);
  EXPECT_EQ(status.replicas[0].restarts, 1);
  EXPECT_EQ(Log(key_, "chief", 0), "[exit status 7; it runs again in place (1 of 3)]\n");
  EXPECT_EQ(status.replicas[1].state, RunState::kFailed);
  EXPECT_EQ(status.replicas[1].exit_code, 3);
  EXPECT_EQ(status.replicas[1].message, "exit status 3 (after 1 restarts in place)");
}

TEST_F(ReplicasTest, WhatWouldFailAgainIsNotRunAgain) {
  RunSpec spec = Several({"exit 2", "echo PackageError > /job/status/reason; exit 3"});
  for (Role& role : spec.roles) role.restarts = 3;
  const RunStatus status = RunToEnd(spec);
  EXPECT_EQ(status.replicas[0].restarts, 0);
  EXPECT_EQ(status.replicas[1].restarts, 0);
  EXPECT_EQ(status.replicas[1].reason, "PackageError");
}

TEST_F(ReplicasTest, AStopEndsAlsoOneThatWaitsToRunAgain) {
  RunSpec spec = Several({"exit 7", "sleep 1000"});
  spec.roles[0].restarts = 100;
  ++key_.incarnation;
  ASSERT_TRUE(Backend().Ensure(key_, spec, In(seconds(5))).ok());
  WaitUntil(key_, [](const RunStatus& s) { return s.replicas[0].restarts >= 2; });
  ASSERT_TRUE(Backend().Stop(key_, In(seconds(5))).ok());
  const RunStatus status = WaitForEnd(key_);
  for (const ReplicaStatus& r : status.replicas) EXPECT_EQ(r.reason, "Stopped");
}

TEST_F(ReplicasTest, APortThatSomebodyHasIsLost) {
  const Fd other = Listen(0);
  RunSpec spec = Several({"echo never", "true"});
  spec.placements[0].port = PortOf(other);
  spec.roles[0].restarts = 3;
  const RunStatus status = RunToEnd(spec);
  EXPECT_EQ(status.replicas[0].reason, "PortLost");
  EXPECT_NE(status.replicas[0].message.find(std::to_string(PortOf(other))), std::string::npos);
  EXPECT_EQ(Log(key_, "chief", 0), "");
  EXPECT_EQ(status.replicas[1].state, RunState::kSucceeded);
}

TEST_F(ReplicasTest, APortIsHeldUntilTheProgramBegins) {
  int port = 0;
  {
    const Fd free = Listen(0);
    port = PortOf(free);
  }
  RunSpec spec = Several({"sleep 0.3; touch /job/status/started; while [ -e /job/status/holds_port ]; do "
                          "sleep 0.01; done; echo begins; sleep 0.5",
                          "true"});
  spec.placements[0].port = port;
  ++key_.incarnation;
  ASSERT_TRUE(Backend().Ensure(key_, spec, In(seconds(5))).ok());
  WaitUntil(key_, [](const RunStatus& s) { return s.replicas[0].state != RunState::kPending; });
  EXPECT_FALSE(IsPortFree(port, {}));
  const auto by = In(seconds(20));
  while (Log(key_, "chief", 0).empty() && std::chrono::steady_clock::now() < by) std::this_thread::yield();
  EXPECT_TRUE(IsPortFree(port, {}));
  EXPECT_EQ(WaitForEnd(key_).state, RunState::kSucceeded);
}

TEST_F(ReplicasTest, OneThatDoesNotComeToItsProgramIsEnded) {
  RunSpec spec = Several({"sleep 1000", "touch /job/status/started; sleep 2"});
  for (Role& role : spec.roles) role.start_seconds = 1;
  const RunStatus status = RunToEnd(spec);
  EXPECT_EQ(status.replicas[0].reason, "StartTimeout");
  EXPECT_EQ(status.replicas[1].state, RunState::kSucceeded);
}

TEST(NobodyListensTest, ReadsTheTableOfTheKernel) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in any{};
  any.sin_family = AF_INET;
  ASSERT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any), 0);
  socklen_t size = sizeof any;
  ASSERT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&any), &size), 0);
  EXPECT_TRUE(NobodyListens(ntohs(any.sin_port), "/proc/self/net"));
  ASSERT_EQ(::listen(fd.get(), 1), 0);
  EXPECT_FALSE(NobodyListens(ntohs(any.sin_port), "/proc/self/net"));
}

}  // namespace
}  // namespace cml::backends::local
