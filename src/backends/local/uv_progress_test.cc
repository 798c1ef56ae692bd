#include "backends/local/uv_progress.h"

#include <gtest/gtest.h>

namespace cml::backends::local {
namespace {

std::string After(UvProgress& progress, std::initializer_list<const char*> lines) {
  for (const char* line : lines) progress.Line(line);
  return progress.Sentence();
}

TEST(UvProgressTest, TellsTheLargestDownloadThatIsStillUnderWay) {
  UvProgress p(60);
  EXPECT_EQ(p.Sentence(), "looking at 60 packages");
  EXPECT_EQ(After(p, {"Using Python 3.11.2 environment at: /x", "Resolved 60 packages in 5ms"}),
            "fetching 60 packages");
  EXPECT_EQ(After(p, {"Downloading numpy (17.4MiB)", "Downloading tensorflow-cpu (197.6MiB)"}),
            "downloading tensorflow-cpu 197.6 MiB (0 of 2 downloads done)");
  EXPECT_EQ(After(p, {" Downloaded numpy"}),
            "downloading tensorflow-cpu 197.6 MiB (1 of 2 downloads done)");
  EXPECT_EQ(After(p, {"   Building cloudml-hypertune==0.1.0.dev6", " Downloaded tensorflow-cpu"}),
            "building cloudml-hypertune");
  EXPECT_EQ(After(p, {"      Built cloudml-hypertune==0.1.0.dev6", "Prepared 59 packages in 5.83s"}),
            "installing 60 packages, 59 of them new");
  EXPECT_EQ(After(p, {"Installed 60 packages in 255ms"}), "compiling 60 packages");
  EXPECT_EQ(After(p, {"Bytecode compiled 8216 files in 5.86s", " + absl-py==2.5.1"}),
            "60 packages installed");
}

TEST(UvProgressTest, StrangeLinesChangeNothing) {
  UvProgress p(2);
  EXPECT_EQ(After(p, {"", "Downloading", "Downloading x", "Downloaded x", "warning: whatever"}),
            "looking at 2 packages");
  EXPECT_EQ(After(p, {"Downloading x (big)"}), "downloading x big (0 of 1 downloads done)");
}

TEST(UvErrorTest, GivesTheErrorAndItsDeepestCause) {
  EXPECT_EQ(UvError("Using Python 3.11 environment\nerror: Failed to fetch: "
                    "https://bob:secret@index.example/simple/tqdm/\n  cause: error sending request "
                    "for url (https://bob:secret@index.example/simple/)\n  cause: Connection refused "
                    "(os error 111)\n"),
            "Failed to fetch: https://***@index.example/simple/tqdm/: Connection refused (os error "
            "111)");
  EXPECT_EQ(UvError("  × No solution found when resolving dependencies:\n"
                    "  ╰─▶ Because foo was not found, your requirements are unsatisfiable.\n"
                    "      hint: something\n"),
            "No solution found when resolving dependencies: Because foo was not found, your "
            "requirements are unsatisfiable.");
  EXPECT_EQ(UvError("Resolved 3 packages\n"), "");
}

TEST(UvErrorTest, HidesCredentialsOnlyInsideTheHost) {
  EXPECT_EQ(WithoutCredentials("https://h/p@q and http://t@h2:1/x"),
            "https://h/p@q and http://***@h2:1/x");
}

}  // namespace
}  // namespace cml::backends::local
