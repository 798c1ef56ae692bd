#include "backends/local/runtime_catalog.h"

#include <gtest/gtest.h>

namespace cml::backends::local {
namespace {

constexpr std::string_view kOld =
    "name: tensorflow\nversion: 2.9.1\npython: \"3.11\"\nvariants: [cpu]\naliases: [tf]\n"
    "packages: [tensorflow]\ndescription: old\ndefault: true\n";
constexpr std::string_view kNew =
    "name: tensorflow\nversion: \"2.10\"\npython: \"3.11\"\nvariants: [cpu, gpu]\n"
    "packages: [tensorflow]\ndescription: new\n";
constexpr std::string_view kLock =
    "# written by a tool\nabsl-py==2.5.1 \\\n    --hash=sha256:ab==cd \\\n    --hash=sha256:ef\n"
    "tensorflow-cpu==2.10 \\\n    --hash=sha256:00\ncoverage[toml]==7.1 ; python_version < '3'\n";

std::vector<EmbeddedFile> TwoVersions() {
  return {{"tensorflow-2.9.1/runtime.yaml", kOld},
          {"tensorflow-2.9.1/requirements-cpu.lock", kLock},
          {"tensorflow-2.9.1/smoke.py", "print()"},
          {"tensorflow-2.10/runtime.yaml", kNew},
          {"tensorflow-2.10/requirements-cpu.lock", kLock},
          {"tensorflow-2.10/requirements-gpu.lock", kLock},
          {"tensorflow-2.10/smoke.py", "print()"},
          {"build-constraints.txt", "setuptools<81\n"}};
}

TEST(RuntimeCatalogTest, TheEmbeddedRuntimesAreUnderstood) {
  const auto catalog = ReadCatalog(runtimes::Files());
  ASSERT_TRUE(catalog.ok()) << catalog.error().message();
  const auto tf = ResolveRuntime(catalog.value(), "tf", "");
  ASSERT_TRUE(tf.ok()) << tf.error().message();
  EXPECT_EQ(tf.value(), (RuntimeRef{"tensorflow", "2.15.1"}));
  EXPECT_TRUE(ResolveRuntime(catalog.value(), "tensorflow", "1.15.5").ok());
  for (const char* name : {"torch", "pytorch", "sklearn", "scikit-learn", "xgboost"}) {
    EXPECT_TRUE(ResolveRuntime(catalog.value(), name, "").ok()) << name;
  }
  for (const RuntimeDefinition& d : catalog.value()) {
    for (const auto& [variant, lock] : d.locks) {
      const auto pins = PinsOf(lock);
      for (const std::string& package : d.packages) {
        EXPECT_NE(PinOf(pins, package), "") << d.ref.name << " lists " << package;
      }
      for (const char* companion : {"pandas", "scikit-learn", "google-cloud-storage", "requests",
                                    "cloudml-hypertune", "setuptools", "wheel"}) {
        EXPECT_TRUE(pins.contains(companion)) << d.ref.name << " lacks " << companion;
      }
      EXPECT_EQ(lock.find("://"), std::string::npos) << d.ref.name << " names an address";
    }
  }
}

TEST(RuntimeCatalogTest, NewestFirstAndVersionsCompareByNumber) {
  const auto catalog = ReadCatalog(TwoVersions());
  ASSERT_TRUE(catalog.ok()) << catalog.error().message();
  ASSERT_EQ(catalog.value().size(), 2u);
  EXPECT_EQ(catalog.value()[0].ref.version, "2.10");
  EXPECT_TRUE(IsOlderVersion("2.9.1", "2.10"));
  EXPECT_FALSE(IsOlderVersion("2.10", "2.9.1"));
  EXPECT_FALSE(IsOlderVersion("2.10", "2.10.0"));
  EXPECT_EQ(DescribeCatalog(catalog.value()), "tensorflow 2.10, 2.9.1 (default)");
}

TEST(RuntimeCatalogTest, AnEmptyVersionIsTheDefaultElseTheNewest) {
  auto catalog = ReadCatalog(TwoVersions()).value();
  EXPECT_EQ(ResolveRuntime(catalog, "TensorFlow", "").value().version, "2.9.1");
  EXPECT_EQ(ResolveRuntime(catalog, "tf", "2.9.1").value().version, "2.9.1");
  for (RuntimeDefinition& d : catalog) d.is_default = false;
  EXPECT_EQ(ResolveRuntime(catalog, "tensorflow", "").value().version, "2.10");
}

TEST(RuntimeCatalogTest, WhatIsNotThereIsAnsweredWithWhatIs) {
  const auto catalog = ReadCatalog(TwoVersions()).value();
  const auto version = ResolveRuntime(catalog, "tensorflow", "1.4");
  ASSERT_FALSE(version.ok());
  EXPECT_EQ(version.error().code(), Code::kNotFound);
  EXPECT_EQ(version.error().message(),
            "tensorflow has no version \"1.4\" here; there is 2.10, 2.9.1");
  const auto name = ResolveRuntime(catalog, "caffe", "");
  ASSERT_FALSE(name.ok());
  EXPECT_NE(name.error().message().find("tensorflow 2.10, 2.9.1 (default)"), std::string::npos);
}

TEST(RuntimeCatalogTest, FaultyDescriptionsAreNamed) {
  const auto message = [](std::vector<EmbeddedFile> files) {
    const auto catalog = ReadCatalog(files);
    return catalog.ok() ? std::string("understood") : catalog.error().message();
  };
  auto files = TwoVersions();
  files[0].contents = "name: tensorflow\nversions: 1\n";
  EXPECT_EQ(message(files), "tensorflow-2.9.1/runtime.yaml: what is \"versions\"?");
  files[0].contents = "name: [";
  EXPECT_NE(message(files).find("tensorflow-2.9.1/runtime.yaml: "), std::string::npos);
  files = TwoVersions();
  files[5].path = "elsewhere";
  EXPECT_EQ(message(files),
            "tensorflow-2.10/runtime.yaml: tensorflow-2.10/requirements-gpu.lock is missing");
  files = TwoVersions();
  files[0].path = "tf-2/runtime.yaml";
  EXPECT_EQ(message(files), "tf-2/runtime.yaml: the folder must be called tensorflow-2.9.1");
}

TEST(RuntimeCatalogTest, PinsAreReadFromALock) {
  const auto pins = PinsOf(kLock);
  EXPECT_EQ(pins, (std::map<std::string, std::string>{
                      {"absl-py", "2.5.1"}, {"tensorflow-cpu", "2.10"}, {"coverage", "7.1"}}));
  EXPECT_EQ(PinOf(pins, "tensorflow"), "2.10");
  EXPECT_EQ(PinOf(pins, "numpy"), "");
}

}  // namespace
}  // namespace cml::backends::local
