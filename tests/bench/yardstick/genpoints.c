/* genpoints: points in 16 bell-shaped clouds, as rows of float32, for k-means.
 *
 *     genpoints points.f32 5000000 4 11
 *
 * The bell is the sum of four uniform numbers, far cheaper than a true Gaussian. `fmaf` is
 * spelled out so that a build with fused multiply-add and one without write the same bytes. */
#define _GNU_SOURCE

#include "rng.h"
#include "yardstick.h"
#include <math.h>

#define USAGE "OUT POINTS DIMENSIONS SEED"

enum { CLOUDS = 16, DIMENSIONS_MAX = 16, SPREAD = 60, SPACE = 1000 };

int main(int argc, char **argv)
{
    float centres[CLOUDS][DIMENSIONS_MAX], point[DIMENSIONS_MAX];

    if (argc != 5)
        usage(USAGE);
    uint64_t points = number(argv[2], 0, INT64_MAX, USAGE);
    size_t dimensions = number(argv[3], 1, DIMENSIONS_MAX, USAGE);
    uint64_t state = number(argv[4], 0, UINT64_MAX, USAGE);
    FILE *file = create_stream(argv[1]);

    for (size_t cloud = 0; cloud < CLOUDS; cloud++)
        for (size_t axis = 0; axis < dimensions; axis++)
            centres[cloud][axis] = (float)(rng_fraction(&state) * SPACE);

    for (uint64_t i = 0; i < points; i++) {
        const float *centre = centres[rng_next(&state) % CLOUDS];

        for (size_t axis = 0; axis < dimensions; axis++) {
            float bell = 0;

            for (int draw = 0; draw < 4; draw++)
                bell += (float)rng_fraction(&state);
            point[axis] = fmaf(bell - 2, SPREAD, centre[axis]);
        }
        put(point, dimensions * sizeof *point, file, argv[1]);
    }
    close_stream(file, argv[1]);
    return 0;
}
