#!/usr/bin/env bash
# Installs the Debian packages that are missing: tools/install_packages.sh build|test
#   build  what the release binary and its users need
#   test   that and what ./check needs
# Prints one line per group; asks nothing. Needs root or sudo only when something is missing.
set -euo pipefail

build=(g++ cmake ninja-build ccache lld pkg-config python3 python3-venv
       libboost1.81-dev libssl-dev libsqlite3-dev libfmt-dev libcurl4-openssl-dev libyaml-cpp-dev
       libarchive-dev libseccomp-dev bubblewrap slirp4netns util-linux ca-certificates)
test=(libgtest-dev libgmock-dev clang-14 libclang-rt-14-dev curl git)

case "${1:-}" in
  build) wanted=("${build[@]}") ;;
  test) wanted=("${build[@]}" "${test[@]}") ;;
  *) echo "usage: tools/install_packages.sh build|test" >&2; exit 2 ;;
esac

missing=()
for package in "${wanted[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "${#wanted[@]} packages, all there"
  exit 0
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "error: ${missing[*]}: to install them, run this as root" >&2; exit 1; }
  as_root=(sudo)
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { "${as_root[@]}" apt-get update -q && "${as_root[@]}" apt-get install -q -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "error: apt-get could not install: ${missing[*]}" >&2
  exit 1
fi
echo "${#missing[@]} installed"
