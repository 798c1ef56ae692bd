#include "store/audit_chain.h"

#include <gtest/gtest.h>

namespace cml::store {
namespace {

// Both values were made with sha256sum and openssl, as docs/formats/audit.md says.
constexpr char kHash[] = "72791155142b690b5a70c122845d6cbe31e63c894ecc16f0af01f675dcc192a5";
constexpr char kMac[] = "737c5b56fe353ca1197ef99797b002f23a818f2869a5069d5499aa66241bf0a4";

TEST(AuditChain, HashAndSignatureAreThoseOfTheDocument) {
  AuditLine line;
  line.seq = 1;
  line.at = SysTime(std::chrono::milliseconds(1793520283123));
  line.org = OrgId("7");
  line.text = R"({"a":1})";
  EXPECT_EQ(AuditHash(FirstAuditHash(), line), kHash);
  EXPECT_EQ(AuditMac(Secret("secret"), 1, kHash), kMac);
  EXPECT_EQ(AuditMac(Secret(), 1, kHash), "");
}

}  // namespace
}  // namespace cml::store
