/* Whom a coordinator lets in: as what they come, from when on, and until when. */
#include "tests/lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "cli/keyring.h"
#include "tests/lib/folder.h"
#include "tests/lib/peer.h"

/* A coordinator with keys, in a house that has a porter. */
struct keep {
    char *folder, *ring;
    struct house *house;
    struct keys keys;
    struct porter *porter;
};

static void open_keep(struct keep *keep)
{
    struct coordinator_options options = house_usual();
    struct error err;

    *keep = (struct keep){.folder = folder_new()};
    keep->ring = folder_path(keep->folder, "ring");
    assert_int_equal(keyring_make(keep->ring, &err), 0);
    assert_int_equal(keys_load(&keep->keys, keep->ring, KEY_COORDINATOR, &err), 0);
    options.keys = &keep->keys;
    options.hangups = -1;
    keep->house = house_open_guarded(&options, &keep->porter);
}

static void close_keep(struct keep *keep)
{
    house_close(keep->house);
    keys_done(&keep->keys);
    free(keep->ring);
    folder_remove(keep->folder);
}

/* A pair of somebody who is allowed under that name. */
static struct certificate issue(struct keep *keep, const char *name, enum key_role role)
{
    cleanup_free char *path =
        memory_format("%s/issued/%s/%s.secret", keep->ring, name, key_role_name(role));
    struct certificate pair;
    struct error err;

    assert_int_equal(keyring_issue(keep->ring, name, role, &err), 0);
    assert_int_equal(certificate_read(&pair, path, true, &err), 0);
    return pair;
}

/* Waits until the coordinator has seen it, or does not any more. */
static void await_key(struct keep *keep, const struct certificate *pair, bool wanted)
{
    int64_t end_ms = clock_ms() + PEER_PATIENCE_MS;

    while (porter_admits(keep->porter, pair->public_key, NULL) != wanted) {
        assert_true(clock_ms() < end_ms);
        usleep(1000);
    }
}

static struct peer *come(struct keep *keep, const struct certificate *pair, Mr__Role role)
{
    struct peer *peer = peer_connect_guarded(keep->house, pair, keep->keys.coordinator);

    peer_greet(peer, role, pair->name);
    return peer;
}

static void expect_roster(struct peer *peer, const struct certificate *const *keys, size_t n)
{
    Mr__Roster *roster = peer_hears(peer, FRAME_ROSTER);

    assert_int_equal(roster->n_keys, n);
    for (size_t i = 0; i < n; i++) {
        bool found = false;

        for (size_t k = 0; k < n; k++)
            found = found || bytes_are(roster->keys[k], keys[i]->public_key);
        assert_true(found);
    }
    frame_free(&roster->base);
}

static struct certificate usual_worker(struct keep *keep)
{
    cleanup_free char *path = memory_format("%s/worker.cert", keep->ring);
    struct certificate usual;
    struct error err;

    assert_int_equal(certificate_read(&usual, path, false, &err), 0);
    return usual;
}

static void a_worker_is_told_whom_to_let_in(void **state)
{
    struct keep keep;
    struct certificate one, client, usual;
    struct peer *worker, *second;

    (void)state;
    open_keep(&keep);
    usual = usual_worker(&keep);
    client = issue(&keep, "desk", KEY_CLIENT);
    one = issue(&keep, "rack1", KEY_WORKER);
    await_key(&keep, &one, true);
    await_key(&keep, &client, true);
    worker = come(&keep, &one, MR__ROLE__WORKER);
    /* Workers, no clients. */
    expect_roster(worker, (const struct certificate *[]){&usual, &one}, 2);
    {
        struct certificate two = issue(&keep, "rack2", KEY_WORKER);
        struct error err;

        expect_roster(worker, (const struct certificate *[]){&usual, &one, &two}, 3);
        second = come(&keep, &two, MR__ROLE__WORKER);
        frame_free(peer_hears(second, FRAME_WELCOME));
        assert_int_equal(keyring_revoke(keep.ring, "rack2", &err), 0);
        expect_roster(worker, (const struct certificate *[]){&usual, &one}, 2);
        frame_free(peer_hears(second, FRAME_REFUSED));
    }
    peer_close(second);
    peer_close(worker);
    close_keep(&keep);
}

static void a_key_is_good_for_its_role_alone(void **state)
{
    struct keep keep;
    struct certificate worker, client;
    struct peer *peer;
    Mr__Refused *refused;

    (void)state;
    open_keep(&keep);
    worker = issue(&keep, "rack1", KEY_WORKER);
    client = issue(&keep, "desk", KEY_CLIENT);
    await_key(&keep, &worker, true);
    await_key(&keep, &client, true);
    peer = come(&keep, &worker, MR__ROLE__CLIENT);
    refused = peer_hears(peer, FRAME_REFUSED);
    assert_true(bytes_contain(refused->error->text, "'rack1' is a worker's, not a client's"));
    frame_free(&refused->base);
    peer_close(peer);
    peer = come(&keep, &client, MR__ROLE__WORKER);
    refused = peer_hears(peer, FRAME_REFUSED);
    assert_true(bytes_contain(refused->error->text, "'desk' is a client's, not a worker's"));
    assert_int_equal(refused->error->code, ERROR_REFUSED);
    frame_free(&refused->base);
    peer_close(peer);
    peer = come(&keep, &client, MR__ROLE__CLIENT);
    frame_free(peer_hears(peer, FRAME_WELCOME));
    peer_close(peer);
    close_keep(&keep);
}

static void who_is_revoked_is_told_and_lost(void **state)
{
    struct keep keep;
    struct certificate worker, client;
    struct peer *lost, *watcher;
    Mr__Refused *refused;
    Mr__Workers *workers;
    struct error err;

    (void)state;
    open_keep(&keep);
    worker = issue(&keep, "rack1", KEY_WORKER);
    client = issue(&keep, "desk", KEY_CLIENT);
    await_key(&keep, &client, true);
    await_key(&keep, &worker, true);
    lost = come(&keep, &worker, MR__ROLE__WORKER);
    frame_free(peer_hears(lost, FRAME_WELCOME));
    watcher = come(&keep, &client, MR__ROLE__CLIENT);
    frame_free(peer_hears(watcher, FRAME_WELCOME));
    assert_int_equal(keyring_revoke(keep.ring, "rack1", &err), 0);
    refused = peer_hears(lost, FRAME_REFUSED);
    assert_true(bytes_contain(refused->error->text, "was revoked"));
    frame_free(&refused->base);
    workers = peer_asks(watcher, MR__QUESTION__ALL_WORKERS, 0, FRAME_WORKERS);
    assert_int_equal(workers->n_workers, 0);
    assert_int_equal(workers->lost, 1);
    frame_free(&workers->base);
    peer_close(lost);
    peer_close(watcher);
    close_keep(&keep);
}

static void who_is_turned_away_is_counted(void **state)
{
    struct keep keep;
    struct certificate client, stranger;
    struct peer *watcher, *turned;
    uint64_t counted = 0;
    int64_t end_ms = clock_ms() + PEER_PATIENCE_MS;
    struct error err;

    (void)state;
    open_keep(&keep);
    client = issue(&keep, "desk", KEY_CLIENT);
    await_key(&keep, &client, true);
    assert_int_equal(certificate_make(&stranger, KEY_WORKER, "stranger", &err), 0);
    turned = come(&keep, &stranger, MR__ROLE__WORKER);
    watcher = come(&keep, &client, MR__ROLE__CLIENT);
    frame_free(peer_hears(watcher, FRAME_WELCOME));
    while (!counted && clock_ms() < end_ms) {
        Mr__Cluster *cluster = peer_asks(watcher, MR__QUESTION__CLUSTER, 0, FRAME_CLUSTER);

        counted = cluster->peers_refused;
        assert_int_equal(cluster->workers, 0);
        frame_free(&cluster->base);
    }
    assert_int_equal(counted, 1);
    peer_close(turned);
    peer_close(watcher);
    close_keep(&keep);
}

/* Files that are none, or of another name, let nobody in and harm nobody. */
static void what_is_no_certificate_lets_nobody_in(void **state)
{
    struct keep keep;
    struct certificate stranger, worker;
    cleanup_free char *alias = NULL;
    struct error err;

    (void)state;
    open_keep(&keep);
    assert_int_equal(certificate_make(&stranger, KEY_WORKER, "stranger", &err), 0);
    alias = memory_format("%s/allowed/alias.cert", keep.ring);
    assert_int_equal(certificate_write(&stranger, alias, false, &err), 0);
    folder_text(keep.ring, "allowed/nonsense.cert", "no certificate\n");
    folder_text(keep.ring, "allowed/.hidden.cert", "");
    folder_text(keep.ring, "allowed/README", "not for the coordinator\n");
    worker = issue(&keep, "rack1", KEY_WORKER);
    await_key(&keep, &worker, true);
    assert_false(porter_admits(keep.porter, stranger.public_key, NULL));
    /* Removed as a whole, the folder lets in nobody. */
    {
        cleanup_free char *from = memory_format("%s/allowed", keep.ring);
        cleanup_free char *to = memory_format("%s/away", keep.ring);

        assert_int_equal(rename(from, to), 0);
        await_key(&keep, &worker, false);
        assert_int_equal(rename(to, from), 0);
        await_key(&keep, &worker, true);
    }
    close_keep(&keep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_is_told_whom_to_let_in),
        cmocka_unit_test(a_key_is_good_for_its_role_alone),
        cmocka_unit_test(who_is_revoked_is_told_and_lost),
        cmocka_unit_test(who_is_turned_away_is_counted),
        cmocka_unit_test(what_is_no_certificate_lets_nobody_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
