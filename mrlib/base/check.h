/* Assertions that are never compiled out. A failed check means our own bug: a bad peer, disk,
 * file or job is an error, never a check. */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stdbool.h>

/* Prints the place and the condition to stderr and aborts. */
_Noreturn void check_failed(const char *file, int line, const char *condition);

#define check(condition) \
    (__builtin_expect(!(condition), 0) ? check_failed(__FILE__, __LINE__, #condition) : (void)0)

#endif
