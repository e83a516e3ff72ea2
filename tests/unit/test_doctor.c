/* What the doctor says of kernels that are not as they should be. */
#include "tests/lib/cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "cli/doctor.h"
#include "tests/lib/folder.h"

static const struct finding *find(const struct findings *findings, const char *check)
{
    for (size_t i = 0; i < findings->count; i++)
        if (!strcmp(findings->items[i].check, check))
            return &findings->items[i];
    fail_msg("nothing is said of %s", check);
    return NULL;
}

static void expect(const struct findings *findings, const char *check, enum finding_state state,
                   const char *words)
{
    const struct finding *finding = find(findings, check);

    if (finding->state != state || !strstr(finding->text, words))
        fail_msg("%s: %d, %s", check, finding->state, finding->text);
    /* Whoever complains says what to do. */
    assert_true((state == FINDING_OK) == (finding->mend == NULL));
}

static void a_kernel_that_is_as_it_should_be_gets_no_complaint(void **state)
{
    struct findings findings = {.count = 0};
    char *folder = folder_new();

    (void)state;
    folder_text(folder, "sys/devices/system/clocksource/clocksource0/current_clocksource",
                "tsc\n");
    folder_text(folder, "sys/kernel/mm/transparent_hugepage/enabled",
                "always [madvise] never\n");
    folder_text(folder, "proc/sys/vm/overcommit_memory", "0\n");
    doctor_kernel(&findings, folder);
    expect(&findings, "clock", FINDING_OK, "tsc");
    expect(&findings, "huge pages", FINDING_OK, "[madvise]");
    expect(&findings, "overcommit", FINDING_OK, "0");
    expect(&findings, "memory", FINDING_OK, "iB");
    expect(&findings, "processors", FINDING_OK, "may be used");
    findings_done(&findings);
    folder_remove(folder);
}

static void each_weakness_of_a_kernel_is_named(void **state)
{
    struct findings findings = {.count = 0};
    char *folder = folder_new();

    (void)state;
    folder_text(folder, "sys/devices/system/clocksource/clocksource0/current_clocksource",
                "hpet\n");
    folder_text(folder, "sys/kernel/mm/transparent_hugepage/enabled",
                "always madvise [never]\n");
    folder_text(folder, "proc/sys/vm/overcommit_memory", "2\n");
    folder_text(folder, "proc/self/cgroup", "0::/\n");
    folder_text(folder, "proc/self/mountinfo", "30 23 0:26 / /cg rw - cgroup2 cgroup rw\n");
    folder_text(folder, "cg/memory.max", "134217728\n");
    folder_text(folder, "cg/cpu.max", "25000 100000\n");
    doctor_kernel(&findings, folder);
    expect(&findings, "clock", FINDING_WARNING, "hpet");
    expect(&findings, "huge pages", FINDING_WARNING, "off");
    expect(&findings, "overcommit", FINDING_WARNING, "promises no memory");
    expect(&findings, "memory", FINDING_WARNING, "/cg, is little");
    expect(&findings, "processors", FINDING_WARNING, "0.25 of a processor");
    expect(&findings, "confinement", FINDING_WARNING, "no seccomp");
    findings_done(&findings);
    folder_text(folder, "cg/memory.max", "33554432\n");
    doctor_kernel(&findings, folder);
    expect(&findings, "memory", FINDING_FAILED, "32.0 MiB");
    findings_done(&findings);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kernel_that_is_as_it_should_be_gets_no_complaint),
        cmocka_unit_test(each_weakness_of_a_kernel_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
