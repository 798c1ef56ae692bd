#include "codec/audit_json.h"

#include <gtest/gtest.h>

namespace cml::codec {
namespace {

AuditEntry Entry() {
  AuditEntry e;
  e.at = SysTime(std::chrono::milliseconds(1793520283123));
  e.org = OrgId("7");
  e.actor_org = OrgId("1");
  e.user = "ann";
  e.key = AccessKey("AK1");
  e.role = KeyRole::kOrgAdmin;
  e.peer = "10.0.0.7";
  e.request_id = "r-1";
  e.action = "train_job.create";
  e.target = "train_job \"ranker\"";
  e.status = 403;
  e.message = "line\nbreak";
  e.after = R"({ "gpus": 4,
    "name": "ranker" })";
  return e;
}

TEST(AuditJson, IsOneLineWithAllFieldsInOneOrder) {
  EXPECT_EQ(EncodeAudit(Entry()),
            R"({"at":"2026-11-01T08:04:43.123Z","org":"7","actor_org":"1","user":"ann","key":"AK1",)"
            R"("role":"org_admin","peer":"10.0.0.7","request_id":"r-1","action":"train_job.create",)"
            R"("target":"train_job \"ranker\"","status":403,"message":"line\nbreak",)"
            R"("before":null,"after":{"gpus":4,"name":"ranker"}})");
}
TEST(AuditJson, ComesBackWhole) {
  const std::string line = EncodeAudit(Entry());
  const auto back = DecodeAudit(line);
  ASSERT_TRUE(back.ok()) << back.error().message();
  EXPECT_EQ(back.value().at, Entry().at);
  EXPECT_EQ(back.value().role, KeyRole::kOrgAdmin);
  EXPECT_EQ(back.value().message, "line\nbreak");
  EXPECT_EQ(back.value().before, "");
  EXPECT_EQ(back.value().after, R"({"gpus":4,"name":"ranker"})");
  EXPECT_EQ(EncodeAudit(back.value()), line);
}
TEST(AuditJson, WhatIsNoJsonBecomesAString) {
  AuditEntry e = Entry();
  e.before = "{\"open\":\n";
  const std::string line = EncodeAudit(e);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  EXPECT_NE(line.find(R"("before":"{\"open\":\n")"), std::string::npos) << line;
  EXPECT_TRUE(DecodeAudit(line).ok());
}
TEST(AuditJson, RefusesWhatItDidNotWrite) {
  for (const char* line :
       {"", "[]", "{}", R"({"at":"2026-11-01T08:04:43.123Z"})", R"({"at":"2026-13-01T08:04:43.123Z","role":"member"})",
        R"({"at":"2026-11-01T28:04:43.123Z","role":"member"})", R"({"at":"2026-11-01","role":"member"})"}) {
    EXPECT_EQ(DecodeAudit(line).error().code(), Code::kDataLoss) << line;
  }
}
TEST(AuditJson, TimesBeforeTheEpochAndAtItAreWrittenToo) {
  EXPECT_EQ(FormatAuditTime(SysTime{}), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(FormatAuditTime(SysTime{std::chrono::milliseconds(-1)}), "1969-12-31T23:59:59.999Z");
}

}  // namespace
}  // namespace cml::codec
