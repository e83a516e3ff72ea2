# Records of 200 bytes made durable by the coordinator's journal, so many of them outstanding at a time, beside a
# program that writes and syncs each by itself: what group commit is worth, and what the journal's thread costs.
# shellcheck shell=bash disable=SC2154
journal_records=2000
make --no-print-directory -s BUILD=release build/release/tests/bench/journal_rate >/dev/null
journal_rate() {
    local how=$1
    shift
    rm -rf "$bench/journal"
    mkdir "$bench/journal"
    "$build/tests/bench/journal_rate" "$how" "$bench/journal" "$journal_records" "$@"
}
journal_1() { journal_rate journal 1; }
journal_64() { journal_rate journal 64; }
journal_1000() { journal_rate journal 1000; }
journal_plain() { journal_rate plain; }
journal_holds() { "$build/tests/bench/journal_rate" check "$bench/journal" "$journal_records"; }
pair 'journal, 1 outstanding' ratio 1.3 journal_1 journal_plain journal_holds 1 "$long_rounds"
pair 'journal, 64 outstanding' ratio 0.1 journal_64 journal_plain journal_holds 1 "$long_rounds"
pair 'journal, 1000 outstanding' ratio 0.05 journal_1000 journal_plain journal_holds 1 "$long_rounds"
rm -rf "$bench/journal"
