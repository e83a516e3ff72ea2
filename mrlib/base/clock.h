/* Time for leases, timeouts and durations: CLOCK_BOOTTIME, which no one sets and which counts
 * sleep. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Nanoseconds and milliseconds since boot. */
int64_t clock_ns(void);
int64_t clock_ms(void);

#endif
