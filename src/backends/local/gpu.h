// backends/local/gpu.h — the machine's NVIDIA cards, asked of the driver's own library, which is
// loaded at run time: a machine without it has no cards. No state; not for many threads at once.
#pragma once
#include <filesystem>
#include <vector>

#include "core/run.h"

namespace cml::backends::local {

std::vector<Gpu> FindGpus();
std::vector<Gpu> FakeGpus(int count);  // for tests: model "fake", no device

// What a replica that was given these cards needs to see below /dev; empty for none.
std::vector<std::filesystem::path> GpuDevices(const std::vector<Gpu>& gpus);
// CUDA_VISIBLE_DEVICES for these cards: unique ids, or numbers where there are none.
std::string VisibleDevices(const std::vector<Gpu>& gpus);

// "Tesla V100-SXM2-16GB" → "v100": the word that tells the model, lower case.
std::string GpuModel(std::string_view product);

}  // namespace cml::backends::local
