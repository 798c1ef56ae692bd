#!/bin/sh
# Makes the Python environments that the functional tests run in, under build/tools (or $1):
#   build/tools/venv        pytest and the clients that the tests drive from Python
#   build/tools/published   the published client cloud-ml-sdk 0.3.71, unchanged
#   build/tools/bin         uv, with which the server makes framework environments
#   build/tools/python3.7   a link to the Python that TensorFlow 1.15 needs, or none; why there is
#                           none is in build/tools/python3.7.missing
# Says one line per environment; an environment that is up to date costs nothing.
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$here")
tools=${1:-$root/build/tools}
log=$tools/install.log

# The system's Python where it is new enough: it does not move when version managers do.
find_python() {
  for python in "${CLOUDML_TEST_PYTHON:-}" /usr/bin/python3 python3; do
    [ -n "$python" ] || continue
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null; then
      echo "$python"
      return 0
    fi
  done
  return 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

need_packages() {
  echo "installing $* (apt)"
  if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >>"$log" 2>&1; then
    as_root apt-get update -qq >>"$log" 2>&1
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >>"$log" 2>&1
  fi
}

fail() {
  echo "error: $1; the last lines of $log:" >&2
  tail -n 15 "$log" >&2
  exit 1
}

mkdir -p "$tools"
: >"$log"

python=$(find_python) || {
  need_packages python3 || fail "no Python 3.9 or later, and apt could not bring one"
  python=/usr/bin/python3
}
# Debian ships the venv module's pip in a package of its own.
"$python" -c 'import ensurepip, venv' 2>/dev/null || need_packages python3-venv ||
  fail "$python has no ensurepip; install python3-venv"
command -v curl >/dev/null || need_packages curl || fail "curl is missing and apt could not bring it"

# environment NAME REQUIREMENTS [PIP OPTION…]
environment() {
  name=$1
  requirements=$2
  shift 2
  folder=$tools/$name
  wanted=$( (cat "$requirements"; "$python" --version; echo "$folder $*") | sha256sum | cut -d' ' -f1)
  if [ "$(cat "$folder/.ready" 2>/dev/null)" = "$wanted" ]; then
    echo "✓ $name is up to date"
    return 0
  fi
  echo "… $name: $(grep -c '^[A-Za-z]' "$requirements") packages"
  started=$(date +%s)
  rm -rf "$folder"
  "$python" -m venv "$folder" >>"$log" 2>&1 || fail "cannot make $folder"
  "$folder/bin/python" -m pip install -q --disable-pip-version-check "$@" -r "$requirements" \
    >>"$log" 2>&1 || fail "pip could not fill $folder"
  echo "$wanted" >"$folder/.ready"
  echo "✓ $name is ready ($(($(date +%s) - started)) s)"
}

environment venv "$here/functional/requirements.txt"
environment published "$here/functional/published_client/requirements.txt" --no-deps --use-pep517

# The server under test finds uv by its name; the rest of that environment must not be on its PATH.
mkdir -p "$tools/bin"
ln -sf ../venv/bin/uv "$tools/bin/uv"

# A program of version 3.7 where the server looks for one; a version manager's script is none.
find_python37() {
  home=${HOME:-/nonexistent}
  for folder in /usr/bin $(echo "$PATH" | tr ':' ' ') "${PYENV_ROOT:-$home/.pyenv}"/versions/*/bin \
    "$home"/.pyenv/versions/*/bin "${UV_PYTHON_INSTALL_DIR:-/nonexistent}"/*/bin \
    "$home"/.local/share/uv/python/*/bin /usr/local/bin; do
    program=$folder/python3.7
    [ -x "$program" ] && [ "$(head -c 2 "$program")" != '#!' ] || continue
    if "$program" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 7))' 2>/dev/null; then
      echo "$program"
      return 0
    fi
  done
  return 1
}

rm -f "$tools/python3.7" "$tools/python3.7.missing"
if python37=$(find_python37); then
  ln -s "$python37" "$tools/python3.7"
  echo "✓ Python 3.7 is $python37"
else
  # Neither Debian nor uv offers it any more: it is here or it is not.
  echo "no Python 3.7 on this machine (pyenv install 3.7 brings one)" >"$tools/python3.7.missing"
  echo "! $(cat "$tools/python3.7.missing"): training on TensorFlow 1.15.5 will be skipped"
fi
