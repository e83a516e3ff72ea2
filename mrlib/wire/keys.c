#include "wire/keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"

/* That there is no such pair here. */
static int miss(const char *folder, enum key_role role, const char *path, struct error *err)
{
    static const char *const members[] = {"worker", "client"};

    if (access(folder, F_OK))
        return error_set(err, ERROR_REFUSED,
                         "there are no keys in '%s': 'marram keys %s' makes those of a cluster",
                         folder, folder);
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        cleanup_free char *other = memory_format("%s/%s.secret", folder, members[i]);

        if (!access(other, F_OK))
            return error_set(err, ERROR_REFUSED,
                             "'%s' is not there, only keys of a %s: on the coordinator's host, "
                             "'marram keys DIR --issue NAME --role %s' makes others",
                             path, members[i], key_role_name(role));
    }
    return error_set(err, ERROR_REFUSED,
                     "'%s' is not there: 'marram keys %s' makes the keys of a cluster", path,
                     folder);
}

int keys_load(struct keys *ret, const char *folder, enum key_role role, struct error *err)
{
    const char *name = key_role_name(role);
    cleanup_free char *pair = memory_format("%s/%s.secret", folder, name);
    cleanup_free char *public = memory_format("%s/coordinator.cert", folder);
    struct certificate own, coordinator;

    if (access(pair, F_OK) && errno == ENOENT)
        return miss(folder, role, pair, err);
    if (certificate_read(&own, pair, true, err))
        return -1;
    if (certificate_read(&coordinator, public, false, err)) {
        certificate_forget(&own);
        return -1;
    }
    if (own.role != role || coordinator.role != KEY_COORDINATOR ||
        (role == KEY_COORDINATOR && strcmp(own.public_key, coordinator.public_key))) {
        certificate_forget(&own);
        return error_set(err, ERROR_REFUSED,
                         "'%s' and '%s' are not of a %s and of its coordinator", pair, public,
                         name);
    }
    *ret = (struct keys){.folder = memory_text(folder), .own = own};
    strcpy(ret->coordinator, coordinator.public_key);
    certificate_forget(&own);
    return 0;
}

void keys_done(struct keys *keys)
{
    certificate_forget(&keys->own);
    free(keys->folder);
    keys->folder = NULL;
}
