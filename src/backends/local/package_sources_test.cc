#include "backends/local/package_sources.h"

#include <gtest/gtest.h>

#include "base/file.h"

namespace cml::backends::local {
namespace {
namespace fs = std::filesystem;

TEST(PackageSourcesTest, PipFilesHaveSectionsAndContinuedValues) {
  const auto settings = ParsePipConfig(
      "# comment\n[global]\nindex-url = https://a/simple\ntimeout: 5\n[list]\nformat = json\n"
      "[install]\ntimeout = 9\nextra_index_url =\n    https://b/simple\n\n    https://c/simple\n");
  EXPECT_EQ(settings, (Variables{{"index-url", "https://a/simple"},
                                 {"timeout", "9"},
                                 {"extra-index-url", "https://b/simple https://c/simple"}}));
}

TEST(PackageSourcesTest, PipSettingsAreTranslated) {
  const TempFolder temp;
  const fs::path links = temp.path() / "wheels";
  const fs::path cert = temp.path() / "ca.pem";
  ASSERT_TRUE(MakeFolders(links).ok());
  ASSERT_TRUE(WriteFileAtomically(cert, "x").ok());
  const auto s = FindPackageSources({{"PIP_CONFIG_FILE", "/dev/null"},
                                     {"PIP_INDEX_URL", "https://mirror/simple"},
                                     {"PIP_EXTRA_INDEX_URL", "https://one/s https://two/s"},
                                     {"PIP_FIND_LINKS", links.string() + " /no/such/folder"},
                                     {"PIP_CERT", cert},
                                     {"PIP_NO_INDEX", "true"},
                                     {"HOME", temp.path()},
                                     {"SECRET_KEY", "not ours"}});
  EXPECT_EQ(s.env, (Variables{{"UV_DEFAULT_INDEX", "https://mirror/simple"},
                              {"UV_INDEX", "https://one/s https://two/s"},
                              {"UV_INDEX_STRATEGY", "unsafe-best-match"},
                              {"UV_FIND_LINKS", links},
                              {"SSL_CERT_FILE", cert}}));
  EXPECT_EQ(s.arguments, std::vector<std::string>{"--no-index"});
  EXPECT_EQ(s.mounts, (std::vector<fs::path>{cert, links}));
}

TEST(PackageSourcesTest, OwnSettingsOfUvWinOverVariablesOfPipAndThoseOverItsFiles) {
  const TempFolder temp;
  const fs::path config = temp.path() / "pip.conf";
  ASSERT_TRUE(WriteFileAtomically(config, "[global]\nindex-url = https://file/s\ntimeout = 3\n").ok());
  const auto s = FindPackageSources({{"PIP_CONFIG_FILE", config},
                                     {"PIP_INDEX_URL", "https://variable/s"},
                                     {"UV_HTTP_TIMEOUT", "77"},
                                     {"HOME", temp.path()}});
  EXPECT_EQ(s.env.at("UV_DEFAULT_INDEX"), "https://variable/s");
  EXPECT_EQ(s.env.at("UV_HTTP_TIMEOUT"), "77");
}

TEST(PackageSourcesTest, JobsSeeNoCredentials) {
  PackageSources s;
  s.env = {{"UV_DEFAULT_INDEX", "https://bob:secret@index/simple"},
           {"UV_INDEX", "https://open/s https://bob:secret@closed/s"},
           {"UV_PUBLISH_TOKEN", "token"},
           {"HTTPS_PROXY", "http://bob:secret@proxy:1"},
           {"http_proxy", "http://proxy:1"},
           {"SSL_CLIENT_CERT", "/opt/key.pem"}};
  s.mounts = {"/opt/key.pem", "/opt/wheels"};
  const auto jobs = ForJobs(s);
  EXPECT_EQ(jobs.env, (Variables{{"UV_INDEX", "https://open/s"}, {"http_proxy", "http://proxy:1"}}));
  EXPECT_EQ(jobs.mounts, std::vector<fs::path>{"/opt/wheels"});
}

}  // namespace
}  // namespace cml::backends::local
