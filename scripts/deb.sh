#!/usr/bin/env bash
# Debian packages of what was built: marram (programs), marram-jobs (the jobs that ship), marram-dev (the header).
#
#     scripts/deb.sh BUILD-FOLDER VERSION      writes *.deb into BUILD-FOLDER/deb
#
# DEBFULLNAME and DEBEMAIL, as for other Debian tools, say who answers for them.
# The same tree gives the same packages: times are that of the last commit.
set -euo pipefail
cd "$(dirname "$0")/.."

built=$(realpath "$1")
version=$2
architecture=$(dpkg --print-architecture)
maintainer="${DEBFULLNAME:-The Marram authors} <${DEBEMAIL:-marram@localhost}>"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
# Permissions in a package are not those of who builds it.
umask 022
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

DESTDIR=$work/all PREFIX=/usr scripts/install.sh install "$built" "$version"
# Systemd's place for units of packages.
mkdir -p "$work/all/lib"
mv "$work/all/usr/lib/systemd" "$work/all/lib/"
rm -rf "$work/all/usr/share/doc"
strip --strip-unneeded "$work/all/usr/bin/marram" "$work"/all/usr/libexec/marram/* "$work"/all/usr/lib/marram/jobs/*.so

# take PACKAGE PATH...: from what was installed into the package
take() {
    local package=$1 path
    shift
    for path in "$@"; do
        [[ -e $work/all/$path ]] || continue
        mkdir -p "$work/$package/${path%/*}"
        mv "$work/all/$path" "$work/$package/$path"
    done
}
take marram-dev usr/include usr/lib/pkgconfig
take marram-jobs usr/lib/marram
take marram usr/bin usr/libexec usr/share lib
install -D -m 644 scripts/packaging/default "$work/marram/etc/default/marram"
install -D -m 644 scripts/packaging/marram.conf "$work/marram/etc/marram/marram.conf"

# The packages of the libraries that the files of a package need.
needs() {
    local -a files
    mapfile -t files < <(find "$work/$1" -type f \( -name '*.so' -o -perm -100 \) ! -path '*/DEBIAN/*')
    mkdir -p "$work/shlibs/debian"
    : >"$work/shlibs/debian/control"
    (cd "$work/shlibs" && dpkg-shlibdeps -O "${files[@]/#/-e}" 2>/dev/null) | sed 's/^shlibs:Depends=//'
}

# document PACKAGE: what policy wants to find in /usr/share/doc
document() {
    local folder=$work/$1/usr/share/doc/$1
    mkdir -p "$folder"
    {
        sed "s/@COPYRIGHT@/$(sed -n 's/^Copyright (c) //p' LICENSE)/" scripts/packaging/copyright
        sed '1,/^Permission/{/^Permission/!d}; s/^$/./; s/^/ /' LICENSE
    } >"$folder/copyright"
    printf 'marram (%s) bookworm; urgency=medium\n\n  * Version %s.\n\n -- %s  %s\n' "$version" "$version" "$maintainer" \
        "$(date -u -R -d "@$SOURCE_DATE_EPOCH")" | gzip -9n >"$folder/changelog.gz"
    find "$work/$1/usr/share/man" -type f -exec gzip -9n {} + 2>/dev/null || true
    find "$work/$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

# package NAME SECTION DEPENDS SUMMARY, its description on stdin
package() {
    local name=$1 section=$2 depends=$3 summary=$4 control=$work/$1/DEBIAN
    document "$name"
    mkdir -p "$control"
    {
        echo "Package: $name"
        echo "Version: $version"
        echo "Architecture: $architecture"
        echo "Maintainer: $maintainer"
        echo "Section: $section"
        echo 'Priority: optional'
        echo "Installed-Size: $(du -sk --apparent-size "$work/$name" | cut -f1)"
        [[ -z $depends ]] || echo "Depends: $depends"
        [[ $name != marram ]] || echo 'Recommends: marram-jobs'
        echo "Description: $summary"
        sed 's/^/ /'
    } >"$control/control"
    if [[ $name == marram ]]; then
        (cd "$work/$name" && find etc -type f -printf '/%p\n' | sort) >"$control/conffiles"
        install -m 755 scripts/packaging/postinst scripts/packaging/prerm scripts/packaging/postrm "$control/"
    fi
    (cd "$work/$name" && find . -type f ! -path './DEBIAN/*' ! -path './etc/*' -printf '%P\0' | sort -z | xargs -0 md5sum) >"$control/md5sums"
    find "$control" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
    mkdir -p "$built/deb"
    dpkg-deb --root-owner-group -Zxz -b "$work/$name" "$built/deb" >/dev/null
    echo "$built/deb/${name}_${version}_$architecture.deb"
}

package marram admin "$(needs marram), passwd" 'MapReduce for compiled code' <<'END'
A job is a shared object with a map and a reduce, a cluster is a coordinator
and workers that come and go. The same input gives the same bytes, however
many workers take part and whatever fails.
.
This package has the programs and units for systemd, which are not started
until they are enabled.
END
package marram-jobs admin "$(needs marram-jobs), marram (= $version)" 'jobs that ship with Marram' <<'END'
Word count, grep, sort, tera sort and others, compiled, for marram run and
marram submit.
END
package marram-dev devel '' 'header of jobs for Marram' <<'END'
<mr/job.h> is all that a job includes; pkg-config knows where it is.
marram new, of the package marram, begins a job.
END
