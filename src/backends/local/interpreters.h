// backends/local/interpreters.h — finds the Python interpreters of this machine.
//
// Thread-safe, no state. Looks at files only and starts nothing, so that it may be asked often; a
// launcher script (a shim of a version manager) is no interpreter, what it would start is.
#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace cml::backends::local {

struct Interpreter {
  std::filesystem::path program;  // the real file, links resolved
  std::filesystem::path prefix;   // what must be visible for it to run: the folder above bin/
};

// Folders to look into for a program python3.N, best first: /usr/bin, $PATH, then the folders of
// pyenv and uv below $PYENV_ROOT, $UV_PYTHON_INSTALL_DIR, $HOME and `tools`.
std::vector<std::filesystem::path> InterpreterFolders(
    const std::map<std::string, std::string>& environment, const std::filesystem::path& tools);

// `version`: "3.11".
std::optional<Interpreter> FindInterpreter(const std::string& version,
                                           const std::vector<std::filesystem::path>& folders);

// Whether `path` is a program that a sandbox can run without this machine's launchers around it.
bool IsElfProgram(const std::filesystem::path& path);

}  // namespace cml::backends::local
