/* marram keys: makes, issues, revokes and lists the keys of a cluster. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cli/keyring.h"
#include "cli/show.h"
#include "cli/verbs.h"

struct keys_verb {
    const char *issue, *role, *revoke;
    bool list, json;
};

static void add_options(void *into, struct option_table *table)
{
    struct keys_verb *verb = into;
    const struct option_row rows[] = {
        {"issue", 0, OPTION_TEXT, "NAME", "make keys for one more member, in DIR/issued/NAME",
         &verb->issue, .once = true},
        {"role", 0, OPTION_CHOICE, "ROLE", "what that member is: worker or client", &verb->role,
         .choices = "worker|client", .once = true},
        {"revoke", 0, OPTION_TEXT, "NAME", "let this member in no longer", &verb->revoke,
         .once = true},
        {"list", 0, OPTION_FLAG, NULL, "show who is let in", &verb->list, .once = true},
        {"json", 0, OPTION_FLAG, NULL, "print the list as one JSON object", &verb->json},
    };

    verb->role = "worker";
    options_add(table, rows, sizeof rows / sizeof *rows);
}

static void print_list(const struct certificate *list, size_t count, bool json)
{
    json_t *root = json_object(), *keys = json_array();

    if (!json)
        printf("%-24s  %-8s  %s\n", "NAME", "ROLE", "PUBLIC KEY");
    for (size_t i = 0; i < count; i++) {
        json_t *item = json_object();

        if (!json)
            printf("%-24s  %-8s  %s\n", list[i].name, key_role_name(list[i].role),
                   list[i].public_key);
        json_object_set_new(item, "name", json_string(list[i].name));
        json_object_set_new(item, "role", json_string(key_role_name(list[i].role)));
        json_object_set_new(item, "public_key", json_string(list[i].public_key));
        json_array_append_new(keys, item);
    }
    json_object_set_new(root, "keys", keys);
    if (json)
        show_json(root);
    else
        json_decref(root);
}

static int list_keys(const char *folder, bool json, struct error *err)
{
    struct certificate *list;
    size_t count;

    if (keyring_list(folder, &list, &count, err))
        return -1;
    print_list(list, count, json);
    free(list);
    return 0;
}

static int make(const char *folder, struct error *err)
{
    if (keyring_make(folder, err))
        return -1;
    printf(
        "keys of a cluster are in '%s'\n\nNext:\n"
        "  marram coordinator --keys %s --listen tcp://ADDRESS:7077\n"
        "  marram keys %s --issue NAME     for each further host: hand DIR/issued/NAME over\n",
        folder, folder, folder);
    return 0;
}

static int issue(const struct keys_verb *verb, const char *folder, struct error *err)
{
    enum key_role role = KEY_WORKER;

    if (!key_role_parse(verb->role, &role) || keyring_issue(folder, verb->issue, role, err))
        return -1;
    printf("keys of %s '%s' are in '%s/issued/%s': hand this folder over, it is what --keys "
           "takes there\n",
           verb->role, verb->issue, folder, verb->issue);
    return 0;
}

static int do_one_thing(const struct keys_verb *verb, const struct option_list *words,
                        struct error *err)
{
    int things = (verb->issue != NULL) + (verb->revoke != NULL) + verb->list;
    const char *folder = words->count ? words->items[0] : NULL;

    if (!folder || !*folder)
        return error_set(err, ERROR_USAGE, "which folder? 'marram keys DIR' makes one");
    if (words->count > 1)
        return error_set(err, ERROR_USAGE, "'%s' is one word too many", words->items[1]);
    if (things > 1)
        return error_set(err, ERROR_USAGE, "one of --issue, --revoke and --list at a time");
    if (verb->issue)
        return issue(verb, folder, err);
    if (verb->revoke)
        return keyring_revoke(folder, verb->revoke, err);
    return verb->list ? list_keys(folder, verb->json, err) : make(folder, err);
}

static int run(void *into, const struct option_list *words)
{
    struct error err;

    if (!do_one_thing(into, words, &err))
        return 0;
    verb_blame(&err);
    fprintf(stderr, "marram keys: %s\n", err.text);
    return error_exit_status(err.code);
}

const struct verb verb_keys = {
    .name = "keys",
    .summary = "make the keys of a cluster, and say who is let in",
    .usage = "DIR [options]",
    .about = "Makes the keys of a cluster in a new folder: of its coordinator, one for its "
             "workers, one for its\n"
             "clients. With --issue it makes further ones in DIR/issued/NAME, a folder to be "
             "handed over as a\n"
             "whole. A running coordinator lets them in, or no longer, within a second.",
    .notes = "Keys that exist are never replaced. Secrets stay in files that only their owner "
             "may read.\n"
             "--list --json prints keys (each with name, role, public_key).\n\n"
             "Exit status: 0 done, 1 a file could not be written or read, 2 wrong usage, or "
             "the keys exist, 4\n"
             "refused.",
    .size = sizeof(struct keys_verb),
    .options = add_options,
    .run = run,
};
