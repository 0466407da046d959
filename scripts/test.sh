#!/bin/bash
# Runs every test and ends with one line: N passed, N failed.
#   test.sh [--integration] BASES
set -u
cd "$(dirname "$0")/.."
unit=yes
if [ "${1:-}" = --integration ]; then unit=; shift; fi
bases=${1:-.build/base-images}
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
passed=0 failed=0

# step NAME COMMAND...: one count when it works, and its whole output when it does not.
step() {
  local name=$1; shift
  echo "== $name"
  if "$@" >"$log/step" 2>&1; then passed=$((passed + 1)); else
    failed=$((failed + 1)); tail -n 60 "$log/step"; echo "failed: $name"; return 1
  fi
}

# suite NAME COMMAND...: adds the counts of its closing line `N passed, N failed, N skipped`.
suite() {
  local name=$1 code line; shift
  echo "== $name"
  "$@" 2>&1 | tee "$log/suite"
  code=${PIPESTATUS[0]}
  line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log/suite" | tail -n 1)
  if [[ $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed ]]; then
    passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2]))
  fi
  if [ "$code" != 0 ] && ! [[ $line =~ \ [1-9][0-9]*\ failed ]]; then
    failed=$((failed + 1)); echo "failed: $name: exit $code"
  fi
}

unit_tests() {
  swift test --explicit-target-dependency-import-check error 2>&1 | tee "$log/unit" | grep -E '^(✘|.*(error|warning):)|Test run with|recorded an issue' | awk 'NR <= 200'
  local code=${PIPESTATUS[0]} line run=0 bad=0
  line=$(grep -E 'Test run with [0-9]+ tests?' "$log/unit" | tail -n 1)
  [[ $line =~ with\ ([0-9]+)\ test ]] && run=${BASH_REMATCH[1]}
  bad=$(grep -E '^✘ Test .* failed after' "$log/unit" | grep -cvE '^✘ Test (run|case) ')
  [ "$bad" -gt "$run" ] && bad=$run
  if [ "$code" != 0 ] && [ "$bad" = 0 ]; then bad=1; tail -n 40 "$log/unit"; fi
  echo "$((run - bad < 0 ? 0 : run - bad)) passed, $bad failed"
  [ "$bad" = 0 ]
}

if [ -n "$unit" ]; then suite "unit tests" unit_tests; fi
if step "release build" make build; then
  export STAVE=$PWD/.build/release/stave
  step "base images: busybox" python3 scripts/base-images.py "$bases" busybox
  python3 scripts/base-images.py "$bases" debian node python golang ||
    echo "note: tests that need the missing base images are skipped"
  STAVE_BASE_IMAGES=$(realpath "$bases"); export STAVE_BASE_IMAGES
  suite "small outside suites" python3 Tests/integration/debug_suites.py
  suite "servers of the registry tests" python3 Tests/integration/registry_servers.py --selftest
  if [ "$(id -u)" = 0 ]; then run=(); else run=(sudo -E); fi
  suite "registries" "${run[@]}" python3 Tests/integration/registries.py
  suite "lists of images" "${run[@]}" python3 Tests/integration/registry_lists.py
  suite "command line" "${run[@]}" python3 Tests/integration/cli.py
  suite "caches of other machines" "${run[@]}" python3 Tests/integration/registry_cache.py
  suite "Dockerfiles" "${run[@]}" python3 Tests/integration/dockerfiles.py
  suite "builds at the same time" "${run[@]}" python3 Tests/integration/at_once.py
  suite "the same images in every way" "${run[@]}" python3 Tests/integration/determinism.py
  suite "outside build suites" "${run[@]}" python3 Tests/integration/conformance.py
  # The same again as users that the tests make: the outcome must be root's.
  suite "command line, mapped ids" "${run[@]}" python3 Tests/integration/cli.py --user mapped
  suite "command line, a single id" "${run[@]}" python3 Tests/integration/cli.py --user single
  suite "Dockerfiles, mapped ids" "${run[@]}" python3 Tests/integration/dockerfiles.py --user mapped
  suite "outside build suites, mapped ids" "${run[@]}" python3 Tests/integration/conformance.py --user mapped
  suite "lists of images, mapped ids" "${run[@]}" python3 Tests/integration/registry_lists.py --user mapped
  suite "registries, mapped ids" "${run[@]}" python3 Tests/integration/registries.py --user mapped --schedules 20
  suite "ordinary users and containers" "${run[@]}" python3 Tests/integration/rootless.py
  suite "kills" "${run[@]}" python3 Tests/integration/faults_kill.py --rounds 20
  suite "full disks" "${run[@]}" python3 Tests/integration/faults_disk.py --points 12
  suite "a large store" "${run[@]}" python3 Tests/integration/scale.py --layers 1000
  suite "against docker" "${run[@]}" python3 Tests/integration/differential.py
  step "fuzzing, 24 s" "${run[@]}" python3 scripts/fuzz.py --seconds 4
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
