// bench/admission/main.cc — admission_bench philly|openb|speed; README.md has the options
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "simulator.h"

int main(int argc, char** argv) {
  const char* set = std::getenv("CLOUDML_TEST_DATA");
  std::string what, data = set != nullptr ? set : "";
  cml::bench::PhillyOptions options;
  for (int i = 1; i < argc; ++i) {
    const bool more = i + 1 < argc;
    if (std::strcmp(argv[i], "--sample") == 0 && more) options.sample = std::max(1, std::atoi(argv[++i]));
    else if (std::strcmp(argv[i], "--check") == 0 && more) options.check = std::atoi(argv[++i]);
    else if (std::strcmp(argv[i], "--quantum") == 0 && more) options.quantum = std::atoi(argv[++i]);
    else if (std::strcmp(argv[i], "--no-baselines") == 0) options.baselines = false;
    else if (std::strcmp(argv[i], "--data") == 0 && more) data = argv[++i];
    else what = argv[i];
  }
  if (what == "speed") cml::bench::RunSpeed();
  else if (what == "philly" && !data.empty()) cml::bench::RunPhilly(data, options);
  else if (what == "openb" && !data.empty()) cml::bench::RunOpenb(data);
  else {
    std::fprintf(stderr, "usage: admission_bench speed | philly [--sample N] [--check N] [--quantum MINUTES] [--no-baselines] | openb\n"
                         "       the traces are in the folder of --data or of CLOUDML_TEST_DATA\n");
    return 2;
  }
  return 0;
}
