#!/usr/bin/env bash
# What `make install` and `make deb` give works where it is put, and so does the job that `marram new` begins there.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"
version=$(sed -n 's/^#define MARRAM_VERSION "\(.*\)"$/\1/p' "$root/mrlib/base/version.h")

# install_to FOLDER PREFIX: its programs in $bin
install_to() {
    DESTDIR=$1 PREFIX=$2 "$root/scripts/install.sh" install "$MARRAM_BUILD" "$version"
    bin=$1$2/bin
    PKG_CONFIG_PATH=$1$2/lib/pkgconfig
    PATH=$bin:$PATH
    export PKG_CONFIG_PATH PATH
}
counts_words() {
    echo 'a b a' >in
    marram run wordcount -i in -o out --overwrite 2>stderr || die "$(cat stderr)"
    printf 'a\t2\nb\t1\n' >want
    expect_same out/part-00000 want
}
any_prefix() {
    local prefix
    for prefix in /usr /usr/local '/opt/two words'; do
        (
            install_to "$PWD/root" "$prefix"
            [[ $(command -v marram) == "$PWD/root$prefix/bin/marram" ]]
            counts_words
            expect_refusal 4 'marram coordinator: ' marram-coordinator --listen tcp://0.0.0.0:0
            grep -qxF "ExecStart=\"$prefix/bin/marram-worker\"" "root$prefix/lib/systemd/system/marram-worker.service"
        ) || exit 1
    done
}
uninstalled() {
    install_to "$PWD/root" /usr
    mkdir -p root/usr/share/man/man1
    echo theirs >root/usr/share/man/man1/theirs.1
    DESTDIR=$PWD/root PREFIX=/usr "$root/scripts/install.sh" uninstall "$MARRAM_BUILD" "$version"
    find root -type f -o -type l >left
    [[ $(cat left) == root/usr/share/man/man1/theirs.1 ]] || die "$(cat left)"
}
units_are_right() {
    command -v systemd-analyze >/dev/null || skip 'no systemd-analyze'
    install_to "$PWD/root" /usr
    cp root/usr/lib/systemd/system/*.service .
    # The programs are not where the units say, as nothing is installed here.
    systemd-analyze verify ./*.service 2>&1 | grep -v 'is not executable' >problems || true
    [[ ! -s problems ]] || die "$(cat problems)"
}
# Each way to build what `marram new` wrote, from the folder of the build or from what was installed.
new_job() {
    local language
    for language in c c++; do
        rm -rf mine
        "$1" new mine --language "$language" >stdout
        make -s -C mine test >log 2>&1 || die "$(cat log)"
        grep -q '^ok: [1-9][0-9]* words counted as awk does$' log || die "$(cat log)"
        shellcheck mine/test.sh
        (cd mine && cmake -B build && cmake --build build && ctest --test-dir build) >log 2>&1 || die "$(tail -20 log)"
        grep -q '100% tests passed, 0 tests failed out of 1' log || die "$(cat log)"
    done
}
new_job_of_the_build() { new_job "$marram"; }
new_job_installed() {
    install_to "$PWD/root" '/opt/two words'
    new_job marram
}
# The test of a new job finds a job that counts otherwise.
new_job_broken() {
    "$marram" new mine >/dev/null
    sed -i 's/mr_emit(task, word, 1)/mr_emit(task, word, 2)/' mine/mine.c
    expect_status 2 make -s -C mine test
    grep -q 'counts otherwise than awk' stderr || die "$(cat stderr)"
}
compilers() {
    local compiler built=0
    install_to "$PWD/root" /usr
    "$marram" new mine >/dev/null
    "$marram" new mine --dir cxx --language c++ >/dev/null
    [[ $(pkg-config --modversion marram) == "$version" && -e $(pkg-config --variable=jobdir marram)/wordcount.so ]]
    # shellcheck disable=SC2046,SC2086 # several words
    for compiler in 'cc -std=c11 mine/mine.c' 'cc -std=gnu17 mine/mine.c' 'clang-14 mine/mine.c' 'g++ -std=c++20 cxx/mine.cc' \
        'clang++-14 -std=c++20 cxx/mine.cc'; do
        command -v "${compiler%% *}" >/dev/null || continue # clang is for checks alone
        built=$((built + 1))
        rm -f mine.so
        $compiler -O2 -Wall -Wextra -Werror -Wno-missing-field-initializers $(pkg-config --cflags marram) -fPIC -shared -o mine.so
        readelf -n mine.so >notes
        grep -q '^ *Marram .*NT_VERSION' notes || die "no note by $compiler"
        MARRAM=$marram mine/test.sh ./mine.so
    done
    ((built >= 3))
}
bad_names() {
    local name
    for name in '' 1a a/b ../a 'a b' -- a.b "$(printf 'a%.0s' {1..65})"; do
        expect_status 2 "$marram" new -- "$name"
    done
    mkdir there
    expect_refusal 2 "'there' exists" "$marram" new there
    expect_refusal 2 "'none/mine'" "$marram" new mine --dir none/mine
    expect_refusal 2 'fortran' "$marram" new mine --language fortran
    [[ ! -e mine ]]
}
packages() {
    local package
    command -v dpkg-shlibdeps >/dev/null || skip 'no dpkg-dev'
    instrumented && skip 'a build with a sanitizer is for nobody to install'
    "$root/scripts/deb.sh" "$MARRAM_BUILD" "$version" >made 2>stderr || die "$(cat stderr)"
    (($(wc -l <made) == 3))
    while read -r package; do dpkg-deb -x "$package" root; done <made
    grep -q libzmq5 <(dpkg-deb -f "$(head -1 made)" Depends)
    # All that is installed is in one of the packages.
    DESTDIR=$PWD/all PREFIX=/usr "$root/scripts/install.sh" install "$MARRAM_BUILD" "$version"
    (cd all/usr && find bin lib/marram lib/pkgconfig libexec include share/man share/bash-completion -type f -o -type l 2>/dev/null) |
        sort >want
    (cd root/usr && find bin lib/marram lib/pkgconfig libexec include share/man share/bash-completion -type f -o -type l 2>/dev/null) |
        sed 's/\(man\/.*\)\.gz$/\1/' | sort >got
    expect_same got want
    PATH=$PWD/root/usr/bin:$PATH
    counts_words
    # The same tree gives the same packages.
    mkdir again
    while read -r package; do cp "$package" again/; done <made
    "$root/scripts/deb.sh" "$MARRAM_BUILD" "$version" >made
    while read -r package; do cmp "$package" "again/${package##*/}"; done <made
}
policy() {
    [[ -n ${MARRAM_FULL:-} ]] || skip 'takes long, without MARRAM_FULL=1'
    command -v lintian >/dev/null || skip 'no lintian'
    instrumented && skip 'a build with a sanitizer is for nobody to install'
    DEBEMAIL=marram@debian.org "$root/scripts/deb.sh" "$MARRAM_BUILD" "$version" >made 2>stderr || die "$(cat stderr)"
    mkdir lintian
    TMPDIR=$PWD/lintian xargs lintian --allow-root --fail-on error <made >complaints 2>&1 || die "$(grep '^E' complaints)"
    "$root/scripts/deb.sh" "$MARRAM_BUILD" "$version" >made
}
# On a system that has nothing: the packages and what they depend on, a cluster run from them, and all gone again.
bare_system() {
    local root_folder=$PWD/bare
    [[ -n ${MARRAM_FULL:-} ]] || skip 'a bare system of its own, without MARRAM_FULL=1'
    ((EUID == 0)) || skip 'needs root'
    command -v debootstrap >/dev/null || skip 'no debootstrap'
    instrumented && skip 'a build with a sanitizer is for nobody to install'
    "$root/scripts/deb.sh" "$MARRAM_BUILD" "$version" >made
    debootstrap --variant=minbase bookworm "$root_folder" >log 2>&1 || die "$(tail -3 log)"
    while read -r package; do cp "$package" "$root_folder/tmp/"; done <made
    cp "$root/tests/packaging/on_bare_system.sh" "$root_folder/tmp/"
    # What is mounted and what runs in there ends with it.
    # shellcheck disable=SC2016 # $1 is that of the inner shell
    unshare --mount --pid --fork --kill-child sh -c 'mount -t proc proc "$1/proc" && exec env -i PATH="$PATH" chroot "$1" /tmp/on_bare_system.sh' \
        sh "$root_folder" >log 2>&1 || die "$(tail -20 log)"
    grep -q '^ok: installed, used, removed, purged$' log || die "$(tail -20 log)"
}

claim 'a job runs from wherever it is installed' any_prefix
claim 'uninstall takes away what install brought, and nothing else' uninstalled
claim 'systemd accepts the units' units_are_right
claim 'a new job builds and passes its test, from the folder of the build' new_job_of_the_build
claim 'and from what was installed, under a name with a blank' new_job_installed
claim 'its test fails when it counts wrong' new_job_broken
claim 'it compiles in C and C++ with either compiler, and says its ABI in a note' compilers
claim 'what is no name, or exists, is refused' bad_names
claim 'packages have all that is installed, and are the same each time' packages
claim 'lintian finds no error in them' policy
claim 'a cluster runs from the packages on a bare system, and they leave nothing' bare_system
totals
