/* The scheduler in simulated clusters. MARRAM_SIM_SEEDS=N tries N seeds, MARRAM_SIM_SEED=S just
 * one. */
#include "tests/lib/cmocka_all.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/sim.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif
#ifdef SANITIZED
enum { SEEDS = 300 };
#else
enum { SEEDS = 2000 };
#endif

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static void try_seed(uint64_t seed, uint64_t *counts)
{
    struct sim_report report;

    sim_run(seed, NULL, NULL, &report);
    for (int i = 0; i < SIM_COUNTS; i++)
        counts[i] += report.counts[i];
    if (report.failure) {
        print_message("seed %" PRIu64 ": %s", seed, report.failure);
        print_message("replay: MARRAM_SIM_SEED=%" PRIu64 " <this program>\n", seed);
        free(report.failure);
        fail();
    }
}

static void every_job_comes_to_the_end_it_deserves_whatever_fails(void **state)
{
    uint64_t counts[SIM_COUNTS] = {0}, seeds = number_from("MARRAM_SIM_SEEDS", SEEDS);
    const char *one = getenv("MARRAM_SIM_SEED");

    (void)state;
    if (one && *one) {
        try_seed(number_from("MARRAM_SIM_SEED", 0), counts);
        seeds = 0;
    }
    for (uint64_t seed = 1; seed <= seeds; seed++)
        try_seed(seed, counts);
    for (int i = 0; i < SIM_COUNTS; i++)
        print_message("%12" PRIu64 " %s\n", counts[i], sim_count_words((enum sim_count)i));
    /* A simulation in which something never happened says nothing about it. */
    for (int i = 0; i < SIM_COUNTS && seeds >= 50; i++)
        if (!counts[i])
            fail_msg("no %s", sim_count_words((enum sim_count)i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_job_comes_to_the_end_it_deserves_whatever_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
