/* The shuffle between workers that have keys: all of it arrives, nobody on the way can read it,
 * and only those get it that the roster allows. */
#include "tests/lib/cmocka_all.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/rng.h"
#include "tests/lib/folder.h"
#include "tests/lib/proxy.h"
#include "tests/lib/shuffle.h"
#include "wire/link.h"
#include "worker/agent/fetch.h"
#include "worker/agent/share.h"

enum { DEADLINE_MS = 60000, JOB = 7, VALUE = 40 };

static const struct run_plan plan = {
    .parts = 2, .rounds = 1, .records = 20000, .value_size = VALUE};

/* One worker that holds a run, one that wants it; between them a proxy. */
struct scene {
    char *folder, *scratch, value[VALUE];
    void *context;
    struct porter *porter;
    struct certificate holder, reader;
    struct share *share;
    struct fetch *fetch;
    struct proxy *proxy;
    struct wanted wanted;
};

static void make_pairs(struct scene *scene)
{
    struct error err;

    assert_int_equal(certificate_make(&scene->holder, KEY_WORKER, "holder", &err), 0);
    assert_int_equal(certificate_make(&scene->reader, KEY_WORKER, "reader", &err), 0);
    assert_int_equal(porter_open(scene->context, &scene->porter, &err), 0);
}

static void admit(struct scene *scene, const struct certificate *pair)
{
    struct porter_key key = {.role = KEY_WORKER};

    strcpy(key.key, pair->public_key);
    porter_admit(scene->porter, &key, 1);
}

/* The run of map task 0 lies with the holder; the value of all its records is `value`. */
static void make_run(struct scene *scene)
{
    cleanup_free char *path = folder_path(scene->scratch, "map-0.run");
    cleanup_free char *endpoint = memory_format("tcp://127.0.0.1:%u", proxy_port(scene->proxy));
    struct rng rng = {0};

    for (size_t i = 0; i < VALUE; i++)
        scene->value[i] = (char)rng_next(&rng);
    run_make(path, 0, &plan);
    wanted_add(&scene->wanted, 0, run_id_of(0), path, endpoint);
    proxy_look_for(scene->proxy, scene->value, VALUE);
}

static void open_scene(struct scene *scene, bool keyed)
{
    struct link_guard guard;
    struct error err;

    *scene = (struct scene){.folder = folder_new(), .context = link_context_new()};
    scene->scratch = folder_path(scene->folder, "holder");
    assert_int_equal(mkdir(scene->scratch, 0700), 0);
    if (keyed)
        make_pairs(scene);
    guard = (struct link_guard){&scene->holder, scene->porter, NULL};
    assert_int_equal(share_open(scene->context, "tcp://127.0.0.1:0", keyed ? &guard : NULL,
                                scene->scratch, &scene->share, &err),
                     0);
    assert_int_equal(
        fetch_open(scene->context, keyed ? &scene->reader : NULL, &scene->fetch, &err), 0);
    scene->proxy = proxy_new(
        (uint16_t)strtoul(strrchr(share_endpoint(scene->share), ':') + 1, NULL, 10), 1, 0, 0);
    make_run(scene);
}

static void close_scene(struct scene *scene)
{
    fetch_close(scene->fetch);
    share_close(scene->share);
    proxy_free(scene->proxy);
    porter_close(scene->porter);
    link_context_free(scene->context);
    wanted_done(&scene->wanted);
    free(scene->scratch);
    folder_remove(scene->folder);
}

/* Asks for a part under this key of the holder's. */
static struct fetch_result ask(struct scene *scene, uint32_t part, const char *key)
{
    cleanup_free char *path = memory_format("%s/%u.bundle", scene->folder, part);
    struct pollfd ready = {fetch_fd(scene->fetch), POLLIN, 0};
    struct fetch_result result;

    scene->wanted.outputs[0].key =
        (ProtobufCBinaryData){strlen(key), (uint8_t *)(uintptr_t)key};
    fetch_part(scene->fetch, wanted_message(&scene->wanted, JOB, part), path);
    do {
        if (poll(&ready, 1, DEADLINE_MS) != 1)
            fail_msg("no result came");
    } while (!fetch_take(scene->fetch, &result));
    return result;
}

static void expect_whole(struct scene *scene, uint32_t part, const char *key)
{
    struct fetch_result result = ask(scene, part, key);

    assert_string_equal(result.error.text, "");
    expect_bundle(result.path, &scene->wanted, part);
    assert_int_equal(unlink(result.path), 0);
    free(result.path);
}

static void expect_nothing(struct scene *scene, uint32_t part, const char *key,
                           enum error_code code)
{
    struct fetch_result result = ask(scene, part, key);

    assert_int_equal(result.error.code, code);
    assert_int_equal(access(result.path, F_OK), -1);
    free(result.path);
}

static void what_passes_can_be_read_without_keys_alone(void **state)
{
    struct scene scene;

    (void)state;
    open_scene(&scene, false);
    expect_whole(&scene, 0, "");
    assert_true(proxy_seen(scene.proxy) > 10);
    close_scene(&scene);
    open_scene(&scene, true);
    admit(&scene, &scene.reader);
    expect_whole(&scene, 0, scene.holder.public_key);
    assert_int_equal(proxy_seen(scene.proxy), 0);
    assert_true(proxy_passed(scene.proxy) > plan.records * VALUE);
    close_scene(&scene);
}

static void who_is_not_in_the_roster_gets_nothing(void **state)
{
    struct scene scene;

    (void)state;
    open_scene(&scene, true);
    expect_nothing(&scene, 0, scene.holder.public_key, ERROR_CUT);
    /* Neither while another is in it; but as soon as he is. */
    admit(&scene, &scene.holder);
    expect_nothing(&scene, 1, scene.holder.public_key, ERROR_CUT);
    admit(&scene, &scene.reader);
    expect_whole(&scene, 0, scene.holder.public_key);
    close_scene(&scene);
}

static void who_is_taken_out_of_the_roster_gets_no_more(void **state)
{
    struct scene scene;

    (void)state;
    open_scene(&scene, true);
    admit(&scene, &scene.reader);
    expect_whole(&scene, 0, scene.holder.public_key);
    admit(&scene, &scene.holder);
    expect_nothing(&scene, 1, scene.holder.public_key, ERROR_CUT);
    close_scene(&scene);
}

static void a_source_without_its_key_is_not_asked(void **state)
{
    struct scene scene;

    (void)state;
    open_scene(&scene, true);
    admit(&scene, &scene.reader);
    expect_nothing(&scene, 0, "", ERROR_FETCH);
    assert_int_equal(proxy_passed(scene.proxy), 0);
    expect_nothing(&scene, 0, "no key at all", ERROR_FETCH);
    expect_nothing(&scene, 0, scene.reader.public_key, ERROR_CUT);
    expect_whole(&scene, 0, scene.holder.public_key);
    close_scene(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_passes_can_be_read_without_keys_alone),
        cmocka_unit_test(who_is_not_in_the_roster_gets_nothing),
        cmocka_unit_test(who_is_taken_out_of_the_roster_gets_no_more),
        cmocka_unit_test(a_source_without_its_key_is_not_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
