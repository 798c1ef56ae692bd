#include "app/admin_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/file.h"
#include "codec/document.h"
#include "crypto/seal.h"
#include "store/testing/memory_store.h"

namespace cml::app {
namespace {

class Box final : public service::SecretBox {
 public:
  std::string Seal(std::string_view plain, std::string_view context) const override {
    return sealer_.Seal(plain, context);
  }
  Result<Secret> Open(std::string_view sealed, std::string_view context) const override {
    return sealer_.Open(sealed, context);
  }

 private:
  crypto::Sealer sealer_{Secret(std::string(32, 'k'))};
};

class AdminFileTest : public ::testing::Test {
 protected:
  AdminFileTest() : org_(orgs_.EnsureDefaultOrg(200'000).value().org.id) {}
  Status Ensure(const std::string& endpoint) { return EnsureAdminFile(file_, endpoint, org_, orgs_); }
  codec::Document Read() {
    const auto text = ReadFile(file_);
    EXPECT_TRUE(text.ok());
    const auto document = codec::Document::Parse(text.ok() ? text.value() : "{}");
    EXPECT_TRUE(document.ok());
    return document.ok() ? document.value() : codec::Document();
  }
  mode_t Mode() {
    struct stat s{};
    EXPECT_EQ(::stat(file_.c_str(), &s), 0);
    return s.st_mode & 07777U;
  }
  std::size_t Keys() { return store_.ListKeys(org_).value().size(); }

  const TempFolder folder_;
  const std::filesystem::path file_ = folder_.path() / "admin.json";
  Box box_;
  SystemClock clock_;
  store::testing::MemoryStore store_;
  service::Orgs orgs_{store_, box_, clock_};
  const OrgId org_;
};

TEST_F(AdminFileTest, TheFirstStartMakesAnAdministrator) {
  ASSERT_TRUE(Ensure("http://127.0.0.1:8089").ok());
  EXPECT_EQ(Mode(), 0600U);
  const auto root = Read();
  EXPECT_EQ(root.Get("xiaomi_cloudml_endpoint").Str(), "http://127.0.0.1:8089");
  EXPECT_EQ(root.Get("xiaomi_fds_endpoint").Str(), "127.0.0.1:8089");
  const auto key = orgs_.Key(AccessKey{root.Get("xiaomi_access_key_id").Str()});
  ASSERT_TRUE(key.ok()) << key.error().message();
  EXPECT_EQ(key.value()->secret.Reveal(), root.Get("xiaomi_secret_access_key").Str());
  EXPECT_EQ(key.value()->caller.role, KeyRole::kPlatformAdmin);
  EXPECT_EQ(key.value()->caller.org, org_);
  // Clients read the context that is named as the default one.
  const auto contexts = root.Get("xiaomi_cloudml");
  const auto context = contexts.Get(contexts.Get("default_config_context").Str());
  EXPECT_EQ(context.Get("xiaomi_access_key_id").Str(), root.Get("xiaomi_access_key_id").Str());
  EXPECT_EQ(context.Get("xiaomi_cloudml_endpoint").Str(), "http://127.0.0.1:8089");
}

TEST_F(AdminFileTest, LaterStartsKeepTheKeyAndWhatAPersonAdded) {
  ASSERT_TRUE(Ensure("http://127.0.0.1:8089").ok());
  auto root = Read();
  const std::string key = root.Get("xiaomi_access_key_id").Str();
  root.Set("note", "mine");
  ASSERT_TRUE(WriteFileAtomically(file_, root.Pretty(), 0600).ok());
  ASSERT_TRUE(Ensure("http://127.0.0.1:9000").ok());
  EXPECT_EQ(Read().Get("xiaomi_access_key_id").Str(), key);
  EXPECT_EQ(Read().Get("note").Str(), "mine");
  EXPECT_EQ(Read().Get("xiaomi_cloudml_endpoint").Str(), "http://127.0.0.1:9000");
  EXPECT_EQ(Read().Get("xiaomi_cloudml").Get("default").Get("xiaomi_cloudml_endpoint").Str(), "http://127.0.0.1:9000");
  EXPECT_EQ(Mode(), 0600U);
  EXPECT_EQ(Keys(), 1U);
}

TEST_F(AdminFileTest, ALostFileIsReplaced) {
  ASSERT_TRUE(Ensure("http://h:1").ok());
  const std::string key = Read().Get("xiaomi_access_key_id").Str();
  std::filesystem::remove(file_);
  ASSERT_TRUE(Ensure("http://h:1").ok());
  EXPECT_NE(Read().Get("xiaomi_access_key_id").Str(), key);
  // Who found the lost one cannot use it.
  EXPECT_FALSE(orgs_.Key(AccessKey{key}).value()->ValidAt(clock_.Now()));
  EXPECT_TRUE(orgs_.Key(AccessKey{Read().Get("xiaomi_access_key_id").Str()}).value()->ValidAt(clock_.Now()));
  EXPECT_EQ(Keys(), 2U);
}

TEST_F(AdminFileTest, AFileThatCannotBeReadIsLeftAlone) {
  ASSERT_TRUE(WriteFileAtomically(file_, "{ half", 0600).ok());
  const auto refused = Ensure("http://h:1");
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message().find("admin.json"), std::string::npos) << refused.error().message();
  EXPECT_EQ(ReadFile(file_).value(), "{ half");
  EXPECT_EQ(Keys(), 0U);
}

}  // namespace
}  // namespace cml::app
