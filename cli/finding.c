#include "cli/finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cli/show.h"
#include "wire/info.h"

void findings_add(struct findings *findings, const char *check, enum finding_state state,
                  const char *mend, const char *format, ...)
{
    struct finding *finding;
    char text[1000];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    memory_reserve(&findings->items, &findings->capacity, findings->count + 1,
                   sizeof *findings->items);
    finding = &findings->items[findings->count++];
    *finding =
        (struct finding){check, state, memory_text(text), mend ? memory_text(mend) : NULL};
}

size_t findings_count(const struct findings *findings, enum finding_state state)
{
    size_t count = 0;

    for (size_t i = 0; i < findings->count; i++)
        count += findings->items[i].state == state;
    return count;
}

static void print_json(const struct findings *findings)
{
    static const char *const states[] = {"ok", "warning", "failed"};
    json_t *root = json_object(), *list = json_array();

    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->items[i];
        const char *mend = finding->mend;
        json_t *item = json_object();

        json_object_set_new(item, "check", json_string(finding->check));
        json_object_set_new(item, "state", json_string(states[finding->state]));
        json_object_set_new(item, "text", info_text(finding->text, strlen(finding->text)));
        json_object_set_new(item, "mend", mend ? info_text(mend, strlen(mend)) : json_null());
        json_array_append_new(list, item);
    }
    json_object_set_new(root, "checks", list);
    json_object_set_new(root, "warnings",
                        json_integer((json_int_t)findings_count(findings, FINDING_WARNING)));
    json_object_set_new(root, "failed",
                        json_integer((json_int_t)findings_count(findings, FINDING_FAILED)));
    show_json(root);
}

void findings_print(const struct findings *findings, bool json)
{
    static const char *const states[] = {"ok", "warning", "FAILED"};

    if (json) {
        print_json(findings);
        return;
    }
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->items[i];

        printf("%-8s %-12s %s%s%s\n", states[finding->state], finding->check, finding->text,
               finding->mend ? ": " : "", finding->mend ? finding->mend : "");
    }
}

void findings_done(struct findings *findings)
{
    for (size_t i = 0; i < findings->count; i++) {
        free(findings->items[i].text);
        free(findings->items[i].mend);
    }
    free(findings->items);
    *findings = (struct findings){.count = 0};
}
