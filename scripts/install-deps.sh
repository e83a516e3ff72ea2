#!/usr/bin/env bash
# Installs the Debian packages that Marram needs and that are missing.
#
#     scripts/install-deps.sh [build|test|check|package|docker|soak|all]     (default: build)
#
# As root, or with sudo that asks nothing, it installs them; otherwise it prints the command and fails.
set -euo pipefail

# package              groups            what for
packages='
gcc                    build             the compiler
g++                    test              jobs in C++
make                   build             the build
pkg-config             build             where the libraries are
libzmq3-dev            build             transport
libczmq-dev            build             certificates
libprotobuf-c-dev      build             messages
protobuf-c-compiler    build             messages
libsodium-dev          build             SHA-256 of job objects
libjansson-dev         build             JSON
libsqlite3-dev         build             the history of jobs
libmicrohttpd-dev      build             HTTP
libxxhash-dev          build             checksums
libseccomp-dev         build             what user code may not call
libinih-dev            build             configuration files
libdw-dev              build             names in backtraces
libpcre2-dev           build             the grep job
zlib1g-dev             build             gzip, in and out; the teravalidate job
liblz4-dev             build             compressed runs and inputs
libzstd-dev            build             compressed runs, inputs and outputs
libcmocka-dev          test              unit tests
mawk                   test              independent references
python3                test              independent references: csv, json
python3-yaml           test              the description of HTTP
python3-jsonschema     test              what HTTP answers
curl                   test              asking by HTTP
gzip                   test              compressed inputs and outputs
zstd                   test              compressed inputs and outputs
lz4                    test              compressed inputs
procps                 test              looking for processes that were left behind
gdb                    test              replaying a task in a debugger
strace                 test              seeing what reaches the disk
iproute2               test              workers in network namespaces of their own
dpkg-dev               package           Debian packages
cmake                  test              jobs built with CMake
debootstrap            docker            a base image where no registry is reachable
clang-14               check             thread sanitizer, fuzzing
libomp-14-dev          check             OpenMP for clang
libclang-rt-14-dev     check             the sanitizers of clang
clang-format-14        check             the format of the code
mandoc                 test              manual pages
bsdextrautils          test              manual pages as plain text
shellcheck             check             shell scripts
prometheus             metrics           the format of metrics (promtool)
lintian                soak              the policy of Debian
'

group=${1:-build}
case $group in
build) groups='build' ;;
test) groups='build test' ;;
check) groups='build check' ;;
package) groups='build package' ;;
docker) groups='docker' ;;
soak) groups='build test package metrics docker soak' ;;
all) groups='build test check package metrics' ;;
*)
    echo "install-deps.sh: no group '$group': build, test, check, package, docker, soak or all" >&2
    exit 2
    ;;
esac

wanted=()
while read -r package in_group _; do
    [[ -n $package && " $groups " == *" $in_group "* ]] && wanted+=("$package")
done <<<"$packages"

installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null |
    sed -n 's/^installed //p') || true
missing=()
for package in "${wanted[@]}"; do
    grep -qx -- "$package" <<<"$installed" || missing+=("$package")
done
((${#missing[@]})) || exit 0

if ! command -v apt-get >/dev/null; then
    echo "install-deps.sh: this is no Debian; install the counterparts of: ${missing[*]}" >&2
    exit 1
fi
as_root=()
if ((EUID)); then
    if ! sudo -n true 2>/dev/null; then
        echo "install-deps.sh: missing packages; run this first:" >&2
        echo "    sudo apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo -n)
fi
echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt=("${as_root[@]}" apt-get -q -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -20 "$log" >&2
    echo "install-deps.sh: apt-get failed" >&2
    exit 1
fi
