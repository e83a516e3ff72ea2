#!/usr/bin/env bash
# The images, and clusters of containers that the compose file starts: what they compute while workers come, go and break,
# and whom they let in.
#
# MARRAM_FULL=1 sorts 1 GiB instead of 128 MiB. MARRAM_TEST_IMAGES=NAME:TAG takes images NAME:TAG and NAME-toolbox:TAG
# that are there instead of building.
# shellcheck source=tests/docker/lib.sh
source "$(dirname "$0")/lib.sh"
[[ $("$root/tests/docker/available.sh") == '' ]] || exec "$root/tests/docker/available.sh"

git clone -q "$root" "$tree" || exit 1
version=$(sed -n 's/^#define MARRAM_VERSION "\(.*\)"$/\1/p' "$tree/mrlib/base/version.h")

builds() {
    local before
    if [[ -n ${MARRAM_TEST_IMAGES:-} ]]; then
        docker tag "$MARRAM_TEST_IMAGES" "$MARRAM_IMAGE"
        docker tag "${MARRAM_TEST_IMAGES/:/-toolbox:}" "$MARRAM_TOOLBOX"
        skip "built before: $MARRAM_TEST_IMAGES"
    fi
    "$tree/scripts/docker-base.sh" "$root/build/docker/base.tar"
    # What was compiled is kept for the next time, and that of the last time goes.
    before=$(docker image inspect -f '{{.Id}}' marram-test-build 2>/dev/null) || true
    build build marram-test-build
    [[ $(docker image inspect -f '{{.Id}}' marram-test-build) == "$before" ]] || docker image rm "$before" >/dev/null 2>&1 || true
    build marram "$MARRAM_IMAGE"
    build toolbox "$MARRAM_TOOLBOX"
}
of_image() { docker image inspect --format "$1" "$MARRAM_IMAGE"; }
image_is_as_promised() {
    local size
    size=$(of_image '{{.Size}}')
    ((size < 150000000)) || die "$size bytes"
    [[ $(of_image '{{index .Config.Labels "org.opencontainers.image.version"}}') == "$version" ]]
    [[ $(of_image '{{.Config.StopSignal}}') == SIGTERM ]]
    [[ $(of_image '{{.Config.Healthcheck.Test}}') == *marram-health* ]]
    [[ $(docker run --rm "$MARRAM_IMAGE" sh -c 'id -u; id -g; cat /proc/self/status' | sed -n '1p; 2p; /^CapEff/p' | tr -s '\n\t' ' ') == \
        '1000 1000 CapEff: 0000000000000000 ' ]]
    [[ $(docker run --rm "$MARRAM_IMAGE" version | head -1) == "marram $version" ]]
    docker run --rm "$MARRAM_IMAGE" doctor >checks || die "$(cat checks)"
    # No compiler, no source, no keys.
    docker run --rm "$MARRAM_IMAGE" sh -c 'command -v gcc cc make; ls -A /src /packages /keys /state 2>/dev/null; exit 0' >found 2>&1
    [[ $(grep -v '^/.*:$\|^$\|ermission' found) == '' ]] || die "$(cat found)"
}

# Independent: hexadecimal lines, sorted by the first 20 digits, equal keys in the order of the input.
hex_records() { cat "$@" | od -An -v -tx1 -w100 | tr -d ' '; }
three_workers() {
    local records=1342177 i
    [[ -z ${MARRAM_FULL:-} ]] || records=10737418
    mkdir -p data/text
    find -L /usr/share/common-licenses -type f -exec cp {} data/text/ \;
    for ((i = 0; i < 40; i++)); do cp data/text/GPL-3 "data/text/copy$i"; done
    project_up 3
    for i in $(containers coordinator) $(containers worker); do
        await_condition "[[ \$(docker inspect -f '{{.State.Health.Status}}' $i) == healthy ]]" "$i is not healthy"
    done
    submit wordcount -i /data/text -o /data/words -r 5
    reference_words data/text/* >want
    sorted_output data/words >got
    expect_same got want
    # What the job may do is no more than elsewhere.
    await_condition "\"\$marram\" workers --json | grep -q '\"seccomp\": \"on\"'" 'the executors are not confined'
    # And from a container.
    compose run --rm -T marram submit wordcount -i /data/text -o /data/again -r 5 >run.log 2>&1 || die "$(cat run.log)"
    for i in data/words/part-*; do expect_same "$i" "data/again/${i##*/}"; done
    submit teragen -i range:$records -o /data/tera
    submit terasort -i /data/tera -o /data/sorted
    (($(counter shuffle_bytes) > 0)) || die 'nothing was fetched'
    submit teravalidate -i /data/sorted -o /data/report
    grep -qx "records.$records" data/report/part-* || die "$(cat data/report/part-*)"
    # The references of this machine, without any of our cluster's code.
    hex_records data/sorted/part-* | sha256sum >got
    hex_records data/tera/part-* | sort -s -k1.1,1.20 -S 256M -T . | sha256sum >want
    expect_same got want
}
by_scale() {
    slow_sample 30000
    project_up 1
    start_slowly
    await_progress 10
    scale 4
    await_workers 4
    await_progress 30
    scale 2
    await_workers 2
    expect_running
    expect_result
    expect_counter drain_reruns 0
    expect_counter map_reruns 0
    in_order 'job planned' 'worker joined' 'worker joined' 'worker joined' 'worker drained' 'worker drained' 'job finished'
    ! grep -E 'worker lost|left too early' coordinator.log || die 'a worker did not leave in order'
}

# under_fault FUNCTION: three workers, of which one has the fault in the middle of the job; $victim is its container.
under_fault() {
    slow_sample 20000
    MARRAM_LEASE=3 project_up 3
    start_slowly
    await_progress 15
    victim=$(container worker)
    await_condition "(( \$(field running $victim) > 0))" 'the worker has nothing to do'
    "$1"
    expect_running
    expect_result
}
killed() {
    docker kill "$victim" >/dev/null
    await_condition 'said "worker lost"' 'it was not missed'
}
by_kill() {
    under_fault killed
    (($(counter map_reruns) > 0)) || die 'nothing had to be made again'
    in_order 'job planned' "worker lost .*name=$victim" 'job finished'
}
paused() {
    docker pause "$victim" >/dev/null
    await_condition 'said "worker lost"' 'it was not missed'
    docker unpause "$victim" >/dev/null
    await_workers 3
}
by_pause() {
    under_fault paused
    in_order 'job planned' "worker lost .*name=$victim" "worker joined .*name=$victim" 'job finished'
}
cut_off() {
    local network=${project}_default
    docker network disconnect "$network" "$victim"
    await_condition 'said "worker lost"' 'it was not missed'
    # Somebody else takes the address meanwhile.
    docker run -d --rm --name "$project-other" --network "$network" --entrypoint sleep "$MARRAM_IMAGE" 600 >/dev/null
    docker network connect "$network" "$victim"
    await_workers 3
    address=$(docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$victim")
    await_condition "[[ \$(field endpoint $victim) == tcp://$address:* ]]" "it does not tell its address, $address"
    docker kill "$project-other" >/dev/null
    await_condition "! docker inspect $project-other >/dev/null 2>&1" 'the other container stays'
}
by_network() {
    under_fault cut_off
    in_order 'job planned' "worker lost .*name=$victim" "worker joined .*name=$victim" 'job finished'
}
restarted() {
    docker restart "$(container coordinator)" >/dev/null
    find_coordinator
    await_workers 3
}
by_restart() {
    under_fault restarted
    in_order 'job planned' 'state restored' 'worker joined' 'job finished'
    expect_counter map_reruns 0
}
# A process that dies takes its container with it, which starts again by itself.
by_crash() {
    slow_sample 20000
    MARRAM_LEASE=3 project_up 2
    start_slowly
    await_progress 15
    victim=$(container worker)
    # shellcheck disable=SC2016 # the inner shell's
    docker exec "$victim" sh -c 'for p in /proc/[0-9]*; do [ "$(cat $p/comm)" != marram-worker ] || kill -KILL ${p#/proc/}; done'
    await_condition 'said "worker lost"' 'it was not missed'
    await_condition "[[ \$(docker inspect -f '{{.RestartCount}}' $victim) == 1 ]]" 'it did not start again'
    await_workers 2
    expect_running
    expect_result
    in_order 'job planned' "worker joined .*name=$victim" 'job finished'
}

limits() {
    local cpus memory threads worker bytes limits
    for limits in '0.5 512m 1' '1 1g 1' "$(nproc) 768m $(nproc)"; do
        read -r cpus memory threads <<<"$limits"
        MARRAM_WORKER_CPUS=$cpus MARRAM_WORKER_MEMORY=$memory project_up 1
        worker=$(container worker)
        [[ $(field threads "$worker") == "$threads" ]] || die "$(field threads "$worker") threads with $cpus processors"
        # 60 %, as always.
        bytes=$(docker inspect -f '{{.HostConfig.Memory}}' "$worker")
        (($(field memory "$worker") == (bytes - bytes % 10) * 6 / 10)) ||
            die "$(field memory "$worker") bytes of memory with $memory"
        project_down
        trap - EXIT
    done
}
toolbox() {
    mkdir -p work data/text
    chmod 1777 work
    find -L /usr/share/common-licenses -type f -exec cp {} data/text/ \;
    project_up 1
    compose run --rm -T -v "$PWD/work:/work" toolbox bash -ec '
        marram new mine && make -C mine test
        marram submit mine/mine.so -p least=4 -i /data/text -o /data/out' >run.log 2>&1 || die "$(tail -20 run.log)"
    grep -q '^ok: [1-9][0-9]* words counted as awk does$' run.log || die "$(cat run.log)"
    # What the job of marram new counts: words of four letters or more, those of at most 64 without regard to case.
    # shellcheck disable=SC2016 # sed's
    tr -s '\000-\040' '\n' < <(sed -s '$G' data/text/*) |
        awk 'length($0) <= 64 { $0 = tolower($0) } length($0) >= 4 { n[$0]++ } END { for (w in n) print w "\t" n[w] }' | sort >want
    sorted_output data/out >got
    expect_same got want
}

# Nobody is let in by $@, a command that asks the coordinator.
refused() {
    local status=0
    timeout 60 "$@" >stdout 2>stderr || status=$?
    ((status == 3 || status == 4)) || die "status $status: $* $(cat stdout stderr)"
    [[ ! -s stdout ]] || die "it was told: $(cat stdout)"
}
doors() {
    local id bindings address secret http
    project_up 1
    id=$(container coordinator)
    bindings=$(docker inspect -f '{{range $port, $at := .NetworkSettings.Ports}}{{range $at}}{{.HostIp}} {{end}}{{end}}' "$id")
    [[ $bindings == '127.0.0.1 127.0.0.1 ' ]] || die "published on $bindings"
    [[ -z $(docker port "$(container worker)") ]] || die 'a worker publishes a port'
    # From other addresses of this machine nobody is there.
    for address in $(ip -4 -o addr show scope global | sed 's|.* inet \([0-9.]*\)/.*|\1|'); do
        ! (: <"/dev/tcp/$address/${MARRAM_COORDINATOR##*:}") 2>/dev/null || die "the port is open at $address"
    done
    "$marram" workers >/dev/null
    refused env -u MARRAM_KEYS "$marram" workers
    "$marram" keys other >/dev/null
    refused "$marram" workers --keys other
    # Nor from the network of the containers.
    refused docker run --rm --network "${project}_default" "$MARRAM_IMAGE" workers --coordinator tcp://coordinator:7077
    # With the key of a worker nobody is a client.
    docker cp "$(container worker):/keys" worker-keys >/dev/null
    chown -R "$EUID" worker-keys
    rm worker-keys/client.*
    refused "$marram" workers --keys worker-keys
    (($(joined) == 1)) || die 'somebody came in'
    # The secret of the coordinator is in its own containers alone.
    secret=$(compose exec -T coordinator sh -c 'cat /keys/coordinator.secret' | sed -n 's/.*secret-key = "\(.*\)".*/\1/p')
    ((${#secret} >= 40)) || die 'no secret was found'
    compose exec -T worker sh -c "grep -rlF '$secret' /keys /scratch /data" >found 2>/dev/null || true
    [[ ! -s found ]] || die "a worker has the secret: $(cat found)"
    ! grep -rlF "$secret" keys data || die 'the host has the secret'
    # HTTP tells only who knows the token.
    http=http://$(docker port "$id" 7080/tcp | head -1)
    [[ $(curl -s -o stdout -w '%{http_code}' "$http/api/v1/workers") == 401 ]] || die "$(cat stdout)"
    [[ $(curl -s -o stdout -w '%{http_code}' -H "Authorization: Bearer $(cat keys/http-token)" "$http/api/v1/workers") == 200 ]] ||
        die "$(cat stdout)"
}
# The commands of the section, as they stand there but for the ports and the folder of the programs.
commands_of_the_readme() {
    sed -n '/^### In containers$/,/^##* When/p' "$root/README.md" | sed -n 's/^    //p' | sed 's/ *#.*//' >commands
    (($(wc -l <commands) >= 7)) || die "$(cat commands)"
    project=marramtest$$x$RANDOM
    trap project_down EXIT
    : >scratch-volumes
    # shellcheck disable=SC2016 # the inner shell's
    sed -i "s|^docker-compose|${compose_words[*]}|; s|build/release/|$(dirname "$marram")/|"'
        s|127.0.0.1:7077|$('"${compose_words[*]}"' -f docker/compose.yaml port coordinator 7077)|' commands
    # shellcheck disable=SC2016 # a fence
    sed -n '/^```c$/,/^```$/p' "$root/README.md" | sed '1d; $d' >"$tree/longwords.c"
    gcc -O2 -fPIC -shared -I"$tree/mrlib/include" -o "$tree/longwords.so" "$tree/longwords.c"
    (
        cd "$tree"
        unset MARRAM_DATA MARRAM_HOST_KEYS
        export COMPOSE_PROJECT_NAME=$project MARRAM_PORT=0 MARRAM_HTTP_PORT=0
        bash -ex ../work/commands
    ) >stdout 2>stderr || die "$(tail -20 stderr)"
    docker run --rm "$MARRAM_IMAGE" sh -c 'cat /usr/share/common-licenses/*' >text
    tr -s '\000-\040' '\n' <text | awk 'length($0) >= 14' | sort | uniq -c | awk '{ print $2 "\t" $1 }' | sort >want
    [[ -s want ]]
    grep -v '^ *$' stdout | tail -n "$(wc -l <want)" >got
    expect_same got want
    grep -q 'worker_8' stderr || grep -q 'worker-8' stderr || die 'there were never eight'
}
# Down and up again without -v: the same keys, and what jobs wrote.
once_more() {
    project_up 1
    cp keys/client.secret before
    compose down >down.log 2>&1 || die "$(cat down.log)"
    scale 1
    find_coordinator
    await_workers 1
    expect_same keys/client.secret before
    submit wordcount -i /usr/share/common-licenses -o /data/words
}

claim 'images build from a clean clone' builds
claim 'the image is small, not root, labelled, and has nothing that it does not need' image_is_as_promised
claim 'three healthy workers count and sort as other tools do, for clients of host and container' three_workers
claim 'workers 1, 4, 2 while a job runs: the same bytes, nothing made again' by_scale
claim 'a container that is killed: the same bytes' by_kill
claim 'one that is paused for longer than its lease: the same bytes, and it comes back' by_pause
claim 'one that is cut off, and comes back with another address' by_network
claim 'the container of the coordinator starts anew: the same bytes, nothing made again' by_restart
claim 'a worker that crashes is started again' by_crash
claim 'limits of a container are what its worker uses' limits
claim 'a job compiled in the toolbox runs' toolbox
claim 'the commands of the README do what it says' commands_of_the_readme
claim 'down and up again: the same keys' once_more
claim 'ports are on 127.0.0.1, and nobody without a key is told anything' doors
totals
