/* Reducers that gather what they read: by path, over the agent, or both, in the order of the
 * input. The executor's code is compiled in; the test is its agent, with a real fetch and a
 * real share. */
#include "tests/lib/cmocka_all.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/folder.h"
#include "tests/lib/shuffle.h"
#include "wire/link.h"
#include "worker/agent/fetch.h"
#include "worker/agent/share.h"

#include "worker/executor/door.c"
#include "worker/executor/gather.c"

enum { DEADLINE_MS = 60000, JOB = 2, MAPS = 9, PARTS = 4, ROUNDS = 2, RECORDS = 50 };

static const struct run_plan plan = {PARTS, ROUNDS, RECORDS, 20};

struct fixture {
    char *folder;
    void *context;
    struct share *share;
    struct fetch *fetch;
    Mr__JobOpen open;
    struct executor executor;
    int asked; /* how often the agent was */
};

static struct fixture *stage; /* for work_send, which the executor's main.c defines otherwise */

void work_send(struct executor *executor, enum frame_type type, const ProtobufCMessage *message)
{
    const Mr__PartWanted *wanted = (const Mr__PartWanted *)message;
    cleanup_free char *path = memory_format("%s/part-%u", stage->folder, wanted->part);

    (void)executor;
    check(type == FRAME_PART_WANTED);
    __atomic_add_fetch(&stage->asked, 1, __ATOMIC_RELAXED);
    fetch_part(stage->fetch, wanted, path);
}

static char *run_path(const struct fixture *fixture, uint32_t task)
{
    return memory_format("%s/map-%u.run", fixture->folder, task);
}

static void open_fixture(struct fixture *fixture, bool direct_reads)
{
    struct executor *executor = &fixture->executor;
    struct error err;

    *fixture = (struct fixture){.folder = folder_new(), .context = link_context_new()};
    assert_int_equal(share_open(fixture->context, "tcp://127.0.0.1:0", NULL, fixture->folder,
                                &fixture->share, &err),
                     0);
    assert_int_equal(fetch_open(fixture->context, NULL, &fixture->fetch, &err), 0);
    mr__job_open__init(&fixture->open);
    fixture->open.direct_reads = direct_reads;
    executor->host.open = &fixture->open;
    pthread_mutex_init(&executor->lock, NULL);
    gather_init(&executor->gather);
    executor->outputs = memory_zeroed(MAPS, sizeof *executor->outputs);
    executor->output_count = MAPS;
    for (uint32_t task = 0; task < MAPS; task++) {
        char *path = run_path(fixture, task);

        run_make(path, task, &plan);
        executor->outputs[task] =
            (struct map_output){.attempt = 1,
                                .run_id = run_id_of(task),
                                .path = path,
                                .endpoint = memory_text(share_endpoint(fixture->share))};
    }
    stage = fixture;
}

static void close_fixture(struct fixture *fixture)
{
    struct executor *executor = &fixture->executor;

    for (uint32_t task = 0; task < MAPS; task++) {
        free(executor->outputs[task].path);
        free(executor->outputs[task].endpoint);
        run_close(executor->outputs[task].run);
    }
    free(executor->outputs);
    assert_null(executor->gather.waits);
    pthread_mutex_destroy(&executor->lock);
    pthread_mutex_destroy(&executor->gather.lock);
    pthread_cond_destroy(&executor->gather.answered);
    for (size_t i = 0; i < executor->gather.ahead_count; i++)
        frame_free(&executor->gather.ahead[i]->base);
    free(executor->gather.ahead);
    fetch_close(fixture->fetch);
    share_close(fixture->share);
    link_context_free(fixture->context);
    folder_remove(fixture->folder);
}

/* An output that is to be had in one way alone. */
static void by_path_alone(struct fixture *fixture, uint32_t task)
{
    fixture->executor.outputs[task].endpoint[0] = '\0';
}

/* One reducer, on a thread of its own. */
struct reducer {
    pthread_t thread;
    struct executor *executor;
    Mr__Assign assign;
    struct sources sources;
    struct error error;
    uint32_t lost_map;
    int result;
};

static void *run_reducer(void *context)
{
    struct reducer *reducer = context;

    reducer->result = gather_sources(reducer->executor, &reducer->assign, &reducer->sources,
                                     &reducer->lost_map, &reducer->error);
    return NULL;
}

static void start(struct fixture *fixture, struct reducer *reducer, uint32_t part)
{
    *reducer = (struct reducer){.executor = &fixture->executor};
    mr__assign__init(&reducer->assign);
    reducer->assign.job = JOB;
    reducer->assign.task = part;
    reducer->assign.maps = MAPS;
    assert_int_equal(pthread_create(&reducer->thread, NULL, run_reducer, reducer), 0);
}

static ProtobufCBinaryData copy_of(const char *text)
{
    return (ProtobufCBinaryData){strlen(text), (uint8_t *)memory_text(text)};
}

/* The agent's part: hands `count` results over, as they would come off the channel. */
static void answer(struct fixture *fixture, int count)
{
    struct pollfd ready = {fetch_fd(fixture->fetch), POLLIN, 0};

    while (count > 0) {
        struct fetch_result result;
        Mr__PartFetched *message;

        if (poll(&ready, 1, DEADLINE_MS) != 1)
            fail_msg("no result came");
        if (!fetch_take(fixture->fetch, &result))
            continue;
        message = memory_new(sizeof *message);
        mr__part_fetched__init(message);
        message->job = result.job;
        message->part = result.part;
        message->path = copy_of(result.path);
        if (result.error.code) {
            message->error = memory_new(sizeof *message->error);
            mr__error__init(message->error);
            message->error->code = result.error.code;
            message->error->text = copy_of(result.error.text);
            message->lost_map = result.lost_map;
        }
        free(result.path);
        gather_answer(&fixture->executor.gather, message);
        count--;
    }
}

/* All segments of the part in the order of (map task, round), each whole. */
static void expect_gathered(struct reducer *reducer)
{
    assert_int_equal(reducer->result, 0);
    assert_int_equal(reducer->sources.count, MAPS * ROUNDS);
    for (uint32_t i = 0; i < MAPS * ROUNDS; i++) {
        const struct merge_source *source = &reducer->sources.items[i];
        cleanup_free char *path = run_path(stage, i / ROUNDS);
        const struct run_segment *expected;
        struct run_file *run;
        struct error err;
        size_t count;

        assert_int_equal(run_open(path, run_id_of(i / ROUNDS), &run, &err), 0);
        expected = run_part(run, reducer->assign.task, &count);
        assert_int_equal(source->segment->round, i % ROUNDS);
        assert_int_equal(source->segment->part, reducer->assign.task);
        assert_int_equal(source->segment->digest, expected[i % ROUNDS].digest);
        assert_int_equal(run_shape(source->run)->flags, RUN_SORTED);
        run_close(run);
    }
    gather_done(&reducer->sources);
}

static void expect_sources(struct reducer *reducer)
{
    assert_int_equal(pthread_join(reducer->thread, NULL), 0);
    expect_gathered(reducer);
}

static void what_opens_is_not_fetched(void **state)
{
    struct fixture fixture;
    struct reducer reducer;

    (void)state;
    open_fixture(&fixture, true);
    start(&fixture, &reducer, 1);
    expect_sources(&reducer);
    assert_int_equal(fixture.asked, 0);
    close_fixture(&fixture);
}

static void both_ways_together_keep_the_order(void **state)
{
    struct fixture fixture;
    struct reducer reducer;

    (void)state;
    open_fixture(&fixture, false);
    for (uint32_t task = 0; task < MAPS; task += 2)
        by_path_alone(&fixture, task);
    start(&fixture, &reducer, 2);
    answer(&fixture, 1);
    expect_sources(&reducer);
    assert_int_equal(fixture.asked, 1);
    for (uint32_t task = 0; task < MAPS; task++)
        assert_int_equal(fixture.executor.outputs[task].run != NULL, task % 2 == 0);
    close_fixture(&fixture);
}

static void several_reducers_wait_at_once(void **state)
{
    struct reducer reducers[PARTS];
    struct fixture fixture;

    (void)state;
    open_fixture(&fixture, false);
    for (uint32_t part = 0; part < PARTS; part++)
        start(&fixture, &reducers[part], part);
    answer(&fixture, PARTS);
    for (uint32_t part = 0; part < PARTS; part++) {
        cleanup_free char *path = memory_format("%s/part-%u", fixture.folder, part);

        expect_sources(&reducers[part]);
        assert_int_equal(access(path, F_OK), -1);
    }
    close_fixture(&fixture);
}

static void a_lost_run_is_told_by_its_map_task(void **state)
{
    struct fixture fixture;
    struct reducer reducer;

    (void)state;
    open_fixture(&fixture, true);
    assert_int_equal(unlink(fixture.executor.outputs[6].path), 0);
    start(&fixture, &reducer, 0);
    answer(&fixture, 1);
    assert_int_equal(pthread_join(reducer.thread, NULL), 0);
    assert_int_equal(reducer.result, -1);
    assert_int_equal(reducer.error.code, ERROR_FETCH);
    assert_int_equal(reducer.lost_map, 6);
    by_path_alone(&fixture, 6);
    start(&fixture, &reducer, 0);
    assert_int_equal(pthread_join(reducer.thread, NULL), 0);
    assert_int_equal(reducer.result, -1);
    assert_int_equal(reducer.error.code, ERROR_FETCH);
    assert_int_equal(reducer.lost_map, 6);
    assert_int_equal(fixture.asked, 1);
    close_fixture(&fixture);
}

/* Fetches a part of tasks `from` to `to` - 1 ahead; says that they are of this attempt. */
static char *ahead(struct fixture *fixture, uint32_t part, uint32_t from, uint32_t to,
                   uint32_t attempt)
{
    char *path = memory_format("%s/ahead-%u-%u", fixture->folder, part, from);
    struct pollfd ready = {fetch_fd(fixture->fetch), POLLIN, 0};
    Mr__PartFetched *message = memory_new(sizeof *message);
    struct wanted wanted = {.count = 0};
    struct fetch_result result;

    mr__part_fetched__init(message);
    message->part = part;
    message->path = copy_of(path);
    message->outputs = memory_new((to - from) * sizeof(Mr__MapOutput *));
    for (uint32_t task = from; task < to; task++) {
        Mr__MapOutput *output = memory_new(sizeof *output);

        wanted_add(&wanted, task, run_id_of(task), fixture->executor.outputs[task].path,
                   fixture->executor.outputs[task].endpoint);
        mr__map_output__init(output);
        output->task = task;
        output->attempt = attempt;
        output->run_id = run_id_of(task);
        message->outputs[message->n_outputs++] = output;
    }
    fetch_part(fixture->fetch, wanted_message(&wanted, JOB, part), path);
    while (!fetch_take(fixture->fetch, &result))
        if (poll(&ready, 1, DEADLINE_MS) != 1)
            fail_msg("no result came");
    assert_int_equal(result.error.code, ERROR_NONE);
    free(result.path);
    wanted_done(&wanted);
    gather_answer(&fixture->executor.gather, message);
    return path;
}

/* The reducer of part 1 comes to all of it and asks `asked` times; `used`: something that was
 * fetched ahead is part of it. */
static void expect_asked(struct fixture *fixture, int asked, bool used)
{
    struct reducer reducer;

    start(fixture, &reducer, 1);
    answer(fixture, asked);
    assert_int_equal(pthread_join(reducer.thread, NULL), 0);
    assert_int_equal(reducer.sources.ahead_bytes > 0, used);
    assert_true(reducer.sources.ahead_bytes <= reducer.sources.bytes);
    expect_gathered(&reducer);
    assert_int_equal(fixture->asked, asked);
    fixture->asked = 0;
}

static void what_was_fetched_ahead_is_not_asked_for(void **state)
{
    cleanup_free char *first = NULL, *second = NULL, *other = NULL;
    struct fixture fixture;

    (void)state;
    open_fixture(&fixture, false);
    first = ahead(&fixture, 1, 4, MAPS, 1);
    other = ahead(&fixture, 2, 0, MAPS, 1);
    second = ahead(&fixture, 1, 0, 4, 1);
    expect_asked(&fixture, 0, true);
    assert_int_equal(access(first, F_OK), -1);
    assert_int_equal(access(second, F_OK), -1);
    assert_int_equal(access(other, F_OK), 0);
    assert_int_equal(fixture.executor.gather.ahead_count, 1);
    /* Used once; the next attempt asks. */
    expect_asked(&fixture, 1, false);
    close_fixture(&fixture);
}

static void what_was_not_fetched_ahead_is_asked_for(void **state)
{
    cleanup_free char *path = NULL;
    struct fixture fixture;

    (void)state;
    open_fixture(&fixture, false);
    path = ahead(&fixture, 1, 2, 5, 1);
    expect_asked(&fixture, 1, true);
    close_fixture(&fixture);
}

static void an_older_attempt_is_not_used(void **state)
{
    cleanup_free char *old = NULL, *new = NULL;
    struct fixture fixture;

    (void)state;
    open_fixture(&fixture, false);
    for (uint32_t task = 0; task < MAPS; task++)
        fixture.executor.outputs[task].attempt = 2;
    old = ahead(&fixture, 1, 0, MAPS, 1);
    expect_asked(&fixture, 1, false);
    assert_int_equal(access(old, F_OK), -1);
    new = ahead(&fixture, 1, 1, MAPS, 2);
    free(old);
    old = ahead(&fixture, 1, 0, MAPS, 1);
    expect_asked(&fixture, 1, true);
    /* Of the same attempt, by number, but another run. */
    free(old);
    old = ahead(&fixture, 1, 0, 5, 2);
    fixture.executor.gather.ahead[0]->outputs[3]->run_id++;
    expect_asked(&fixture, 1, false);
    close_fixture(&fixture);
}

/* Whichever byte it is. */
static void what_is_damaged_is_asked_for(void **state)
{
    struct fixture fixture;

    (void)state;
    open_fixture(&fixture, false);
    for (int tenth = 0; tenth < 10; tenth++) {
        cleanup_free char *path = ahead(&fixture, 1, 0, MAPS, 1);
        struct stat st;
        uint8_t byte;
        int fd = open(path, O_RDWR);
        off_t at;

        assert_int_equal(fstat(fd, &st), 0);
        at = st.st_size * tenth / 10 + 5;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 0x10;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        close(fd);
        expect_asked(&fixture, 1, false);
        assert_int_equal(access(path, F_OK), -1);
    }
    close_fixture(&fixture);
}

/* Of an executor that died, say: nobody waits, nothing happens. */
static void an_answer_that_nobody_waits_for_is_dropped(void **state)
{
    struct fixture fixture;
    Mr__PartFetched *message = memory_new(sizeof *message);

    (void)state;
    open_fixture(&fixture, false);
    mr__part_fetched__init(message);
    message->path = copy_of("/nowhere");
    gather_answer(&fixture.executor.gather, message);
    close_fixture(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_opens_is_not_fetched),
        cmocka_unit_test(both_ways_together_keep_the_order),
        cmocka_unit_test(several_reducers_wait_at_once),
        cmocka_unit_test(a_lost_run_is_told_by_its_map_task),
        cmocka_unit_test(what_was_fetched_ahead_is_not_asked_for),
        cmocka_unit_test(what_was_not_fetched_ahead_is_asked_for),
        cmocka_unit_test(an_older_attempt_is_not_used),
        cmocka_unit_test(what_is_damaged_is_asked_for),
        cmocka_unit_test(an_answer_that_nobody_waits_for_is_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
