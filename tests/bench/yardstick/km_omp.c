/* km_omp: k-means (Lloyd) with 16 centres over rows of float32.
 *
 *     km_omp points.f32 5000000 4 16 10 2
 *
 * Point number POINTS / 16 * c is the first centre c. The centres are held axis by axis, and
 * their number is a constant, so that the distances from one point to all of them are one
 * vector operation an axis. Each thread sums its share in double and adds it to the total once
 * a pass. `fmaf` is spelled out so that every build rounds alike, with fused multiply-add or
 * without. */
#define _GNU_SOURCE

#include "yardstick.h"
#include <math.h>
#include <omp.h>

#define USAGE "FILE POINTS DIMENSIONS 16 ITERATIONS THREADS"

enum { CENTRES = 16, DIMENSIONS_MAX = 16 };

struct points {
    const float *rows;
    size_t count;
    size_t dimensions;
};

/* By axis first, then by centre. */
struct centres {
    float at[DIMENSIONS_MAX][CENTRES];
};

struct sums {
    double at[CENTRES][DIMENSIONS_MAX];
    size_t members[CENTRES];
};

static inline size_t nearest(const float *point, const struct centres *centres,
                             size_t dimensions)
{
    float distances[CENTRES] = {0};
    size_t best = 0;

    for (size_t axis = 0; axis < dimensions; axis++)
        for (size_t centre = 0; centre < CENTRES; centre++) {
            float gap = point[axis] - centres->at[axis][centre];

            distances[centre] = fmaf(gap, gap, distances[centre]);
        }
    float least = distances[0];
    for (size_t centre = 1; centre < CENTRES; centre++)
        if (distances[centre] < least) {
            least = distances[centre];
            best = centre;
        }
    return best;
}

static void add_sums(struct sums *to, const struct sums *from, size_t dimensions)
{
    for (size_t centre = 0; centre < CENTRES; centre++) {
        to->members[centre] += from->members[centre];
        for (size_t axis = 0; axis < dimensions; axis++)
            to->at[centre][axis] += from->at[centre][axis];
    }
}

/* Moves each centre to the mean of the points that are nearest to it. */
static void iterate(struct centres *centres, const struct points *points)
{
    size_t dimensions = points->dimensions;
    struct sums total = {0};

#pragma omp parallel
    {
        struct sums mine = {0};

#pragma omp for schedule(static)
        for (size_t i = 0; i < points->count; i++) {
            const float *point = points->rows + i * dimensions;
            size_t centre = nearest(point, centres, dimensions);

            for (size_t axis = 0; axis < dimensions; axis++)
                mine.at[centre][axis] += (double)point[axis];
            mine.members[centre]++;
        }
#pragma omp critical
        add_sums(&total, &mine, dimensions);
    }
    for (size_t centre = 0; centre < CENTRES; centre++)
        for (size_t axis = 0; axis < dimensions && total.members[centre]; axis++)
            centres->at[axis][centre] =
                (float)(total.at[centre][axis] / (double)total.members[centre]);
}

static const float *load_rows(const char *path, size_t bytes)
{
    size_t size;
    int fd = open_input(path, &size);

    if (size < bytes)
        fail("'%s' has %zu bytes, too few for these points", path, size);
    float *rows = malloc(bytes);
    if (!rows)
        fail("out of memory");
    if (read_at(fd, rows, bytes, 0, path) != bytes)
        fail("read '%s': it has become shorter", path);
    close(fd);
    return rows;
}

int main(int argc, char **argv)
{
    double start = omp_get_wtime();
    struct centres centres = {0};

    if (argc != 7)
        usage(USAGE);
    struct points points = {
        .count = number(argv[2], CENTRES, INT32_MAX, USAGE),
        .dimensions = number(argv[3], 1, DIMENSIONS_MAX, USAGE),
    };
    number(argv[4], CENTRES, CENTRES, USAGE);
    int iterations = (int)number(argv[5], 1, INT32_MAX, USAGE);
    omp_set_num_threads((int)number(argv[6], 1, THREADS_MAX, USAGE));

    points.rows = load_rows(argv[1], points.count * points.dimensions * sizeof(float));
    for (size_t centre = 0; centre < CENTRES; centre++)
        for (size_t axis = 0; axis < points.dimensions; axis++)
            centres.at[axis][centre] =
                points.rows[points.count / CENTRES * centre * points.dimensions + axis];
    double loaded = omp_get_wtime();
    for (int i = 0; i < iterations; i++)
        iterate(&centres, &points);
    double done = omp_get_wtime();

    printf("load %.3f iter %.3f (%.4f/iter) total %.3f\n", loaded - start, done - loaded,
           (done - loaded) / iterations, done - start);
    for (size_t centre = 0; centre < 2; centre++)
        printf("%.3f %.3f\n", (double)centres.at[0][centre], (double)centres.at[1][centre]);
    return 0;
}
