#!/usr/bin/env bash
# The base of our images, debian:bookworm-slim, where no registry is reachable: made with debootstrap.
#
#     scripts/docker-base.sh [TAR]      (default: build/docker/base.tar, which is kept and used the next time)
#
# Does nothing when the image is there, and pulls it when a registry answers. What the image holds is close to what
# Debian publishes under that name: the packages that every Debian has, without documentation and translations. It
# fetches packages as this machine does, through the same mirror and with the same settings of apt.
set -euo pipefail
cd "$(dirname "$0")/.."

image=debian:bookworm-slim
tar=${1:-build/docker/base.tar}

say() { echo "docker-base.sh: $*" >&2; }

docker version >/dev/null 2>&1 || {
    say 'no Docker engine answers: install docker.io, start it, and join the group docker'
    exit 1
}
if docker image inspect "$image" >/dev/null 2>&1; then exit 0; fi
if [[ ! -s $tar ]] && timeout 120 docker pull -q "$image" 2>/dev/null; then exit 0; fi

make_tar() {
    local work mirror settings
    if ((EUID)); then
        say "no registry answers, and only root can run debootstrap: sudo scripts/docker-base.sh"
        exit 1
    fi
    scripts/install-deps.sh docker
    work=$(mktemp -d)
    # shellcheck disable=SC2064 # the folder of now
    trap "rm -rf '$work'" EXIT
    # shellcheck disable=SC2016 # apt's
    mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Codename: bookworm' 2>/dev/null | head -1)
    say "no registry answers: making $image from ${mirror:=http://deb.debian.org/debian}"
    debootstrap --variant=minbase bookworm "$work/root" "$mirror" >"$work/log" 2>&1 || {
        tail -5 "$work/log" >&2
        say 'debootstrap failed'
        exit 1
    }
    # Settings without which this machine would not get its packages either.
    settings=$work/root/etc/apt/apt.conf.d/10acquire
    cat /etc/apt/apt.conf /etc/apt/apt.conf.d/* 2>/dev/null | grep '^Acquire::' >"$settings" || rm "$settings"
    # As in the image of a registry: what nobody reads in a container is not there, nor comes with more packages.
    printf 'path-exclude /usr/share/%s\n' 'doc/*' 'man/*' 'locale/*' >"$work/root/etc/dpkg/dpkg.cfg.d/slim"
    echo 'path-include /usr/share/doc/*/copyright' >>"$work/root/etc/dpkg/dpkg.cfg.d/slim"
    find "$work/root/usr/share/doc" ! -type d ! -name copyright -delete
    rm -rf "$work"/root/usr/share/{man,locale}/* "$work"/root/var/cache/apt/* "$work"/root/var/lib/apt/lists/* \
        "$work"/root/var/log/*.log
    # Whole or not at all.
    mkdir -p "$(dirname "$tar")"
    tar -C "$work/root" --numeric-owner -cf "$tar.new" .
    mv "$tar.new" "$tar"
}

[[ -s $tar ]] || make_tar
docker import --change 'CMD ["bash"]' "$tar" "$image" >/dev/null
say "$image is there"
