#!/bin/sh
# What the tables of docs/index.md name must exist: files, functions, tests, options.
set -u
index=docs/index.md
problems=$(
  grep -oE '`[A-Za-z_]+` in `[^`]+`' $index | tr -d '`' | while read -r name _ file; do
    grep -qw "$name" "$file" || echo "$name in $file"
  done
  grep -oE '`([a-zA-Z_ ]+: [^`]*|op [a-z_]+)`' $index | tr -d '`*' | while read -r test; do
    grep -rqF "\"$test" tests --include=*.cpp || echo "test $test"
  done
  grep -oE '^\|.*\| `--[a-z-]+`' $index | grep -oE -- '--[a-z-]+' | while read -r option; do
    grep -rqE "\"(--)?${option#--}[\",]" cli || echo "option $option"
  done
)
if [ -z "$problems" ] && [ -s $index ]; then exit 0; fi
echo "$problems" | sed "s|^|$index names what is not there: |" >&2
exit 1
