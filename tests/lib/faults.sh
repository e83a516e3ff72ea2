# Sourced by suites whose jobs misbehave: an input with one bad line, and what must follow.
# shellcheck shell=bash disable=SC2034,SC2154 # names of the harness and of the suites

# 100,000 lines, one of which is bad; $offset says where.
sample() {
    awk 'BEGIN { for (i = 0; i < 60000; i++) print "word" i % 1000, "filler of no interest" }' >in
    offset=$(wc -c <in)
    echo BAD >>in
    awk 'BEGIN { for (i = 0; i < 40000; i++) print "word" i % 77, "more filler" }' >>in
}
record() { echo "record at '$PWD/in' offset $offset"; }

# crash JOB WORDS PARAMETERS...: the job fails, says WORDS, and leaves no output; JSON in ./json
crash() {
    local job=$1 words=$2 status=0
    shift 2
    timeout "${DEADLINE:-120}" "$marram" run "$testjobs/$job.so" -i in -o out --split-size 500K --workers 2 --threads 2 \
        -r 5 --json "$@" >json 2>stderr || status=$?
    ((status == 1)) || die "status $status, not 1: $(cat stderr)"
    grep -qF -- "$words" stderr || die "stderr does not say '$words': $(cat stderr)"
    [[ ! -e out ]] || die 'there is an output folder'
    [[ -z $(ls -d out.marram-* 2>/dev/null) ]] || die 'there is a staging folder'
    # Four attempts of the guilty task, and none of another's.
    [[ ${attempts:-4} == any ]] || expect_counter failed_attempts 4
}

# crash_on_cluster JOB WORDS PARAMETERS...: the same on a cluster of one worker, which must live on, and serve the next
# job. What was said is in ./failure.
crash_on_cluster() {
    local job=$1 words=$2 status=0
    shift 2
    timeout 120 "$marram" submit "$testjobs/$job.so" -i in -o out --split-size 500K -r 5 --json "$@" >json 2>stderr ||
        status=$?
    ((status == 1)) || die "status $status, not 1: $(cat stderr)"
    grep -qF -- "$words" stderr || die "stderr does not say '$words': $(cat stderr)"
    mv stderr failure
    [[ ! -e out ]] || die 'there is an output folder'
    worker_lives_on
}
worker_lives_on() {
    local pids
    pids=$("$marram" workers --json | sed -n 's/.*"pid": \([0-9]*\).*/\1/p')
    [[ $pids == "${worker_pid[w1]}" ]] || die "the workers are $pids, not ${worker_pid[w1]}: $(tail -3 w1.log)"
    ! grep -qE 'worker lost|begins anew' ./*.log || die "$(grep -hE 'worker lost|begins anew' ./*.log)"
    rm -rf after
    run wordcount -i in -o after -r 5
    sorted_output after >got
    reference_words in >wanted
    expect_same got wanted
}
