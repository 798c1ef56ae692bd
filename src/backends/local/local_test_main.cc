// main() of the local backend's tests: a shim when called as one, otherwise the tests, behind a
// launcher that is forked while there is one thread.
#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <string_view>

#include "backends/local/local_test_support.h"
#include "backends/local/shim.h"

namespace cml::backends::local {
namespace {
std::unique_ptr<ShimLauncher>& Launcher() {
  static std::unique_ptr<ShimLauncher> launcher;
  return launcher;
}
}  // namespace

ShimLauncher& TestLauncher() { return *Launcher(); }
std::string TestProgram() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

int TestMain(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "shim") ::_exit(RunShim(argv[2]));
  auto launcher = ShimLauncher::Fork();
  if (!launcher.ok()) {
    std::fprintf(stderr, "%s\n", launcher.error().message().c_str());
    return 1;
  }
  Launcher() = std::move(launcher).value();
  ::testing::InitGoogleMock(&argc, argv);
  const int result = RUN_ALL_TESTS();
  Launcher().reset();
  return result;
}

}  // namespace cml::backends::local

int main(int argc, char** argv) { return cml::backends::local::TestMain(argc, argv); }
