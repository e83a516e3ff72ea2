/* Counts words, and does what the parameters say at the line "BAD", in map, and at the word
 * "BAD", in reduce. */
#include <mr/job.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef INPUT
#define INPUT MR_LINES
#endif

struct params {
    const char *map, *reduce, *setup;
};

static volatile unsigned nowhere;
static int *volatile null;

/* Deeper than any stack, in a way that is not to be turned into a loop. */
__attribute__((noinline)) static int overflow(int depth)
{
    volatile char frame[4096];

    frame[0] = (char)depth;
    nowhere = depth < 1 << 30 ? overflow(depth + 1) + frame[0] : 0;
    return nowhere;
}

static void print(size_t bytes)
{
    static const char line[] = "many words of no use to anybody, again and again and again\n";

    for (size_t at = 0; at < bytes; at += sizeof line - 1)
        fputs(line, stdout);
    fflush(stdout);
    fputs("the last line\n", stderr);
}

/* Tells the test that the fault fires now, and in which process. */
static void mark(void)
{
    FILE *file = fopen("misbehaving", "w");

    if (!file)
        return;
    fprintf(file, "%d\n", (int)getpid());
    fclose(file);
    rename("misbehaving", "misbehaved");
}

static void segv(struct mr_task *task)
{
    (void)task;
    *null = 1;
}

static void overflow_stack(struct mr_task *task)
{
    (void)task;
    overflow(0);
}

static void divide(struct mr_task *task)
{
    (void)task;
    raise(SIGFPE);
}

static void abort_process(struct mr_task *task)
{
    (void)task;
    abort();
}

static void exit_process(struct mr_task *task)
{
    (void)task;
    exit(0);
}

static void leave_at_once(struct mr_task *task)
{
    (void)task;
    _exit(0);
}

static void kill_process(struct mr_task *task)
{
    (void)task;
    kill(getpid(), SIGKILL);
}

static void loop(struct mr_task *task)
{
    (void)task;
    for (;;)
        nowhere++;
}

static void mark_and_loop(struct mr_task *task)
{
    mark();
    loop(task);
}

static void mark_and_wait(struct mr_task *task)
{
    (void)task;
    mark();
    while (access("go", F_OK))
        usleep(1000);
}

static void loop_once(struct mr_task *task)
{
    if (access("misbehaved", F_OK))
        mark_and_loop(task);
}

static void wait_to_go(struct mr_task *task)
{
    (void)task;
    while (access("go", F_OK))
        usleep(1000);
}

static void print_for_ever(struct mr_task *task)
{
    (void)task;
    print((size_t)-1);
}

static void print_much(struct mr_task *task)
{
    (void)task;
    print(20 << 20);
}

static void leave(bool in_own_session)
{
    if (fork()) {
        while (access("misbehaved", F_OK))
            usleep(1000);
        return;
    }
    if (in_own_session)
        setsid();
    mark();
    for (;;)
        pause();
}

static void leave_a_daemon(struct mr_task *task)
{
    (void)task;
    leave(true);
}

static void leave_a_fork(struct mr_task *task)
{
    (void)task;
    leave(false);
}

static void say_fail(struct mr_task *task)
{
    mr_fail(task, "I do not like %s", "this");
}

static void emit_wrong_type(struct mr_task *task)
{
    mr_emit(task, mr_text("x"), 1.5);
}

static void crash_once(struct mr_task *task)
{
    if (!access("misbehaved", F_OK))
        return;
    mark();
    segv(task);
}

/* Nothing that a user sees: what the sanitizers are for. The second thread is the job's own, as
 * an attempt that feeds single records has but one of ours. */
static volatile int raced;

static void *add_one(void *unused)
{
    raced += 1;
    return unused;
}

static void race(struct mr_task *task)
{
    pthread_t other;

    if (pthread_create(&other, NULL, add_one, NULL))
        mr_fail(task, "no thread to race with");
    raced += 1;
    pthread_join(other, NULL);
}

static void overrun(struct mr_task *task)
{
    volatile size_t size = 8;
    char *block = malloc(size);

    (void)task;
    if (block)
        ((volatile char *)block)[size] = 1;
    free(block);
}

/* Into the descriptor that the executor speaks through. */
static void babble(struct mr_task *task)
{
    static const char noise[] = "GET / HTTP/1.1\r\nHost: nowhere\r\n\r\n";

    (void)task;
    for (;;)
        if (write(3, noise, sizeof noise) < 0)
            usleep(1000);
}

static const struct {
    const char *name;
    void (*run)(struct mr_task *);
} ways[] = {
    {"segv", segv},
    {"overflow", overflow_stack},
    {"divide", divide},
    {"abort", abort_process},
    {"exit", exit_process},
    {"_exit", leave_at_once},
    {"kill", kill_process},
    {"loop", loop},
    {"mark_and_loop", mark_and_loop},
    {"mark_and_wait", mark_and_wait},
    {"loop_once", loop_once},
    {"wait", wait_to_go},
    {"print", print_for_ever},
    {"print_much", print_much},
    {"daemon", leave_a_daemon},
    {"fork", leave_a_fork},
    {"fail", say_fail},
    {"wrong_type", emit_wrong_type},
    {"once", crash_once},
    {"babble", babble},
    {"race", race},
    {"overrun", overrun},
};

static void misbehave(struct mr_task *task, const char *how)
{
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (!strcmp(how, ways[i].name))
            ways[i].run(task);
}

static bool is_bad(struct mr_bytes text)
{
    return text.len == 3 && !memcmp(text.ptr, "BAD", 3);
}

static void setup(struct mr_task *task)
{
    const struct params *params = mr_params(task);

    misbehave(task, params->setup);
}

static void count_words(struct mr_task *task, struct mr_bytes text)
{
    const struct params *params = mr_params(task);

    for (struct mr_words w = mr_words_in(text); mr_next_word(&w);) {
        if (is_bad(w.word)) {
            mr_status(task, "at the bad one");
            misbehave(task, params->map);
        }
        mr_emit(task, w.word, 1);
    }
}

static void sum(struct mr_task *task, struct mr_bytes word, struct mr_values *counts)
{
    const struct params *params = mr_params(task);
    int64_t count = 0;

    if (is_bad(word))
        misbehave(task, params->reduce);
    mr_next_i64(task, counts, &count);
    mr_emit(task, word, count);
}

const struct mr_job mr_job = {
    MR_HEADER,
    .name = "misbehave",
    .about = "counts words, and does what it should not",
    .params_size = sizeof(struct params),
    .params =
        (const struct mr_param[]){
            MR_PARAM(struct params, map, "", "what to do in map"),
            MR_PARAM(struct params, reduce, "", "what to do in reduce"),
            MR_PARAM(struct params, setup, "", "what to do in setup"),
            {0},
        },
    .input = INPUT,
    .setup = setup,
    .map = count_words,
    .fold = MR_SUM_I64,
    .reduce = sum,
};
