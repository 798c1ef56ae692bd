// backends/local/package_sources.h — where Python packages come from on this machine: the settings
// that an administrator has already made for pip, in the words of uv.
//
// Pure but for reading pip's configuration files; thread-safe; cannot fail: a file that is not
// there or not understood counts as empty.
#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace cml::backends::local {

using Variables = std::map<std::string, std::string>;

struct PackageSources {
  Variables env;                       // for uv
  std::vector<std::string> arguments;  // for "uv pip …" and "uv venv": what has no variable
  std::vector<std::filesystem::path> mounts;  // files and folders outside /usr and /etc it names
};

// Own UV_* settings win over PIP_* variables, those over pip's files ([install] over [global]).
PackageSources FindPackageSources(const Variables& environment);

// The sources as a job may know them: an address that carries a name or password is left out.
PackageSources ForJobs(const PackageSources& sources);

// Settings of one pip.conf by their names, "index-url" → "https://…"; lists joined by blanks.
Variables ParsePipConfig(std::string_view text);

}  // namespace cml::backends::local
