#include "app/embedded.h"

#include <cstdlib>
#include <span>

#include "base/embedded.h"

namespace cml::app_files {
std::span<const EmbeddedFile> Files();  // written by cml_embed
}

namespace cml::app {
namespace {

std::string_view Find(std::string_view path) {
  for (const EmbeddedFile& file : app_files::Files()) {
    if (file.path == path) return file.contents;
  }
  std::abort();  // the build embeds it
}

}  // namespace

std::string_view OpenApiText() { return Find("docs/api/openapi.yaml"); }
std::string_view PackageInstaller() { return Find("runtimes/install_packages.py"); }

}  // namespace cml::app
