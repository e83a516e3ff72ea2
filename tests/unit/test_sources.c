/* Whose key is at which endpoint: what the coordinator told, not what an executor says. */
#include "tests/lib/cmocka_all.h"

#include <string.h>

#include "tests/lib/peer.h"
#include "wire/frame.h"
#include "worker/agent/sources.h"

static void tell(struct sources *sources, const char *endpoint, const char *key)
{
    Mr__MapOutputs message = MR__MAP_OUTPUTS__INIT;
    Mr__MapOutput output = MR__MAP_OUTPUT__INIT, *outputs[] = {&output};

    output.endpoint = BYTES(endpoint);
    output.key = BYTES(key);
    message.outputs = outputs;
    message.n_outputs = 1;
    sources_learn(sources, &message);
}

/* What is filled in for an endpoint of which an executor says that its key is "forged". */
static void expect_key(const struct sources *sources, const char *endpoint, const char *key)
{
    Mr__PartWanted said = MR__PART_WANTED__INIT, *wanted;
    Mr__MapOutput output = MR__MAP_OUTPUT__INIT, *outputs[] = {&output};

    output.endpoint = BYTES(endpoint);
    output.key = BYTES("forged");
    said.outputs = outputs;
    said.n_outputs = 1;
    wanted = (Mr__PartWanted *)frame_copy(&said.base);
    sources_fill(sources, wanted);
    assert_true(bytes_are(wanted->outputs[0]->key, key) ||
                (!*key && !wanted->outputs[0]->key.len));
    frame_free(&wanted->base);
}

static void keys_are_those_of_the_coordinator(void **state)
{
    struct sources sources = {0};

    (void)state;
    expect_key(&sources, "tcp://10.0.0.1:1", "");
    tell(&sources, "tcp://10.0.0.1:1", "one");
    tell(&sources, "tcp://10.0.0.2:1", "two");
    tell(&sources, "", "nobody");
    tell(&sources, "tcp://10.0.0.3:1", "");
    expect_key(&sources, "tcp://10.0.0.1:1", "one");
    expect_key(&sources, "tcp://10.0.0.2:1", "two");
    expect_key(&sources, "tcp://10.0.0.3:1", "");
    expect_key(&sources, "tcp://10.0.0.1:11", "");
    /* Another worker took its place. */
    tell(&sources, "tcp://10.0.0.1:1", "three");
    tell(&sources, "tcp://10.0.0.1:1", "three");
    expect_key(&sources, "tcp://10.0.0.1:1", "three");
    sources_done(&sources);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_those_of_the_coordinator),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
