#include "crypto/seal.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <thread>
#include <vector>

#include "base/file.h"
#include "crypto/digest.h"

namespace cml::crypto {
namespace {

Sealer WithKey(char fill) { return Sealer(Secret(std::string(32, fill))); }

TEST(Seal, ComesBack) {
  const Sealer sealer = WithKey('k');
  for (const std::string plain : {"", "s", "a secret key of forty characters 012345678"}) {
    const std::string sealed = sealer.Seal(plain, "AK1");
    EXPECT_TRUE(sealed.starts_with("v1:"));
    auto opened = sealer.Open(sealed, "AK1");
    ASSERT_TRUE(opened.ok());
    EXPECT_EQ(opened.value().Reveal(), plain);
  }
}

TEST(Seal, TwiceIsNeverTheSame) {
  const Sealer sealer = WithKey('k');
  EXPECT_NE(sealer.Seal("plain", "AK1"), sealer.Seal("plain", "AK1"));
}

TEST(Seal, OtherContextOrKeyDoesNotOpen) {
  const std::string sealed = WithKey('k').Seal("plain", "AK1");
  EXPECT_EQ(WithKey('k').Open(sealed, "AK2").error().code(), Code::kDataLoss);
  EXPECT_EQ(WithKey('l').Open(sealed, "AK1").error().code(), Code::kDataLoss);
}

TEST(Seal, EveryAlteredByteIsNoticed) {
  const Sealer sealer = WithKey('k');
  const std::string bytes = FromBase64(sealer.Seal("plain", "AK1").substr(3)).value();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string altered = bytes;
    altered[i] = static_cast<char>(altered[i] ^ 1);
    EXPECT_FALSE(sealer.Open("v1:" + ToBase64(altered), "AK1").ok()) << i;
  }
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    EXPECT_FALSE(sealer.Open("v1:" + ToBase64(bytes.substr(0, n)), "AK1").ok()) << n;
  }
  EXPECT_FALSE(sealer.Open("v2:" + ToBase64(bytes), "AK1").ok());
  EXPECT_FALSE(sealer.Open("", "AK1").ok());
}

// NIST's GCM test case 13 (256-bit key of zeros, nonce of zeros, empty text) fixes the algorithm
// and the order nonce, text, tag.
TEST(Seal, OpensTheKnownAnswer) {
  const Sealer sealer(Secret(std::string(32, '\0')));
  const std::string known =
      std::string(12, '\0') + FromHex("530f8afbc74536b9a963b4f1c4cb738b").value();
  auto opened = sealer.Open("v1:" + ToBase64(known), "");
  ASSERT_TRUE(opened.ok());
  EXPECT_TRUE(opened.value().empty());
}

TEST(KeyFile, IsMadeOnceAndKept) {
  TempFolder folder;
  const auto path = folder.path() / "key";
  auto first = Sealer::FromKeyFile(path);
  ASSERT_TRUE(first.ok()) << first.error().message();
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  EXPECT_EQ(status.st_size, 32);
  auto second = Sealer::FromKeyFile(path);
  ASSERT_TRUE(second.ok());
  EXPECT_TRUE(second.value().Open(first.value().Seal("plain", "AK"), "AK").ok());
  // nothing else is left in the folder
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(KeyFile, StartersAtTheSameTimeGetTheSameKey) {
  TempFolder folder;
  const auto path = folder.path() / "key";
  std::vector<std::string> sealed(8);
  {
    std::vector<std::jthread> threads;
    for (auto& s : sealed) {
      threads.emplace_back([&s, &path] {
        auto sealer = Sealer::FromKeyFile(path);
        if (sealer.ok()) s = sealer.value().Seal("plain", "AK");
      });
    }
  }
  auto last = Sealer::FromKeyFile(path);
  ASSERT_TRUE(last.ok());
  for (const auto& s : sealed) EXPECT_TRUE(last.value().Open(s, "AK").ok());
}

TEST(KeyFile, BadOnesAreRefused) {
  TempFolder folder;
  const auto path = folder.path() / "key";
  std::ofstream(path) << "short";
  ::chmod(path.c_str(), 0600);
  EXPECT_EQ(Sealer::FromKeyFile(path).error().code(), Code::kDataLoss);
  std::ofstream(path) << std::string(33, 'x');
  EXPECT_EQ(Sealer::FromKeyFile(path).error().code(), Code::kDataLoss);
  std::ofstream(path) << std::string(32, 'x');
  EXPECT_TRUE(Sealer::FromKeyFile(path).ok());
  ::chmod(path.c_str(), 0640);
  EXPECT_EQ(Sealer::FromKeyFile(path).error().code(), Code::kPermissionDenied);
  EXPECT_EQ(Sealer::FromKeyFile(folder.path() / "none" / "key").error().code(), Code::kNotFound);
}

TEST(Sealer, KeysForOtherPurposesAreStableAndDiffer) {
  const Sealer sealer(Secret(std::string(32, 'k')));
  const Secret audit = sealer.KeyFor("audit");
  EXPECT_EQ(audit.Reveal().size(), 32U);
  EXPECT_EQ(audit.Reveal(), sealer.KeyFor("audit").Reveal());
  EXPECT_NE(audit.Reveal(), sealer.KeyFor("audit2").Reveal());
  EXPECT_NE(audit.Reveal(), Sealer(Secret(std::string(32, 'l'))).KeyFor("audit").Reveal());
}

}  // namespace
}  // namespace cml::crypto
