#include "crypto/digest.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace cml::crypto {
namespace {

TEST(Digest, KnownTexts) {
  EXPECT_EQ(ToHex(Digest(Hash::kMd5, "")), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(ToHex(Digest(Hash::kMd5, "replicas=2")), "dac68992cb62e6aceb54258aec33a09d");
  EXPECT_EQ(ToHex(Digest(Hash::kSha1, "abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(ToHex(Digest(Hash::kSha256, "abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

// RFC 2202 and RFC 4231: a short key, a key longer than one block.
TEST(Hmac, KnownTexts) {
  EXPECT_EQ(ToHex(Hmac(Hash::kMd5, "Jefe", "what do ya want for nothing?")),
            "750c783e6ab0b503eaa86e310a5db738");
  EXPECT_EQ(ToHex(Hmac(Hash::kSha1, "Jefe", "what do ya want for nothing?")),
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
  EXPECT_EQ(ToHex(Hmac(Hash::kSha256, "Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  const std::string_view text = "Test Using Larger Than Block-Size Key - Hash Key First";
  EXPECT_EQ(ToHex(Hmac(Hash::kSha1, std::string(80, '\xaa'), text)),
            "aa4ae5e15272d00e95705637ce8a3b55ed402112");
  EXPECT_EQ(ToHex(Hmac(Hash::kSha256, std::string(131, '\xaa'), text)),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  EXPECT_EQ(ToHex(Hmac(Hash::kSha1, "", "")), "fbdb1d1b18aa6c08324b7d64b71fb76370690e1d");
}

TEST(Digest, OfPiecesIsTheDigestOfTheWhole) {
  const std::string text(100'000, 'x');
  Digester digester(Hash::kSha256);
  for (std::size_t i = 0; i < text.size(); i += 777) {
    digester.Update(std::string_view(text).substr(i, 777));
    Digest(Hash::kSha256, "another use in between");
  }
  EXPECT_EQ(digester.Finish(), Digest(Hash::kSha256, text));
}

TEST(Digest, FromManyThreads) {
  const std::string expected = Hmac(Hash::kSha1, "sk", "text");
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&expected] {
      for (int i = 0; i < 1000; ++i) {
        ASSERT_EQ(Hmac(Hash::kSha1, "sk", "text"), expected);
        Digest(Hash::kMd5, "other");
      }
    });
  }
}

// RFC 4648, section 10.
TEST(Base64, KnownTexts) {
  const std::pair<std::string, std::string> rows[] = {{"", ""},
                                                      {"f", "Zg=="},
                                                      {"fo", "Zm8="},
                                                      {"foo", "Zm9v"},
                                                      {"foob", "Zm9vYg=="},
                                                      {"fooba", "Zm9vYmE="},
                                                      {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : rows) {
    EXPECT_EQ(ToBase64(bytes), text);
    auto back = FromBase64(text);
    ASSERT_TRUE(back.ok()) << text;
    EXPECT_EQ(back.value(), bytes);
  }
  EXPECT_EQ(ToBase64("\xfb\xff\xfe"), "+//+");
}

TEST(Base64, EveryByteComesBack) {
  std::string all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<char>(i));
  EXPECT_EQ(FromBase64(ToBase64(all)).value(), all);
  EXPECT_EQ(FromHex(ToHex(all)).value(), all);
}

TEST(Base64, OneValueHasOneText) {
  for (const char* bad : {"Zg", "Zg=", "Zg==\n", " Zg==", "Zh==", "Zm9=", "Z===", "====",
                          "Zg==Zg==", "Zm9v!A==", "Zm-_", "Z=g="}) {
    auto r = FromBase64(bad);
    ASSERT_FALSE(r.ok()) << bad;
    EXPECT_EQ(r.error().code(), Code::kInvalidArgument);
  }
}

TEST(Hex, BadTexts) {
  for (const char* bad : {"0", "0g", "0x00", " 00", "00 "}) EXPECT_FALSE(FromHex(bad).ok()) << bad;
  EXPECT_EQ(FromHex("00fFAb").value(), std::string("\x00\xff\xab", 3));
}

TEST(ConstantTimeEquals, ComparesAll) {
  EXPECT_TRUE(ConstantTimeEquals("", ""));
  EXPECT_TRUE(ConstantTimeEquals("abc", "abc"));
  EXPECT_FALSE(ConstantTimeEquals("abc", "abd"));
  EXPECT_FALSE(ConstantTimeEquals("abc", "ab"));
  EXPECT_FALSE(ConstantTimeEquals("", "a"));
}

}  // namespace
}  // namespace cml::crypto
