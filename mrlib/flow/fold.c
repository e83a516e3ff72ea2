#include "flow/fold.h"

#include <math.h>
#include <string.h>

#include "base/check.h"

static int64_t join_i64(enum mr_fold how, int64_t a, int64_t b)
{
    switch (how) {
    case MR_SUM_I64:
    case MR_COUNT:
        return (int64_t)((uint64_t)a + (uint64_t)b);
    case MR_MIN_I64:
        return a < b ? a : b;
    case MR_MAX_I64:
        return a > b ? a : b;
    default:
        check(!"an integer fold");
        return 0;
    }
}

/* Of two doubles neither of which is less. NaN loses against a number; for -0.0 and 0.0, and
 * for NaNs among themselves, the bits decide, so that the result does not depend on the order.
 */
static double join_alike(enum mr_fold how, double a, double b)
{
    uint64_t x, y;

    if (isnan(a) != isnan(b))
        return isnan(a) ? b : a;
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    /* -0.0 has the larger bits. */
    return (x > y) == (how == MR_MIN_F64) ? a : b;
}

static double join_f64(enum mr_fold how, double a, double b)
{
    switch (how) {
    case MR_SUM_F64:
        return a + b;
    case MR_MIN_F64:
        return a < b ? a : b < a ? b : join_alike(how, a, b);
    case MR_MAX_F64:
        return a > b ? a : b > a ? b : join_alike(how, a, b);
    default:
        check(!"a floating-point fold");
        return 0;
    }
}

void fold_start(const struct fold *fold, void *value)
{
    const int64_t one = 1;

    for (uint32_t i = 0; i < fold->lanes; i++)
        if (fold->lane[i] == MR_COUNT)
            memcpy((char *)value + 8 * i, &one, sizeof one);
}

void fold_join(const struct fold *fold, void *into, const void *from)
{
    for (uint32_t i = 0; i < fold->lanes; i++) {
        char *place = (char *)into + 8 * i;
        const char *other = (const char *)from + 8 * i;

        if (fold->floating) {
            double a, b;

            memcpy(&a, place, sizeof a);
            memcpy(&b, other, sizeof b);
            a = join_f64(fold->lane[i], a, b);
            memcpy(place, &a, sizeof a);
        } else {
            int64_t a, b;

            memcpy(&a, place, sizeof a);
            memcpy(&b, other, sizeof b);
            a = join_i64(fold->lane[i], a, b);
            memcpy(place, &a, sizeof a);
        }
    }
}
