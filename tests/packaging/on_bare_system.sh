#!/bin/bash
# In a bare system with the packages in /tmp: installs them, runs a cluster and a job, removes them. Called by
# tests/cluster/test_install.sh.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

apt-get -q update
apt-get -q install -y --no-install-recommends /tmp/marram_*.deb /tmp/marram-jobs_*.deb
[[ $(stat -c %U /var/lib/marram) == marram ]]
# An array, not a function: $! is the daemon itself.
as_marram=(setpriv --reuid marram --regid marram --clear-groups)
# until CONDITION...: waits for it, a minute at most
until_true() {
    local i
    for ((i = 0; i < 600; i++)); do
        "$@" && return
        sleep 0.1
    done
    echo "in vain: $*" && tail /tmp/*.log
    exit 1
}
joined() { (($(marram workers --json 2>/dev/null | grep -c '"name"') == 2)); }

install -d -o marram /data
cat /usr/share/common-licenses/* >/data/text
tr -s '\000-\040' '\n' </data/text | grep -a . | sort | uniq -c | awk '{ print substr($0, 9) "\t" $1 }' | sort >/tmp/want

"${as_marram[@]}" marram-coordinator --listen tcp://127.0.0.1:0 --state /var/lib/marram/coordinator 2>/tmp/coordinator.log &
coordinator=$!
until_true test -s /var/lib/marram/coordinator/endpoint
MARRAM_COORDINATOR=$(cat /var/lib/marram/coordinator/endpoint)
export MARRAM_COORDINATOR
declare -A worker=()
for name in one two; do
    "${as_marram[@]}" marram-worker --name $name --threads 1 --memory 256M --scratch /var/lib/marram/scratch-$name 2>/tmp/$name.log &
    worker[$name]=$!
done
until_true joined
marram submit wordcount -i /data/text -o /data/words
[[ -s /tmp/want ]]
sort /data/words/part-* | cmp - /tmp/want
marram drain one
wait "${worker[one]}"
marram submit wordcount -i /data/text -o /data/again
cmp <(cat /data/words/part-*) <(cat /data/again/part-*)
kill "${worker[two]}"
wait "${worker[two]}"
kill "$coordinator"
wait "$coordinator"

apt-get -q remove -y marram marram-jobs
[[ ! -e /usr/bin/marram && -e /etc/default/marram && -d /var/lib/marram ]]
apt-get -q purge -y marram marram-jobs
for left in /etc/default/marram /etc/marram /var/lib/marram /usr/lib/marram /usr/libexec/marram; do
    [[ ! -e $left ]] || { echo "left: $left" && exit 1; }
done
echo 'ok: installed, used, removed, purged'
