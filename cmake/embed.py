#!/usr/bin/env python3
"""Writes a C++ source with the contents of files, for cml_embed() in CmlEmbed.cmake."""
import argparse
import pathlib

parser = argparse.ArgumentParser()
parser.add_argument("--namespace", required=True)
parser.add_argument("--base", required=True, type=pathlib.Path)
parser.add_argument("--out", required=True, type=pathlib.Path)
parser.add_argument("files", nargs="+", type=pathlib.Path)
args = parser.parse_args()

# A string literal has a limit in the compilers; an array of bytes has none.
lines = ['#include "base/embedded.h"', "", f"namespace {args.namespace} {{", "namespace {", ""]
entries = []
for number, path in enumerate(sorted(args.files)):
    data = path.read_bytes()
    body = ",".join(str(b) for b in data) or "0"
    lines.append(f"constexpr unsigned char k{number}[] = {{{body}}};")
    entries.append(f'    {{"{path.resolve().relative_to(args.base.resolve()).as_posix()}", '
                   f"{{reinterpret_cast<const char*>(k{number}), {len(data)}}}}},")
lines += ["", "}  // namespace", "",
          "std::span<const cml::EmbeddedFile> Files() {",
          "  static const cml::EmbeddedFile files[] = {", *entries, "  };",
          "  return files;", "}", "", f"}}  // namespace {args.namespace}", ""]
args.out.write_text("\n".join(lines))
