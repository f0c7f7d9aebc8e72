#!/bin/sh
# Includes run one way: tensor <- autograd <- layers <- detectors <- segmenters <- attribution <- cli;
# datasets uses tensor alone, and only cli, tests and bench use datasets.
set -u
status=0
forbid() {  # forbid ROOM REGEX-OF-ROOMS-IT-MAY-NOT-INCLUDE
  if grep -nE "#include \"($2)/" "$1"/*.h "$1"/*.cpp "$1"/*.cu 2>/dev/null; then
    echo "layering: $1/ may not include $2" >&2
    status=1
  fi
}
forbid tensor      "autograd|layers|detectors|segmenters|attribution|datasets|cli|tests|bench"
forbid autograd    "layers|detectors|segmenters|attribution|datasets|cli|tests|bench"
forbid layers      "detectors|segmenters|attribution|datasets|cli|tests|bench"
forbid detectors   "segmenters|attribution|datasets|cli|tests|bench"
forbid segmenters  "attribution|datasets|cli|tests|bench"
forbid attribution "datasets|cli|tests|bench"
forbid datasets    "autograd|layers|detectors|segmenters|attribution|cli|tests|bench"
forbid cli         "tests|bench"
exit $status
