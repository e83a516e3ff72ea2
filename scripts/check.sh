#!/usr/bin/env bash
# The rules of the house that a program can check. `make check` runs it after building with -Werror.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

passed=0
failed=0

# rule NAME COMMAND...: the command prints what it finds wrong, or nothing.
rule() {
    local name=$1 found
    shift
    found=$("$@" 2>&1)
    if [[ -z $found ]]; then
        passed=$((passed + 1))
        echo "ok      $name"
    else
        failed=$((failed + 1))
        echo "FAILED  $name"
        head -20 <<<"$found" | sed 's/^/        /'
    fi
}

sources() { git ls-files --cached --others --exclude-standard -- '*.c' '*.h' | grep -v '^tests/golden/' | while read -r f; do [[ -e $f ]] && echo "$f"; done; }
house() { sources | grep -v '^tests/'; }

format() { sources | grep -v '^tests/bench/yardstick/' | xargs clang-format-14 --dry-run -Werror 2>&1 | grep -E 'error|warning' | head; }

# includes FOLDER ALLOWED...: what files below FOLDER include beside the allowed first folders.
includes() {
    local folder=$1
    shift
    local allowed
    allowed=$(IFS='|' && echo "$*")
    house | grep "^$folder/" | xargs -r grep -nH '^#include "' | grep -vE "#include \"($allowed)/"
}
layers() {
    includes mrlib/base base
    includes mrlib/wire base wire
    includes mrlib/store base store
    includes mrlib/record base record
    includes mrlib/flow base wire store record flow
    includes coordinator/sched base coordinator/sched
    includes coordinator base wire store record flow coordinator
    includes worker/agent base wire store record worker/agent
    includes worker/symbols none
    includes worker/executor base wire store record flow worker/executor
    includes jobs none
    includes manual base cli manual
}
one_room_for_zmq() { house | xargs grep -lE '#include <(zmq|czmq)' | grep -vE '^mrlib/wire/(context|link|curve|reach|porter|monitor|certificate)\.c$'; }
no_library_heartbeats() { git grep -n 'ZMQ_HEARTBEAT' -- '*.c' '*.h' ':!scripts'; }

headers_stand_alone() {
    local header
    for header in $(house | grep '\.h$'); do
        echo "#include \"$header\"" | gcc -std=gnu17 -D_GNU_SOURCE -fopenmp -fsyntax-only -I. -Imrlib \
            -Imrlib/include -Ibuild/check -x c - 2>&1 | head -3
    done
    for language in c c++; do
        echo '#include <mr/job.h>' |
            gcc -x "$language" -Wall -Wextra -Wpedantic -Werror -Imrlib/include -fsyntax-only - 2>&1
    done
    echo '#include <mr/job.h>' | gcc -x c -std=c11 -Wpedantic -Werror -Imrlib/include -fsyntax-only - 2>&1
}

long_files() { sources | grep -v '^tests/bench/yardstick/' | xargs wc -l | awk '$2 != "total" && $1 > 600 { print $2 ": " $1 " lines" }'; }
# shellcheck disable=SC2016 # the program of awk has dollars of its own
long_functions() {
    house | grep '\.c$' | xargs awk '
        FNR == 1 { start = 0 }
        /^[A-Za-z_].*[^;]$/ && !/^(#|struct|enum|static const|typedef)/ { name = $0 }
        /^{/ { start = FNR }
        /^}/ { if (start && FNR - start + 1 > 70) print FILENAME ":" start ": " FNR - start + 1 " lines: " name; start = 0 }'
}
shell() { git ls-files --cached --others --exclude-standard -- '*.sh' .ci/run scripts/pre-commit | xargs -r shellcheck -x 2>&1; }
versions_agree() {
    local version
    version=$(sed -n 's/^#define MARRAM_VERSION "\(.*\)"$/\1/p' mrlib/base/version.h)
    grep -qx "ARG VERSION=$version" docker/Dockerfile || echo "docker/Dockerfile: ARG VERSION is not $version, that of mrlib/base/version.h"
}
assertions_stay() { git grep -nE '#include <assert.h>|NDEBUG' -- '*.c' '*.h' Makefile; }

rule 'the code has the format of .clang-format' format
rule 'each layer includes only what lies below it' layers
rule 'a few files alone know ZeroMQ' one_room_for_zmq
rule 'the heartbeats of the library stay off' no_library_heartbeats
rule 'every header compiles alone; the job header in C, C11 and C++' headers_stand_alone
rule 'no file is longer than 600 lines' long_files
rule 'no function is longer than 70 lines' long_functions
rule 'shellcheck has no complaint' shell
rule 'the label of the images is the version' versions_agree
rule 'assertions are never compiled out' assertions_stay

echo "$passed passed, $failed failed"
((failed == 0))
