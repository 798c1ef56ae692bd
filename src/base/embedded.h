// base/embedded.h — a data file compiled into the binary (cmake/CmlEmbed.cmake).
#pragma once
#include <span>
#include <string_view>

namespace cml {

struct EmbeddedFile {
  std::string_view path;      // relative to the folder it was embedded from, with '/'
  std::string_view contents;  // lives as long as the program
};

}  // namespace cml
