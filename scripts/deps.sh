#!/bin/sh
# Installs the Debian packages that are missing and says which; does nothing when none is.
#   deps.sh        what building, the demo and the tests need
#   deps.sh dev    also what .ci/run needs (clang-format)
set -eu

packages="make g++ libdnnl-dev libopenblas-dev libthrust-dev libcli11-dev nlohmann-json3-dev \
libpugixml-dev libtomlplusplus-dev libzip-dev libmatio-dev libfmt-dev libjpeg-dev libpng-dev zlib1g-dev \
doctest-dev"
if [ "${1:-}" = dev ]; then packages="$packages clang-format"; fi

missing=""
for package in $packages; do
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  if [ "$state" != installed ]; then missing="$missing $package"; fi
done
if [ -z "$missing" ]; then exit 0; fi

echo "installing Debian packages:$missing"
sudo=""
if [ "$(id -u)" != 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "deps: these packages are missing and neither root nor sudo is at hand:$missing" >&2
    exit 1
  fi
  sudo=sudo
fi
$sudo apt-get update -q
# shellcheck disable=SC2086
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
