// app/embedded.h — the data files that the binary carries.
#pragma once
#include <string_view>

namespace cml::app {

std::string_view OpenApiText();        // docs/api/openapi.yaml
std::string_view PackageInstaller();   // runtimes/install_packages.py

}  // namespace cml::app
