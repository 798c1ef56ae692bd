#include "backends/local/gpu.h"

#include <dlfcn.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>

#include "base/strings.h"

namespace cml::backends::local {
namespace {

// The few calls of NVML that we need, by their published signatures (NVML API reference).
using NvmlDevice = struct NvmlDeviceTag*;
constexpr int kNvmlSuccess = 0;
constexpr const char* kFakeModel = "fake";

class Nvml {
 public:
  Nvml() : library_(::dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL)) {
    if (library_ == nullptr) return;
    Load(init_, "nvmlInit_v2");
    Load(shutdown_, "nvmlShutdown");
    Load(count_, "nvmlDeviceGetCount_v2");
    Load(by_index_, "nvmlDeviceGetHandleByIndex_v2");
    Load(name_, "nvmlDeviceGetName");
    Load(uuid_, "nvmlDeviceGetUUID");
    Load(minor_, "nvmlDeviceGetMinorNumber");
    ready_ = whole_ && init_() == kNvmlSuccess;
  }
  ~Nvml() {
    if (ready_) shutdown_();
    if (library_ != nullptr) ::dlclose(library_);
  }
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  std::vector<Gpu> Cards() const {
    std::vector<Gpu> cards;
    unsigned count = 0;
    if (!ready_ || count_(&count) != kNvmlSuccess) return cards;
    for (unsigned i = 0; i < count; ++i) {
      NvmlDevice device = nullptr;
      std::array<char, 128> name{};
      std::array<char, 128> uuid{};
      unsigned minor = 0;
      if (by_index_(i, &device) != kNvmlSuccess) continue;
      if (name_(device, name.data(), name.size() - 1) != kNvmlSuccess) continue;
      if (uuid_(device, uuid.data(), uuid.size() - 1) != kNvmlSuccess) continue;
      if (minor_(device, &minor) != kNvmlSuccess) continue;  // of /dev/nvidiaN
      cards.push_back({static_cast<int>(minor), GpuModel(name.data()), uuid.data()});
    }
    return cards;
  }

 private:
  template <class F>
  void Load(F& function, const char* name) {
    function = reinterpret_cast<F>(::dlsym(library_, name));
    whole_ = whole_ && function != nullptr;
  }

  void* library_;
  bool whole_ = true, ready_ = false;
  int (*init_)() = nullptr;
  int (*shutdown_)() = nullptr;
  int (*count_)(unsigned*) = nullptr;
  int (*by_index_)(unsigned, NvmlDevice*) = nullptr;
  int (*name_)(NvmlDevice, char*, unsigned) = nullptr;
  int (*uuid_)(NvmlDevice, char*, unsigned) = nullptr;
  int (*minor_)(NvmlDevice, unsigned*) = nullptr;
};

}  // namespace

std::string GpuModel(std::string_view product) {
  // Brand and series words stand before the model's; memory and form factor behind it.
  const std::string lower = ToLower(product);
  std::string word;
  for (const std::string_view part : Split(lower, ' ')) {
    if (part.empty() || part == "nvidia" || part == "tesla" || part == "quadro") continue;
    if (part == "geforce" || part == "rtx" || part == "gtx" || part == "graphics") {
      word += word.empty() || part == "graphics" ? "" : "-";
      if (part != "geforce" && part != "graphics") word += part;
      continue;
    }
    if (!word.empty()) word += '-';
    word += part.substr(0, part.find('-'));
    break;
  }
  return word;
}

std::vector<Gpu> FindGpus() { return Nvml().Cards(); }

std::vector<Gpu> FakeGpus(int count) {
  std::vector<Gpu> cards;
  for (int i = 0; i < count; ++i) cards.push_back({i, kFakeModel, ""});
  return cards;
}

std::vector<std::filesystem::path> GpuDevices(const std::vector<Gpu>& gpus) {
  std::vector<std::filesystem::path> devices;
  for (const Gpu& gpu : gpus) {
    if (gpu.model != kFakeModel) devices.push_back("/dev/nvidia" + std::to_string(gpu.index));
  }
  if (devices.empty()) return devices;
  for (const char* common :
       {"/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset"}) {
    if (::access(common, F_OK) == 0) devices.emplace_back(common);
  }
  return devices;
}

std::string VisibleDevices(const std::vector<Gpu>& gpus) {
  std::vector<std::string> names;
  for (const Gpu& gpu : gpus) {
    names.push_back(gpu.uuid.empty() ? std::to_string(gpu.index) : gpu.uuid);
  }
  return Join(names, ",");
}

}  // namespace cml::backends::local
