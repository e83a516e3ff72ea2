#!/usr/bin/env bash
# What `make install` and `make uninstall` do: puts what was built under DESTDIR and PREFIX, or takes it away again.
#
#     scripts/install.sh install|uninstall BUILD-FOLDER VERSION      (DESTDIR and PREFIX from the environment)
set -euo pipefail
cd "$(dirname "$0")/.."

what=$1
built=$2
version=$3
prefix=${PREFIX:-/usr/local}
top=${DESTDIR:-}$prefix

filled_in() { sed "s|@BINDIR@|$prefix/bin|g; s|@VERSION@|$version|g" "$1"; }

# Each file: mode, source, target.
files() {
    local file
    echo "755 $built/marram bin/marram"
    for file in marram-executor marram-symbols; do echo "755 $built/$file libexec/marram/$file"; done
    for file in "$built"/jobs/*.so; do echo "644 $file lib/marram/jobs/${file##*/}"; done
    for file in mrlib/include/mr/*.h; do echo "644 $file include/mr/${file##*/}"; done
    for file in "$built"/share/man/man[1-9]/*; do
        echo "644 $file ${file#"$built"/}"
    done
    echo "644 $built/share/bash-completion/completions/marram share/bash-completion/completions/marram"
    echo '644 LICENSE share/doc/marram/LICENSE'
    echo '644 README.md share/doc/marram/README.md'
    echo '644 scripts/packaging/marram.pc.in lib/pkgconfig/marram.pc'
    echo '644 scripts/packaging/marram-coordinator.service.in lib/systemd/system/marram-coordinator.service'
    echo '644 scripts/packaging/marram-worker.service.in lib/systemd/system/marram-worker.service'
}
# Other names of files, beside them.
links=(bin/marram-coordinator bin/marram-worker share/bash-completion/completions/marram-coordinator
    share/bash-completion/completions/marram-worker)

install_all() {
    local mode source target link
    while read -r mode source target; do
        if [[ $source == *.in ]]; then
            install -d "$top/${target%/*}"
            filled_in "$source" >"$top/$target"
            chmod "$mode" "$top/$target"
        else
            install -D -m "$mode" "$source" "$top/$target"
        fi
    done < <(files)
    for link in "${links[@]}"; do ln -sf marram "$top/$link"; done
}

uninstall_all() {
    local target link
    while read -r _ _ target; do rm -f "$top/$target"; done < <(files)
    for link in "${links[@]}"; do rm -f "$top/$link"; done
    for target in libexec/marram lib/marram/jobs lib/marram include/mr share/doc/marram; do
        rmdir "$top/$target" 2>/dev/null || true
    done
}

case $what in
install) install_all ;;
uninstall) uninstall_all ;;
*)
    echo "install.sh: install or uninstall, not '$what'" >&2
    exit 2
    ;;
esac
