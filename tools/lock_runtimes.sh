#!/bin/sh
# Makes the locks of runtimes/ anew: tools/lock_runtimes.sh [FOLDER…]   (all without an argument)
#
# Reads requirements.in, requirements-VARIANT.in, overrides.txt and overrides-VARIANT.txt of each
# runtime and writes requirements-VARIANT.lock with the hash of every file, for Linux on x86-64.
# Versions of an existing lock are kept unless UPGRADE=1. Needs uv. See runtimes/README.md.
set -eu
cd "$(dirname "$0")/../runtimes"
command -v uv >/dev/null || { echo "error: uv is not in PATH; python3 -m pip install uv" >&2; exit 3; }
[ $# -gt 0 ] || set -- */

for folder in "$@"; do
  folder=${folder%/}
  python=$(sed -n 's/^python: *"\(.*\)"$/\1/p' "$folder/runtime.yaml")
  variants=$(sed -n 's/^variants: *\[\(.*\)\]$/\1/p' "$folder/runtime.yaml" | tr -d ,)
  for variant in $variants; do
    lock=$folder/requirements-$variant.lock
    set -- "$folder/requirements.in"
    [ ! -f "$folder/requirements-$variant.in" ] || set -- "$@" "$folder/requirements-$variant.in"
    for file in overrides overrides-$variant; do
      [ ! -f "$folder/$file.txt" ] || set -- "$@" --overrides "$folder/$file.txt"
    done
    [ "${UPGRADE:-}" != 1 ] || set -- "$@" --upgrade
    uv pip compile --quiet --generate-hashes --no-annotate --python-version "$python" \
      --python-platform x86_64-manylinux_2_28 --build-constraints build-constraints.txt \
      --custom-compile-command "tools/lock_runtimes.sh $folder" --output-file "$lock" "$@" >/dev/null
    echo "$lock  $(grep -c == "$lock") packages"
  done
done
