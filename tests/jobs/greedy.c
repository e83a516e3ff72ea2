/* Takes more than it should, at the line "BAD": memory, processes, output. */
#define _GNU_SOURCE
#include <errno.h>
#include <mr/job.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct params {
    const char *way;
    long bytes;
};

/* Tells the test that the fault fires now, and how. */
static void mark(const char *text)
{
    FILE *file = fopen("marking", "w");

    if (!file)
        return;
    fprintf(file, "%s\n", text);
    fclose(file);
    rename("marking", "marked");
}

static void leak(void)
{
    for (;;) {
        char *block = malloc(1 << 20);

        if (!block)
            abort();
        memset(block, 1, 1 << 20);
        *(char *volatile *)block = block;
    }
}

/* Memory that no look at the process's own pages sees. */
static void hide(void)
{
    static char block[1 << 20];
    int fd = memfd_create("hidden", 0);

    while (write(fd, block, sizeof block) > 0)
        ;
    abort();
}

static void map_at_once(void)
{
    mmap(NULL, (size_t)8 << 30, PROT_READ | PROT_WRITE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | MAP_NORESERVE, -1, 0);
    abort();
}

enum { STACK = 64 << 20 };
static void *fill_stack(void *unused)
{
    volatile char frame[STACK - (1 << 20)];

    for (size_t i = 0; i < sizeof frame; i += 4096)
        frame[i] = 1;
    pause();
    return unused;
}

static void stack_up(void)
{
    pthread_attr_t attributes;
    pthread_t thread;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    for (;;)
        if (pthread_create(&thread, &attributes, fill_stack, NULL))
            usleep(1000);
}

/* Each that is born gives birth as well, every other one in a session of its own. When no more
 * can be born the first goes on. */
static void breed(void)
{
    pid_t first = getpid();
    char text[64];

    for (int i = 0;; i++) {
        pid_t pid = fork();

        if (pid < 0 && getpid() == first)
            break;
        if (pid < 0)
            usleep(100000);
        else if (!pid && i % 2)
            setsid();
    }
    snprintf(text, sizeof text, "%s", strerrorname_np(errno));
    mark(text);
}

/* Born twice, so that it is nobody's child. */
static void leave_a_daemon(void)
{
    pid_t pid = fork();
    char text[32];

    if (pid) {
        waitpid(pid, NULL, 0);
        while (access("marked", F_OK))
            usleep(1000);
        return;
    }
    setsid();
    if (fork())
        _exit(0);
    snprintf(text, sizeof text, "%d", (int)getpid());
    mark(text);
    for (;;)
        pause();
}

/* Half of it into each, then one line, and the end. */
static void print(size_t bytes)
{
    static char block[1 << 20];

    memset(block, 'x', sizeof block);
    for (size_t i = 0; i < bytes >> 20; i++)
        for (size_t at = 0; at < sizeof block;) {
            ssize_t n = write(1 + (int)(i & 1), block + at, sizeof block - at);

            at += n > 0 ? (size_t)n : 0;
        }
    if (write(2, "\nthe last line\n", 15) == 15)
        mark("printed");
    _exit(3);
}

static void map(struct mr_task *task, struct mr_bytes line)
{
    const struct params *params = mr_params(task);
    const char *way = params->way;

    if (line.len == 3 && !memcmp(line.ptr, "BAD", 3)) {
        if (!strcmp(way, "leak"))
            leak();
        else if (!strcmp(way, "hide"))
            hide();
        else if (!strcmp(way, "map"))
            map_at_once();
        else if (!strcmp(way, "stacks"))
            stack_up();
        else if (!strcmp(way, "breed"))
            breed();
        else if (!strcmp(way, "daemon"))
            leave_a_daemon();
        else if (!strcmp(way, "print"))
            print((size_t)params->bytes);
        else
            mr_fail(task, "no way '%s'", way);
    }
    for (struct mr_words w = mr_words_in(line); mr_next_word(&w);)
        mr_emit(task, w.word, 1);
}

const struct mr_job mr_job = {
    MR_HEADER,
    .name = "greedy",
    .about = "counts words, and takes more than it should",
    .map = map,
    .fold = MR_SUM_I64,
    .params_size = sizeof(struct params),
    .params =
        (const struct mr_param[]){
            MR_PARAM(struct params, way, NULL, "what to take"),
            MR_PARAM(struct params, bytes, "0", "how much to print"),
            {0},
        },
};
