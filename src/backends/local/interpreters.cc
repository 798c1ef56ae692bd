#include "backends/local/interpreters.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string_view>
#include <system_error>

#include "base/strings.h"

namespace cml::backends::local {
namespace fs = std::filesystem;
namespace {

std::string ValueOf(const std::map<std::string, std::string>& environment, const char* name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string() : found->second;
}

// parent/*/bin, newest names first.
void AddVersionsBelow(const fs::path& parent, std::vector<fs::path>& folders) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator it(parent, error), end; !error && it != end; it.increment(error)) {
    if (fs::is_directory(it->path() / "bin", error)) found.push_back(it->path() / "bin");
  }
  std::ranges::sort(found, std::greater<>());
  folders.insert(folders.end(), found.begin(), found.end());
}

}  // namespace

bool IsElfProgram(const fs::path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error) || ::access(path.c_str(), X_OK) != 0) return false;
  std::ifstream file(path, std::ios::binary);
  char magic[4] = {};
  file.read(magic, sizeof magic);
  return file && std::string_view(magic, sizeof magic) == "\x7f" "ELF";
}

std::vector<fs::path> InterpreterFolders(const std::map<std::string, std::string>& environment,
                                         const fs::path& tools) {
  std::vector<fs::path> folders{"/usr/bin"};  // what everybody can read comes first
  const std::string path = ValueOf(environment, "PATH");
  for (const std::string_view folder : Split(path, ':')) {
    if (folder.starts_with('/')) folders.emplace_back(folder);
  }
  if (!tools.empty()) AddVersionsBelow(tools / "python", folders);
  const fs::path home = ValueOf(environment, "HOME");
  if (const auto root = ValueOf(environment, "PYENV_ROOT"); !root.empty()) {
    AddVersionsBelow(fs::path(root) / "versions", folders);
  }
  if (const auto managed = ValueOf(environment, "UV_PYTHON_INSTALL_DIR"); !managed.empty()) {
    AddVersionsBelow(managed, folders);
  }
  if (!home.empty()) {
    AddVersionsBelow(home / ".pyenv/versions", folders);
    AddVersionsBelow(home / ".local/share/uv/python", folders);
  }
  folders.emplace_back("/usr/local/bin");
  return folders;
}

std::optional<Interpreter> FindInterpreter(const std::string& version,
                                           const std::vector<fs::path>& folders) {
  for (const fs::path& folder : folders) {
    std::error_code error;
    const fs::path real = fs::canonical(folder / ("python" + version), error);
    if (error || !IsElfProgram(real)) continue;
    return Interpreter{real, real.parent_path().parent_path()};
  }
  return std::nullopt;
}

}  // namespace cml::backends::local
