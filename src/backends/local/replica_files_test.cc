#include "backends/local/replica_files.h"

#include <gtest/gtest.h>

#include "backends/local/record.h"

namespace cml::backends::local {
namespace {

TEST(RecordText, CarriesAnyValue) {
  Record record;
  const std::string odd = std::string("a=b\\n\n\\ \r\t") + '\0' + "\xff";
  record.Add("key", odd);
  record.Add("key", "");
  record.Add("number", std::int64_t{-5});
  const auto read = Record::Parse(record.Format());
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->All("key"), (std::vector<std::string>{odd, ""}));
  EXPECT_EQ(read->Number("number"), -5);
  EXPECT_FALSE(read->Has("other"));
  EXPECT_EQ(read->Number("other"), 0);
}

TEST(RecordText, ACutFileIsNoRecord) {
  Record record;
  record.Add("state", "succeeded");
  record.Add("exit_code", std::int64_t{0});
  const std::string whole = record.Format();
  for (std::size_t n = 0; n < whole.size(); ++n) {
    EXPECT_FALSE(Record::Parse(whole.substr(0, n)).has_value()) << n;
  }
  EXPECT_TRUE(Record::Parse(whole).has_value());
  EXPECT_FALSE(Record::Parse("no equals sign\nend\n").has_value());
}

TEST(ReplicaFiles, ASpecComesBackAsItWas) {
  RunSpec spec;
  spec.org = OrgId{"7"};
  spec.display_name = "digits-1";
  spec.runtime = {"tensorflow", "2.15.1"};
  spec.files = {{"run.sh", "#!/bin/bash\nset -e\n"}, {"empty", ""}};
  spec.fetches = {{"fds://b/a=b.tar.gz", "a.tar.gz", "http://store", AccessKey{"key"}}};
  spec.checkpoint_key = "k";
  spec.grace_seconds = 5;
  spec.wall_seconds = 60;
  Role chief;
  chief.name = "chief";
  chief.command = {"python", "-m", "trainer.task", ""};
  chief.env = {{"A", "1=2\n3"}};
  chief.limits = {1'500, 8LL << 30, 2, 100, 5};
  Role worker;
  worker.replicas = 3;
  worker.command = {"true"};
  spec.roles = {chief, worker};
  spec.placements = {{"node-1", {0, 2}}, {"node-2", {}}};

  const auto read = ParseSpec(FormatSpec(spec));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->org, spec.org);
  EXPECT_EQ(read->display_name, spec.display_name);
  EXPECT_EQ(read->runtime, spec.runtime);
  EXPECT_EQ(read->files, spec.files);
  ASSERT_EQ(read->fetches.size(), 1U);
  EXPECT_EQ(read->fetches[0].uri, "fds://b/a=b.tar.gz");
  EXPECT_EQ(read->fetches[0].target, "a.tar.gz");
  EXPECT_EQ(read->fetches[0].endpoint, "http://store");
  EXPECT_EQ(read->fetches[0].as, AccessKey{"key"});
  EXPECT_EQ(read->checkpoint_key, "k");
  EXPECT_EQ(read->grace_seconds, 5);
  EXPECT_EQ(read->wall_seconds, 60);
  ASSERT_EQ(read->roles.size(), 2U);
  EXPECT_EQ(read->roles[0].command, chief.command);
  EXPECT_EQ(read->roles[0].env, chief.env);
  EXPECT_EQ(read->roles[0].limits, chief.limits);
  EXPECT_EQ(read->roles[1].name, "worker");
  EXPECT_EQ(read->roles[1].replicas, 3U);
  EXPECT_EQ(read->placements, spec.placements);
}

TEST(ReplicaFiles, AStatusComesBackAsItWas) {
  ReplicaRecord record;
  record.status.role = "ps";
  record.status.index = 3;
  record.status.state = RunState::kFailed;
  record.status.node = "node-1";
  record.status.exit_code = 137;
  record.status.reason = "OutOfMemory";
  record.status.message = "out of memory:\n…";
  record.status.started = SysTime(std::chrono::milliseconds(1'700'000'000'123));
  record.status.ended = SysTime(std::chrono::milliseconds(1'700'000'001'123));
  record.status.usage.cpu_millis = 12;
  record.status.usage.memory_peak = 34;
  record.boot_id = "boot";
  record.cgroups = {"/sys/fs/cgroup/cpu/x", "", "/sys/fs/cgroup/memory/x", ""};
  const auto read = ParseReplica(FormatReplica(record));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->status.role, "ps");
  EXPECT_EQ(read->status.index, 3U);
  EXPECT_EQ(read->status.state, RunState::kFailed);
  EXPECT_EQ(read->status.exit_code, 137);
  EXPECT_EQ(read->status.reason, "OutOfMemory");
  EXPECT_EQ(read->status.message, record.status.message);
  EXPECT_EQ(read->status.started, record.status.started);
  EXPECT_EQ(read->status.ended, record.status.ended);
  EXPECT_EQ(read->status.usage.memory_peak, 34);
  EXPECT_EQ(read->boot_id, "boot");
  EXPECT_EQ(read->cgroups, record.cgroups);
  record.status.exit_code.reset();
  EXPECT_FALSE(ParseReplica(FormatReplica(record))->status.exit_code.has_value());
}

}  // namespace
}  // namespace cml::backends::local
