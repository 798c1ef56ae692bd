// backends/local/runtime_catalog.h — the frameworks that jobs can ask for, read from the files of
// runtimes/ that are compiled into the program (runtimes/README.md describes them).
//
// Plain values, thread-safe. ReadCatalog reports the first file that it does not understand as
// kInvalidArgument; ResolveRuntime answers kNotFound with what there is.
#pragma once
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backends/local/environments.h"
#include "base/embedded.h"
#include "base/result.h"
#include "core/run.h"

namespace cml::runtimes {
std::span<const EmbeddedFile> Files();  // written by cml_embed
}

namespace cml::backends::local {

struct RuntimeDefinition {
  RuntimeRef ref;
  std::string python;                 // "3.11"
  std::vector<std::string> aliases;   // other names: "tf"
  std::vector<std::string> packages;  // the main ones, shown in lists
  std::string description;
  bool is_default = false;            // of its name, when no version is given
  std::map<Variant, std::string> locks;  // requirements with hashes
  std::string finish;                 // a program run after the installation; may be empty
  std::string smoke;                  // a program that trains a step and exits 0
  std::string build_constraints;      // for packages that come as source; may be empty

  bool Has(Variant variant) const { return locks.contains(variant); }
};

using Catalog = std::vector<RuntimeDefinition>;  // by name, newest version first

Result<Catalog> ReadCatalog(std::span<const EmbeddedFile> files);

// The definition of a runtime as a person names it: exact version, or the default one (the newest
// where none is marked) when `version` is empty. Names and aliases in any case.
Result<RuntimeRef> ResolveRuntime(const Catalog& catalog, std::string_view name,
                                  std::string_view version);

const RuntimeDefinition* FindRuntime(const Catalog& catalog, const RuntimeRef& ref);

// "tensorflow 2.15.1 (default), 2.21.0; pytorch 2.15.0"
std::string DescribeCatalog(const Catalog& catalog);

// Package → version as a lock pins them.
std::map<std::string, std::string> PinsOf(std::string_view lock);
// The version under which a lock carries `package`; "tensorflow-cpu" stands for "tensorflow".
std::string PinOf(const std::map<std::string, std::string>& pins, const std::string& package);

// Compares "2.9.1" and "2.15.1" by their numbers.
bool IsOlderVersion(std::string_view a, std::string_view b);

std::string_view ToString(Variant variant);  // "cpu", "gpu"

}  // namespace cml::backends::local
