#include "wire/strangers.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

void strangers_tend(struct strangers *strangers, int64_t now_ms)
{
    if (!strangers->since_ms || now_ms - strangers->since_ms < STRANGERS_WINDOW_MS)
        return;
    if (strangers->unsaid)
        log_event(LOG_WARNINGS, "more peers refused", LOG_NUMBER("count", strangers->unsaid),
                  LOG_NUMBER("seconds", STRANGERS_WINDOW_MS / 1000));
    *strangers = (struct strangers){0};
}

static bool was_said(const struct strangers *strangers, const char *address, const char *why)
{
    for (int i = 0; i < strangers->count; i++)
        if (!strcmp(strangers->said[i].address, address) &&
            !strcmp(strangers->said[i].why, why))
            return true;
    return false;
}

void strangers_tell(struct strangers *strangers, const char *address, const char *why,
                    const char *key, int64_t now_ms)
{
    strangers_tend(strangers, now_ms);
    if (!strangers->since_ms)
        strangers->since_ms = now_ms;
    if (strangers->count == STRANGERS_LINES || was_said(strangers, address, why)) {
        strangers->unsaid++;
        return;
    }
    snprintf(strangers->said[strangers->count].address, sizeof strangers->said->address, "%s",
             address);
    snprintf(strangers->said[strangers->count].why, sizeof strangers->said->why, "%s", why);
    strangers->count++;
    log_event(LOG_WARNINGS, "peer refused", LOG_TEXT("address", address), LOG_TEXT("why", why),
              LOG_TEXT("key", *key ? key : "none"));
}
