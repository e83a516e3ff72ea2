# Sourced by suites that look at the memory of what they run.
# shellcheck shell=bash

# Kilobytes that a process and its children hold, shared pages counted in parts; and how many of them hold 8 MiB.
held_by() {
    local -a children files
    read -ra children < <(cat /proc/"$1"/task/*/children 2>/dev/null | paste -sd' ')
    files=("${children[@]/#//proc/}")
    awk '/^Pss:/ { sum += $2; large += $2 >= 8192 } END { print sum + 0, large + 0 }' /proc/"$1"/smaps_rollup "${files[@]/%//smaps_rollup}" 2>/dev/null || true
}

# watch_memory PID: looks at it until it ends; leaves the most that it held in ./peak.
watch_memory() {
    local most=0 now
    while kill -0 "$1" 2>/dev/null; do
        read -r now _ < <(held_by "$1") || now=0
        ((now > most)) && most=$now
        sleep 0.02
    done
    echo "$most" >peak
}
